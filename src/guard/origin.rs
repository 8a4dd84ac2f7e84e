//! What a browser may do. A web page can post text to loopback without any preflight, so the
//! CLI route is closed to every request that carries what only browsers send.

use super::{GuardError, Reserved, Target};
use crate::names::{FetchMetadata, Provenance};
use http::header::{CONTENT_TYPE, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};

/// Checks what the browser says, and the content type that keeps forms out.
pub(super) fn check(
    head: &Parts,
    target: &Target,
    fetch: FetchMetadata,
    trusted: &[String],
) -> Result<(), GuardError> {
    if head.method == Method::OPTIONS
        && head.headers.contains_key("access-control-request-method")
    {
        return Err(GuardError::ForeignOrigin(
            "cross-origin requests are not allowed",
        ));
    }
    // nobody has clicked yet, and nobody may: the page that names the address decides
    if fetch.is_ahead {
        return Err(GuardError::FetchedAhead);
    }
    match target.reserved() {
        Some(Reserved::Cli) => {
            check_cli(&head.headers, fetch, trusted)?;
            if head.method == Method::POST && !is_plain_text(&head.headers) {
                return Err(GuardError::ContentType);
            }
            Ok(())
        }
        Some(Reserved::Mwaa | Reserved::Own | Reserved::Sso) | None => {
            check_other(&head.method, target, fetch)
        }
    }
}

fn check_cli(
    headers: &HeaderMap,
    fetch: FetchMetadata,
    trusted: &[String],
) -> Result<(), GuardError> {
    if !fetch.is_browser {
        return Ok(());
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) if trusted.iter().any(|trusted| origin == trusted.as_str()) => {
            Ok(())
        }
        _ => Err(GuardError::ForeignOrigin(
            "the CLI route is closed to browsers",
        )),
    }
}

/// Every other route: our own page asks, or a person navigates. Another local port is the same
/// site, which is not enough.
fn check_other(
    method: &Method,
    target: &Target,
    fetch: FetchMetadata,
) -> Result<(), GuardError> {
    // it would stand between the browser and our own pages in the same origin, for good
    if fetch.is_service_worker {
        return Err(GuardError::ForeignPage(
            "a page may not install a service worker here",
        ));
    }
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let passes = match fetch.provenance() {
        Provenance::Program | Provenance::OwnPage => true,
        Provenance::Typed => safe,
        // a link on another page may lead here, but must not sign anybody out
        Provenance::Elsewhere => fetch.is_link(method) && !target.signs_out(),
    };
    if passes {
        Ok(())
    } else {
        Err(GuardError::ForeignPage(
            "another site's page may not ask this",
        ))
    }
}

/// Exactly `text/plain`, with no parameter but `charset=utf-8` (RFC 9110 section 8.3.1).
fn is_plain_text(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return false;
    };
    if value == "text/plain" {
        return true;
    }
    let Ok(value) = value.to_str() else {
        return false;
    };
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
    use super::*;
    use http::Request;

    fn verdict(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<(), GuardError> {
        verdict_over(false, method, path, headers)
    }

    fn verdict_over(
        secure: bool,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), GuardError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        let target = Target::read(&head.uri, 8192).unwrap();
        let fetch = FetchMetadata::read(&head.headers, secure);
        check(&head, &target, fetch, &["https://tools.example".to_owned()])
    }

    const TEXT: (&str, &str) = ("content-type", "text/plain");

    #[test]
    fn scripts_pass_and_browsers_do_not() {
        assert_eq!(verdict("POST", "/aws_mwaa/cli", &[TEXT]), Ok(()));
        for browser in [
            ("origin", "null"),
            ("origin", "http://localhost:8080"),
            ("referer", "x"),
            ("sec-fetch-site", "same-origin"),
        ] {
            let verdict = verdict("POST", "/aws_mwaa/cli", &[TEXT, browser]);
            assert!(
                matches!(verdict, Err(GuardError::ForeignOrigin(_))),
                "{browser:?}"
            );
        }
        assert_eq!(
            verdict(
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
        assert!(verdict("POST", "/aws_mwaa/cli", &twice).is_err());
    }

    #[test]
    fn only_plain_text_in_utf_8() {
        for good in [
            "text/plain",
            "Text/Plain; charset=UTF-8",
            "text/plain;charset=\"utf-8\"",
        ] {
            assert_eq!(
                verdict("POST", "/aws_mwaa/cli", &[("content-type", good)]),
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
                verdict("POST", "/aws_mwaa/cli", &[("content-type", bad)]),
                Err(GuardError::ContentType),
                "{bad}"
            );
        }
        assert_eq!(
            verdict("POST", "/aws_mwaa/cli", &[]),
            Err(GuardError::ContentType)
        );
    }

    #[test]
    fn other_routes_take_own_pages_and_navigations() {
        let nav = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(verdict("GET", "/home", &nav), Ok(()));
        assert_eq!(
            verdict("GET", "/home", &[("sec-fetch-site", "none")]),
            Ok(())
        );
        assert_eq!(
            verdict("POST", "/home", &[("origin", "http://localhost:8080")]),
            Ok(())
        );
        let over_tls = |origin| verdict_over(true, "POST", "/home", &[("origin", origin)]);
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
                    verdict(method, "/home", headers),
                    Err(GuardError::ForeignOrigin(_) | GuardError::ForeignPage(_))
                ),
                "{method} {headers:?}"
            );
        }
    }
}
