//! Reads the head of a request.

use super::head::{FieldError, FieldFacts, Framing, Parsed, read_fields};
use super::head::{has_broken_line, has_new_line, has_strict_lines, offset};
use super::headers::Headers;
use super::name::{EXPECT, Name};
use super::usual::{self, UsualFields};
use std::fmt;
use std::mem::MaybeUninit;
use std::rc::Rc;

/// The limits of the head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// The largest request line and header section, in bytes, with the empty line at the end.
    pub size: usize,
    /// The most header fields.
    pub fields: usize,
}

/// The head of a request whose body has one framing.
#[derive(Clone)]
pub struct RequestHead {
    /// The method, as sent.
    pub method: http::Method,
    /// The target: a path, or an absolute URL, or `*`.
    pub target: http::Uri,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: http::Version,
    /// The header fields.
    pub headers: Headers,
    /// The framing of the body.
    pub framing: Framing,
    /// True if the connection may carry another request after this one.
    pub keep_alive: bool,
    /// True if the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

impl fmt::Debug for RequestHead {
    /// Leaves out the target: a query may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("headers", &self.headers)
            .field("framing", &self.framing)
            .finish_non_exhaustive()
    }
}

/// A head that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The preface of HTTP/2 (RFC 9113 section 3.4).
    #[error("the client uses HTTP/2")]
    Http2,
    /// Another version of HTTP.
    #[error("the version is not HTTP/1.1 or HTTP/1.0")]
    Version,
    /// A request line that is not `METHOD TARGET VERSION`.
    #[error("the request line is malformed")]
    RequestLine,
    /// A target that is no URL: a byte that is not visible ASCII, a fragment, or a host alone.
    #[error("the target contains a character that no URL has, or a fragment, or no path")]
    Target,
    /// A line that ends in LF without CR, or a CR within a line.
    #[error("a line of the head does not end with CR LF")]
    LineEnd,
    /// A name that is no token: it is empty, or there is white space before the colon, or the line
    /// continues the one before.
    #[error("a header name is malformed, or has a space before its colon")]
    FieldName,
    /// A name with an underscore: it becomes the same WSGI variable as one with a hyphen
    /// (CVE-2025-64484).
    #[error("a header name contains an underscore")]
    Underscore,
    /// A name that other programs may take for `Content-Length` or `Transfer-Encoding`: the same
    /// letters with other punctuation.
    #[error("a header name imitates Content-Length or Transfer-Encoding")]
    Imitation,
    /// A value with a control character.
    #[error("a header value contains a control character")]
    FieldValue,
    /// A `Content-Length` that is not one number.
    #[error("the Content-Length is not a number")]
    Length,
    /// The length is set more than once, by `Content-Length` or `Transfer-Encoding`.
    #[error("the length of the body is set more than once")]
    Lengths,
    /// A transfer coding other than `chunked`, or one in HTTP/1.0 (RFC 9112 section 6.1).
    #[error("only the transfer coding chunked is supported, in HTTP/1.1")]
    Coding,
    /// More header fields than the limit.
    #[error("the request has more header fields than limits.header_count")]
    TooManyFields,
    /// The head is larger than the limit.
    #[error("the head is larger than limits.head_size; {cookies} bytes of it are cookies")]
    TooLarge {
        /// The size of its cookies, in bytes, as far as they have come.
        cookies: usize,
        /// All that has come of it, in bytes.
        seen: usize,
    },
    /// The request line alone is larger than the limit.
    #[error("the request line is longer than limits.head_size")]
    LineTooLong,
}

/// Reads the head of a request at the beginning of `input`.
///
/// `seen` bytes of it were there at the last call, which returned [`Parsed::Partial`]; 0 is the first
/// call. Fails with the first bytes, or at the latest with the line, that cannot be of a request.
pub fn parse_request(
    input: &[u8],
    seen: usize,
    limits: RequestLimits,
) -> Result<Parsed<Rc<RequestHead>>, RequestError> {
    // one empty line before a request is ignored (RFC 9112 section 2.2)
    let message = input.strip_prefix(b"\r\n").unwrap_or(input);
    let skipped = input.len() - message.len();
    if message.starts_with(b"\r\n") {
        return Err(RequestError::RequestLine);
    }

    let parsed = if !has_new_line(input, seen) {
        Parsed::Partial
    } else if let Some((head, size)) = parse_usual(message, limits) {
        Parsed::Complete(head, size)
    } else {
        parse(message, limits)?
    };
    match parsed {
        Parsed::Complete(_, size) if skipped + size > limits.size => {
            Err(too_large(message.get(..size).unwrap_or_default(), limits))
        }
        Parsed::Complete(head, size) => Ok(Parsed::Complete(head, skipped + size)),
        Parsed::Partial => {
            if message.starts_with(HTTP_2_PREFACE) {
                return Err(RequestError::Http2);
            }
            if has_broken_line(message, seen.saturating_sub(skipped)) {
                return Err(RequestError::LineEnd);
            }
            if input.len() >= limits.size {
                return Err(too_large(message, limits));
            }
            Ok(Parsed::Partial)
        }
    }
}

/// The beginning of HTTP/2 with prior knowledge (RFC 9113 section 3.4).
const HTTP_2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// Reads a head in its usual form: HTTP/1.1, a method that everybody knows, and a path. `None` for any
/// other, which [`parse`] reads.
pub(super) fn parse_usual(
    input: &[u8],
    limits: RequestLimits,
) -> Option<(Rc<RequestHead>, usize)> {
    let line = usual::read_first_line(input)?;
    let method_end = line.iter().position(|byte| *byte == b' ')?;
    let (method, rest) = line.split_at_checked(method_end)?;
    let method = match method {
        b"DELETE" => http::Method::DELETE,
        b"GET" => http::Method::GET,
        b"HEAD" => http::Method::HEAD,
        b"OPTIONS" => http::Method::OPTIONS,
        b"PATCH" => http::Method::PATCH,
        b"POST" => http::Method::POST,
        b"PUT" => http::Method::PUT,
        _ => return None,
    };
    let target = rest.strip_prefix(b" ")?.strip_suffix(b" HTTP/1.1")?;
    if !target.starts_with(b"/") || !is_visible_target(target) {
        return None;
    }

    let fields = usual::read_fields(input, line.len(), limits.fields, check_name)?;
    let UsualFields {
        headers,
        facts,
        size,
    } = fields;
    let target = http::Uri::try_from(target).ok()?;
    let head = make_head(method, target, true, headers, &facts).ok()?;
    Some((head, size))
}

/// Reads a head with as many fields as the limit allows, nearly always without an allocation.
pub(super) fn parse(
    input: &[u8],
    limits: RequestLimits,
) -> Result<Parsed<Rc<RequestHead>>, RequestError> {
    let mut few = [const { MaybeUninit::uninit() }; FEW_FIELDS];
    let mut many;
    let headers = if let Some(few) = few.get_mut(..limits.fields) {
        few
    } else {
        many = vec![MaybeUninit::uninit(); limits.fields];
        many.as_mut_slice()
    };

    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(input, headers) {
        Ok(httparse::Status::Partial) => Ok(Parsed::Partial),
        Ok(httparse::Status::Complete(size)) => {
            Ok(Parsed::Complete(check(input, size, &request)?, size))
        }
        Err(error) => Err(explain(error, input)),
    }
}

/// Checks a head that the parser has split, and decides its framing.
fn check(
    input: &[u8],
    size: usize,
    request: &httparse::Request<'_, '_>,
) -> Result<Rc<RequestHead>, RequestError> {
    let (Some(method), Some(path), Some(minor)) =
        (request.method, request.path, request.version)
    else {
        return Err(RequestError::RequestLine);
    };
    let is_http_11 = minor == 1;

    // the parser skips a bare LF before the request line
    if offset(input, method.as_bytes()) != 0 {
        return Err(RequestError::LineEnd);
    }
    // the version follows the target: ` HTTP/1.1`
    let line_end = offset(input, path.as_bytes()) + path.len() + VERSION_SIZE;
    if !has_strict_lines(input, line_end, request.headers, size) {
        return Err(RequestError::LineEnd);
    }
    if !is_visible_target(path.as_bytes()) || !has_form_of_target(path, method) {
        return Err(RequestError::Target);
    }

    let (headers, facts) = read_fields(size, request.headers, check_name)?;
    let method = method
        .parse()
        .map_err(|_bad_method| RequestError::RequestLine)?;
    let target = path.parse().map_err(|_bad_url| RequestError::Target)?;
    make_head(method, target, is_http_11, headers, &facts)
}

/// Decides the framing of a head.
fn make_head(
    method: http::Method,
    target: http::Uri,
    is_http_11: bool,
    headers: Headers,
    facts: &FieldFacts,
) -> Result<Rc<RequestHead>, RequestError> {
    if facts.chunked && !is_http_11 {
        return Err(RequestError::Coding);
    }

    let framing = match facts.length {
        _ if facts.chunked => Framing::Chunked,
        length => Framing::Length(length.unwrap_or(0)),
    };
    Ok(Rc::new(RequestHead {
        method,
        target,
        version: if is_http_11 {
            http::Version::HTTP_11
        } else {
            http::Version::HTTP_10
        },
        framing,
        keep_alive: !facts.close && (is_http_11 || facts.keep_alive),
        // an HTTP/1.0 client does not know it (RFC 9110 section 10.1.1)
        expects_continue: is_http_11 && expects_continue(&headers),
        headers,
    }))
}

/// Returns true if a target is visible ASCII without a fragment.
fn is_visible_target(target: &[u8]) -> bool {
    // without an early end, so that it looks at many bytes at once
    let is_other = |byte: u8| !byte.is_ascii_graphic() || byte == b'#';
    !target
        .iter()
        .fold(false, |other, byte| other | is_other(*byte))
}

/// Returns true if a target has one of the forms of RFC 9112 section 3.2: a host alone is only for
/// `CONNECT`.
fn has_form_of_target(target: &str, method: &str) -> bool {
    target.starts_with('/') || target == "*" || target.contains("://") || method == "CONNECT"
}

/// Fails for a name that another program could take for a different one.
fn check_name(known: Option<Name>, name: &[u8]) -> Result<(), RequestError> {
    // no constant has an underscore or imitates another
    if known.is_some() {
        return Ok(());
    }
    if memchr::memchr(b'_', name).is_some() {
        return Err(RequestError::Underscore);
    }
    if imitates_length(name) {
        return Err(RequestError::Imitation);
    }
    Ok(())
}

/// Returns true for `Expect: 100-continue`.
fn expects_continue(headers: &Headers) -> bool {
    let mut values = headers.get_all(EXPECT);
    values.any(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

impl From<FieldError> for RequestError {
    fn from(error: FieldError) -> Self {
        match error {
            FieldError::Name => Self::FieldName,
            FieldError::Connection => Self::FieldValue,
            FieldError::Length => Self::Length,
            FieldError::Lengths => Self::Lengths,
            FieldError::Coding => Self::Coding,
        }
    }
}

/// Returns true if a name has the letters and digits of `Content-Length` or `Transfer-Encoding`,
/// with other punctuation.
fn imitates_length(name: &[u8]) -> bool {
    // shorter ones cannot
    if name.len() < "contentlength".len() {
        return false;
    }

    let own = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let own = own.map(u8::to_ascii_lowercase);
    own.clone().eq(*b"contentlength") || own.eq(*b"transferencoding")
}

/// Returns our error for the parser's.
fn explain(error: httparse::Error, input: &[u8]) -> RequestError {
    let mut line = input.iter().take_while(|byte| **byte != b'\n');
    match error {
        httparse::Error::Version if input.starts_with(HTTP_2_PREFACE) => RequestError::Http2,
        httparse::Error::Version if has_version(input) => RequestError::Version,
        httparse::Error::Token if line.any(|byte| !byte.is_ascii()) => RequestError::Target,
        httparse::Error::NewLine => RequestError::LineEnd,
        httparse::Error::HeaderName => RequestError::FieldName,
        httparse::Error::HeaderValue => RequestError::FieldValue,
        httparse::Error::TooManyHeaders => RequestError::TooManyFields,
        // a space in the target looks like the end of it, so that the rest is no version
        httparse::Error::Version | httparse::Error::Status | httparse::Error::Token => {
            RequestError::RequestLine
        }
    }
}

/// Returns true if the third word of the request line is a version, and the last one.
fn has_version(input: &[u8]) -> bool {
    let line = input.split(|byte| *byte == b'\n').next();
    let words: Vec<_> = line
        .unwrap_or_default()
        .split(|byte| *byte == b' ')
        .collect();
    matches!(words.as_slice(), [_method, _target, version] if version.starts_with(b"HTTP/"))
}

/// Returns the error for a head that is larger than the limit, of which these bytes have come.
fn too_large(head: &[u8], limits: RequestLimits) -> RequestError {
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    let request_line = lines.next().unwrap_or_default();
    if !request_line.ends_with(b"\n") || request_line.len() > limits.size {
        return RequestError::LineTooLong;
    }

    let is_cookie = |line: &&[u8]| {
        line.get(..COOKIE_LINE.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(COOKIE_LINE))
    };
    RequestError::TooLarge {
        cookies: lines.filter(is_cookie).map(<[u8]>::len).sum(),
        seen: head.len(),
    }
}

const COOKIE_LINE: &[u8] = b"cookie:";
/// The space and the version at the end of a request line.
const VERSION_SIZE: usize = " HTTP/1.1".len();
/// A limit up to this many fields costs no allocation.
const FEW_FIELDS: usize = 128;

#[cfg(test)]
mod tests {
    use super::super::head::MAX_NAME;
    use super::super::name::COOKIE;
    use super::*;

    const LIMITS: RequestLimits = RequestLimits {
        size: 32 * 1024,
        fields: 64,
    };

    fn read(input: &[u8]) -> Result<Rc<RequestHead>, RequestError> {
        match parse_request(input, 0, LIMITS)? {
            Parsed::Complete(head, size) => {
                assert_eq!(size, input.len(), "{}", input.escape_ascii());
                Ok(head)
            }
            Parsed::Partial => panic!("{} is not complete", input.escape_ascii()),
        }
    }

    /// Reads a request with these lines after the request line.
    fn read_fields(lines: &[u8]) -> Result<Rc<RequestHead>, RequestError> {
        read(&[b"POST / HTTP/1.1\r\nHost: a\r\n", lines, b"\r\n"].concat())
    }

    #[test]
    fn a_head_has_its_parts() {
        let head = read(
            b"\r\nPUT /a?b=c HTTP/1.1\r\nHost: x\r\nA:\r\nCookie: \t one \r\nCOOKIE:caf\xe9\r\n\
              Content-Length: 007\r\nExpect: 100-Continue\r\n\r\n",
        )
        .unwrap();
        assert_eq!(head.method, http::Method::PUT);
        assert_eq!(head.target, "/a?b=c");
        assert_eq!(head.version, http::Version::HTTP_11);
        assert_eq!(head.framing, Framing::Length(7));
        assert!(head.keep_alive && head.expects_continue);

        let headers = head
            .headers
            .iter()
            .map(|header| (header.name, header.value));
        assert_eq!(
            headers.collect::<Vec<_>>(),
            [
                (&b"host"[..], &b"x"[..]),
                (b"a", b""),
                (b"cookie", b"one"),
                (b"cookie", b"caf\xe9"),
                (b"content-length", b"007"),
                (b"expect", b"100-Continue"),
            ]
        );
        let cookies = head.headers.get_all(COOKIE);
        assert!(cookies.eq([&b"one"[..], b"caf\xe9"]));
        assert!(!format!("{head:?}").contains("one"), "values may be secret");
    }

    #[test]
    fn a_request_line_has_one_form() {
        for line in [
            "GET / HTTP/1.1",
            "get /%23 HTTP/1.0",
            "M-SEARCH * HTTP/1.1",
            "GET http://localhost:8080/a HTTP/1.1",
            "CONNECT localhost:80 HTTP/1.1",
            "GET //a/../b;c?d=[e]|f HTTP/1.1",
        ] {
            let result = read(format!("{line}\r\n\r\n").as_bytes());
            assert!(result.is_ok(), "{line}: {result:?}");
        }
        for (line, error) in [
            (&b""[..], RequestError::RequestLine),
            (b"\r\nGET / HTTP/1.1", RequestError::RequestLine),
            (b" GET / HTTP/1.1", RequestError::RequestLine),
            (b"GET  / HTTP/1.1", RequestError::RequestLine),
            (b"GET\t/ HTTP/1.1", RequestError::RequestLine),
            (b"GET /", RequestError::RequestLine),
            (b"GET  HTTP/1.1", RequestError::RequestLine),
            (b"G@T / HTTP/1.1", RequestError::RequestLine),
            (b"GET /a\x7f HTTP/1.1", RequestError::RequestLine),
            (b"GET /a\tb HTTP/1.1", RequestError::RequestLine),
            (b"GET /a b HTTP/1.1", RequestError::RequestLine),
            (b"GET /  HTTP/1.1", RequestError::RequestLine),
            (b"GET / HTTP/1.2", RequestError::Version),
            (b"GET / HTTP/0.9", RequestError::Version),
            (b"GET / HTTP/2.0", RequestError::Version),
            (b"GET / HTTP/3", RequestError::Version),
            (b"GET / http/1.1", RequestError::RequestLine),
            (b"GET / HTTP/1.1 ", RequestError::LineEnd),
            (b"GET / HTTP/1.10", RequestError::LineEnd),
            (b"PRI * HTTP/2.0", RequestError::Http2),
            (b"GET /a#b HTTP/1.1", RequestError::Target),
            (b"GET /\xc3\xa9 HTTP/1.1", RequestError::Target),
            (b"GET /\xe9 HTTP/1.1", RequestError::Target),
            (b"GET localhost:80 HTTP/1.1", RequestError::Target),
            (b"GET a HTTP/1.1", RequestError::Target),
            (b"GET ?a HTTP/1.1", RequestError::Target),
            (b"GET http:///a HTTP/1.1", RequestError::Target),
        ] {
            let result = read(&[b"\r\n", line, b"\r\n\r\n"].concat()).map(drop);
            assert_eq!(result, Err(error), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_line_ends_with_cr_lf_only() {
        for head in [
            &b"\nGET / HTTP/1.1\r\n\r\n"[..],
            b"GET / HTTP/1.1\n\r\n",
            b"GET / HTTP/1.1\r\n\n",
            b"GET / HTTP/1.1\r\nA: b\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n\n",
            b"GET / HTTP/1.1\r\nA:\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
            b"GET / HTTP/1.1\r\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\r\n",
        ] {
            let result = read(head).map(drop);
            assert_eq!(
                result,
                Err(RequestError::LineEnd),
                "{}",
                head.escape_ascii()
            );
        }
        // and at once, not at the end of the head
        for beginning in [
            &b"\n"[..],
            b"GET / HTTP/1.1\n",
            b"GET\r/",
            b"GET / HTTP/1.1\r\nA\n",
        ] {
            let result = parse_request(beginning, 0, LIMITS).map(drop);
            assert!(result.is_err(), "{}", beginning.escape_ascii());
        }
    }

    #[test]
    fn a_field_has_one_form() {
        for line in [
            &b"A:b"[..],
            b"A: \t b c \t",
            b"!#$%&'*+-.^`|~1: x",
            b"X-Content-Length: 5",
            b"Content: 5",
            b"Content-Type: text/length",
            b"A: \xff",
        ] {
            assert!(
                read_fields(&[line, b"\r\n"].concat()).is_ok(),
                "{}",
                line.escape_ascii()
            );
        }
        for (line, error) in [
            (&b"A : b"[..], RequestError::FieldName),
            (b"A\t: b", RequestError::FieldName),
            (b" A: b", RequestError::FieldName),
            (b": b", RequestError::FieldName),
            (b"A", RequestError::FieldName),
            (b"A B: c", RequestError::FieldName),
            (b"A(B): c", RequestError::FieldName),
            (b"A\0: b", RequestError::FieldName),
            (b"\xc3\xa9: b", RequestError::FieldName),
            (b"A: b\r\n c", RequestError::FieldName),
            (b"A: b\r\n\tc", RequestError::FieldName),
            (b"A: b\0", RequestError::FieldValue),
            (b"A: \x7f", RequestError::FieldValue),
            (b"A: b\rC: d", RequestError::FieldValue),
            (b"A:\x0cb", RequestError::FieldValue),
            (b"Connection: close, \xe9", RequestError::FieldValue),
            (b"X_Y: b", RequestError::Underscore),
            (b"Content_Length: 5", RequestError::Underscore),
            (b"Transfer---Encoding: chunked", RequestError::Imitation),
            (b"transfer.encoding: chunked", RequestError::Imitation),
            (b"ContentLength: 5", RequestError::Imitation),
            (b"Content-Length-: 5", RequestError::Imitation),
        ] {
            let result = read_fields(&[line, b"\r\n"].concat()).map(drop);
            assert_eq!(result, Err(error), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_body_has_one_length() {
        for (fields, framing) in [
            ("", Framing::Length(0)),
            ("Content-Length: 0\r\n", Framing::Length(0)),
            ("content-length:\t5 \r\n", Framing::Length(5)),
            ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
            ("transfer-encoding:CHUNKED\r\n", Framing::Chunked),
        ] {
            assert_eq!(
                read_fields(fields.as_bytes()).unwrap().framing,
                framing,
                "{fields}"
            );
        }

        let (length, coding) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
        for fields in [
            [length, length],
            [length, "Content-Length: 6\r\n"],
            [length, coding],
            [coding, length],
            [coding, coding],
            [coding, "Transfer-Encoding: gzip\r\n"],
        ] {
            let result = read_fields(fields.concat().as_bytes()).map(drop);
            assert_eq!(result, Err(RequestError::Lengths), "{fields:?}");
        }
        for value in [
            "",
            "-1",
            "+5",
            "5,5",
            "5, 5",
            "5 5",
            "0x5",
            "5.0",
            "9999999999999999999",
        ] {
            let result =
                read_fields(format!("Content-Length: {value}\r\n").as_bytes()).map(drop);
            assert_eq!(result, Err(RequestError::Length), "{value}");
        }
        for value in [
            "",
            "gzip",
            "gzip, chunked",
            "chunked,",
            "xchunked",
            "chunked;a",
            "\"chunked\"",
        ] {
            let field = format!("Transfer-Encoding: {value}\r\n");
            let result = read_fields(field.as_bytes()).map(drop);
            assert_eq!(result, Err(RequestError::Coding), "{value}");
        }
        // RFC 9112 section 6.1
        let result = read(format!("POST / HTTP/1.0\r\n{coding}\r\n").as_bytes()).map(drop);
        assert_eq!(result, Err(RequestError::Coding));
    }

    #[test]
    fn the_version_and_the_connection_field_decide_what_follows() {
        for (version, fields, keep_alive, expects_continue) in [
            ("1.1", "", true, false),
            ("1.1", "Connection: Close\r\n", false, false),
            ("1.1", "Connection: keep-alive, close\r\n", false, false),
            ("1.1", "Connection: closed\r\n", true, false),
            ("1.0", "", false, false),
            ("1.0", "Connection: x, Keep-Alive\r\n", true, false),
            (
                "1.0",
                "Connection: close\r\nConnection: keep-alive\r\n",
                false,
                false,
            ),
            ("1.1", "Expect: 100-continue\r\n", true, true),
            ("1.0", "Expect: 100-continue\r\n", false, false),
        ] {
            let head =
                read(format!("GET / HTTP/{version}\r\n{fields}\r\n").as_bytes()).unwrap();
            assert_eq!(head.keep_alive, keep_alive, "{version} {fields}");
            assert_eq!(
                head.expects_continue, expects_continue,
                "{version} {fields}"
            );
        }
    }

    #[test]
    fn limits_are_exact() {
        let head = |size: usize| {
            let around = "GET / HTTP/1.1\r\nCookie: \r\n\r\n".len();
            format!(
                "GET / HTTP/1.1\r\nCookie: {}\r\n\r\n",
                "c".repeat(size - around)
            )
            .into_bytes()
        };
        assert!(read(&head(LIMITS.size)).is_ok());
        // the empty line before it counts
        let with_empty_line = [b"\r\n", head(LIMITS.size - 1).as_slice()].concat();
        for head in [head(LIMITS.size + 1), with_empty_line] {
            let result = read(&head).map(drop);
            assert!(matches!(
                result,
                Err(RequestError::TooLarge {
                    cookies: 32_000..,
                    ..
                })
            ));

            // as soon as the limit is reached
            let result = parse_request(&head[..LIMITS.size], 0, LIMITS).map(drop);
            assert!(matches!(
                result,
                Err(RequestError::TooLarge {
                    cookies: 32_000..,
                    ..
                })
            ));
            let result = parse_request(&head[..LIMITS.size - 1], 0, LIMITS);
            assert!(matches!(result, Ok(Parsed::Partial)));
        }
        let line = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(LIMITS.size)).into_bytes();
        for beginning in [&line[..LIMITS.size], &line[..]] {
            let result = parse_request(beginning, 0, LIMITS).map(drop);
            assert_eq!(result, Err(RequestError::LineTooLong));
        }
    }

    #[test]
    fn the_number_of_fields_is_limited() {
        let read = |limit, count| {
            let limits = RequestLimits {
                fields: limit,
                ..LIMITS
            };
            let head = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
            parse_request(head.as_bytes(), 0, limits).map(drop)
        };
        for limit in [8, FEW_FIELDS, 200] {
            assert_eq!(read(limit, limit), Ok(()), "{limit}");
            assert_eq!(
                read(limit, limit + 1),
                Err(RequestError::TooManyFields),
                "{limit}"
            );
        }
    }

    #[test]
    fn a_long_name_is_whole_or_refused() {
        let limits = RequestLimits {
            size: 1024 * 1024,
            ..LIMITS
        };
        let read = |length: usize| {
            let head = format!("GET / HTTP/1.1\r\n{}: b\r\n\r\n", "a".repeat(length));
            match parse_request(head.as_bytes(), 0, limits)? {
                Parsed::Complete(head, _) => Ok(head
                    .headers
                    .iter()
                    .map(|header| header.name.len())
                    .sum::<usize>()),
                Parsed::Partial => panic!("it is not complete"),
            }
        };
        assert_eq!(read(MAX_NAME), Ok(MAX_NAME));
        assert_eq!(read(MAX_NAME + 1), Err(RequestError::FieldName));
    }

    #[test]
    fn http_2_is_recognised_before_its_head_is_complete() {
        for preface in [&b"PRI * HTTP/2.0"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let result = parse_request(preface, 0, LIMITS).map(drop);
            assert_eq!(result, Err(RequestError::Http2));
        }
    }
}
