//! Reads the head of a response.

use super::head::{FieldError, FieldFacts, Framing, Parsed, read_fields};
use super::head::{has_broken_line, has_new_line, has_strict_lines};
use super::headers::Headers;
use super::usual::{self, UsualFields};
use http::{Method, StatusCode};
use std::mem::MaybeUninit;

/// The head of a response whose body has one framing.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// The status, 100 to 599.
    pub status: StatusCode,
    /// The header fields.
    pub headers: Headers,
    /// The framing of the body.
    pub framing: Framing,
    /// True if the connection may carry another response after this one.
    pub keep_alive: bool,
}

/// A head that is refused: it is no HTTP/1.1, or its body could be read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// It does not begin with a status line of HTTP/1.
    #[error("it is not HTTP/1.1")]
    StatusLine,
    /// The status is not between 100 and 599.
    #[error("its status is not between 100 and 599")]
    Status,
    /// It switches protocols, although no request asks for that.
    #[error("it switches protocols without a request to do so")]
    Upgrade,
    /// Interim responses without end.
    #[error("it sends too many interim responses")]
    Interim,
    /// A line that ends in LF without CR, or a CR within a line.
    #[error("a line of its head does not end with CR LF")]
    LineEnd,
    /// A header name or value with a byte that is not allowed there.
    #[error("a header field is malformed")]
    Field,
    /// A `Content-Length` that is not one number, or in an interim response (RFC 9110 section 8.6).
    #[error("its Content-Length is not a single number")]
    Length,
    /// The length is set more than once, by `Content-Length` or `Transfer-Encoding` (RFC 9112 section
    /// 6.3).
    #[error("the length of its body is set more than once")]
    Lengths,
    /// A transfer coding other than `chunked`, or in HTTP/1.0, or in a response without a body.
    #[error("its transfer coding is not chunked in HTTP/1.1")]
    Coding,
    /// It is larger than [`MAX_SIZE`], or has more than [`MAX_FIELDS`] fields.
    #[error("its head is too large")]
    TooLarge,
}

/// Reads the head of a response to a request with this method at the beginning of `input`.
///
/// `seen` bytes of it were there at the last call, which returned [`Parsed::Partial`]; 0 is the first
/// call. Fails with the first bytes, or at the latest with the line, that cannot be of a response. Interim responses are returned like others.
pub fn parse_response(
    input: &[u8],
    seen: usize,
    method: &Method,
) -> Result<Parsed<Box<ResponseHead>>, ResponseError> {
    let parsed = if !has_new_line(input, seen) {
        Parsed::Partial
    } else if let Some((head, size)) = parse_usual(input, method) {
        Parsed::Complete(head, size)
    } else {
        parse(input, method)?
    };

    match &parsed {
        Parsed::Complete(_, size) if *size > MAX_SIZE => Err(ResponseError::TooLarge),
        Parsed::Partial if has_broken_line(input, seen) => Err(ResponseError::LineEnd),
        Parsed::Partial if input.len() >= MAX_SIZE => Err(ResponseError::TooLarge),
        _ => Ok(parsed),
    }
}

/// Reads a head in its usual form: HTTP/1.1. `None` for any other, which [`parse`] reads.
pub(super) fn parse_usual(input: &[u8], method: &Method) -> Option<(Box<ResponseHead>, usize)> {
    // nearly every response
    if input.starts_with(OK_LINE) {
        return parse_usual_fields(input, OK_LINE.len() - 2, StatusCode::OK, method);
    }
    let line = usual::read_first_line(input)?;
    let (code, reason) = line.strip_prefix(b"HTTP/1.1 ")?.split_first_chunk::<3>()?;
    if !matches!(reason.first(), None | Some(b' ')) {
        return None;
    }
    let status = StatusCode::from_bytes(code).ok()?;
    parse_usual_fields(input, line.len(), status, method)
}

fn parse_usual_fields(
    input: &[u8],
    line_end: usize,
    status: StatusCode,
    method: &Method,
) -> Option<(Box<ResponseHead>, usize)> {
    let any_name = |_known, _name: &[u8]| Ok::<_, ResponseError>(());
    let fields = usual::read_fields(input, line_end, MAX_FIELDS, any_name)?;
    let UsualFields {
        headers,
        facts,
        size,
    } = fields;
    let head = make_head(status, true, headers, &facts, method).ok()?;
    Some((head, size))
}

pub(super) fn parse(
    input: &[u8],
    method: &Method,
) -> Result<Parsed<Box<ResponseHead>>, ResponseError> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        input,
        &mut headers,
    );

    match parsed {
        Ok(httparse::Status::Partial) => Ok(Parsed::Partial),
        Ok(httparse::Status::Complete(size)) => Ok(Parsed::Complete(
            check(input, size, &response, method)?,
            size,
        )),
        Err(error) => Err(match error {
            httparse::Error::Status => ResponseError::Status,
            httparse::Error::Token | httparse::Error::Version => ResponseError::StatusLine,
            httparse::Error::NewLine => ResponseError::LineEnd,
            httparse::Error::HeaderName | httparse::Error::HeaderValue => ResponseError::Field,
            httparse::Error::TooManyHeaders => ResponseError::TooLarge,
        }),
    }
}

/// Checks a head that the parser has split, and decides its framing.
fn check(
    input: &[u8],
    size: usize,
    response: &httparse::Response<'_, '_>,
    method: &Method,
) -> Result<Box<ResponseHead>, ResponseError> {
    let (Some(code), Some(minor)) = (response.code, response.version) else {
        return Err(ResponseError::StatusLine);
    };
    let status = StatusCode::from_u16(code).map_err(|_bad_code| ResponseError::Status)?;
    check_status(status)?;

    // the reason is skipped: it has no meaning, and may be missing (RFC 9112 section 4)
    let line_end = memchr::memchr(b'\r', input).unwrap_or(input.len());
    let starts_here = input.starts_with(b"HTTP/");
    if !starts_here || !has_strict_lines(input, line_end, response.headers, size) {
        return Err(ResponseError::LineEnd);
    }

    // the names of a web server have no other rules
    let (headers, facts) = read_fields(size, response.headers, |_known, _name| {
        Ok::<_, ResponseError>(())
    })?;
    make_head(status, minor == 1, headers, &facts, method)
}

/// Fails for a status that cannot be passed on.
fn check_status(status: StatusCode) -> Result<(), ResponseError> {
    if !(100..=599).contains(&status.as_u16()) {
        return Err(ResponseError::Status);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ResponseError::Upgrade);
    }
    Ok(())
}

/// Decides the framing of a head.
fn make_head(
    status: StatusCode,
    is_http_11: bool,
    headers: Headers,
    facts: &FieldFacts,
    method: &Method,
) -> Result<Box<ResponseHead>, ResponseError> {
    check_status(status)?;
    let framing = decide_framing(facts, status, is_http_11, method)?;

    // a server that sends a length here may send the bytes too
    let has_stray_content =
        facts.length.is_some_and(|length| length > 0) && status == StatusCode::NO_CONTENT;
    Ok(Box::new(ResponseHead {
        status,
        headers,
        framing,
        keep_alive: !facts.close
            && (is_http_11 || facts.keep_alive)
            && framing != Framing::UntilClose
            && !has_stray_content,
    }))
}

/// Returns the framing of the body (RFC 9112 section 6.3).
fn decide_framing(
    facts: &FieldFacts,
    status: StatusCode,
    is_http_11: bool,
    method: &Method,
) -> Result<Framing, ResponseError> {
    if facts.chunked && !is_http_11 {
        return Err(ResponseError::Coding);
    }

    let is_bodiless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if is_bodiless || *method == Method::HEAD {
        // a coding is that of a GET, but these never have one
        let has_none = status.is_informational() || status == StatusCode::NO_CONTENT;
        if facts.chunked && has_none {
            return Err(ResponseError::Coding);
        }
        if facts.length.is_some_and(|length| length > 0) && status.is_informational() {
            return Err(ResponseError::Length);
        }
        return Ok(Framing::Length(0));
    }

    Ok(match facts.length {
        _ if facts.chunked => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    })
}

impl From<FieldError> for ResponseError {
    fn from(error: FieldError) -> Self {
        match error {
            FieldError::Name | FieldError::Connection => Self::Field,
            FieldError::Length => Self::Length,
            FieldError::Lengths => Self::Lengths,
            FieldError::Coding => Self::Coding,
        }
    }
}

const OK_LINE: &[u8] = b"HTTP/1.1 200 OK\r\n";
/// The largest head of a response, in bytes.
const MAX_SIZE: usize = 256 * 1024;
/// The most fields of a response.
const MAX_FIELDS: usize = 128;

#[cfg(test)]
mod tests {
    use super::super::head::MAX_NAME;
    use super::super::name::SET_COOKIE;
    use super::*;

    fn read(input: &[u8], method: &Method) -> Result<Box<ResponseHead>, ResponseError> {
        match parse_response(input, 0, method)? {
            Parsed::Complete(head, size) => {
                assert_eq!(size, input.len(), "{}", input.escape_ascii());
                Ok(head)
            }
            Parsed::Partial => panic!("{} is not complete", input.escape_ascii()),
        }
    }

    fn framing(status: u16, fields: &str, method: &Method) -> Result<Framing, ResponseError> {
        let head = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
        read(head.as_bytes(), method).map(|head| head.framing)
    }

    #[test]
    fn a_head_has_its_parts() {
        let head = read(
            b"HTTP/1.1 404 Not\tfound \xe9\r\nServer: x\r\nSet-Cookie: a\r\nset-cookie: b\r\n\
              X_Y:\r\nContent-Length: 5\r\n\r\n",
            &Method::GET,
        )
        .unwrap();
        assert_eq!(head.status, StatusCode::NOT_FOUND);
        assert_eq!(head.framing, Framing::Length(5));
        assert!(head.keep_alive);
        assert_eq!(head.headers.len(), 5);
        assert!(head.headers.get_all(SET_COOKIE).eq([b"a", b"b"]));
    }

    #[test]
    fn a_status_line_has_one_form() {
        for line in [
            "HTTP/1.1 200",
            "HTTP/1.1 200 ",
            "HTTP/1.0 599 OK OK",
            "HTTP/1.1 100 ",
        ] {
            let result = read(format!("{line}\r\n\r\n").as_bytes(), &Method::GET);
            assert!(result.is_ok(), "{line}: {result:?}");
        }
        for (line, error) in [
            (&b"ICY 200 OK"[..], ResponseError::StatusLine),
            (b"HTTP/2.0 200 OK", ResponseError::StatusLine),
            (b"HTTP/1.2 200 OK", ResponseError::StatusLine),
            (b"http/1.1 200 OK", ResponseError::StatusLine),
            (b"HTTP/1.1\t200 OK", ResponseError::StatusLine),
            (b"HTTP/1.1  200 OK", ResponseError::Status),
            (b"HTTP/1.1 099 OK", ResponseError::Status),
            (b"HTTP/1.1 600 OK", ResponseError::Status),
            (b"HTTP/1.1 999 OK", ResponseError::Status),
            (b"HTTP/1.1 101 Switching Protocols", ResponseError::Upgrade),
            (b"HTTP/1.1 20 OK", ResponseError::Status),
            (b"HTTP/1.1 +20 OK", ResponseError::Status),
            (b"HTTP/1.1 2000 OK", ResponseError::Status),
            (b"HTTP/1.1 200OK", ResponseError::Status),
            (b"HTTP/1.1 200 O\0K", ResponseError::Status),
            (b"HTTP/1.1 200 O\rK", ResponseError::Status),
            (b"HTTP/1.1 200 OK\nA: b", ResponseError::LineEnd),
            (b"HTTP/1.1 200\nA: b", ResponseError::LineEnd),
            (b"\r\nHTTP/1.1 200 OK", ResponseError::LineEnd),
            (b"\nHTTP/1.1 200 OK", ResponseError::LineEnd),
        ] {
            let result = read(&[line, b"\r\n\r\n"].concat(), &Method::GET).map(drop);
            assert_eq!(result, Err(error), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_field_has_one_form() {
        for (lines, error) in [
            (&b"A : b\r\n"[..], ResponseError::Field),
            (b" A: b\r\n", ResponseError::Field),
            (b"A: b\r\n c\r\n", ResponseError::Field),
            (b"no colon\r\n", ResponseError::Field),
            (b"A: \0\r\n", ResponseError::Field),
            (b"A: b\rC: d\r\n", ResponseError::Field),
            (b"Connection: \xe9\r\n", ResponseError::Field),
            (b"A: b\nC: d\r\n", ResponseError::LineEnd),
            (b"A: b\n", ResponseError::LineEnd),
            (b"A:\n", ResponseError::LineEnd),
        ] {
            let head = [b"HTTP/1.1 200 OK\r\nX: y\r\n", lines, b"\r\n"].concat();
            let result = read(&head, &Method::GET).map(drop);
            assert_eq!(result, Err(error), "{}", lines.escape_ascii());
        }
        let result = read(b"HTTP/1.1 200 OK\r\nA: b\r\n\n", &Method::GET).map(drop);
        assert_eq!(result, Err(ResponseError::LineEnd));
    }

    #[test]
    fn the_framing_follows_from_method_status_and_fields() {
        let (length, coding) = ("Content-Length: 5\r\n", "Transfer-Encoding: Chunked\r\n");
        let get = &Method::GET;
        for (status, fields, method, expected) in [
            (200, length, get, Framing::Length(5)),
            (200, coding, get, Framing::Chunked),
            (200, "", get, Framing::UntilClose),
            (500, "Content-Length: 0\r\n", get, Framing::Length(0)),
            (200, length, &Method::HEAD, Framing::Length(0)),
            (200, coding, &Method::HEAD, Framing::Length(0)),
            (200, "", &Method::HEAD, Framing::Length(0)),
            (304, length, get, Framing::Length(0)),
            (304, coding, get, Framing::Length(0)),
            (204, "", get, Framing::Length(0)),
            (204, length, get, Framing::Length(0)),
            (100, "", get, Framing::Length(0)),
        ] {
            let result = framing(status, fields, method);
            assert_eq!(result, Ok(expected), "{method} {status} {fields}");
        }
    }

    #[test]
    fn a_body_that_can_be_read_in_two_ways_is_refused() {
        let (length, coding) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
        for (fields, error) in [
            ([length, length], ResponseError::Lengths),
            ([length, "Content-Length: 6\r\n"], ResponseError::Lengths),
            (["Content-Length: -5\r\n", ""], ResponseError::Length),
            (["Content-Length: 5, 5\r\n", ""], ResponseError::Length),
            (["Content-Length:\r\n", ""], ResponseError::Length),
            (["Content-Length: +5\r\n", ""], ResponseError::Length),
            ([length, coding], ResponseError::Lengths),
            ([coding, length], ResponseError::Lengths),
            ([coding, coding], ResponseError::Lengths),
            (["Transfer-Encoding: gzip\r\n", ""], ResponseError::Coding),
            (
                ["Transfer-Encoding: gzip, chunked\r\n", ""],
                ResponseError::Coding,
            ),
            (
                ["Transfer-Encoding: identity\r\n", ""],
                ResponseError::Coding,
            ),
            (["Transfer-Encoding:\r\n", ""], ResponseError::Coding),
        ] {
            let fields = fields.concat();
            for (status, method) in
                [(200, Method::GET), (200, Method::HEAD), (304, Method::GET)]
            {
                let result = framing(status, &fields, &method);
                assert_eq!(result, Err(error), "{method} {status} {fields}");
            }
        }
        assert_eq!(
            framing(204, coding, &Method::GET),
            Err(ResponseError::Coding)
        );
        assert_eq!(
            framing(100, coding, &Method::GET),
            Err(ResponseError::Coding)
        );
        assert_eq!(
            framing(100, length, &Method::GET),
            Err(ResponseError::Length)
        );
        let head = format!("HTTP/1.0 200 OK\r\n{coding}\r\n");
        assert_eq!(
            read(head.as_bytes(), &Method::GET).map(drop),
            Err(ResponseError::Coding)
        );
    }

    #[test]
    fn a_connection_is_kept_if_nothing_speaks_against_it() {
        for (head, keep_alive) in [
            ("1.1 200 OK\r\nContent-Length: 5\r\n", true),
            ("1.1 200 OK\r\n", false),
            (
                "1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, Close\r\n",
                false,
            ),
            ("1.0 200 OK\r\nContent-Length: 5\r\n", false),
            (
                "1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n",
                true,
            ),
            ("1.1 204 No Content\r\n", true),
            ("1.1 204 No Content\r\nContent-Length: 0\r\n", true),
            // it may send them
            ("1.1 204 No Content\r\nContent-Length: 5\r\n", false),
        ] {
            let head = read(format!("HTTP/{head}\r\n").as_bytes(), &Method::GET).unwrap();
            assert_eq!(head.keep_alive, keep_alive, "{head:?}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let head = |size: usize| {
            let around = "HTTP/1.1 200 OK\r\nA: \r\n\r\n".len();
            format!(
                "HTTP/1.1 200 OK\r\nA: {}\r\n\r\n",
                "a".repeat(size - around)
            )
            .into_bytes()
        };
        assert!(read(&head(MAX_SIZE), &Method::GET).is_ok());
        let head = head(MAX_SIZE + 1);
        for beginning in [&head[..], &head[..MAX_SIZE]] {
            let result = parse_response(beginning, 0, &Method::GET).map(drop);
            assert_eq!(result, Err(ResponseError::TooLarge));
        }
        let result = parse_response(&head[..MAX_SIZE - 1], 0, &Method::GET);
        assert!(matches!(result, Ok(Parsed::Partial)));

        let fields = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert!(read(fields(MAX_FIELDS).as_bytes(), &Method::GET).is_ok());
        let result = read(fields(MAX_FIELDS + 1).as_bytes(), &Method::GET).map(drop);
        assert_eq!(result, Err(ResponseError::TooLarge));

        let name = |length| format!("HTTP/1.1 200 OK\r\n{}: b\r\n\r\n", "a".repeat(length));
        let head = read(name(MAX_NAME).as_bytes(), &Method::GET).unwrap();
        assert!(
            head.headers
                .iter()
                .all(|header| header.name.len() == MAX_NAME)
        );
        let result = read(name(MAX_NAME + 1).as_bytes(), &Method::GET).map(drop);
        assert_eq!(result, Err(ResponseError::Field));
    }
}
