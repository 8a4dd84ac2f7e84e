//! One request to the real Airflow and its answer, neither of them held back.

use std::error::Error;
use std::io;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::super::Shared;
use super::super::web::{Content, Reply};
use super::headers::strip_hop_by_hop;
use super::url::RealAirflow;

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
    let mut headers = head.headers;
    strip_hop_by_hop(&mut headers);
    let mut reply = Reply::bare(head.status.as_u16(), Bytes::new());
    *reply.headers = headers;
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
    let stream = TcpStream::connect(airflow.url.address()).await?;
    stream.set_nodelay(true)?;
    request
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    // how it ends shows in the answer and in its body
    shared.run(async move { drop(connection.await) });
    sender.send_request(request).await.map_err(io::Error::other)
}
