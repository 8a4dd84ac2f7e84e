//! The form of a request, as far as it is HTTP/1.1 and still not to be served. What RFC 9112 leaves
//! open to two readings was refused by the reader of the head ([`mwaa_http1`]).

use super::{AdmissionError, Settings};
use http::header::{CONNECTION, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use mwaa_model::is_forwarded;

/// Checks the method and every field that is forwarded or that concerns the connection, and removes
/// the fields that `Connection` nominates (RFC 9110 section 7.6.1). Returns true if a field may hold a
/// credential. Fails with the first check that fails.
pub(super) fn check(head: &mut Parts, settings: &Settings) -> Result<bool, AdmissionError> {
    if matches!(head.method, Method::CONNECT | Method::TRACE) || head.uri.path() == "*" {
        return Err(AdmissionError::Method);
    }
    // methods are case-sensitive (RFC 9110 section 9.1), but some servers do not care
    if head.method.as_str().bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(AdmissionError::Malformed("the method is not in upper case"));
    }

    let fields = FieldSummary::read(&head.headers)?;
    if fields.expects_other {
        return Err(AdmissionError::Expectation);
    }
    if fields.forwarded && !settings.allow_forwarded {
        return Err(AdmissionError::Forwarded);
    }
    // last, because the checks before see the fields that are removed here
    let has_credential = fields.has_credential;
    if fields.nominates {
        remove_nominated(&mut head.headers)?;
    }
    Ok(has_credential)
}

/// A summary of the header section, made in one pass.
#[derive(Default)]
struct FieldSummary {
    /// True if `Connection` names more than options of the connection.
    nominates: bool,
    /// True if `Expect` is anything but `100-continue`.
    expects_other: bool,
    /// True if there is an `Authorization` or a `Cookie`.
    has_credential: bool,
    /// True if a proxy has added the client for which it sends.
    forwarded: bool,
}

impl FieldSummary {
    /// Reads the fields. Fails if a forwarded value is ambiguous.
    fn read(headers: &HeaderMap) -> Result<Self, AdmissionError> {
        let mut fields = Self::default();

        for (name, value) in headers {
            match name.as_str() {
                "connection" => fields.nominates |= parse_nominated(value).next().is_some(),
                "authorization" | "cookie" => fields.has_credential = true,
                "expect" => {
                    fields.expects_other |=
                        !value.as_bytes().eq_ignore_ascii_case(b"100-continue");
                }
                "forwarded" => fields.forwarded = true,
                other => {
                    fields.forwarded |= other.starts_with("x-forwarded-");
                    // nearly every value is visible, and then its name does not matter
                    if !is_visible(value) && is_forwarded(name) {
                        return Err(AdmissionError::Malformed(
                            "a header value contains bytes outside ASCII text",
                        ));
                    }
                }
            }
        }
        Ok(fields)
    }
}

/// Returns true for a value of visible ASCII. Servers read other bytes differently, so they are not
/// forwarded. In a field that is not forwarded they do no harm (`obs-text`, RFC 9110 section 5.5):
/// browsers send the cookies of every port of localhost.
fn is_visible(value: &HeaderValue) -> bool {
    let mut bytes = value.as_bytes().iter();
    bytes.all(|b| *b == b'\t' || (0x20..=0x7e).contains(b))
}

/// Returns the fields that a `Connection` field nominates: everything but options of the connection
/// itself. `Upgrade` and `HTTP2-Settings` are never forwarded anyway: an upgrade is ignored
/// (RFC 9110 section 7.8), because protocols are never switched (CVE-2018-1002105).
fn parse_nominated(connection: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let names = connection.as_bytes().split(|b| *b == b',');
    names.map(<[u8]>::trim_ascii).filter(|name| {
        let mut options = CONNECTION_OPTIONS.iter();
        !name.is_empty() && !options.any(|option| name.eq_ignore_ascii_case(option))
    })
}

/// Removes the nominated fields. Fails for a field that cannot be removed without changing the
/// meaning of the request (CVE-2022-31813).
fn remove_nominated(headers: &mut HeaderMap) -> Result<(), AdmissionError> {
    let names: Vec<Vec<u8>> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(parse_nominated)
        .map(<[u8]>::to_ascii_lowercase)
        .collect();

    for name in names {
        if REQUIRED_FIELDS.contains(&name.as_slice()) {
            return Err(AdmissionError::Malformed(
                "the Connection header lists a header that the request needs",
            ));
        }
        // a text that is no field name nominates nothing
        if let Ok(name) = HeaderName::from_bytes(&name) {
            headers.remove(name);
        }
    }
    Ok(())
}

/// The options of the connection itself.
const CONNECTION_OPTIONS: &[&[u8]] = &[
    b"close",
    b"keep-alive",
    b"te",
    b"upgrade",
    b"http2-settings",
];

/// Fields that decide the meaning of a request.
const REQUIRED_FIELDS: &[&[u8]] = &[
    b"authorization",
    b"content-length",
    b"content-type",
    b"cookie",
    b"host",
    b"mwaa-gateway-secret",
    b"transfer-encoding",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::{AccessRules, HostFilter, NetworkFilter};
    use http::Request;

    fn settings() -> Settings {
        Settings {
            access: AccessRules {
                networks: NetworkFilter::new(Vec::new()),
                secret: None,
            },
            listener_access: Vec::new(),
            hosts: HostFilter::default(),
            trusted_origins: Vec::new(),
            allow_forwarded: false,
            target_size: 8192,
        }
    }

    fn remaining(method: &str, headers: &[(&str, &str)]) -> Result<HeaderMap, AdmissionError> {
        let mut request = Request::builder().method(method).uri("/aws_mwaa/cli");
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        check(&mut head, &settings()).map(|_| head.headers)
    }

    fn result(method: &str, headers: &[(&str, &str)]) -> Result<(), AdmissionError> {
        remaining(method, headers).map(drop)
    }

    #[test]
    fn plain_requests_are_accepted() {
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
                assert_eq!(result(method, headers), Ok(()), "{method} {headers:?}");
            }
        }
    }

    #[test]
    fn ambiguous_requests_are_refused() {
        let bad: &[(&str, &[(&str, &str)])] = &[
            ("POST", &[("connection", "close, Authorization")]),
            ("POST", &[("user-agent", "caf\u{e9}")]),
            ("post", &[]),
        ];
        for (method, headers) in bad {
            let result = result(method, headers);
            assert!(
                matches!(result, Err(AdmissionError::Malformed(_))),
                "{method} {headers:?}"
            );
        }
        assert_eq!(result("CONNECT", &[]), Err(AdmissionError::Method));
        assert_eq!(result("TRACE", &[]), Err(AdmissionError::Method));
        assert_eq!(
            result("POST", &[("expect", "foo")]),
            Err(AdmissionError::Expectation)
        );
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-anything"] {
            assert_eq!(
                result("GET", &[(name, "x")]),
                Err(AdmissionError::Forwarded)
            );
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
        let left = remaining("GET", &fields).unwrap();
        let mut left: Vec<_> = left.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["connection", "range", "te"]);
    }
}
