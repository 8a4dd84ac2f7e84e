//! The requests that a browser may send. A web page can post text to loopback without a preflight,
//! so the CLI route and the MWAA API are closed to every request with a field that only browsers
//! send.

use super::AdmissionError;
use http::Method;
use mwaa_http1::name::{ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, ORIGIN};
use mwaa_http1::{Headers, RequestHead, to_str};
use mwaa_model::{FetchMetadata, RequestSource, ReservedPath, Target};

/// Checks the fields of a browser, and the content type that keeps forms out. Fails if the request
/// may not be sent by the page that sent it.
pub(super) fn check(
    head: &RequestHead,
    target: &Target,
    is_aws_call: bool,
    fetch: FetchMetadata,
    trusted: &[String],
) -> Result<(), AdmissionError> {
    // a preflight: it asks for a permission that no page gets
    if head.method == Method::OPTIONS && head.headers.contains(ACCESS_CONTROL_REQUEST_METHOD) {
        return Err(AdmissionError::ForeignOrigin(
            "cross-origin requests are not allowed",
        ));
    }
    // without a click of a person, the page that names the address decides
    if fetch.is_prefetch {
        return Err(AdmissionError::Prefetched);
    }

    match target.reserved() {
        _ if is_aws_call => check_closed(&head.headers, fetch, trusted),
        Some(ReservedPath::Cli) => {
            check_closed(&head.headers, fetch, trusted)?;
            if head.method == Method::POST && !is_plain_text(&head.headers) {
                return Err(AdmissionError::ContentType);
            }
            Ok(())
        }
        Some(ReservedPath::Mwaa | ReservedPath::Own | ReservedPath::Handover) | None => {
            check_other(&head.method, target, fetch)
        }
    }
}

/// Fails for a browser, unless its origin is trusted.
fn check_closed(
    headers: &Headers,
    fetch: FetchMetadata,
    trusted: &[String],
) -> Result<(), AdmissionError> {
    if !fetch.is_browser {
        return Ok(());
    }

    // two origins are ambiguous
    let mut origins = headers.get_all(ORIGIN);
    match (origins.next(), origins.next()) {
        (Some(origin), None) if trusted.iter().any(|trusted| origin == trusted.as_bytes()) => {
            Ok(())
        }
        _ => Err(AdmissionError::ForeignOrigin(
            "this route is closed to browsers",
        )),
    }
}

/// Checks a request to any other route. Fails unless a page of the same origin or a person sends it.
/// Another local port is the same site, which is not enough.
fn check_other(
    method: &Method,
    target: &Target,
    fetch: FetchMetadata,
) -> Result<(), AdmissionError> {
    // it would answer in place of our own pages in the same origin, permanently
    if fetch.is_service_worker {
        return Err(AdmissionError::ForeignPage(
            "web pages may not install a service worker here",
        ));
    }

    let is_safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let is_allowed = match fetch.request_source() {
        RequestSource::Program | RequestSource::OwnPage => true,
        RequestSource::Typed => is_safe,
        // a person may follow a link of another page, but it must not end the session
        RequestSource::Elsewhere => fetch.is_link(method) && !target.is_logout(),
    };
    if is_allowed {
        Ok(())
    } else {
        Err(AdmissionError::ForeignPage(
            "pages of other sites may not send this request",
        ))
    }
}

/// Returns true for exactly `text/plain`, without a parameter other than `charset=utf-8` (RFC 9110
/// section 8.3.1).
fn is_plain_text(headers: &Headers) -> bool {
    let Some(value) = headers.get_only(CONTENT_TYPE).and_then(to_str) else {
        return false;
    };
    // the usual spelling
    if value == "text/plain" {
        return true;
    }

    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    media.eq_ignore_ascii_case("text/plain")
        && parts.all(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("charset")
                    && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
        })
}

#[cfg(test)]
mod tests {
    use super::super::{AwsCall, read_head};
    use super::*;

    fn result(
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), AdmissionError> {
        result_over(false, method, path, headers)
    }

    fn result_over(
        secure: bool,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), AdmissionError> {
        let fields = [&[("host", "localhost:8080")], headers].concat();
        let head = read_head(method, path, &fields);
        let target = Target::parse(&head.target, 8192).unwrap();
        let fetch = FetchMetadata::from_headers(&head.headers, secure);
        let is_aws_call = AwsCall::find(&head.method, &target).is_some();
        let trusted = ["https://tools.example".to_owned()];
        check(&head, &target, is_aws_call, fetch, &trusted)
    }

    const TEXT: (&str, &str) = ("content-type", "text/plain");

    #[test]
    fn the_cli_route_accepts_scripts_and_refuses_browsers() {
        assert_eq!(result("POST", "/aws_mwaa/cli", &[TEXT]), Ok(()));
        for browser in [
            ("origin", "null"),
            ("origin", "http://localhost:8080"),
            ("referer", "x"),
            ("sec-fetch-site", "same-origin"),
        ] {
            let result = result("POST", "/aws_mwaa/cli", &[TEXT, browser]);
            assert!(
                matches!(result, Err(AdmissionError::ForeignOrigin(_))),
                "{browser:?}"
            );
        }
        assert_eq!(
            result(
                "POST",
                "/aws_mwaa/cli",
                &[TEXT, ("origin", "https://tools.example")]
            ),
            Ok(())
        );
        let twice = [
            TEXT,
            ("origin", "https://tools.example"),
            ("origin", "https://evil"),
        ];
        assert!(result("POST", "/aws_mwaa/cli", &twice).is_err());
    }

    #[test]
    fn the_cli_route_accepts_only_plain_text_in_utf_8() {
        for good in [
            "text/plain",
            "Text/Plain; charset=UTF-8",
            "text/plain;charset=\"utf-8\"",
        ] {
            assert_eq!(
                result("POST", "/aws_mwaa/cli", &[("content-type", good)]),
                Ok(()),
                "{good}"
            );
        }
        for bad in [
            "",
            "text/plain; charset=utf-16",
            "text/plain; x=y",
            "application/x-www-form-urlencoded",
            "text/plainx",
        ] {
            assert_eq!(
                result("POST", "/aws_mwaa/cli", &[("content-type", bad)]),
                Err(AdmissionError::ContentType),
                "{bad}"
            );
        }
        assert_eq!(
            result("POST", "/aws_mwaa/cli", &[]),
            Err(AdmissionError::ContentType)
        );
    }

    #[test]
    fn other_routes_accept_own_pages_and_navigations() {
        let nav = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(result("GET", "/home", &nav), Ok(()));
        assert_eq!(
            result("GET", "/home", &[("sec-fetch-site", "none")]),
            Ok(())
        );
        assert_eq!(
            result("POST", "/home", &[("origin", "http://localhost:8080")]),
            Ok(())
        );
        let over_tls = |origin| result_over(true, "POST", "/home", &[("origin", origin)]);
        assert_eq!(over_tls("https://localhost:8080"), Ok(()));
        assert!(over_tls("http://localhost:8080").is_err(), "another origin");
        for (method, headers) in [
            ("POST", &[("sec-fetch-site", "same-site")][..]),
            ("POST", &[("origin", "https://localhost:8080")]),
            (
                "GET",
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "no-cors"),
                    ("sec-fetch-dest", "image"),
                ],
            ),
            ("POST", &[("sec-fetch-site", "none")]),
            ("POST", &[("origin", "null")]),
            ("POST", &[("origin", "http://localhost:9999")]),
            (
                "GET",
                &[
                    ("sec-fetch-site", "same-origin"),
                    ("sec-fetch-dest", "serviceworker"),
                ],
            ),
            ("GET", &[("service-worker", "script")]),
            ("OPTIONS", &[("access-control-request-method", "POST")]),
        ] {
            assert!(
                matches!(
                    result(method, "/home", headers),
                    Err(AdmissionError::ForeignOrigin(_) | AdmissionError::ForeignPage(_))
                ),
                "{method} {headers:?}"
            );
        }
    }
}
