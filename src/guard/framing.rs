//! The form of a request: what RFC 9112 leaves open to two readings is refused, so that no
//! two programs in the chain can disagree on what was asked.

use super::{GuardError, Settings};
use crate::names::is_forwarded;
use http::header::{CONNECTION, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

/// Checks version, method, size, framing and every field's name and value. Fields that
/// `Connection` nominates are removed (RFC 9110 section 7.6.1).
pub(super) fn check(head: &mut Parts, settings: &Settings) -> Result<(), GuardError> {
    if !matches!(head.version, Version::HTTP_10 | Version::HTTP_11) {
        return Err(GuardError::Malformed(
            "only HTTP/1.0 and HTTP/1.1 are served",
        ));
    }
    if matches!(head.method, Method::CONNECT | Method::TRACE) || head.uri.path() == "*" {
        return Err(GuardError::Method);
    }
    if head.method.as_str().bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(GuardError::Malformed("the method is not in capitals"));
    }

    let fields = Fields::read(&head.headers)?;
    let size = fields.size + request_line(head);
    if size > settings.head_size {
        return Err(GuardError::HeadTooLarge {
            size,
            limit: settings.head_size,
            cookies: fields.cookies,
        });
    }
    length(head, &fields)?;
    if fields.expects_other {
        return Err(GuardError::Expectation);
    }
    if fields.forwarded && !settings.allow_forwarded {
        return Err(GuardError::Forwarded);
    }
    if fields.nominates {
        drop_nominated(&mut head.headers)?;
    }
    Ok(())
}

/// What the header section says, gathered in one pass.
#[derive(Default)]
struct Fields<'a> {
    lengths: usize,
    /// The first `Content-Length`.
    length: Option<&'a HeaderValue>,
    codings: usize,
    /// The first `Transfer-Encoding`.
    coding: Option<&'a HeaderValue>,
    /// Whether `Connection` names more than options of the connection.
    nominates: bool,
    /// Whether `Expect` asks for something other than `100-continue`.
    expects_other: bool,
    /// Whether a proxy says for whom it asks.
    forwarded: bool,
    /// All fields as sent, in bytes.
    size: usize,
    /// The cookies among them, in bytes.
    cookies: usize,
}

impl<'a> Fields<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, GuardError> {
        let mut fields = Self::default();
        for (name, value) in headers {
            check_name(name)?;
            let size = name.as_str().len() + value.len() + FIELD_AROUND;
            fields.size += size;
            match name.as_str() {
                "content-length" => {
                    fields.lengths += 1;
                    fields.length = fields.length.or(Some(value));
                }
                "transfer-encoding" => {
                    fields.codings += 1;
                    fields.coding = fields.coding.or(Some(value));
                }
                "connection" => fields.nominates |= nominated(value).next().is_some(),
                "cookie" => fields.cookies += size,
                "expect" => {
                    fields.expects_other |=
                        !value.as_bytes().eq_ignore_ascii_case(b"100-continue");
                }
                "forwarded" => fields.forwarded = true,
                other => {
                    fields.forwarded |= other.starts_with("x-forwarded-");
                    // nearly every value is visible, and then its name does not matter
                    if !is_visible(value) && is_forwarded(name) {
                        return Err(GuardError::Malformed(
                            "a header value contains bytes outside ASCII text",
                        ));
                    }
                }
            }
        }
        Ok(fields)
    }
}

/// The request line in bytes, without scheme and host of an absolute target, and the empty
/// line that ends the head.
fn request_line(head: &Parts) -> usize {
    let target = head.uri.path().len() + head.uri.query().map_or(0, |query| query.len() + 1);
    head.method.as_str().len() + target + "  HTTP/1.1\r\n\r\n".len()
}

/// RFC 9112 section 6: one framing field at most. A body is allowed with every method
/// (RFC 9110 section 9.3.1: where it has no meaning, it is read and dropped).
fn length(head: &Parts, fields: &Fields<'_>) -> Result<(), GuardError> {
    if fields.lengths + fields.codings > 1 {
        return Err(GuardError::Malformed(
            "the length of the body is given more than once",
        ));
    }
    if let Some(coding) = fields.coding
        && (head.version == Version::HTTP_10
            || !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(GuardError::Malformed(
            "the only transfer coding is chunked, in HTTP/1.1",
        ));
    }
    Ok(())
}

/// Names with `_` become the same WSGI variable as names with `-` (CVE-2025-64484).
fn check_name(name: &HeaderName) -> Result<(), GuardError> {
    if name.as_str().bytes().any(|b| b == b'_') {
        return Err(GuardError::Malformed(
            "a header name contains an underscore",
        ));
    }
    Ok(())
}

/// Bytes outside visible ASCII mean different things to different servers, so they are not
/// passed on. In a field that stays here they do no harm (`obs-text`, RFC 9110 section 5.5):
/// browsers send the cookies of every port of localhost.
fn is_visible(value: &HeaderValue) -> bool {
    let visible = |b: &u8| *b == b'\t' || (0x20..=0x7e).contains(b);
    value.as_bytes().iter().all(visible)
}

/// The fields that a `Connection` field nominates: everything but options of the connection
/// itself. `Upgrade` and `HTTP2-Settings` are never forwarded anyway: an upgrade is ignored
/// (RFC 9110 section 7.8), because protocols are never switched (CVE-2018-1002105).
fn nominated(connection: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let names = connection.as_bytes().split(|b| *b == b',');
    names.map(<[u8]>::trim_ascii).filter(|name| {
        let own = |option: &&[u8]| name.eq_ignore_ascii_case(option);
        !name.is_empty() && !CONNECTION_OPTIONS.iter().any(own)
    })
}

/// Removes the nominated fields. One that we rely on cannot be dropped without changing the
/// meaning of the request (CVE-2022-31813), so it is refused.
fn drop_nominated(headers: &mut HeaderMap) -> Result<(), GuardError> {
    let names: Vec<Vec<u8>> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(nominated)
        .map(<[u8]>::to_ascii_lowercase)
        .collect();
    for name in names {
        if RELIED_ON.contains(&name.as_slice()) {
            return Err(GuardError::Malformed(
                "the Connection header names a header that the request depends on",
            ));
        }
        // what is no field name nominates nothing
        if let Ok(name) = HeaderName::from_bytes(&name) {
            headers.remove(name);
        }
    }
    Ok(())
}

/// What `Connection` may say about the connection itself.
const CONNECTION_OPTIONS: &[&[u8]] = &[
    b"close",
    b"keep-alive",
    b"te",
    b"upgrade",
    b"http2-settings",
];

/// Fields that the request cannot do without.
const RELIED_ON: &[&[u8]] = &[
    b"authorization",
    b"content-length",
    b"content-type",
    b"cookie",
    b"host",
    b"mwaa-gateway-secret",
    b"transfer-encoding",
];

/// The separators around a field's name and value: `: ` and the line end, in bytes.
const FIELD_AROUND: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{Gate, HostRules, Networks};
    use http::Request;

    fn settings() -> Settings {
        Settings {
            gate: Gate {
                networks: Networks::new(Vec::new()),
                secret: None,
            },
            own_gates: Vec::new(),
            hosts: HostRules::default(),
            trusted_origins: Vec::new(),
            allow_forwarded: false,
            header_count: 64,
            head_size: 200,
            target_size: 8192,
        }
    }

    fn checked(method: &str, headers: &[(&str, &str)]) -> Result<HeaderMap, GuardError> {
        let mut request = Request::builder().method(method).uri("/aws_mwaa/cli");
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        check(&mut head, &settings()).map(|()| head.headers)
    }

    fn verdict(method: &str, headers: &[(&str, &str)]) -> Result<(), GuardError> {
        checked(method, headers).map(drop)
    }

    #[test]
    fn plain_requests_pass() {
        for headers in [
            &[("content-length", "5")][..],
            &[("transfer-encoding", "Chunked")],
            &[("expect", "100-Continue")],
            &[
                ("upgrade", "h2c"),
                ("connection", "Upgrade, HTTP2-Settings"),
            ],
            &[("upgrade", "websocket")],
            &[("upgrade", "")],
            &[("cookie", "other=\u{e4}")],
            &[("connection", "keep-alive, te, ,")],
        ] {
            for method in ["GET", "HEAD", "OPTIONS", "DELETE", "POST"] {
                assert_eq!(verdict(method, headers), Ok(()), "{method} {headers:?}");
            }
        }
    }

    #[test]
    fn ambiguous_ones_do_not() {
        let bad: &[(&str, &[(&str, &str)])] = &[
            (
                "POST",
                &[("content-length", "5"), ("transfer-encoding", "chunked")],
            ),
            ("POST", &[("content-length", "5"), ("content-length", "5")]),
            ("GET", &[("content-length", "5"), ("content-length", "5")]),
            ("POST", &[("transfer-encoding", "gzip, chunked")]),
            (
                "POST",
                &[
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
            ),
            ("POST", &[("x_forwarded_for", "1.2.3.4")]),
            ("POST", &[("connection", "close, Authorization")]),
            ("POST", &[("user-agent", "caf\u{e9}")]),
            ("post", &[]),
        ];
        for (method, headers) in bad {
            let verdict = verdict(method, headers);
            assert!(
                matches!(verdict, Err(GuardError::Malformed(_))),
                "{method} {headers:?}"
            );
        }
        assert_eq!(verdict("CONNECT", &[]), Err(GuardError::Method));
        assert_eq!(verdict("TRACE", &[]), Err(GuardError::Method));
        assert_eq!(
            verdict("POST", &[("expect", "foo")]),
            Err(GuardError::Expectation)
        );
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-anything"] {
            assert_eq!(verdict("GET", &[(name, "x")]), Err(GuardError::Forwarded));
        }
    }

    #[test]
    fn nominated_fields_are_dropped() {
        let fields = [
            ("connection", "keep-alive, User-Agent , x-foo"),
            ("connection", "ACCEPT, b@d"),
            ("user-agent", "x"),
            ("accept", "y"),
            ("accept", "z"),
            ("te", "trailers"),
            ("range", "bytes=0-1"),
        ];
        let left = checked("GET", &fields).unwrap();
        let mut left: Vec<_> = left.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["connection", "range", "te"]);
    }

    #[test]
    fn a_head_has_its_size_as_sent() {
        // "GET /aws_mwaa/cli HTTP/1.1", "cookie: " and three line ends
        let around = 26 + 8 + 6;
        let cookie = "c".repeat(200 - around);
        assert_eq!(verdict("GET", &[("cookie", &cookie)]), Ok(()));
        let longer = format!("{cookie}c");
        assert_eq!(
            verdict("GET", &[("cookie", &longer)]),
            Err(GuardError::HeadTooLarge {
                size: 201,
                limit: 200,
                cookies: longer.len() + 10
            })
        );
    }
}
