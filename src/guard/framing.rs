//! The form of a request: what RFC 9112 leaves open to two readings is refused, so that no
//! two programs in the chain can disagree on what was asked.

use super::GuardError;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

/// Checks version, method, framing headers and every header's name and value.
pub(super) fn check(head: &Parts) -> Result<(), GuardError> {
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
    let framing = Framing::read(&head.headers)?;
    length(head, &framing)?;
    if framing.nominates {
        return Err(GuardError::Malformed(
            "the Connection header nominates an end-to-end header",
        ));
    }
    // protocols are never switched (CVE-2018-1002105)
    if framing.upgrades {
        return Err(GuardError::Malformed(
            "the gateway does not switch protocols; send no Upgrade header (curl: --http1.1)",
        ));
    }
    if framing.expects_other {
        return Err(GuardError::Expectation);
    }
    Ok(())
}

/// What the header section says of framing and connection, gathered in one pass.
#[derive(Default)]
struct Framing<'a> {
    lengths: usize,
    /// The first `Content-Length`.
    length: Option<&'a HeaderValue>,
    codings: usize,
    /// The first `Transfer-Encoding`.
    coding: Option<&'a HeaderValue>,
    /// `Connection` names a header that we rely on.
    nominates: bool,
    upgrades: bool,
    /// `Expect` asks for something else than `100-continue`.
    expects_other: bool,
}

impl<'a> Framing<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, GuardError> {
        let mut framing = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            field(name, value)?;
            match name {
                "content-length" => {
                    framing.lengths += 1;
                    framing.length = framing.length.or(Some(value));
                }
                "transfer-encoding" => {
                    framing.codings += 1;
                    framing.coding = framing.coding.or(Some(value));
                }
                "connection" => framing.nominates |= nominates(value),
                "upgrade" => framing.upgrades = true,
                "expect" => {
                    framing.expects_other |=
                        !value.as_bytes().eq_ignore_ascii_case(b"100-continue");
                }
                _ => {}
            }
        }
        Ok(framing)
    }
}

/// RFC 9112 section 6: one framing header at most, and only where a body has a meaning.
fn length(head: &Parts, framing: &Framing<'_>) -> Result<(), GuardError> {
    if framing.lengths + framing.codings > 1 {
        return Err(GuardError::Malformed(
            "the length of the body is given more than once",
        ));
    }
    if let Some(coding) = framing.coding
        && (head.version == Version::HTTP_10
            || !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(GuardError::Malformed(
            "the only transfer coding is chunked, in HTTP/1.1",
        ));
    }
    let empty = framing.length.is_none_or(|length| length == "0");
    let bodiless = matches!(
        head.method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE
    );
    if bodiless && (framing.codings > 0 || !empty) {
        return Err(GuardError::Malformed("this method takes no body"));
    }
    Ok(())
}

/// Names with `_` become the same WSGI variable as names with `-` (CVE-2025-64484); bytes
/// outside visible ASCII mean different things to different servers.
fn field(name: &str, value: &HeaderValue) -> Result<(), GuardError> {
    if name.bytes().any(|b| b == b'_') {
        return Err(GuardError::Malformed(
            "a header name contains an underscore",
        ));
    }
    if !value
        .as_bytes()
        .iter()
        .all(|&b| b == b'\t' || (0x20..=0x7e).contains(&b))
    {
        return Err(GuardError::Malformed(
            "a header value contains bytes outside ASCII text",
        ));
    }
    Ok(())
}

/// A `Connection` that nominates a header which we rely on would have it removed further on
/// (CVE-2022-31813).
fn nominates(connection: &HeaderValue) -> bool {
    let mut nominated = connection.to_str().unwrap_or_default().split(',');
    nominated.any(|name| {
        let name = name.trim();
        RELIED_ON
            .iter()
            .any(|relied| name.eq_ignore_ascii_case(relied))
    })
}

/// Headers that must reach where they are going.
const RELIED_ON: &[&str] = &[
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "mwaa-gateway-secret",
    "transfer-encoding",
];

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn verdict(method: &str, headers: &[(&str, &str)]) -> Result<(), GuardError> {
        let mut request = Request::builder().method(method).uri("/aws_mwaa/cli");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn plain_requests_pass() {
        for headers in [
            &[("content-length", "5")][..],
            &[("transfer-encoding", "Chunked")],
            &[("expect", "100-Continue")],
        ] {
            assert_eq!(verdict("POST", headers), Ok(()), "{headers:?}");
        }
        assert_eq!(
            verdict(
                "GET",
                &[("connection", "keep-alive, te"), ("content-length", "0")]
            ),
            Ok(())
        );
    }

    #[test]
    fn ambiguous_ones_do_not() {
        let bad: &[(&str, &[(&str, &str)])] = &[
            (
                "POST",
                &[("content-length", "5"), ("transfer-encoding", "chunked")],
            ),
            ("POST", &[("content-length", "5"), ("content-length", "5")]),
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
            ("POST", &[("upgrade", "h2c")]),
            ("GET", &[("content-length", "5")]),
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
    }
}
