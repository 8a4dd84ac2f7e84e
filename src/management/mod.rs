//! The management address: health, metrics and status, on a loopback socket of its own; and the
//! probes' address, which tells less and may be reached from elsewhere. They never dial anything
//! and are never on the listener.

mod peers;

use crate::names::{FetchMetadata, Provenance};
use crate::runtime::Background;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use peers::Peers;
use std::convert::Infallible;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What the management address shows.
pub trait View: Debug + Send + Sync {
    /// Whether the request may ask at all: its Host is one of this socket's names.
    fn admits(&self, head: &Parts) -> bool;

    /// Whether the gateway could serve a request now.
    fn ready(&self) -> Readiness;

    /// The metrics, in OpenMetrics text.
    fn metrics(&self) -> String;

    /// Environments, tokens (never their text), queues: as JSON.
    fn status(&self) -> serde_json::Value;
}

/// Whether the gateway could serve a request now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether it could.
    pub ready: bool,
    /// The same in a few words that tell a stranger nothing.
    pub summary: String,
    /// Each environment and what is wrong with it, for the people of this machine.
    pub details: String,
}

/// What a socket answers, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Everything, to clients on this machine that call it by its name.
    Machine,
    /// Probes and metrics, to whoever reaches the address and by any name: kubelet and Prometheus
    /// call a pod by its IP.
    Network,
}

/// A bound management socket.
#[derive(Debug)]
pub struct Management {
    socket: TcpListener,
    scope: Scope,
}

impl Management {
    /// Binds the socket of the management address.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let scope = Scope::Machine;
        Ok(Self { socket, scope })
    }

    /// Binds the socket of the probes' address.
    pub async fn bind_probes(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let scope = Scope::Network;
        Ok(Self { socket, scope })
    }

    /// The address: port 0 has become a number.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers until the runtime ends. At most 64 connections are open at once; more wait in
    /// the kernel's backlog. One client of the probes' address has at most 16 of them, and a /64
    /// of IPv6 32; more are closed.
    pub fn serve(self, view: Arc<dyn View>, background: &Background) {
        let Self { socket, scope } = self;
        let tasks = background.clone();
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let peers = match scope {
            Scope::Machine => Peers::new(MOST_CONNECTIONS, MOST_CONNECTIONS),
            Scope::Network => Peers::new(MOST_OF_ONE_PEER, MOST_OF_ONE_NETWORK),
        };
        background.spawn(async move {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let Ok((stream, address)) = socket.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let Some(counted) = peers.admit(address.ip()) else {
                    continue;
                };
                let place = (place, counted);
                let view = Arc::clone(&view);
                let service = service_fn(move |request: Request<Incoming>| {
                    let (head, _body) = request.into_parts();
                    let response = answer(view.as_ref(), scope, &head);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .max_buf_size(LARGEST_HEAD)
                    .serve_connection(TokioIo::new(stream), service);
                tasks.spawn(async move {
                    let mut connection = pin!(connection);
                    let ended = match timeout(LONGEST_LIFE, connection.as_mut()).await {
                        Ok(ended) => Ok(ended),
                        // a client that takes none of its replies would stay for ever
                        Err(_elapsed) => {
                            connection.as_mut().graceful_shutdown();
                            timeout(LAST_REPLY, connection).await
                        }
                    };
                    if let Ok(Err(error)) = ended {
                        tracing::debug!(%error, "management connection ended");
                    }
                    drop(place);
                });
            }
        });
    }
}

fn answer(view: &dyn View, scope: Scope, head: &Parts) -> Response<Full<Bytes>> {
    if scope == Scope::Machine && !view.admits(head) {
        return text(
            StatusCode::MISDIRECTED_REQUEST,
            "the Host is not this socket's\n".to_owned(),
        );
    }
    if is_foreign_page(head) {
        return text(
            StatusCode::FORBIDDEN,
            "not for another site's page\n".to_owned(),
        );
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let mut response = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD\n".to_owned(),
        );
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match head.uri.path() {
        "/livez" | "/startupz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => {
            let readiness = view.ready();
            let said = match scope {
                Scope::Machine => readiness.details,
                Scope::Network => readiness.summary,
            };
            let status = if readiness.ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            text(status, format!("{said}\n"))
        }
        "/metrics" => typed(StatusCode::OK, METRICS, view.metrics()),
        "/status" if scope == Scope::Machine => typed(
            StatusCode::OK,
            "application/json",
            format!("{:#}\n", view.status()),
        ),
        _ => text(
            StatusCode::NOT_FOUND,
            match scope {
                Scope::Machine => format!("{PATHS} and /status\n"),
                Scope::Network => format!("{PATHS}\n"),
            },
        ),
    }
}

/// Whether a page of another site asks, and not a person who follows a link: its script could
/// run what it is given. Probes and scrapers are no browsers.
fn is_foreign_page(head: &Parts) -> bool {
    let fetch = FetchMetadata::read(&head.headers, false);
    let elsewhere = fetch.provenance() == Provenance::Elsewhere;
    fetch.is_ahead || (elsewhere && !fetch.is_link(&head.method))
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, media: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What there is, for whoever asks for something else.
const PATHS: &str = "there are /livez, /readyz, /startupz, /metrics";
/// The media type of OpenMetrics 1.0.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Connections at once. Probes and scrapers need a few; one that asks nothing is closed after
/// [`HEAD_TIMEOUT`].
const MOST_CONNECTIONS: usize = 64;
/// Those of one client of the probes' address, so that it cannot take them all.
const MOST_OF_ONE_PEER: usize = 16;
/// Those of one /64 of IPv6, whose addresses may all be one client's.
const MOST_OF_ONE_NETWORK: usize = MOST_CONNECTIONS / 2;
/// The head of a request, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;
/// Probes are small and local.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection takes no more requests after this.
const LONGEST_LIFE: Duration = Duration::from_mins(1);
/// What it may then still take to hand over a reply.
const LAST_REPLY: Duration = Duration::from_secs(5);
/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpSocket, TcpStream};

    /// Much more than two socket buffers hold.
    const MUCH: usize = 32 << 20;

    #[derive(Debug)]
    struct Long;

    impl View for Long {
        fn admits(&self, _head: &Parts) -> bool {
            true
        }

        fn ready(&self) -> Readiness {
            Readiness {
                ready: true,
                summary: "ready".to_owned(),
                details: "prod: ready".to_owned(),
            }
        }

        fn metrics(&self) -> String {
            "x".repeat(MUCH)
        }

        fn status(&self) -> serde_json::Value {
            serde_json::Value::Null
        }
    }

    /// The clock is paused: it jumps to the next timer whenever all is idle.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_no_reply_is_let_go() {
        let management = Management::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = management.address().unwrap();
        management.serve(Arc::new(Long), &Background::current());
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut client = socket.connect(address).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        tokio::time::sleep(LONGEST_LIFE + LAST_REPLY * 2).await;
        let mut reply = Vec::new();
        // whether it ends or breaks, it must not go on
        let _end = client.read_to_end(&mut reply).await;
        assert!(reply.len() < MUCH, "{} bytes came", reply.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_nothing_is_closed_before_others_wait_for_long() {
        let management = Management::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = management.address().unwrap();
        management.serve(Arc::new(Long), &Background::current());
        let mut silent = connect(address).await;
        let mut used = connect(address).await;
        asks(&mut used).await;
        hears(&mut used).await;
        for client in [&mut silent, &mut used] {
            let mut rest = Vec::new();
            let closed = timeout(HEAD_TIMEOUT * 2, client.read_to_end(&mut rest)).await;
            assert!(closed.is_ok(), "it is still open");
        }
    }

    async fn connect(address: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.connect(address).await.unwrap()
    }

    async fn asks(client: &mut TcpStream) {
        client
            .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
    }

    async fn hears(client: &mut TcpStream) {
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n\r\nok\n") {
            assert_ne!(client.read_buf(&mut reply).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn one_client_of_the_probes_cannot_take_every_connection() {
        let probes = Management::bind_probes((Ipv6Addr::UNSPECIFIED, 0).into()).await;
        let probes = probes.unwrap();
        let port = probes.address().unwrap().port();
        let address = (Ipv4Addr::LOCALHOST, port).into();
        probes.serve(Arc::new(Long), &Background::current());
        let mut open = Vec::new();
        for _ in 0..MOST_OF_ONE_PEER {
            let mut client = connect(address).await;
            asks(&mut client).await;
            hears(&mut client).await;
            open.push(client);
        }
        let mut next = connect(address).await;
        // whether it ends or breaks, nothing is answered
        let request = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let _late = next.write_all(request).await;
        let mut reply = Vec::new();
        let _end = next.read_to_end(&mut reply).await;
        assert_eq!(reply, b"");
        let other = TcpSocket::new_v6().unwrap();
        let other = other.connect((Ipv6Addr::LOCALHOST, port).into()).await;
        let mut other = other.unwrap();
        asks(&mut other).await;
        hears(&mut other).await;

        // the place of one that ends is free again
        drop(open.pop());
        loop {
            let mut again = connect(address).await;
            let mut reply = [0; 8];
            let asked = again.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
            if asked.await.is_ok() && again.read_exact(&mut reply).await.is_ok() {
                break;
            }
        }
    }

    #[tokio::test]
    async fn beyond_the_limit_a_connection_waits_until_another_one_ends() {
        let management = Management::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = management.address().unwrap();
        management.serve(Arc::new(Long), &Background::current());
        let mut open = Vec::new();
        for _ in 0..MOST_CONNECTIONS {
            let mut client = connect(address).await;
            asks(&mut client).await;
            hears(&mut client).await;
            open.push(client);
        }

        let mut next = connect(address).await;
        asks(&mut next).await;
        for client in &mut open {
            asks(client).await;
            hears(client).await;
        }
        let early = next.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::WouldBlock, "it is accepted");

        open.pop();
        hears(&mut next).await;
    }
}
