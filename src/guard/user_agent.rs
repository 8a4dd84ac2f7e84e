//! What sent a request and will read the reply: a browser with a person, who wants a page, or a
//! program.

use crate::names::{FetchMetadata, Mode};
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderMap, Method};

/// What sent a request (RFC 9110 section 3.5). Read once, before anything is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserAgent {
    /// What a browser says about the request.
    pub fetch: FetchMetadata,
    /// Whether a person will look at the reply: a browser navigates, or, without fetch metadata,
    /// the client names HTML and prefers nothing in JSON to it (RFC 9110 section 12.5.1).
    pub wants_page: bool,
}

impl UserAgent {
    /// Reads a request's head. `secure` is whether the connection is TLS.
    pub fn read(head: &Parts, secure: bool) -> Self {
        let fetch = FetchMetadata::read(&head.headers, secure);
        let wants_page = match fetch.mode {
            Some(mode) => mode == Mode::Navigate,
            // some programs name HTML by default; those that change something get JSON
            None => {
                matches!(head.method, Method::GET | Method::HEAD) && prefers_html(&head.headers)
            }
        };
        Self { fetch, wants_page }
    }
}

fn prefers_html(headers: &HeaderMap) -> bool {
    let ranges = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let (mut html, mut json) = (0.0_f32, 0.0_f32);
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let weight = parts
            .find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok())
            .unwrap_or(1.0);
        if media.eq_ignore_ascii_case("text/html") {
            html = html.max(weight);
        } else if is_json(media) {
            json = json.max(weight);
        }
    }
    html > 0.0 && html >= json
}

fn is_json(media: &str) -> bool {
    let media = media.to_ascii_lowercase();
    media == "application/json"
        || (media.starts_with("application/") && media.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(method: &Method, fields: &[(&'static str, &'static str)]) -> bool {
        let mut head = http::Request::new(()).into_parts().0;
        head.method = method.clone();
        for (name, value) in fields {
            head.headers.append(*name, value.parse().unwrap());
        }
        UserAgent::read(&head, false).wants_page
    }

    #[test]
    fn fetch_metadata_decides_where_there_is_any() {
        let html = ("accept", "text/html");
        for method in [Method::GET, Method::POST] {
            assert!(verdict(&method, &[("sec-fetch-mode", "navigate")]));
            assert!(!verdict(&method, &[("sec-fetch-mode", "cors"), html]));
        }
    }

    #[test]
    fn otherwise_html_has_to_be_named() {
        for (accept, page) in [
            ("text/html", true),
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("Text/HTML;q=0.5, application/json;q=0.5", true),
            ("text/html;q=0.5, application/json", false),
            ("text/html;q=0.5, application/problem+json", false),
            ("text/html;q=0", false),
            ("text/html;q=x", true),
            ("text/html;q=NaN", false),
            ("*/*", false),
            ("text/*", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(
                verdict(&Method::GET, &[("accept", accept)]),
                page,
                "{accept}"
            );
        }
        assert!(!verdict(&Method::GET, &[]));
        assert!(!verdict(&Method::POST, &[("accept", "text/html")]));
    }
}
