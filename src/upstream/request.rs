//! The outgoing head: made from parsed values only, from an allow-list, with the key last.

use super::payload::Payload;
use crate::credential::{Keyed, SignedIn};
use crate::names::{Dest, FORWARDED, TRACED};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE,
    COOKIE, HOST, HeaderName, IF_RANGE, ORIGIN, RANGE, REFERER, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

/// The request for `/aws_mwaa/cli`: our canonical command, one length, one Host, one key.
pub(super) fn cli(keyed: &Keyed) -> Request<Payload> {
    let permitted = keyed.seated().permitted();
    let mut request = Request::new(Payload::Whole(permitted.command().clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/aws_mwaa/cli");
    let headers = request.headers_mut();
    *headers = HeaderMap::with_capacity(CLI_FIELDS);
    copy(permitted.headers(), headers, &TRACED);
    headers.entry(USER_AGENT).or_insert(OURS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(HOST, keyed.live().host_field().clone());
    headers.insert(AUTHORIZATION, keyed.live().authorization().clone());
    request
}

/// The request for the REST API or the UI: the path and query that were judged, the listed
/// fields of the client, and the session last.
pub(super) fn page(signed: &SignedIn, payload: Payload) -> Request<Payload> {
    let (passage, session) = (signed.passage(), signed.session());
    let mut request = Request::new(payload);
    *request.method_mut() = passage.method().clone();
    *request.uri_mut() = Uri::from(passage.target().clone());
    let headers = request.headers_mut();
    *headers = HeaderMap::with_capacity(PAGE_FIELDS);
    copy(passage.headers(), headers, &TRACED);
    copy(passage.headers(), headers, &FORWARDED);
    if matches!(
        *passage.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        // a body that came with it is not forwarded
        for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE] {
            headers.remove(name);
        }
    }
    let looked_through = !passage.hidden().is_empty();
    if is_page(signed) || looked_through {
        // links to the web server's own origin are to be found in it, or what is to be hidden
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if looked_through {
        // half a document can't be looked through
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
    }
    headers.entry(USER_AGENT).or_insert(OURS);
    for name in [ORIGIN, REFERER] {
        let own = passage.headers().get(&name);
        if let Some(theirs) = own.and_then(|own| moved(own, passage.origin(), session.host())) {
            headers.insert(name, theirs);
        }
    }
    headers.insert(HOST, session.host_field().clone());
    headers.insert(COOKIE, session.cookies().clone());
    // the FAB provider's own pages look at their cookie only
    if let Some(bearer) = session.bearer()
        && !passage.target().path().starts_with("/auth/")
    {
        headers.insert(AUTHORIZATION, bearer.clone());
    }
    request
}

fn copy(from: &HeaderMap, to: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        for value in from.get_all(name) {
            to.append(name, value.clone());
        }
    }
}

/// Whether the reply will be looked at as a page of its own: a document or a frame.
fn is_page(signed: &SignedIn) -> bool {
    let passage = signed.passage();
    if let Some(dest) = passage.agent().fetch.dest {
        return matches!(dest, Dest::Document | Dest::Frame);
    }
    let accept = passage.headers().get(ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// `Origin` and `Referer` as the web server's own pages would send them, if they are ours:
/// Flask-WTF compares the Referer with the Host. What is not ours is not told to anybody.
fn moved(value: &HeaderValue, origin: &str, host: &str) -> Option<HeaderValue> {
    let rest = value.to_str().ok()?.strip_prefix(origin)?;
    let path = rest.is_empty() || rest.starts_with('/');
    path.then(|| HeaderValue::try_from(format!("https://{host}{rest}")).ok())?
}

/// What is forwarded, what is ours and hyper's length: the map never grows.
const CLI_FIELDS: usize = 3 + 4;
/// The same for pages, with some room for fields that are sent twice.
const PAGE_FIELDS: usize = 3 + 17 + 8;

/// For clients that do not say who they are.
pub(super) const OURS: HeaderValue =
    HeaderValue::from_static(concat!("mwaa-gateway/", env!("CARGO_PKG_VERSION")));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_origin_moves() {
        let verdict = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            let moved = moved(&value, "http://localhost:8080", "h.example");
            moved.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(
            verdict("http://localhost:8080").unwrap(),
            "https://h.example"
        );
        assert_eq!(
            verdict("http://localhost:8080/home?x=1").unwrap(),
            "https://h.example/home?x=1"
        );
        for foreign in [
            "http://localhost:80801/",
            "http://localhost:8080.evil.example/",
            "https://localhost:8080/",
            "null",
        ] {
            assert_eq!(verdict(foreign), None, "{foreign}");
        }
    }
}
