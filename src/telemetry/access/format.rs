//! The two forms of an access line. Clients choose method, path and user agent: what is not
//! printable ASCII is written as `\xNN`, so no line has a line end, a control character or a
//! quotation mark of theirs, and long texts are cut.

use crate::traces::TraceId;
use mwaa_model::{Client, PeerAddress, RequestId};
use mwaa_runtime::Timestamp;
use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

/// A request that has ended.
#[derive(Clone)]
pub struct AccessLine<'a> {
    /// The request's id.
    pub id: RequestId,
    /// Its sender and its listener.
    pub client: &'a Client,
    /// The method; empty if the head could not be read.
    pub method: &'a str,
    /// The path, without the query, which may hold secrets; empty if the head could not be read.
    pub path: &'a str,
    /// The user agent as the client wrote it.
    pub user_agent: &'a [u8],
    /// The environment, if it is known.
    pub environment: Option<&'a str>,
    /// The kind of the request, if routing got that far.
    pub kind: Option<&'static str>,
    /// The name of the Airflow command. Its arguments are never logged.
    pub command: Option<&'static str>,
    /// The status of the response; `None` if the client left before it.
    pub status: Option<u16>,
    /// The code and the detail of the fault, if there was one.
    pub fault: Option<(&'static str, &'a str)>,
    /// The size of the request's body, as far as it was read, in bytes.
    pub received: u64,
    /// The size of the response's body, as far as it was sent, in bytes.
    pub sent: u64,
    /// The time to the head of the response.
    pub head: Duration,
    /// The time to the end of the response.
    pub total: Duration,
    /// The end of the response.
    pub ended: Timestamp,
    /// The time that a command waited for its slot.
    pub queued: Option<Duration>,
    /// The time that the web server took, to the head of its response.
    pub upstream: Option<Duration>,
    /// True if the response is incomplete: it broke off, or the client left.
    pub is_cut: bool,
    /// The trace of the request, if it has one.
    pub trace: Option<TraceId>,
}

impl fmt::Debug for AccessLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLine")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Adds the line for people.
pub(super) fn add_text(
    out: &mut Vec<u8>,
    line: &AccessLine<'_>,
    has_colour: bool,
    last: &mut LastParts,
) {
    // like the other lines of the log
    let time = last.time(line.ended.wall());
    if has_colour {
        out.extend_from_slice(b"\x1b[2m");
        out.extend_from_slice(&time);
        out.extend_from_slice(b"\x1b[0m \x1b[32m INFO\x1b[0m ");
    } else {
        out.extend_from_slice(&time);
        out.extend_from_slice(b"  INFO ");
    }

    match line.status {
        Some(status) => out.extend_from_slice(&to_three_digits(status.into())),
        None => out.extend_from_slice(b"---"),
    }
    add_aligned_millis(out, line.total);
    add_aligned_method(out, line.method);
    out.extend_from_slice(last.path.get(line.path.as_bytes(), Style::Text));

    if let Some(environment) = line.environment {
        add_pair(out, b" environment=", environment);
    }
    if let Some(kind) = line.kind {
        add_pair(out, b" kind=", kind);
    }
    if let Some(command) = line.command {
        add_pair(out, b" command=\"", command);
        out.push(b'"');
    }
    if let Some((code, detail)) = line.fault {
        add_pair(out, b" code=", code);
        out.extend_from_slice(b" detail=\"");
        add_detail(out, detail, Style::Text);
        out.push(b'"');
    }
    add_text_numbers(out, line);
    out.extend_from_slice(last.client(line.client, add_text_client));
    out.extend_from_slice(b" id=");
    out.extend_from_slice(line.id.encode(&mut [0; RequestId::SIZE]));

    if let Some(trace) = line.trace {
        let _infallible = write!(out, " trace={trace}");
    }
    if !line.user_agent.is_empty() {
        out.extend_from_slice(b" agent=\"");
        out.extend_from_slice(last.agent.get(line.user_agent, Style::Text));
        out.push(b'"');
    }
    out.push(b'\n');
}

/// Parts of the last line of this thread. Most lines have the same ones: those of a connection have
/// one client and one user agent, programs poll, and many requests end in the same second.
pub(super) struct LastParts {
    second: u64,
    /// The second as text, and room for the rest of it.
    time: Time,
    client: Option<Client>,
    client_text: Vec<u8>,
    path: LastText<MAX_PATH>,
    agent: LastText<MAX_AGENT>,
}

/// A text of a client that was written last, and its form in a line. Only so many bytes are shown.
struct LastText<const LIMIT: usize> {
    bytes: Vec<u8>,
    shown: Vec<u8>,
}

impl<const LIMIT: usize> LastText<LIMIT> {
    const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            shown: Vec::new(),
        }
    }

    /// Returns the form of a text in a line.
    fn get(&mut self, text: &[u8], style: Style) -> &[u8] {
        let bytes = shorten(text, LIMIT);
        if self.bytes != bytes {
            bytes.clone_into(&mut self.bytes);
            self.shown.clear();
            add_escaped(&mut self.shown, bytes, style);
        }
        &self.shown
    }
}

/// A time as RFC 3339 with microseconds.
type Time = [u8; 27];

impl LastParts {
    pub(super) const fn new() -> Self {
        Self {
            second: u64::MAX,
            time: *b"0000-00-00T00:00:00.000000Z",
            client: None,
            client_text: Vec::new(),
            path: LastText::new(),
            agent: LastText::new(),
        }
    }

    /// Returns the time in UTC.
    fn time(&mut self, wall: Duration) -> Time {
        let second = wall.as_secs();
        if self.second != second {
            self.second = second;
            let formatted =
                humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(second));
            // it ends with a Z, in place of which a fraction follows
            let formatted = formatted.to_string();
            for (to, from) in self
                .time
                .iter_mut()
                .zip(formatted.trim_end_matches('Z').bytes())
            {
                *to = from;
            }
        }

        let micros = wall.subsec_micros();
        let fraction = self.time.get_mut(20..26).unwrap_or_default();
        let pairs = fraction.as_chunks_mut().0.iter_mut();
        for (pair, number) in pairs.zip([micros / 10_000, micros / 100, micros]) {
            *pair = to_two_digits(number);
        }
        self.time
    }

    /// Returns the text about a client, which `add` writes.
    fn client(&mut self, client: &Client, add: fn(&mut Vec<u8>, &Client)) -> &[u8] {
        let is_same = self.client.as_ref().is_some_and(|last| {
            last.peer == client.peer
                && last.identity.uid == client.identity.uid
                && Rc::ptr_eq(&last.listener, &client.listener)
        });
        if !is_same {
            self.client = Some(client.clone());
            self.client_text.clear();
            add(&mut self.client_text, client);
        }
        &self.client_text
    }
}

fn add_text_numbers(out: &mut Vec<u8>, line: &AccessLine<'_>) {
    if line.received > 0 {
        out.extend_from_slice(b" in=");
        add_number(out, line.received);
    }
    out.extend_from_slice(b" out=");
    add_number(out, line.sent);
    if line.is_cut {
        out.extend_from_slice(b" cut=true");
    }

    // else both are the same for a person
    let has_streamed = line.total.saturating_sub(line.head) >= Duration::from_millis(1);
    if has_streamed && line.status.is_some() {
        out.extend_from_slice(b" head=");
        add_millis(out, line.head);
        out.extend_from_slice(b"ms");
    }
    if let Some(queued) = line.queued {
        out.extend_from_slice(b" queued=");
        add_millis(out, queued);
        out.extend_from_slice(b"ms");
    }
    if let Some(upstream) = line.upstream {
        out.extend_from_slice(b" upstream=");
        add_millis(out, upstream);
        out.extend_from_slice(b"ms");
    }
}

fn add_text_client(out: &mut Vec<u8>, client: &Client) {
    out.extend_from_slice(b" client=");
    match client.peer {
        PeerAddress::Tcp(address) => {
            add_address(out, address, true);
            out.push(b':');
            add_number(out, address.port().into());
        }
        PeerAddress::Unix => out.extend_from_slice(b"unix"),
    }
    if let Some(uid) = client.identity.uid {
        out.extend_from_slice(b" uid=");
        add_number(out, uid.into());
    }
    out.extend_from_slice(b" listener=");
    add_name(out, &client.listener.name, Style::Text);
}

/// Adds the line for programs: one JSON object. Names with a dot are those of OpenTelemetry's
/// conventions for HTTP.
pub(super) fn add_json(out: &mut Vec<u8>, line: &AccessLine<'_>, last: &mut LastParts) {
    out.extend_from_slice(b"{\"timestamp\":\"");
    out.extend_from_slice(&last.time(line.ended.wall()));
    out.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"request\",\"id\":\"");
    out.extend_from_slice(line.id.encode(&mut [0; RequestId::SIZE]));
    out.push(b'"');

    if !line.method.is_empty() {
        out.extend_from_slice(b",\"http.request.method\":\"");
        add_name(out, line.method, Style::Json);
        out.extend_from_slice(b"\",\"url.path\":\"");
        out.extend_from_slice(last.path.get(line.path.as_bytes(), Style::Json));
        out.push(b'"');
    }
    if let Some(status) = line.status {
        add_json_number(out, b",\"http.response.status_code\":", status.into());
    }
    if let Some(environment) = line.environment {
        add_pair(out, b",\"environment\":\"", environment);
        out.push(b'"');
    }
    if let Some(kind) = line.kind {
        add_pair(out, b",\"kind\":\"", kind);
        out.push(b'"');
    }
    if let Some(command) = line.command {
        add_pair(out, b",\"command\":\"", command);
        out.push(b'"');
    }
    if let Some((code, detail)) = line.fault {
        add_pair(out, b",\"code\":\"", code);
        out.extend_from_slice(b"\",\"detail\":\"");
        add_detail(out, detail, Style::Json);
        out.push(b'"');
    }
    add_json_numbers(out, line);
    out.extend_from_slice(last.client(line.client, add_json_client));
    if let Some(trace) = line.trace {
        let _infallible = write!(out, ",\"trace_id\":\"{trace}\"");
    }
    if !line.user_agent.is_empty() {
        out.extend_from_slice(b",\"user_agent.original\":\"");
        out.extend_from_slice(last.agent.get(line.user_agent, Style::Json));
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
}

fn add_json_numbers(out: &mut Vec<u8>, line: &AccessLine<'_>) {
    add_json_number(out, b",\"http.request.body.size\":", line.received);
    add_json_number(out, b",\"http.response.body.size\":", line.sent);
    if line.is_cut {
        out.extend_from_slice(b",\"cut\":true");
    }

    out.extend_from_slice(b",\"duration_ms\":");
    add_millis(out, line.total);
    if line.status.is_some() {
        out.extend_from_slice(b",\"head_ms\":");
        add_millis(out, line.head);
    }
    if let Some(queued) = line.queued {
        out.extend_from_slice(b",\"queued_ms\":");
        add_millis(out, queued);
    }
    if let Some(upstream) = line.upstream {
        out.extend_from_slice(b",\"upstream_ms\":");
        add_millis(out, upstream);
    }
}

fn add_json_client(out: &mut Vec<u8>, client: &Client) {
    match client.peer {
        PeerAddress::Tcp(address) => {
            out.extend_from_slice(b",\"client.address\":\"");
            add_address(out, address, false);
            add_json_number(out, b"\",\"client.port\":", address.port().into());
        }
        PeerAddress::Unix => out.extend_from_slice(b",\"client.address\":\"unix\""),
    }
    if let Some(uid) = client.identity.uid {
        add_json_number(out, b",\"uid\":", uid.into());
    }
    out.extend_from_slice(b",\"listener\":\"");
    add_name(out, &client.listener.name, Style::Json);
    out.push(b'"');
}

/// The place of a text decides how it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Json,
    Text,
}

#[inline]
fn add_json_number(out: &mut Vec<u8>, key: &[u8], number: u64) {
    out.extend_from_slice(key);
    add_number(out, number);
}

/// Adds a text of our own after its key, which is a constant.
#[inline]
fn add_pair(out: &mut Vec<u8>, key: &[u8], value: &str) {
    out.extend_from_slice(key);
    out.extend_from_slice(value.as_bytes());
}

/// Adds a short text that may be anything; an empty one becomes `-`.
fn add_name(out: &mut Vec<u8>, name: &str, style: Style) {
    let name = if name.is_empty() { "-" } else { name };
    add_escaped(out, shorten(name.as_bytes(), MAX_NAME), style);
}

fn shorten(text: &[u8], limit: usize) -> &[u8] {
    text.get(..limit).unwrap_or(text)
}

/// Adds bytes of a client.
fn add_escaped(out: &mut Vec<u8>, bytes: &[u8], style: Style) {
    if is_all_plain(bytes) {
        out.extend_from_slice(bytes);
    } else {
        escape(out, bytes, style);
    }
}

#[cold]
fn escape(out: &mut Vec<u8>, mut bytes: &[u8], style: Style) {
    while let Some(at) = bytes.iter().position(|byte| !is_plain(*byte)) {
        let (plain, rest) = bytes.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, rest)) = rest.split_first() else {
            return;
        };

        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            byte => {
                // JSON has no such escape: its reader sees the same text as a person
                out.extend_from_slice(match style {
                    Style::Json => b"\\\\x",
                    Style::Text => b"\\x",
                });
                out.extend(HEX_DIGITS.get(usize::from(byte >> 4)));
                out.extend(HEX_DIGITS.get(usize::from(byte & 0xf)));
            }
        }
        bytes = rest;
    }
    out.extend_from_slice(bytes);
}

/// Returns true if no byte has to be escaped. Eight are looked at together.
fn is_all_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks();
    let is_rest_plain = match bytes.last_chunk() {
        // it has the rest, and bytes before it
        Some(last) => rest.is_empty() || is_plain_word(*last),
        None => rest.iter().all(|byte| is_plain(*byte)),
    };
    is_rest_plain && words.iter().all(|word| is_plain_word(*word))
}

/// Returns true if [`is_plain`] is true for each byte. See "Bit Twiddling Hacks" for the formulas, each
/// of which sets the highest bit of a byte that is not plain.
fn is_plain_word(word: [u8; 8]) -> bool {
    const fn eight(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    const HIGH: u64 = eight(0x80);

    let word = u64::from_ne_bytes(word);
    let quote = word ^ eight(b'"');
    let backslash = word ^ eight(b'\\');
    let below_space = word.wrapping_sub(eight(b' ')) & !word;
    let is_quote = quote.wrapping_sub(eight(1)) & !quote;
    let is_backslash = backslash.wrapping_sub(eight(1)) & !backslash;
    let above_tilde = word.wrapping_add(eight(1)) | word;
    (below_space | is_quote | is_backslash | above_tilde) & HIGH == 0
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Adds a detail of ours, which may quote a client or AWS. It is text, so printable characters of
/// all languages stay.
fn add_detail(out: &mut Vec<u8>, detail: &str, style: Style) {
    for character in detail.chars() {
        let mut text = [0; 4];
        let is_printable = character == '\'' || character.escape_debug().len() == 1;
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            _ if is_printable => {
                out.extend_from_slice(character.encode_utf8(&mut text).as_bytes());
            }
            _ if style == Style::Text => {
                // a write to memory does not fail
                let _infallible = write!(out, "{}", character.escape_debug());
            }
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _infallible = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
}

fn add_address(out: &mut Vec<u8>, address: SocketAddr, has_brackets: bool) {
    match address.ip().to_canonical() {
        // most clients, and the library's formatter is slow
        IpAddr::V4(ip) => {
            let [first, rest @ ..] = ip.octets();
            add_number(out, first.into());
            for octet in rest {
                out.push(b'.');
                add_number(out, octet.into());
            }
        }
        IpAddr::V6(ip) => {
            let _infallible = if has_brackets {
                write!(out, "[{ip}]")
            } else {
                write!(out, "{ip}")
            };
        }
    }
}

/// Adds a method in a column.
fn add_aligned_method(out: &mut Vec<u8>, method: &str) {
    match method {
        "GET" => out.extend_from_slice(b"GET     "),
        "POST" => out.extend_from_slice(b"POST    "),
        _ => {
            let start = out.len();
            add_name(out, method, Style::Text);
            let width = out.len() - start;
            out.extend_from_slice(b"       ".get(width..).unwrap_or_default());
            out.push(b' ');
        }
    }
}

fn add_number(out: &mut Vec<u8>, number: u64) {
    match u32::try_from(number) {
        Ok(number @ 0..10) => out.push(to_digit(number)),
        Ok(number @ 10..100) => out.extend_from_slice(&to_two_digits(number)),
        Ok(number @ 100..1000) => out.extend_from_slice(&to_three_digits(number)),
        Ok(number @ 1000..10_000) => {
            let ([a, b], [c, d]) = (to_two_digits(number / 100), to_two_digits(number));
            out.extend_from_slice(&[a, b, c, d]);
        }
        _ => add_long_number(out, number),
    }
}

// apart, because the function above is shorter without a call to itself
#[cold]
fn add_long_number(out: &mut Vec<u8>, number: u64) {
    add_number(out, number / 100);
    out.extend_from_slice(&to_two_digits(last_digits(number)));
}

/// Returns the last six digits of a number, as a number that is faster to divide.
fn last_digits(number: u64) -> u32 {
    u32::try_from(number % 1_000_000).unwrap_or_default()
}

fn to_three_digits(number: u32) -> [u8; 3] {
    let [a, b] = to_two_digits(number);
    [to_digit(number / 100), a, b]
}

fn to_two_digits(number: u32) -> [u8; 2] {
    let pair = usize::try_from(number % 100).unwrap_or_default();
    PAIRS.as_chunks().0.get(pair).copied().unwrap_or_default()
}

#[expect(clippy::as_conversions, reason = "a digit fits")]
const fn to_digit(number: u32) -> u8 {
    b'0' + (number % 10) as u8
}

/// Adds the milliseconds of a time, with three decimals.
fn add_millis(out: &mut Vec<u8>, time: Duration) {
    let micros = to_micros(time);
    add_number(out, micros / 1000);
    let [a, b, c] = to_three_digits(last_digits(micros));
    out.extend_from_slice(&[b'.', a, b, c]);
}

/// Adds the milliseconds of a time, with one decimal, in a column.
fn add_aligned_millis(out: &mut Vec<u8>, time: Duration) {
    let tenths = to_micros(time) / 100;
    let whole = tenths / 10;
    match whole {
        0..10 => out.extend_from_slice(b"      "),
        10..100 => out.extend_from_slice(b"     "),
        100..1000 => out.extend_from_slice(b"    "),
        1000..10_000 => out.extend_from_slice(b"   "),
        10_000..100_000 => out.extend_from_slice(b"  "),
        _ => out.push(b' '),
    }
    add_number(out, whole);
    out.extend_from_slice(&[b'.', to_digit(last_digits(tenths)), b'm', b's', b' ']);
}

fn to_micros(time: Duration) -> u64 {
    let micros = u64::from(time.subsec_micros());
    time.as_secs()
        .saturating_mul(1_000_000)
        .saturating_add(micros)
}

/// The numbers below 100, as two digits each.
const PAIRS: [u8; 200] = *b"\
    00010203040506070809101112131415161718192021222324\
    25262728293031323334353637383940414243444546474849\
    50515253545556575859606162636465666768697071727374\
    75767778798081828384858687888990919293949596979899";
const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";
/// The longest method and listener, in bytes.
const MAX_NAME: usize = 80;
/// The longest path, in bytes.
const MAX_PATH: usize = 500;
/// The longest user agent, in bytes.
const MAX_AGENT: usize = 100;
