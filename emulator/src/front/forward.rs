//! Requests to the real Airflow and its answers, neither of them held back.

use std::error::Error;
use std::io;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::super::Shared;
use super::super::web::{Content, Reply};
use super::RealAirflow;

/// Airflow's answer as ours, or the page of a load balancer without a server behind it.
pub(super) async fn reply<B>(
    airflow: &RealAirflow,
    request: Request<B>,
    shared: &Shared,
) -> Reply
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Ok(response) = send(airflow, request, shared).await else {
        return Reply::page(502, "the Airflow web server does not answer");
    };
    let (head, body) = response.into_parts();
    let mut reply = Reply::bare(head.status.as_u16(), Bytes::new());
    *reply.headers = head.headers;
    strip_hop_by_hop(&mut reply.headers);
    reply.body = Content::Stream(body.map_err(io::Error::other).boxed_unsync());
    reply
}

/// Sends a request on a connection of its own: on loopback that costs less than finding out
/// whether an idle one has been closed. Dropping the answer's body ends the connection.
pub(super) async fn send<B>(
    airflow: &RealAirflow,
    mut request: Request<B>,
    shared: &Shared,
) -> io::Result<Response<Incoming>>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    #[expect(
        clippy::disallowed_methods,
        reason = "the emulator imports no room that could dial for it"
    )]
    let stream = TcpStream::connect(airflow.url.0).await?;
    stream.set_nodelay(true)?;
    let close = HeaderValue::from_static("close");
    request.headers_mut().insert(header::CONNECTION, close);
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    // how it ends shows in the answer and in its body
    shared.run(async move { drop(connection.await) });
    sender.send_request(request).await.map_err(io::Error::other)
}

/// The request as Airflow shall see it: same host, path and query, but said to have come by
/// https, and without what concerns one connection or only the emulator may say.
pub(super) fn forwarded(head: &Parts) -> Request<()> {
    let mut request = Request::new(());
    request.method_mut().clone_from(&head.method);
    let target = head.uri.path_and_query().cloned();
    *request.uri_mut() = target.map_or_else(|| Uri::from_static("/"), Uri::from);
    let mut headers = head.headers.clone();
    strip_hop_by_hop(&mut headers);
    headers.remove(header::EXPECT); // answered on this side
    let names = headers.keys().filter(|name| only_ours(name.as_str()));
    for name in names.cloned().collect::<Vec<HeaderName>>() {
        headers.remove(name);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    *request.headers_mut() = headers;
    request
}

/// Adds the fields that name the user. Airflow accepts them only with the secret.
pub(super) fn claim<B>(
    request: &mut Request<B>,
    user: &str,
    roles: Option<&str>,
    secret: Option<&str>,
) {
    for (name, value) in [
        ("x-emulator-user", Some(user)),
        ("x-emulator-roles", roles),
        ("x-emulator-secret", secret),
    ] {
        // what is not fit for a header is not said, and so not believed
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            request.headers_mut().insert(name, value);
        }
    }
}

/// Drops what concerns one connection (RFC 9110 7.6.1).
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named = headers.get_all(header::CONNECTION).into_iter();
    let named = named.filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(','));
    let named: Vec<HeaderName> = named.filter_map(|name| name.trim().parse().ok()).collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        headers.remove(name);
    }
}

/// What Airflow believes because only the emulator can say it. An underscore counts as a
/// hyphen: to a Python web server both are the same header.
fn only_ours(name: &str) -> bool {
    let name = name.replace('_', "-");
    let prefixes = ["x-forwarded-", "x-emulator-"];
    name == "forwarded"
        || name == "x-real-ip"
        || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_emulator_s_own_claims_reach_airflow() {
        let mut request = Request::get("https://host.example/dags/a%2Fb?x=%2B+");
        for (name, value) in [
            ("host", "host.example"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "host=evil.example"),
            ("x-emulator-user", "root"),
            ("x_emulator_secret", "guess"),
        ] {
            request = request.header(name, value);
        }
        let mut passed = forwarded(&request.body(()).unwrap().into_parts().0);
        assert_eq!(passed.uri(), "/dags/a%2Fb?x=%2B+");
        let names: Vec<&str> = passed.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["host", "x-forwarded-proto"]);
        assert_eq!(passed.headers()["x-forwarded-proto"], "https");
        claim(&mut passed, "user/ann\n", Some("Op"), Some("s"));
        assert_eq!(passed.headers().get("x-emulator-user"), None);
        assert_eq!(passed.headers()["x-emulator-roles"], "Op");
    }
}
