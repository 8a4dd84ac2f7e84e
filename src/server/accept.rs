//! Accepts the connections of one worker thread, within the limit on open connections, until the
//! gateway shuts down.

use super::bind::{BoundListener, Socket};
use super::connection::{Connection, Settings};
use super::places::{OpenConnections, Phase, Place};
use super::stream::{Stream, send_and_drain};
use super::{BadHead, RequestHandler, TlsConfig};
use bytes::Bytes;
use mwaa_model::{ListenerPolicy, PeerAddress, PeerIdentity};
use mwaa_runtime::platform::{self, TcpPeerResolver};
use mwaa_runtime::{CoarseTimer, Deadline, LocalTasks, Shutdown};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// All that the listeners and connections of one worker thread share.
pub struct Server<H> {
    /// The limits of each connection. A change counts from its next request on.
    pub settings: Cell<Settings>,
    /// The thread's connections, and the places for them.
    pub connections: Rc<OpenConnections>,
    /// The thread's tasks: accept loops and connections are among them.
    pub tasks: LocalTasks,
    /// The thread's time limits.
    pub timer: CoarseTimer,
    /// Announces the shutdown: accept no more, and finish what runs.
    pub shutdown: Shutdown,
    /// Answers a request.
    pub handle: H,
    /// Returns the whole response to a head that could not become a request, and records it.
    pub refuse: Box<dyn Fn(BadHead) -> Bytes>,
}

impl<H> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<H: RequestHandler> Server<H> {
    /// Starts to accept on this thread's socket of `bound`; `None` if all of its sockets are taken.
    /// Fails if the socket cannot be registered with the thread's runtime.
    pub fn listen(
        self: &Rc<Self>,
        bound: &mut BoundListener,
    ) -> io::Result<Option<OpenListener>> {
        let Some(socket) = bound.take_socket() else {
            return Ok(None);
        };

        let number = bound.number;
        let terms = Rc::new(Terms::new(bound.listener.clone(), Tls::of(bound)));
        let accept_loop = AcceptLoop {
            server: Rc::clone(self),
            number,
            listener: Listener::from_socket(socket)?,
            terms: Rc::clone(&terms),
        };
        let task = self.tasks.spawn(tracing::Span::none(), accept_loop.run());
        Ok(Some(OpenListener {
            number,
            terms,
            task,
        }))
    }
}

/// A listener that this thread accepts on. It continues if this is dropped.
#[derive(Debug)]
pub struct OpenListener {
    /// Its number, which no other open listener has.
    pub number: usize,
    terms: Rc<Terms>,
    task: AbortHandle,
}

impl OpenListener {
    /// Lets the rules and the TLS of `bound` count, without another socket. Connections that it would
    /// not have accepted are closed once they are idle; wake them by the timer.
    pub fn update(&self, bound: &BoundListener) {
        self.terms.policy.replace(Rc::new(bound.listener.clone()));
        let tls = Tls::of(bound);
        if !Tls::accepts_same(self.terms.tls.borrow().as_ref(), tls.as_ref()) {
            self.terms.end_connections();
        }
        self.terms.tls.replace(tls);
    }

    /// Stops to accept. Its connections are closed once they are idle; wake them by the timer.
    pub fn close(self) {
        self.task.abort();
        self.terms.end_connections();
    }
}

/// The terms of a listener, as its accept loop and its connections see them.
#[derive(Debug)]
pub(super) struct Terms {
    policy: RefCell<Rc<ListenerPolicy>>,
    tls: RefCell<Option<Tls>>,
    /// It has changed if the connections of before have to end.
    era: Cell<u32>,
}

impl Terms {
    pub(super) fn new(policy: ListenerPolicy, tls: Option<Tls>) -> Self {
        Self {
            policy: RefCell::new(Rc::new(policy)),
            tls: RefCell::new(tls),
            era: Cell::new(0),
        }
    }

    /// Returns the rules for the next request.
    pub(super) fn policy(&self) -> Rc<ListenerPolicy> {
        Rc::clone(&self.policy.borrow())
    }

    /// Returns a number that changes when connections of before have to end.
    pub(super) fn era(&self) -> u32 {
        self.era.get()
    }

    fn end_connections(&self) {
        self.era.update(|era| era.wrapping_add(1));
    }
}

/// A listening socket of this thread. TLS begins later, in the task of each connection.
enum Listener {
    Tcp(TcpListener, Rc<TcpPeerResolver>),
    Unix(UnixListener),
}

impl Listener {
    fn from_socket(socket: Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Tcp(listener) => Self::Tcp(
                TcpListener::from_std(listener)?,
                Rc::new(TcpPeerResolver::open()),
            ),
            Socket::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
        })
    }

    /// Accepts one connection; returns it and its other end.
    async fn accept(&self) -> io::Result<(Stream, PeerAddress, PeerIdentity)> {
        match self {
            Self::Tcp(listener, resolver) => {
                let (stream, address) = listener.accept().await?;
                // responses are written in whole pieces: waiting for more to send only delays them
                stream.set_nodelay(true)?;
                let identity = resolver.find(&stream, address);
                Ok((Stream::Tcp(stream), PeerAddress::Tcp(address), identity))
            }
            Self::Unix(listener) => {
                let (stream, _unnamed) = listener.accept().await?;
                let identity = platform::unix_peer(&stream);
                Ok((Stream::Unix(stream), PeerAddress::Unix, identity))
            }
        }
    }
}

struct AcceptLoop<H> {
    server: Rc<Server<H>>,
    number: usize,
    listener: Listener,
    terms: Rc<Terms>,
}

/// The TLS of a listener.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    config: TlsConfig,
    /// Set if plain HTTP is accepted too.
    is_optional: bool,
}

impl Tls {
    fn of(bound: &BoundListener) -> Option<Self> {
        bound.tls.clone().map(|config| Self {
            config,
            is_optional: bound.accepts_plain,
        })
    }

    /// Returns true if both let the same clients in, by the same protocols.
    fn accepts_same(one: Option<&Self>, other: Option<&Self>) -> bool {
        match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) => {
                one.is_optional == other.is_optional
                    && one.config.trusts_same_clients(&other.config)
            }
            _ => false,
        }
    }
}

impl<H: RequestHandler> AcceptLoop<H> {
    /// Accepts until the shutdown.
    async fn run(self) {
        // The shutdown races the whole loop, not only `accept`: a worker waits for this task, and
        // the loop may be waiting for a permit or in a pause after an error.
        tokio::select! {
            biased;
            () = self.server.shutdown.wait() => {}
            () = self.accept_all() => {}
        }
    }

    async fn accept_all(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.accept().await {
                Ok((place, stream, peer, identity)) => {
                    pause = FIRST_PAUSE;
                    self.spawn_connection(place, stream, peer, identity);
                }

                // only that client is gone; the next may be waiting already
                Err(error) if is_connection_error(&error) => {
                    tracing::debug!(%error, "a client left before it was accepted");
                }

                Err(error) => {
                    // Out of file descriptors or memory (EMFILE, ENFILE, ENOMEM). The client stays
                    // in the backlog, so accepting again at once would fail again, and spin.
                    tracing::warn!(%error, "cannot accept connections; pausing");
                    let _elapsed = self.server.timer.within(pause, pending::<()>()).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Accepts one connection and waits for a place for it: beyond the limit, other clients wait
    /// in the kernel's backlog.
    async fn accept(&self) -> io::Result<(Place, Stream, PeerAddress, PeerIdentity)> {
        // The place after the stream: a listener without a client must not hold one.
        let (stream, peer, identity) = self.listener.accept().await?;
        let place = self.server.connections.take(self.number).await;
        Ok((place, stream, peer, identity))
    }

    fn spawn_connection(
        &self,
        place: Place,
        stream: Stream,
        peer: PeerAddress,
        identity: PeerIdentity,
    ) {
        let span = tracing::debug_span!(
            "connection",
            %peer,
            listener = %self.terms.policy.borrow().name,
        );
        let tls = self.terms.tls.borrow().clone();
        let terms = Rc::clone(&self.terms);
        let era = terms.era();
        let server = Rc::clone(&self.server);
        let peers = match &self.listener {
            Listener::Tcp(_, resolver) => Some(Rc::clone(resolver)),
            Listener::Unix(_) => None,
        };

        // The handshake is a part of this task: it takes several round trips, and the next client
        // must not wait for it.
        let task = async move {
            tracing::debug!("connection opened");
            let stream = match (stream, tls) {
                (Stream::Tcp(stream), Some(tls)) => {
                    open_stream(stream, &tls, &server, &place).await
                }
                (stream, _) => Some(stream),
            };

            if let Some(stream) = stream {
                let connection = Connection {
                    server,
                    peer,
                    identity,
                    terms,
                    era,
                    peers,
                    is_tls: matches!(stream, Stream::Tls(_)),
                };
                connection.serve(stream, place).await;
            } else {
                tracing::debug!(reason = "no TLS", "connection closed");
            }
        };
        self.server.tasks.spawn(span, task);
    }
}

/// Errors of accept(2) that concern the connection just taken, and not the listener.
fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NotConnected
    ) || (platform::EINVAL_IS_OF_CLIENT && error.kind() == io::ErrorKind::InvalidInput)
}

/// Begins TLS on a connection, unless it is plain and may be, or the gateway shuts down. Returns
/// `None` if that failed; the connection is then closed.
async fn open_stream<H>(
    stream: TcpStream,
    tls: &Tls,
    server: &Server<H>,
    place: &Place,
) -> Option<Stream> {
    // A client that has not come so far has sent no request yet, so the shutdown loses nothing.
    tokio::select! {
        biased;
        stream = find_protocol(stream, tls, server, place) => stream,
        () = server.shutdown.wait() => None,
    }
}

/// Waits for the first byte, which shows the protocol, and then for the end of a handshake.
async fn find_protocol<H>(
    stream: TcpStream,
    tls: &Tls,
    server: &Server<H>,
    place: &Place,
) -> Option<Stream> {
    let Settings {
        head_timeout,
        keep_alive,
        ..
    } = server.settings.get();
    // browsers open plain connections before they need them
    let silence = if tls.is_optional {
        keep_alive
    } else {
        head_timeout
    };

    let mut first = [0];
    place.deadline().arm(silence);
    let peeked = within(place.deadline(), stream.peek(&mut first)).await;
    let is_tls = match peeked {
        Some(Ok(1..)) => first == [TLS_HANDSHAKE],
        Some(Ok(0) | Err(_)) => return None,
        None => {
            tracing::debug!("the client was silent; closing");
            return None;
        }
    };
    if !is_tls && tls.is_optional {
        return Some(Stream::Tcp(stream));
    }

    let rest = async {
        if is_tls {
            return accept_tls(stream, &tls.config.acceptor()).await;
        }
        // a client that speaks plain HTTP gets an answer that it can read, and not a TLS alert
        let response = (server.refuse)(BadHead::PlainOnTls);
        send_and_drain(stream, &response).await;
        None
    };
    place.set_phase(Phase::Head);
    place.deadline().arm(head_timeout);
    let opened = within(place.deadline(), rest).await;
    opened.unwrap_or_else(|| {
        tracing::debug!("the TLS handshake took too long; closing");
        None
    })
}

/// Returns the future's output; `None` if the limit passes before.
async fn within<F: Future>(limit: &Deadline, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = limit => None,
    }
}

async fn accept_tls(stream: TcpStream, acceptor: &TlsAcceptor) -> Option<Stream> {
    match acceptor.accept(stream).await {
        Ok(stream) => Some(Stream::Tls(Box::new(stream))),
        Err(error) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
    }
}

/// The first byte of every TLS connection: a record of type handshake (RFC 8446 section 5.1).
pub(super) const TLS_HANDSHAKE: u8 = 22;
/// The pause after the first failed accept.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between failed accepts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
