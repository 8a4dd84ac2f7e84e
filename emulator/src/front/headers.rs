//! The headers of a request on its way to the real Airflow, and of the answer on its way back.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};

/// The request as Airflow shall see it: same host, but said to have come by https, and without
/// what concerns one connection or only the emulator may say.
pub(super) fn forwarded(head: &Parts) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = origin_form(&head.uri);
    let mut headers = head.headers.clone();
    strip_hop_by_hop(&mut headers);
    headers.remove(header::EXPECT); // answered on this side
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| only_ours(name.as_str()))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    *request.headers_mut() = headers;
    request
}

/// Says who asks. Without the secret Airflow will not believe it.
pub(super) fn claim<B>(
    request: &mut Request<B>,
    user: &str,
    roles: Option<&str>,
    secret: Option<&str>,
) {
    let claims = [
        ("x-emulator-user", Some(user)),
        ("x-emulator-roles", roles),
        ("x-emulator-secret", secret),
    ];
    for (name, value) in claims {
        // what is not fit for a header is not said, and so not believed
        let value = value.and_then(|value| HeaderValue::from_str(value).ok());
        if let Some(value) = value {
            request.headers_mut().insert(name, value);
        }
    }
}

/// Drops what concerns one connection (RFC 9110 7.6.1).
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
}

/// What Airflow believes because only the emulator can say it. An underscore counts as a
/// hyphen: to a Python web server both are the same header.
fn only_ours(name: &str) -> bool {
    let name = name.replace('_', "-");
    name == "forwarded"
        || name == "x-real-ip"
        || ["x-forwarded-", "x-emulator-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Path and query exactly as they came.
fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query()
        .cloned()
        .map_or_else(|| Uri::from_static("/"), Uri::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_emulator_s_own_claims_reach_airflow() {
        let mut request = Request::get("https://host.example/dags/a%2Fb?x=%2B+")
            .body(())
            .unwrap();
        for (name, value) in [
            ("host", "host.example"),
            ("cookie", "session=1"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "host=evil.example"),
            ("x-emulator-user", "root"),
            ("x_emulator_secret", "guess"),
        ] {
            request
                .headers_mut()
                .append(name, HeaderValue::from_static(value));
        }
        let mut passed = forwarded(&request.into_parts().0);
        assert_eq!(passed.uri(), "/dags/a%2Fb?x=%2B+");
        let text = |request: &Request<()>| {
            let mut lines: Vec<_> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            lines.sort();
            lines
        };
        let plain = [
            "cookie: session=1",
            "host: host.example",
            "x-forwarded-proto: https",
        ];
        assert_eq!(text(&passed), plain);
        claim(&mut passed, "user/ann\n", Some("Op"), Some("s"));
        assert_eq!(passed.headers().get("x-emulator-user"), None);
        assert_eq!(passed.headers()["x-emulator-roles"], "Op");
        assert_eq!(passed.headers()["x-emulator-secret"], "s");
    }
}
