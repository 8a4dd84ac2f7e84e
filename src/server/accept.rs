//! Accepts the connections of one worker thread, within the limit on open connections, until the
//! gateway shuts down.

use super::bind::{BACKLOG, BoundListener, Socket};
use super::connection::{Connection, LINGER, Settings};
use super::places::{OpenConnections, Phase, Place};
use super::stream::{Stream, send_and_drain};
use super::{BadHead, Farewell, RequestHandler, TlsConfig};
use bytes::Bytes;
use mwaa_model::{Client, ListenerPolicy, PeerAddress, PeerIdentity};
use mwaa_runtime::platform::{self, TcpPeerResolver};
use mwaa_runtime::{CoarseTimer, Deadline, LocalTasks, Shutdown, ShutdownStage};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, oneshot};
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
    /// Announces the stages of the shutdown.
    pub shutdown: Shutdown,
    /// Answers a request.
    pub handle: H,
    /// Returns the whole response to a head that does not become a request, and records it.
    pub refuse: Refuse,
    /// Returns the whole response to a request that may come too late, because its connection is
    /// closed. Nothing is recorded: none was read, and most clients have sent none.
    pub farewell: Box<dyn Fn(Farewell) -> Bytes>,
}

/// A function that returns the whole response to a client's bad head.
pub type Refuse = Box<dyn Fn(BadHead, &Client) -> Bytes>;

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
        let (ended, end) = oneshot::channel();
        let terms = Rc::new(Terms::new(bound.listener.clone(), Tls::of(bound)));
        let accept_loop = AcceptLoop {
            server: Rc::clone(self),
            number,
            listener: Listener::from_socket(socket)?,
            terms: Rc::clone(&terms),
            without_place: RefCell::default(),
            leaves_rest: bound.is_inherited,
            _ended: ended,
        };
        self.tasks.spawn(tracing::Span::none(), accept_loop.run());
        Ok(Some(OpenListener { number, terms, end }))
    }
}

/// A listener that this thread accepts on. It continues if this is dropped.
#[derive(Debug)]
pub struct OpenListener {
    /// Its number, which no other open listener has.
    pub number: usize,
    terms: Rc<Terms>,
    /// Fails when the socket is closed.
    end: oneshot::Receiver<Infallible>,
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

    /// Stops to accept new clients. Returns a future that is ready when those that are connected already
    /// are accepted too, and the socket is closed. That happens also if the future is dropped.
    /// Connections are closed once they are idle; wake them by the timer.
    pub fn close(self) -> impl Future<Output = ()> {
        self.terms.close();
        async {
            // its sender is only dropped
            let Err(_closed) = self.end.await;
        }
    }
}

/// The terms of a listener, as its accept loop and its connections see them.
#[derive(Debug)]
pub(super) struct Terms {
    policy: RefCell<Rc<ListenerPolicy>>,
    tls: RefCell<Option<Tls>>,
    /// It has changed if the connections of before have to end.
    era: Cell<u32>,
    /// The listener is closed: every connection has to end.
    is_closed: Cell<bool>,
    closed: Notify,
}

impl Terms {
    pub(super) fn new(policy: ListenerPolicy, tls: Option<Tls>) -> Self {
        Self {
            policy: RefCell::new(Rc::new(policy)),
            tls: RefCell::new(tls),
            era: Cell::new(0),
            is_closed: Cell::new(false),
            closed: Notify::new(),
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

    /// Returns true if the listener is closed, so that every connection has to end.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    fn close(&self) {
        self.is_closed.set(true);
        // kept for the accept loop, if it does not wait yet
        self.closed.notify_one();
    }
}

/// A listening socket of this thread. TLS begins later, in the task of each connection.
enum Listener {
    Tcp(TcpListener, Rc<TcpPeerResolver>),
    Unix(UnixListener),
}

/// A connection that was accepted, and its other end.
type Accepted = (Stream, PeerAddress, PeerIdentity);

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

    /// Accepts one connection.
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener, resolver) => {
                let (stream, address) = listener.accept().await?;
                accept_tcp(stream, address, resolver)
            }
            Self::Unix(listener) => {
                let (stream, _unnamed) = listener.accept().await?;
                Ok(accept_unix(stream))
            }
        }
    }

    /// Accepts one of the connections that the kernel holds. Fails with `WouldBlock` if there is none.
    fn try_accept(&self) -> io::Result<Accepted> {
        // asked of the system: the runtime may not have noticed yet
        match self {
            Self::Tcp(listener, resolver) => {
                let listener = listener.as_fd().try_clone_to_owned()?;
                let (stream, address) = StdTcpListener::from(listener).accept()?;
                stream.set_nonblocking(true)?;
                accept_tcp(TcpStream::from_std(stream)?, address, resolver)
            }
            Self::Unix(listener) => {
                let listener = listener.as_fd().try_clone_to_owned()?;
                let (stream, _unnamed) = StdUnixListener::from(listener).accept()?;
                stream.set_nonblocking(true)?;
                Ok(accept_unix(UnixStream::from_std(stream)?))
            }
        }
    }
}

fn accept_tcp(
    stream: TcpStream,
    address: SocketAddr,
    resolver: &TcpPeerResolver,
) -> io::Result<Accepted> {
    // responses are written in whole pieces: waiting for more to send only delays them
    stream.set_nodelay(true)?;
    let identity = resolver.find(&stream, address);
    Ok((Stream::Tcp(stream), PeerAddress::Tcp(address), identity))
}

fn accept_unix(stream: UnixStream) -> Accepted {
    let identity = platform::unix_peer(&stream);
    (Stream::Unix(stream), PeerAddress::Unix, identity)
}

struct AcceptLoop<H> {
    server: Rc<Server<H>>,
    number: usize,
    listener: Listener,
    terms: Rc<Terms>,
    /// The connection that waits for a place.
    without_place: RefCell<Option<Accepted>>,
    /// Another process will accept the connections that the kernel holds.
    leaves_rest: bool,
    /// Dropped when the socket is closed: it is the last field.
    _ended: oneshot::Sender<Infallible>,
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
    /// Accepts until the shutdown or until the listener is closed, and then the clients that are
    /// connected already.
    async fn run(self) {
        // The shutdown races the whole loop, not only `accept`: a worker waits for this task, and
        // the loop may be waiting for a place or in a pause after an error.
        tokio::select! {
            biased;
            () = self.server.shutdown.wait_for(ShutdownStage::Draining) => {}
            () = self.terms.closed.notified() => {}
            () = self.accept_all() => {}
        }

        let is_cut = self.server.shutdown.stage() == ShutdownStage::Cut;
        if !is_cut && self.ends_new_connections() {
            // those that have begun end on the other side of the network
            let rest = self.accept_all();
            let _elapsed = self.server.timer.within(HANDSHAKES, rest).await;
        }
        self.accept_rest();
    }

    /// Makes the kernel begin no new connection. Returns false if it cannot, or if another process
    /// will accept them.
    fn ends_new_connections(&self) -> bool {
        match &self.listener {
            Listener::Tcp(listener, _) if !self.leaves_rest => {
                platform::ignore_new_connections(listener)
            }
            Listener::Tcp(..) | Listener::Unix(_) => false,
        }
    }

    /// Accepts what the kernel holds: the end of the socket would reset those connections.
    fn accept_rest(&self) {
        let waiting = self.without_place.take();
        let rest = std::iter::repeat_with(|| self.listener.try_accept())
            // a socket that others accept on as well may never run empty
            .take(if self.leaves_rest {
                0
            } else {
                BACKLOG as usize
            })
            .take_while(|accepted| match accepted {
                Ok(_) => true,
                Err(error) => is_connection_error(error),
            });

        for accepted in waiting.into_iter().chain(rest.flatten()) {
            match self.server.connections.try_take(self.number) {
                Some(place) => self.spawn_connection(place, accepted),
                None => self.turn_away(accepted),
            }
        }
    }

    /// Responds to a client for which there is no place: the gateway is stopping, or a reload has
    /// closed the listener.
    fn turn_away(&self, (stream, ..): Accepted) {
        let tls = self.terms.tls.borrow();
        let is_plain = tls.as_ref().is_none_or(|tls| tls.is_optional);
        drop(tls);
        let server = Rc::clone(&self.server);
        let farewell = if self.terms.is_closed() {
            Farewell::Reloaded
        } else {
            Farewell::Stopping
        };

        let task = async move {
            // without a place there is no handshake, and no answer that such a client could read
            if is_plain {
                let farewell = (server.farewell)(farewell);
                let sending = send_and_drain(stream, &farewell);
                let _elapsed = server.timer.within(LINGER, sending).await;
            }
        };
        let listener = self.terms.policy();
        let span = tracing::debug_span!("connection", listener = %listener.name);
        self.server.tasks.spawn(span, task);
    }

    async fn accept_all(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.accept().await {
                Ok((place, accepted)) => {
                    pause = FIRST_PAUSE;
                    self.spawn_connection(place, accepted);
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
    async fn accept(&self) -> io::Result<(Place, Accepted)> {
        // The place after the stream: a listener without a client must not hold one.
        let waiting = self.without_place.take();
        let accepted = match waiting {
            Some(accepted) => accepted,
            None => self.listener.accept().await?,
        };
        if let Some(place) = self.server.connections.try_take(self.number) {
            return Ok((place, accepted));
        }

        // kept here, because the shutdown or a reload may end this future
        *self.without_place.borrow_mut() = Some(accepted);
        let place = self.server.connections.take(self.number).await;
        let accepted = self.without_place.take();
        let accepted = accepted.ok_or(io::ErrorKind::NotConnected)?;
        Ok((place, accepted))
    }

    fn spawn_connection(&self, place: Place, (stream, peer, identity): Accepted) {
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
                    let client = Client {
                        peer,
                        identity,
                        listener: terms.policy(),
                    };
                    open_stream(stream, &tls, &server, &place, &client).await
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

/// Begins TLS on a connection, unless it is plain and may be. Returns `None` if that failed; the
/// connection is then closed.
async fn open_stream<H>(
    stream: TcpStream,
    tls: &Tls,
    server: &Server<H>,
    place: &Place,
    client: &Client,
) -> Option<Stream> {
    let mut opening = pin!(find_protocol(stream, tls, server, place, client));
    tokio::select! {
        biased;
        stream = opening.as_mut() => return stream,
        () = server.shutdown.wait_for(ShutdownStage::Draining) => {}
    }
    // outside of a session there is no answer that the client could read
    let opened = server.timer.within(LINGER, opening).await;
    opened.unwrap_or_default()
}

/// Waits for the first byte, which shows the protocol, and then for the end of a handshake.
async fn find_protocol<H>(
    stream: TcpStream,
    tls: &Tls,
    server: &Server<H>,
    place: &Place,
    client: &Client,
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
        let response = (server.refuse)(BadHead::PlainOnTls, client);
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
/// The time for connections that the kernel is opening when the listener closes.
const HANDSHAKES: Duration = Duration::from_millis(100);
/// The pause after the first failed accept.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between failed accepts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
