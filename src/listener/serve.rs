//! Accepts connections on one worker thread, within the limit, until told to stop.

use super::bind::{Bound, Socket};
use super::conn::{self, Reset, Settings};
use super::greet::Handshake;
use super::{Arrived, Handler};
use crate::names::{Caller, Entrance, Owner, Peer};
use crate::runtime::platform::{self, TcpOwners};
use crate::runtime::{LocalTasks, Sweeper};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Tells a worker when to stop: `true` means stop accepting and finish what runs.
pub type Stop = watch::Receiver<bool>;

/// Accepts on this thread's socket of `bound`; each request goes to `handler`. The accept loop
/// and the connections are tasks among `tasks`.
pub fn serve<H, F, B>(
    bound: &mut Bound,
    settings: &Rc<Settings>,
    places: &Arc<Semaphore>,
    tasks: &LocalTasks,
    sweeper: &Sweeper,
    stop: &Stop,
    handler: &Rc<Handler<H>>,
) -> io::Result<()>
where
    H: Fn(Arrived) -> F + 'static,
    F: Future<Output = http::Response<B>> + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(socket) = bound.take() else {
        return Ok(());
    };
    let loop_ = Accept {
        entrance: Rc::new(bound.entrance.clone()),
        settings: Rc::clone(settings),
        places: Arc::clone(places),
        tasks: tasks.clone(),
        sweeper: sweeper.clone(),
        stop: stop.clone(),
        secure: bound.tls.is_some(),
        handler: Rc::clone(handler),
    };
    let handshake = bound.tls.as_ref().map(|tls| Handshake {
        acceptor: tls.acceptor(),
        limit: settings.head_timeout,
        sweeper: sweeper.clone(),
        stop: stop.clone(),
    });
    match socket {
        Socket::Tcp(listener) => {
            let listener = TcpListener::from_std(listener)?;
            tasks.spawn(async move {
                let owners = TcpOwners::open();
                let accept = async || {
                    let (stream, address) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    let owner = owners.of(&stream, address);
                    Ok((stream, Peer::Tcp(address), owner))
                };
                match handshake {
                    None => {
                        let greet = |stream| std::future::ready(Some(stream));
                        loop_.run(accept, greet).await;
                    }
                    Some(handshake) => {
                        let handler = Rc::clone(&loop_.handler);
                        let greet = move |stream| {
                            let (handshake, handler) = (handshake.clone(), Rc::clone(&handler));
                            async move { handshake.greet(stream, &handler.refuse).await }
                        };
                        loop_.run(accept, greet).await;
                    }
                }
            });
        }
        Socket::Unix(listener) => {
            let listener = UnixListener::from_std(listener)?;
            tasks.spawn(async move {
                let accept = async || {
                    let (stream, _) = listener.accept().await?;
                    let owner = platform::unix_owner(&stream);
                    Ok((stream, Peer::Unix, owner))
                };
                loop_
                    .run(accept, |stream| std::future::ready(Some(stream)))
                    .await;
            });
        }
    }
    Ok(())
}

struct Accept<H> {
    entrance: Rc<Entrance>,
    settings: Rc<Settings>,
    places: Arc<Semaphore>,
    tasks: LocalTasks,
    sweeper: Sweeper,
    stop: Stop,
    secure: bool,
    handler: Rc<Handler<H>>,
}

impl<H> Accept<H> {
    /// Accepts until told to stop. `greet` makes of a socket what HTTP is spoken over.
    async fn run<F, B, S, G, T>(
        self,
        accept: impl AsyncFn() -> io::Result<(S, Peer, Owner)>,
        greet: impl Fn(S) -> G,
    ) where
        H: Fn(Arrived) -> F + 'static,
        F: Future<Output = http::Response<B>> + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        G: Future<Output = Option<T>> + 'static,
        T: AsyncRead + AsyncWrite + Reset + Unpin + 'static,
    {
        let mut stop = self.stop.clone();
        let mut backoff = FIRST_BACKOFF;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                accepted = self.next(&accept) => accepted,
            };
            match accepted {
                Ok((place, stream, peer, owner)) => {
                    backoff = FIRST_BACKOFF;
                    self.open(place, greet(stream), peer, owner);
                }
                Err(error) if is_one_connection(&error) => {}
                Err(error) => {
                    // out of file descriptors or memory: accepting again at once would spin
                    tracing::warn!(%error, "cannot accept; pausing");
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(LONGEST_BACKOFF);
                }
            }
        }
    }

    /// Takes one connection and waits for a place for it: beyond the limit, the other clients
    /// wait in the kernel's backlog.
    async fn next<S>(
        &self,
        accept: &impl AsyncFn() -> io::Result<(S, Peer, Owner)>,
    ) -> io::Result<(OwnedSemaphorePermit, S, Peer, Owner)> {
        // a place taken before would be held while nobody comes
        let (stream, peer, owner) = accept().await?;
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        Ok((place, stream, peer, owner))
    }

    fn open<F, B, T>(
        &self,
        place: OwnedSemaphorePermit,
        greeted: impl Future<Output = Option<T>> + 'static,
        peer: Peer,
        owner: Owner,
    ) where
        H: Fn(Arrived) -> F + 'static,
        F: Future<Output = http::Response<B>> + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        T: AsyncRead + AsyncWrite + Reset + Unpin + 'static,
    {
        let connection = conn::Connection {
            caller: Caller {
                peer,
                owner,
                entrance: Rc::clone(&self.entrance),
            },
            secure: self.secure,
            settings: Rc::clone(&self.settings),
            deadline: Rc::new(self.sweeper.deadline()),
            stop: self.stop.clone(),
            handler: Rc::clone(&self.handler),
        };
        self.tasks.spawn(async move {
            if let Some(stream) = greeted.await {
                connection.serve(stream).await;
            }
            drop(place);
        });
    }
}

/// Errors that concern the connection just taken and not the listener (accept(2)).
fn is_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput
    )
}

/// The pause after the first failed accept.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// The longest pause between failed accepts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
