//! The management address: health, metrics and status, on a loopback socket of its own; and the
//! probes' address, which shows less and may be reached from elsewhere. They open no connections
//! themselves, and the listeners never answer for them.

use super::InheritedSocket;
use super::bind::Socket;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use mwaa_model::{FetchMetadata, MediaRange, RequestSource};
use mwaa_runtime::BackgroundTasks;
use mwaa_telemetry::MetricsFormat;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// The source of all that the management address shows.
pub trait ManagementSource: Debug + Send + Sync {
    /// Returns `true` if the request is for this socket: its Host is one of the socket's names.
    fn admits(&self, head: &Parts) -> bool;

    /// Returns the readiness: could the gateway serve a request now?
    fn ready(&self) -> ReadinessStatus;

    /// Returns the metrics as text.
    fn metrics(&self, format: MetricsFormat) -> String;

    /// Returns environments, tokens (never their text) and queues, as JSON.
    fn status(&self) -> serde_json::Value;

    /// Returns the filter of the log; `None` if there is no log.
    fn log_filter(&self) -> Option<String>;

    /// Sets the filter of the log until the gateway stops. The error is for the person who sent it.
    fn set_log_filter(&self, filter: &str) -> Result<(), String>;
}

/// The answer to `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadinessStatus {
    /// Set if the gateway could serve a request now.
    pub ready: bool,
    /// The same in a few words that reveal nothing to a stranger.
    pub summary: String,
    /// Each environment and what is wrong with it, for the people of this machine.
    pub details: String,
}

/// The paths that a socket answers, and its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Everything, to clients on this machine that call it by its name.
    Machine,
    /// Probes and metrics, to every client and by any name: kubelet and Prometheus call a pod by
    /// its IP.
    Network,
}

/// A bound management socket.
#[derive(Debug)]
pub struct ManagementServer {
    socket: TcpListener,
    scope: Scope,
}

impl ManagementServer {
    /// Opens the management address, on a socket of the service manager if there is one.
    pub async fn bind(
        address: SocketAddr,
        inherited: Option<&InheritedSocket>,
    ) -> io::Result<Self> {
        let socket = open(address, inherited).await?;
        let scope = Scope::Machine;
        Ok(Self { socket, scope })
    }

    /// Opens the probes' address, likewise.
    pub async fn bind_probes(
        address: SocketAddr,
        inherited: Option<&InheritedSocket>,
    ) -> io::Result<Self> {
        let socket = open(address, inherited).await?;
        let scope = Scope::Network;
        Ok(Self { socket, scope })
    }

    /// Returns the address, in which port 0 has become a number.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers until the runtime ends, or the handle aborts it; its connections end by themselves then.
    /// At most 64 connections are open at once; more wait in
    /// the kernel's backlog. One client of the probes' address has at most 16 of them, and a /64
    /// of IPv6 32; more are closed.
    pub fn serve(
        self,
        source: Arc<dyn ManagementSource>,
        background: &BackgroundTasks,
    ) -> AbortHandle {
        let tasks = background.clone();
        background.spawn(tracing::debug_span!("management"), async move {
            self.accept_all(source, &tasks).await;
        })
    }

    async fn accept_all(self, source: Arc<dyn ManagementSource>, tasks: &BackgroundTasks) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let limiter = match self.scope {
            Scope::Machine => ConnectionLimiter::new(MAX_CONNECTIONS, MAX_CONNECTIONS),
            Scope::Network => ConnectionLimiter::new(MAX_PER_CLIENT, MAX_PER_NETWORK),
        };

        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            // a shortage of file descriptors: accepting again at once would spin
            let Ok((stream, address)) = self.socket.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Some(counted) = limiter.try_acquire(address.ip()) else {
                tracing::debug!(peer = %address, "too many management connections from one client");
                continue;
            };

            // the permit is held to the end of the connection, and the count of its client too
            let source = Arc::clone(&source);
            let scope = self.scope;
            let task = async move {
                serve_connection(stream, source.as_ref(), scope).await;
                drop((permit, counted));
            };
            let span = tracing::debug_span!("management_connection", peer = %address);
            tasks.spawn(span, task);
        }
    }
}

async fn open(
    address: SocketAddr,
    inherited: Option<&InheritedSocket>,
) -> io::Result<TcpListener> {
    match inherited.map(InheritedSocket::try_clone).transpose()? {
        Some(Socket::Tcp(listener)) => TcpListener::from_std(listener),
        // a Unix socket is never assigned to these addresses
        Some(Socket::Unix(_)) | None => TcpListener::bind(address).await,
    }
}

async fn serve_connection(stream: TcpStream, source: &dyn ManagementSource, scope: Scope) {
    tracing::debug!("management connection opened");
    let service = service_fn(|request: Request<Incoming>| {
        // only one request takes a body; hyper reads and drops a short one
        let (head, body) = request.into_parts();
        async move { Ok::<_, Infallible>(answer(source, scope, &head, body).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);

    // hyper's timeout is for heads only, and is armed again for each request of a connection
    let mut connection = pin!(connection);
    let ended = match timeout(MAX_LIFE, connection.as_mut()).await {
        Ok(ended) => Ok(ended),
        // a client that takes none of its responses would stay for ever
        Err(_elapsed) => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_RESPONSE, connection).await
        }
    };
    let error = ended.ok().and_then(Result::err);
    let error = error.as_ref().map(tracing::field::display);
    tracing::debug!(error, "management connection closed");
}

async fn answer(
    source: &dyn ManagementSource,
    scope: Scope,
    head: &Parts,
    body: Incoming,
) -> Response<Full<Bytes>> {
    if scope == Scope::Machine && !source.admits(head) {
        let text = "the Host is not an address of this socket\n";
        return text_response(StatusCode::MISDIRECTED_REQUEST, text);
    }
    if is_foreign_page(head) {
        return text_response(
            StatusCode::FORBIDDEN,
            "not allowed for a page of another site\n",
        );
    }

    let is_log = scope == Scope::Machine && head.uri.path() == "/log";
    match head.method {
        Method::GET | Method::HEAD => respond(source, scope, head),
        Method::PUT if is_log => set_log_filter(source, body).await,
        _ => {
            let allowed = if is_log {
                "GET, HEAD, PUT"
            } else {
                "GET, HEAD"
            };
            let text = format!("only {allowed}\n");
            let mut response = text_response(StatusCode::METHOD_NOT_ALLOWED, text);
            let allowed = HeaderValue::from_static(allowed);
            response.headers_mut().insert(ALLOW, allowed);
            response
        }
    }
}

/// Sets the filter of the log to the text of the body.
async fn set_log_filter(
    source: &dyn ManagementSource,
    body: Incoming,
) -> Response<Full<Bytes>> {
    let body = Limited::new(body, MAX_FILTER_SIZE).collect();
    let filter = match timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            let text = format!("a filter has at most {MAX_FILTER_SIZE} bytes\n");
            return text_response(StatusCode::PAYLOAD_TOO_LARGE, text);
        }
        Err(_elapsed) => {
            return text_response(StatusCode::REQUEST_TIMEOUT, "the body did not arrive\n");
        }
    };

    let filter = String::from_utf8_lossy(&filter);
    match source.set_log_filter(&filter) {
        Ok(()) => log_filter(source),
        Err(reason) => text_response(StatusCode::BAD_REQUEST, format!("{reason}\n")),
    }
}

fn log_filter(source: &dyn ManagementSource) -> Response<Full<Bytes>> {
    match source.log_filter() {
        Some(filter) => text_response(StatusCode::OK, format!("{filter}\n")),
        None => text_response(StatusCode::NOT_FOUND, "there is no log\n"),
    }
}

/// Returns the response to GET and HEAD.
fn respond(source: &dyn ManagementSource, scope: Scope, head: &Parts) -> Response<Full<Bytes>> {
    match head.uri.path() {
        "/livez" | "/startupz" => text_response(StatusCode::OK, "ok\n"),

        "/readyz" => {
            // names of environments and their faults are for this machine only
            let readiness = source.ready();
            let text = match scope {
                Scope::Machine => readiness.details,
                Scope::Network => readiness.summary,
            };
            let status = if readiness.ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            text_response(status, format!("{text}\n"))
        }

        "/metrics" => {
            let format = find_metrics_format(head);
            build_response(StatusCode::OK, format.media_type(), source.metrics(format))
        }
        "/status" if scope == Scope::Machine => {
            let json = format!("{:#}\n", source.status());
            build_response(StatusCode::OK, "application/json", json)
        }

        "/log" if scope == Scope::Machine => log_filter(source),

        _ => {
            let more = match scope {
                Scope::Machine => ", /status and /log",
                Scope::Network => "",
            };
            text_response(StatusCode::NOT_FOUND, format!("{PATHS}{more}\n"))
        }
    }
}

/// Returns the format of metrics for a client: OpenMetrics only if it asks for that, as Prometheus does.
fn find_metrics_format(head: &Parts) -> MetricsFormat {
    let headers = head.headers.iter().collect();
    let mut ranges = MediaRange::from_headers(&headers);
    if ranges.any(|range| range.is("application/openmetrics-text")) {
        MetricsFormat::OpenMetrics
    } else {
        MetricsFormat::Prometheus
    }
}

/// Returns `true` if a page of another site sent the request, and not a person who follows a
/// link: its script could run what it is given. Probes and scrapers are no browsers.
fn is_foreign_page(head: &Parts) -> bool {
    let headers = head.headers.iter().collect();
    let fetch = FetchMetadata::from_headers(&headers, false);
    let elsewhere = fetch.request_source() == RequestSource::Elsewhere;
    fetch.is_prefetch || (elsewhere && !fetch.is_link(&head.method))
}

fn text_response(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    build_response(status, "text/plain; charset=utf-8", body)
}

fn build_response(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Counts the open connections by client and by network of clients, so that none takes them all.
#[derive(Debug, Clone)]
struct ConnectionLimiter {
    max: usize,
    max_of_network: usize,
    open: Arc<Mutex<HashMap<IpNet, usize>>>,
}

/// One connection, counted until dropped.
#[derive(Debug)]
struct ConnectionPermit {
    limiter: ConnectionLimiter,
    client: IpAddr,
}

impl ConnectionLimiter {
    /// Allows so many for each address, and for each /64 of IPv6: one client may have all of
    /// such a network, or share it with the kubelet and its other pods.
    fn new(max: usize, max_of_network: usize) -> Self {
        Self {
            max,
            max_of_network,
            open: Arc::default(),
        }
    }

    /// Counts one more connection; `None` if the client or its network has too many.
    fn try_acquire(&self, address: IpAddr) -> Option<ConnectionPermit> {
        // an IPv4 client of a socket for both families has an address within IPv6
        let client = address.to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |net: &IpNet| open.get(net).copied().unwrap_or_default();
        let is_full = count(&client.into()) >= self.max
            || network_of(client).is_some_and(|net| count(&net) >= self.max_of_network);
        if is_full {
            return None;
        }

        for net in counted_as(client) {
            *open.entry(net).or_default() += 1;
        }
        Some(ConnectionPermit {
            limiter: self.clone(),
            client,
        })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let open = self.limiter.open.lock();
        let mut open = open.unwrap_or_else(PoisonError::into_inner);
        for net in counted_as(self.client) {
            if let Some(count) = open.get_mut(&net) {
                *count -= 1;
                // else every client ever seen would stay in the table
                if *count == 0 {
                    open.remove(&net);
                }
            }
        }
    }
}

/// Returns the keys that a connection of the client counts for: its address, and its network if
/// it has one.
fn counted_as(client: IpAddr) -> impl Iterator<Item = IpNet> {
    std::iter::once(client.into()).chain(network_of(client))
}

/// Returns the network that one client of IPv6 may have all of.
fn network_of(client: IpAddr) -> Option<IpNet> {
    let net = client.is_ipv6().then(|| IpNet::new(client, 64).ok())??;
    Some(net.trunc())
}

/// The paths that exist, for a client that asks for another one.
const PATHS: &str = "available: /livez, /readyz, /startupz, /metrics";
/// Connections at once. Probes and scrapers need a few; one without a request is closed after
/// [`HEAD_TIMEOUT`].
const MAX_CONNECTIONS: usize = 64;
/// Those of one client of the probes' address, so that it cannot take them all.
const MAX_PER_CLIENT: usize = 16;
/// Those of one /64 of IPv6, whose addresses may all be one client's.
const MAX_PER_NETWORK: usize = MAX_CONNECTIONS / 2;
/// The largest head of a request, in bytes.
const MAX_HEAD_SIZE: usize = 16 * 1024;
/// Probes are small and local.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection takes no more requests after this.
const MAX_LIFE: Duration = Duration::from_mins(1);
/// The time that a client may then still take for a response.
const LAST_RESPONSE: Duration = Duration::from_secs(5);
/// The longest filter of the log, in bytes.
const MAX_FILTER_SIZE: usize = 1024;
/// The time that a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
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

    impl ManagementSource for Long {
        fn admits(&self, _head: &Parts) -> bool {
            true
        }

        fn ready(&self) -> ReadinessStatus {
            ReadinessStatus {
                ready: true,
                summary: "ready".to_owned(),
                details: "prod: ready".to_owned(),
            }
        }

        fn metrics(&self, _format: MetricsFormat) -> String {
            "x".repeat(MUCH)
        }

        fn status(&self) -> serde_json::Value {
            serde_json::Value::Null
        }

        fn log_filter(&self) -> Option<String> {
            None
        }

        fn set_log_filter(&self, _filter: &str) -> Result<(), String> {
            Ok(())
        }
    }

    /// The clock is paused: it jumps to the next timer whenever all is idle.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_its_response_is_closed() {
        let management = ManagementServer::bind(([127, 0, 0, 1], 0).into(), None)
            .await
            .unwrap();
        let address = management.address().unwrap();
        management.serve(Arc::new(Long), &BackgroundTasks::current());
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut client = socket.connect(address).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        tokio::time::sleep(MAX_LIFE + LAST_RESPONSE * 2).await;
        let mut reply = Vec::new();
        // whether it ends or breaks, it must not last
        let _end = client.read_to_end(&mut reply).await;
        assert!(reply.len() < MUCH, "{} bytes came", reply.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_no_request_is_closed_after_a_timeout() {
        let management = ManagementServer::bind(([127, 0, 0, 1], 0).into(), None)
            .await
            .unwrap();
        let address = management.address().unwrap();
        management.serve(Arc::new(Long), &BackgroundTasks::current());
        let mut silent = connect(address).await;
        let mut used = connect(address).await;
        send_request(&mut used).await;
        read_response(&mut used).await;
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

    async fn send_request(client: &mut TcpStream) {
        client
            .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
    }

    async fn read_response(client: &mut TcpStream) {
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n\r\nok\n") {
            assert_ne!(client.read_buf(&mut reply).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn one_client_of_the_probes_cannot_take_every_connection() {
        let probes =
            ManagementServer::bind_probes((Ipv6Addr::UNSPECIFIED, 0).into(), None).await;
        let probes = probes.unwrap();
        let port = probes.address().unwrap().port();
        let address = (Ipv4Addr::LOCALHOST, port).into();
        probes.serve(Arc::new(Long), &BackgroundTasks::current());
        let mut open = Vec::new();
        for _ in 0..MAX_PER_CLIENT {
            let mut client = connect(address).await;
            send_request(&mut client).await;
            read_response(&mut client).await;
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
        send_request(&mut other).await;
        read_response(&mut other).await;

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
        let management = ManagementServer::bind(([127, 0, 0, 1], 0).into(), None)
            .await
            .unwrap();
        let address = management.address().unwrap();
        management.serve(Arc::new(Long), &BackgroundTasks::current());
        let mut open = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut client = connect(address).await;
            send_request(&mut client).await;
            read_response(&mut client).await;
            open.push(client);
        }

        let mut next = connect(address).await;
        send_request(&mut next).await;
        for client in &mut open {
            send_request(client).await;
            read_response(client).await;
        }
        let early = next.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::WouldBlock, "it is accepted");

        open.pop();
        read_response(&mut next).await;
    }

    #[test]
    fn each_client_has_its_own_limit_and_releases_connections() {
        let limiter = ConnectionLimiter::new(1, 2);
        let try_acquire = |address: &str| limiter.try_acquire(address.parse().unwrap());
        let first = try_acquire("192.0.2.1");
        assert!(first.is_some());
        assert!(try_acquire("192.0.2.1").is_none());
        assert!(
            try_acquire("::ffff:192.0.2.1").is_none(),
            "the same written as IPv6"
        );
        assert!(try_acquire("192.0.2.2").is_some());
        drop(first);
        assert!(try_acquire("192.0.2.1").is_some());
        assert!(limiter.open.lock().unwrap().is_empty(), "nothing is left");
    }

    #[test]
    fn an_ipv6_network_has_a_limit_for_all_of_its_clients() {
        let limiter = ConnectionLimiter::new(1, 2);
        let try_acquire = |address: &str| limiter.try_acquire(address.parse().unwrap());
        let _first = try_acquire("2001:db8::1").unwrap();
        assert!(try_acquire("2001:db8::1").is_none());
        let second = try_acquire("2001:db8::ffff:2");
        assert!(second.is_some(), "a neighbour has its own");
        assert!(try_acquire("2001:db8::3").is_none(), "but not without end");
        let _other = try_acquire("2001:db8:0:1::1").unwrap();
        drop(second);
        assert!(try_acquire("2001:db8::3").is_some());
        assert_eq!(
            limiter.open.lock().unwrap().len(),
            4,
            "two addresses, two networks"
        );
    }
}
