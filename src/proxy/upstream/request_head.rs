//! The head of a request to a web server: made from parsed values only, from an allow-list, with
//! the credential last.

use super::request_body::OutgoingBody;
use crate::context::RequestContext;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE,
    COOKIE, HOST, HeaderName, IF_RANGE, ORIGIN, RANGE, REFERER, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use mwaa_auth::{CliToken, Session};
use mwaa_model::{ALWAYS_FORWARDED, Dest, FORWARDED};
use mwaa_policy::{CommandPermit, WebPermit};

/// Builds the request for `/aws_mwaa/cli`: our canonical command, one length, one Host, one token.
/// `client` are the client's headers.
pub(super) fn command(
    permit: &CommandPermit,
    token: &CliToken,
    client: &HeaderMap,
) -> Request<OutgoingBody> {
    let mut request = Request::new(OutgoingBody::Whole(permit.line().clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/aws_mwaa/cli");

    let headers = request.headers_mut();
    *headers = HeaderMap::with_capacity(COMMAND_FIELDS);
    copy(client, headers, &ALWAYS_FORWARDED);
    headers.entry(USER_AGENT).or_insert(OUR_USER_AGENT);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(HOST, token.host_field().clone());
    headers.insert(AUTHORIZATION, token.authorization().clone());
    request
}

/// Builds a request for the REST API or the UI: the path and query that were checked, the listed
/// fields of the client, and the session. `client` are the client's headers.
pub(super) fn web(
    permit: &WebPermit,
    session: &Session,
    client: &HeaderMap,
    ctx: &RequestContext,
    body: OutgoingBody,
) -> Request<OutgoingBody> {
    let mut request = Request::new(body);
    *request.method_mut() = permit.method().clone();
    *request.uri_mut() = Uri::from(permit.target().clone());

    let headers = request.headers_mut();
    *headers = HeaderMap::with_capacity(WEB_FIELDS);
    copy(client, headers, &ALWAYS_FORWARDED);
    copy(client, headers, &FORWARDED);

    // the body of such a request has no meaning and is not forwarded (RFC 9110 section 9.3.1)
    if matches!(
        *permit.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE] {
            headers.remove(name);
        }
    }

    // a response that is rewritten or searched on its way back must not be compressed, and one
    // that is searched must be whole
    let is_searched = !permit.hidden().is_empty();
    if is_searched || is_document(client, ctx) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if is_searched {
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
    }

    headers.entry(USER_AGENT).or_insert(OUR_USER_AGENT);
    for name in [ORIGIN, REFERER] {
        let ours = client.get(&name);
        if let Some(theirs) =
            ours.and_then(|ours| to_web_server(ours, &ctx.origin(), session.host()))
        {
            headers.insert(name, theirs);
        }
    }

    headers.insert(HOST, session.host_field().clone());
    headers.insert(COOKIE, session.cookies().clone());
    // the FAB provider's own pages look at their cookie only
    if let Some(bearer) = session.bearer()
        && !permit.target().path().starts_with("/auth/")
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

/// Returns true if the response will be shown as a document or a frame of its own.
fn is_document(client: &HeaderMap, ctx: &RequestContext) -> bool {
    if let Some(dest) = ctx.user_agent().fetch.dest {
        return matches!(dest, Dest::Document | Dest::Frame);
    }
    let accept = client.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Returns an `Origin` or `Referer` of ours as the web server's own pages would send it:
/// Flask-WTF compares the Referer with the Host. `None` for an address that is not ours, which is
/// not forwarded.
fn to_web_server(value: &HeaderValue, origin: &str, host: &str) -> Option<HeaderValue> {
    let rest = value.to_str().ok()?.strip_prefix(origin)?;
    // `http://localhost:80801` begins like our origin, and is another one
    let is_ours = rest.is_empty() || rest.starts_with('/');
    is_ours.then(|| HeaderValue::try_from(format!("https://{host}{rest}")).ok())?
}

/// The forwarded fields, ours, and hyper's length: the map never grows.
const COMMAND_FIELDS: usize = 3 + 4;
/// The same for the web, with room for fields that are sent twice.
const WEB_FIELDS: usize = 3 + 17 + 8;

/// For clients that do not say who they are.
pub(super) const OUR_USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mwaa-gateway/", env!("CARGO_PKG_VERSION")));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_origin_is_rewritten() {
        let verdict = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            let moved = to_web_server(&value, "http://localhost:8080", "h.example");
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
