//! The two forms of an access line. Clients choose method, path and user agent: what is not
//! printable ASCII is written as `\xNN`, so no line has a line end, a control character or a
//! quotation mark of theirs, and long texts are cut.

use crate::traces::TraceId;
use mwaa_model::{Client, PeerAddress, RequestId};
use std::cell::Cell;
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
    wall: Duration,
    line: &AccessLine<'_>,
    has_colour: bool,
    client: &mut ClientText,
) {
    // like the other lines of the log
    if has_colour {
        out.extend_from_slice(b"\x1b[2m");
        add_time(out, wall);
        out.extend_from_slice(b"\x1b[0m \x1b[32m INFO\x1b[0m ");
    } else {
        add_time(out, wall);
        out.extend_from_slice(b"  INFO ");
    }

    match line.status {
        Some(status) => add_status(out, status),
        None => out.extend_from_slice(b"---"),
    }
    add_aligned_millis(out, line.total);
    add_aligned_method(out, line.method);
    add_escaped(out, shorten(line.path.as_bytes(), MAX_PATH), Style::Text);

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
    out.extend_from_slice(client.get(line.client, add_text_client));
    out.extend_from_slice(b" id=");
    out.extend_from_slice(line.id.encode(&mut [0; RequestId::SIZE]));

    if let Some(trace) = line.trace {
        let _infallible = write!(out, " trace={trace}");
    }
    if !line.user_agent.is_empty() {
        out.extend_from_slice(b" agent=\"");
        add_escaped(out, shorten(line.user_agent, MAX_AGENT), Style::Text);
        out.push(b'"');
    }
    out.push(b'\n');
}

/// The part of a line about the last client: the requests of a connection have the same.
pub(super) struct ClientText {
    client: Option<Client>,
    text: Vec<u8>,
}

impl ClientText {
    pub(super) const fn new() -> Self {
        Self {
            client: None,
            text: Vec::new(),
        }
    }

    /// Returns the text, which `add` writes.
    fn get(&mut self, client: &Client, add: fn(&mut Vec<u8>, &Client)) -> &[u8] {
        let is_same = self.client.as_ref().is_some_and(|last| {
            last.peer == client.peer
                && last.identity == client.identity
                && Rc::ptr_eq(&last.listener, &client.listener)
        });
        if !is_same {
            self.client = Some(client.clone());
            self.text.clear();
            add(&mut self.text, client);
        }
        &self.text
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
pub(super) fn add_json(
    out: &mut Vec<u8>,
    wall: Duration,
    line: &AccessLine<'_>,
    client: &mut ClientText,
) {
    out.extend_from_slice(b"{\"timestamp\":\"");
    add_time(out, wall);
    out.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"request\",\"id\":\"");
    out.extend_from_slice(line.id.encode(&mut [0; RequestId::SIZE]));
    out.push(b'"');

    if !line.method.is_empty() {
        out.extend_from_slice(b",\"http.request.method\":\"");
        add_name(out, line.method, Style::Json);
        out.extend_from_slice(b"\",\"url.path\":\"");
        add_escaped(out, shorten(line.path.as_bytes(), MAX_PATH), Style::Json);
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
    out.extend_from_slice(client.get(line.client, add_json_client));
    if let Some(trace) = line.trace {
        let _infallible = write!(out, ",\"trace_id\":\"{trace}\"");
    }
    if !line.user_agent.is_empty() {
        out.extend_from_slice(b",\"user_agent.original\":\"");
        add_escaped(out, shorten(line.user_agent, MAX_AGENT), Style::Json);
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
fn add_escaped(out: &mut Vec<u8>, mut bytes: &[u8], style: Style) {
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

fn add_status(out: &mut Vec<u8>, status: u16) {
    let status = u64::from(status);
    out.extend_from_slice(&[
        to_digit(status / 100),
        to_digit(status / 10),
        to_digit(status),
    ]);
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

fn add_number(out: &mut Vec<u8>, mut number: u64) {
    // most are short
    if number < 10 {
        out.push(to_digit(number));
        return;
    }
    let mut digits = [0; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = to_digit(number);
        used += 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

#[expect(clippy::as_conversions, reason = "a digit fits")]
const fn to_digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// Adds the milliseconds of a time, with three decimals.
fn add_millis(out: &mut Vec<u8>, time: Duration) {
    let micros = to_micros(time);
    add_number(out, micros / 1000);
    let rest = micros % 1000;
    out.extend_from_slice(&[
        b'.',
        to_digit(rest / 100),
        to_digit(rest / 10),
        to_digit(rest),
    ]);
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
    out.extend_from_slice(&[b'.', to_digit(tenths), b'm', b's', b' ']);
}

fn to_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Adds the time in UTC, as RFC 3339 with microseconds.
fn add_time(out: &mut Vec<u8>, wall: Duration) {
    let second = wall.as_secs();
    let (cached, text) = SECOND.get();
    if cached == second {
        out.extend_from_slice(&text);
    } else {
        let text = format_second(second);
        SECOND.set((second, text));
        out.extend_from_slice(&text);
    }

    let micros = u64::from(wall.subsec_micros());
    out.extend_from_slice(&[
        to_digit(micros / 100_000),
        to_digit(micros / 10_000),
        to_digit(micros / 1000),
        to_digit(micros / 100),
        to_digit(micros / 10),
        to_digit(micros),
        b'Z',
    ]);
}

fn format_second(second: u64) -> [u8; 20] {
    let time = UNIX_EPOCH + Duration::from_secs(second);
    let mut text = *b"0000-00-00T00:00:00.";
    let formatted = humantime::format_rfc3339_seconds(time).to_string();
    for (to, from) in text.iter_mut().zip(formatted.bytes()) {
        *to = from;
    }
    // humantime ends it with a Z
    text[19] = b'.';
    text
}

thread_local! {
    /// The last second and its text: most requests are of the same one.
    static SECOND: Cell<(u64, [u8; 20])> = const { Cell::new((u64::MAX, [0; 20])) };
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";
/// The longest method and listener, in bytes.
const MAX_NAME: usize = 80;
/// The longest path, in bytes.
const MAX_PATH: usize = 500;
/// The longest user agent, in bytes.
const MAX_AGENT: usize = 100;
