//! The form of a request, as far as it is HTTP/1.1 and still not to be served. What RFC 9112 leaves
//! open to two readings was refused by the reader of the head ([`mwaa_http1`]).

use super::{AdmissionError, Settings};
use http::Method;
use mwaa_http1::name::{AUTHORIZATION, CONNECTION, COOKIE, EXPECT};
use mwaa_http1::{Headers, RequestHead, is_visible};
use mwaa_model::is_forwarded;
use std::rc::Rc;

/// Checks the method and every field that is forwarded or that concerns the connection, and removes
/// the fields that `Connection` nominates (RFC 9110 section 7.6.1). Returns true if a field may hold a
/// credential. Fails with the first check that fails.
pub(super) fn check(
    head: &mut Rc<RequestHead>,
    settings: &Settings,
) -> Result<bool, AdmissionError> {
    if matches!(head.method, Method::CONNECT | Method::TRACE) || head.target.path() == "*" {
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
        // rare, so the copy of a head that its context keeps too costs nothing
        remove_nominated(&mut Rc::make_mut(head).headers)?;
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
    fn read(headers: &Headers) -> Result<Self, AdmissionError> {
        let mut fields = Self::default();

        for header in headers.iter() {
            let value = header.value;
            match header.known {
                Some(CONNECTION) => fields.nominates |= parse_nominated(value).next().is_some(),
                Some(AUTHORIZATION | COOKIE) => fields.has_credential = true,
                Some(EXPECT) => {
                    fields.expects_other |= !value.eq_ignore_ascii_case(b"100-continue");
                }
                Some(name) => {
                    // Servers read other bytes differently. In a field that is not forwarded they do
                    // no harm (`obs-text`, RFC 9110 section 5.5): browsers send the cookies of every
                    // port of localhost.
                    if is_forwarded(name) && !is_visible(value) {
                        return Err(AdmissionError::Malformed(
                            "a header value contains bytes outside ASCII text",
                        ));
                    }
                }
                None => {
                    fields.forwarded |=
                        header.name == b"forwarded" || header.name.starts_with(b"x-forwarded-");
                }
            }
        }
        Ok(fields)
    }
}

/// Returns the fields that a `Connection` field nominates: everything but options of the connection
/// itself. `Upgrade` and `HTTP2-Settings` are never forwarded anyway: an upgrade is ignored
/// (RFC 9110 section 7.8), because protocols are never switched (CVE-2018-1002105).
fn parse_nominated(connection: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = connection.split(|b| *b == b',');
    names.map(<[u8]>::trim_ascii).filter(|name| {
        let mut options = CONNECTION_OPTIONS.iter();
        !name.is_empty() && !options.any(|option| name.eq_ignore_ascii_case(option))
    })
}

/// Removes the nominated fields. Fails for a field that cannot be removed without changing the
/// meaning of the request (CVE-2022-31813).
fn remove_nominated(headers: &mut Headers) -> Result<(), AdmissionError> {
    let names: Vec<Vec<u8>> = headers
        .get_all(CONNECTION)
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
        headers.retain(|header| header.name != name);
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
    use crate::admission::read_head;
    use crate::admission::{AccessRules, HostFilter, NetworkFilter};

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

    fn remaining(method: &str, headers: &[(&str, &str)]) -> Result<Headers, AdmissionError> {
        let mut head = read_head(method, "/aws_mwaa/cli", headers);
        // its context keeps it too
        let original = Rc::clone(&head);
        let result = check(&mut head, &settings());
        assert_eq!(original.headers.len(), headers.len());
        result.map(|_| head.headers.clone())
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
        let left = left.iter().map(|header| header.name);
        assert!(left.eq([&b"connection"[..], b"connection", b"te", b"range"]));
    }
}
