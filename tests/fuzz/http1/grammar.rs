//! Random messages, most of them nearly valid: a grammar that takes a wrong turn now and then, and
//! a mutation of some of its bytes.

use fastrand::Rng;

/// A writer of messages.
pub(super) struct Grammar<'a> {
    random: &'a mut Rng,
    out: Vec<u8>,
    /// One of so many choices is an odd one; 0 is none.
    oddity: u32,
}

/// Returns the bytes of one to three requests on a connection.
pub(super) fn requests(random: &mut Rng) -> Vec<u8> {
    let oddity = random.choice([0, 12, 40, 40, 120]).unwrap_or(0);
    let mut grammar = Grammar::new(random, oddity);
    for _ in 0..grammar.random.u8(1..=3) {
        grammar.request();
    }
    grammar.finish()
}

/// Returns the bytes of one or two requests without a wrong turn.
pub(super) fn valid_requests(random: &mut Rng) -> Vec<u8> {
    let mut grammar = Grammar::new(random, 0);
    for _ in 0..grammar.random.u8(1..=2) {
        grammar.request();
    }
    grammar.out
}

/// Returns the bytes of a response, perhaps behind interim ones.
pub(super) fn response(random: &mut Rng) -> Vec<u8> {
    let oddity = random.choice([0, 12, 40, 40, 120]).unwrap_or(0);
    let mut grammar = Grammar::new(random, oddity);
    grammar.response();
    grammar.finish()
}

/// Returns the bytes of a response without a wrong turn.
pub(super) fn valid_response(random: &mut Rng) -> Vec<u8> {
    let mut grammar = Grammar::new(random, 0);
    grammar.response();
    grammar.out
}

/// The framing that a head declares.
#[derive(Clone, Copy)]
enum Declared {
    Nothing,
    Length(usize),
    Chunked,
}

impl<'a> Grammar<'a> {
    fn new(random: &'a mut Rng, oddity: u32) -> Self {
        Self {
            random,
            out: Vec::with_capacity(512),
            oddity,
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.oddity > 0 && self.random.bool() {
            for _ in 0..self.random.u8(1..=2) {
                self.mutate();
            }
        }
        self.out
    }

    /// Returns true for a wrong turn.
    fn is_odd(&mut self) -> bool {
        self.oddity > 0 && self.random.u32(..self.oddity) == 0
    }

    fn put(&mut self, text: impl AsRef<[u8]>) {
        self.out.extend_from_slice(text.as_ref());
    }

    /// Writes one of these texts; one of the others on a wrong turn.
    fn pick(&mut self, usual: &[&str], odd: &[&[u8]]) {
        if self.is_odd() {
            let text = self.random.choice(odd).copied().unwrap_or_default();
            self.put(text);
        } else {
            let text = self.random.choice(usual).copied().unwrap_or_default();
            self.put(text);
        }
    }

    fn request(&mut self) {
        if self.is_odd() {
            self.pick(&["\r\n"], &[b"\n", b"\r", b"\r\n\r\n", b" ", b"\0"]);
        }
        self.pick(METHODS, ODD_METHODS);
        self.pick(&[" "], &[b"  ", b"\t", b"", b"\x0b", b"\r\n"]);
        self.pick(TARGETS, ODD_TARGETS);
        self.pick(&[" "], &[b"  ", b"\t", b"", b" \t", b"\r\n"]);
        self.pick(VERSIONS, ODD_VERSIONS);
        self.line_end();

        let declared = self.fields(REQUEST_FIELDS, ODD_FIELDS);
        self.body(declared);
    }

    fn response(&mut self) {
        while self.random.u8(..8) == 0 {
            self.put("HTTP/1.1 ");
            self.pick(&["100", "102", "103"], &[b"101", b"199", b"204"]);
            self.put(" Wait");
            self.line_end();
            self.pick(&[""], ODD_FIELDS);
            self.line_end();
        }
        self.pick(VERSIONS, ODD_VERSIONS);
        self.pick(&[" "], &[b"  ", b"\t", b"", b"\n"]);
        self.pick(STATUSES, ODD_STATUSES);
        self.pick(REASONS, ODD_REASONS);
        self.line_end();

        let declared = self.fields(RESPONSE_FIELDS, ODD_FIELDS);
        self.body(declared);
    }

    /// Writes the header section and its end. Returns the framing that it declares.
    fn fields(&mut self, usual: &[&str], odd: &[&[u8]]) -> Declared {
        let before = self.random.u8(..4);
        self.ordinary_fields(before, usual, odd);
        let declared = match self.random.u8(..8) {
            0..3 => Declared::Nothing,
            3..5 => Declared::Length(usize::from(self.random.u8(..24))),
            _ => Declared::Chunked,
        };
        self.framing(declared);
        if self.is_odd() {
            let other = self.random.u8(..20);
            self.framing(if other == 0 {
                Declared::Chunked
            } else {
                Declared::Length(usize::from(other))
            });
        }
        let after = self.random.u8(..3);
        self.ordinary_fields(after, usual, odd);
        self.line_end();
        declared
    }

    fn ordinary_fields(&mut self, count: u8, usual: &[&str], odd: &[&[u8]]) {
        for _ in 0..count {
            self.pick(usual, odd);
            self.line_end();
        }
    }

    fn framing(&mut self, declared: Declared) {
        match declared {
            Declared::Nothing => return,
            Declared::Length(length) => {
                self.pick(&["Content-Length", "content-length"], ODD_LENGTH_NAMES);
                self.colon();
                if self.is_odd() {
                    self.pick(&["", "-0"], ODD_LENGTHS);
                } else {
                    self.put(length.to_string());
                }
            }
            Declared::Chunked => {
                self.pick(
                    &["Transfer-Encoding", "transfer-encoding"],
                    ODD_CODING_NAMES,
                );
                self.colon();
                self.pick(&["chunked", "chunked", "Chunked"], ODD_CODINGS);
            }
        }
        self.pick(&["", "", "", " "], &[b"\t ", b"\x0b", b",", b"\0"]);
        self.line_end();
    }

    fn colon(&mut self) {
        self.pick(
            &[": ", ":", ":\t"],
            &[b" : ", b"\t:", b":\r\n ", b"", b":  \t ", b":\x0c"],
        );
    }

    fn line_end(&mut self) {
        self.pick(
            &["\r\n"],
            &[
                b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\n\r", b"\r\n\t", b" \r\n", b"",
            ],
        );
    }

    fn body(&mut self, declared: Declared) {
        match declared {
            Declared::Nothing => {
                if self.random.u8(..16) == 0 && self.oddity > 0 {
                    self.data(5);
                }
            }
            Declared::Length(length) => {
                let length = if self.is_odd() {
                    length.saturating_sub(1)
                } else {
                    length
                };
                self.data(length);
            }
            Declared::Chunked => self.chunks(),
        }
    }

    fn data(&mut self, length: usize) {
        for _ in 0..length {
            let byte = self.random.choice(BODY_BYTES).copied().unwrap_or(b'x');
            self.out.push(byte);
        }
    }

    fn chunks(&mut self) {
        for _ in 0..self.random.u8(..3) {
            let length = usize::from(self.random.u8(1..20));
            let size = match self.random.u8(..4) {
                0 => format!("{length:X}"),
                1 => format!("{length:03x}"),
                _ => format!("{length:x}"),
            };
            self.pick(&[""], ODD_SIZES);
            self.put(size);
            self.chunk_line_end();
            self.data(length);
            self.line_end();
        }
        self.pick(&["0", "0", "000"], ODD_LAST_SIZES);
        self.chunk_line_end();
        for _ in 0..self.random.u8(..8) / 6 {
            self.pick(TRAILERS, ODD_FIELDS);
            self.line_end();
        }
        self.line_end();
    }

    fn chunk_line_end(&mut self) {
        self.pick(
            &[""],
            &[b";a=b", b" ", b";", b"\t", b";a=\"\n\"", b"h", b"\0"],
        );
        self.line_end();
    }

    /// Changes some of the bytes, without regard to what they mean.
    fn mutate(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let at = self.random.usize(..self.out.len());
        let byte = self.random.choice(MUTANTS).copied().unwrap_or(0);
        match self.random.u8(..8) {
            0 => {
                self.out.remove(at);
            }
            1..3 => self.out.insert(at, byte),
            3..5 => self.out[at] = byte,
            5 => self.out.truncate(at),
            6 => {
                // another copy of some of it
                let end = (at + self.random.usize(1..40)).min(self.out.len());
                let part = self.out[at..end].to_vec();
                let target = self.random.usize(..=self.out.len());
                self.out.splice(target..target, part);
            }
            _ => {
                let other = self.random.usize(..self.out.len());
                self.out.swap(at, other);
            }
        }
    }
}

const METHODS: &[&str] = &[
    "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "M-SEARCH",
];
const ODD_METHODS: &[&[u8]] = &[
    b"CONNECT",
    b"get",
    b"",
    b"PRI",
    b"G@T",
    b"GET\0",
    b"\xc3\xa9",
    b"P_ST",
    b"TRACE",
    b"!",
];
const TARGETS: &[&str] = &[
    "/",
    "/api/v1/dags?limit=5",
    "/a%2fb/../c",
    "/x;y=z?a=b&c=d",
    "http://localhost:8080/x",
    "*",
];
const ODD_TARGETS: &[&[u8]] = &[
    b"/a#b",
    b"/a b",
    b"/\xe9",
    b"/\xc3\xa9",
    b"",
    b"host",
    b"host:80",
    b"//x/y",
    b"http://",
    b"http://u:p@h/x",
    b"HTTPS://H",
    b"http:/x",
    b"?q",
    b"/\x7f",
    b"/\"<>\\^`{|}",
    b"/\t",
    b"/\r",
    b"://x",
    b"[::1]:80",
    b"#",
    b"/%",
    b"urn:a:b",
    b"http://h#f",
];
const VERSIONS: &[&str] = &["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"];
const ODD_VERSIONS: &[&[u8]] = &[
    b"HTTP/1.2",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/2",
    b"http/1.1",
    b"",
    b"HTTP/1.1 ",
    b"HTTP/1.10",
    b"HTTP/01.1",
    b"HTTP/1,1",
    b"HTTP/1.1\t",
    b"ICY",
];
const REQUEST_FIELDS: &[&str] = &[
    "Host: localhost:8080",
    "Accept: */*",
    "connection: keep-alive",
    "Connection: close",
    "Expect: 100-continue",
    "Cookie: a=b; c=d",
    "X-Empty:",
    "Upgrade: websocket",
    "Connection: Upgrade, x-y",
    "TE: trailers",
    "X-Text: caf\u{e9} \u{2603}",
    "Via:\t 1.0 a ,1.1 b \t",
];
const RESPONSE_FIELDS: &[&str] = &[
    "Server: gunicorn",
    "Content-Type: text/plain; charset=utf-8",
    "connection: keep-alive",
    "Connection: close",
    "Set-Cookie: a=b; Path=/",
    "Set-Cookie: c=d",
    "X_Under: score",
    "X-Empty:",
    "Trailer: X-Sum",
    "X-Text: caf\u{e9} \u{2603}",
];
const ODD_FIELDS: &[&[u8]] = &[
    b"no colon",
    b" Leading: space",
    b"Trailing : space",
    b"Under_score: x",
    b"Nul: \0",
    b"N\0l: x",
    b"Del: \x7f",
    b"Bell: \x07",
    b"Obs: a\r\n b",
    b"CR: a\rb",
    b"LF: a\nb",
    b": empty",
    b"\xe9: x",
    b"X-Latin: \xe9",
    b"Connection: close, \xe9",
    b"Connection: keep-alive\xa0",
    b"Connection:keep-alive,,close ",
    b"Connection: \"close\"",
    b"Expect: 100-Continue",
    b"Expect: 100-continue, x",
    b"Content-Length: 3",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"A: b\r\n",
    b"(a): b",
    b"A/B: c",
];
const ODD_LENGTH_NAMES: &[&[u8]] = &[
    b"Content_Length",
    b"Content-Length ",
    b" Content-Length",
    b"Content--Length",
    b"ContentLength",
    b"Content-Length\0",
    b"X-Content-Length",
];
const ODD_LENGTHS: &[&[u8]] = &[
    b"+5",
    b"-5",
    b"5,5",
    b"5, 5",
    b"0x5",
    b"5 5",
    b"05",
    b"5.0",
    b"5;",
    b"\"5\"",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999",
    b"000000000000000000005",
    b"999999999999999999",
    b"\xef\xbc\x95",
];
const ODD_CODING_NAMES: &[&[u8]] = &[
    b"Transfer_Encoding",
    b"Transfer-Encoding ",
    b"Transfer---Encoding",
    b"Transfer.Encoding",
    b"\x0bTransfer-Encoding",
    b"TransferEncoding",
    b"Transfer-Encoding\t",
];
const ODD_CODINGS: &[&[u8]] = &[
    b"identity",
    b"gzip, chunked",
    b"chunked, identity",
    b"chunked,chunked",
    b"xchunked",
    b"",
    b"chunked;a=b",
    b"\"chunked\"",
    b"chunked\x0b",
    b"chunked ,",
    b", chunked",
    b"chun ked",
    b"\xc3\xa9chunked",
];
const STATUSES: &[&str] = &[
    "200", "200", "200", "404", "500", "204", "304", "302", "599",
];
const ODD_STATUSES: &[&[u8]] = &[
    b"600", b"099", b"000", b"999", b"+20", b"20", b"2000", b"100", b"101", b"103", b"",
    b"2x0", b" 200", b"205",
];
const REASONS: &[&str] = &[" OK", " ", "", " Not at all", " caf\u{e9}"];
const ODD_REASONS: &[&[u8]] = &[
    b" a\rb",
    b" a\nb",
    b"\tx",
    b" \0",
    b" \xe9\xff",
    b"OK",
    b" \x7f",
];
const TRAILERS: &[&str] = &["X-Sum: 5", "Expires: 0", "A:", "X-Text: caf\u{e9}"];
const ODD_SIZES: &[&[u8]] = &[
    b"0000000000000000",
    b"000000000000000",
    b"00000000000000",
    b"0x",
    b"+",
    b"-",
    b" ",
    b"\r\n",
    b"1",
    b"ffffffffffffff",
    b"fffffffffffffff",
    b"\xef\xbc\x91",
    b"_",
];
const ODD_LAST_SIZES: &[&[u8]] = &[
    b"0000000000000000",
    b"000000000000000",
    b"",
    b"00 0",
    b"-0",
    b"0;x",
    b"0x0",
    b"0\n",
];
/// The bytes of bodies are those that could be taken for framing.
const BODY_BYTES: &[u8] = b"0123456789abcdefX\r\n\0: \xff";
const MUTANTS: &[u8] = b"\r\n\0 \t:;,#_/?@0159afAF\"\\%*-+.\x0b\x0c\x7f\x80\xa0\xe9\xff";
