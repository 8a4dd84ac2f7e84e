//! Notices a client that leaves before its response is complete. A client that only ends its own
//! direction (a half-close) still gets the response, unless the half-close cancels it.

use super::client_io::ClientIo;
use super::connection::Connection;
use super::stream::Stream;
use mwaa_model::PeerAddress;
use mwaa_runtime::platform::{TcpPeerResolver, has_hung_up};
use mwaa_runtime::{CoarseTimer, Deadline};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The watch over the client of one request.
pub(super) struct ClientWatch<'a> {
    io: &'a ClientIo,
    peer: PeerAddress,
    peers: Option<&'a TcpPeerResolver>,
    timer: &'a CoarseTimer,
    /// Set if a half-close cancels the response.
    pub(super) is_cancelled_by_half_close: bool,
    /// The next look at a client that has ended its direction.
    next_look: Option<Deadline>,
}

impl<'a> ClientWatch<'a> {
    pub(super) fn new<H>(io: &'a ClientIo, connection: &'a Connection<H>) -> Self {
        Self {
            io,
            peer: connection.peer,
            peers: connection.peers.as_deref(),
            timer: &connection.server.timer,
            is_cancelled_by_half_close: false,
            next_look: None,
        }
    }

    /// Makes the next stage of the shutdown wake this task.
    pub(super) fn wake_at_shutdown(&self, cx: &Context<'_>) {
        self.io.wake_at_shutdown(cx);
    }

    /// Ready once the client has left.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next_look.is_none() {
            // a broken connection has no other direction
            if ready!(self.io.poll_end(cx)).is_err() || !self.is_there() {
                return Poll::Ready(());
            }
            let look = self.timer.deadline();
            look.arm(INTERVAL);
            self.next_look = Some(look);
        }

        // it sends no more, so nothing wakes us if it closes the other direction too
        while let Some(look) = &self.next_look {
            ready!(look.poll_expired(cx));
            if !self.is_there() {
                return Poll::Ready(());
            }
            look.arm(INTERVAL);
        }
        Poll::Pending
    }

    /// Returns true if the client still holds its end. Of a client on another machine that cannot be
    /// known: most programs close both directions at once, so it has left.
    fn is_there(&self) -> bool {
        if self.is_cancelled_by_half_close {
            return false;
        }
        self.io.with_stream(|stream| {
            let tcp = match stream {
                Stream::Unix(stream) => return !has_hung_up(stream),
                Stream::Tcp(stream) => stream,
                Stream::Tls(stream) => stream.get_ref().0,
            };
            match (self.peers, self.peer) {
                (Some(peers), PeerAddress::Tcp(address)) => {
                    peers.find(tcp, address).uid.is_some()
                }
                _ => false,
            }
        })
    }
}

/// The time between two looks at a client that has ended its direction.
const INTERVAL: Duration = Duration::from_secs(1);
