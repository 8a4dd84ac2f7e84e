//! Opens a TCP connection to a name: all its addresses, one attempt every 250 ms, and the first
//! that answers wins (RFC 8305, "Happy Eyeballs"). A dead address costs one such delay.

use super::Settings;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use mwaa_runtime::{Timer, boot_clock};
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Connects to `host`, a name or an IP address. Fails if no address answers within the limits; the
/// error then lists what each of them returned.
pub(super) async fn connect(
    host: &str,
    port: u16,
    settings: &Settings,
    timer: &impl Timer,
) -> io::Result<TcpStream> {
    let addresses = resolve(host, port, settings.dns, timer).await?;

    timer
        .within(
            settings.connect,
            connect_first(interleave(addresses), timer),
        )
        .await
        .map_err(|_elapsed| timed_out("no connection in time"))?
}

/// Returns the addresses of a name, in the system's order (RFC 6724). Fails if there are none.
pub(super) async fn resolve(
    host: &str,
    port: u16,
    limit: Duration,
    timer: &impl Timer,
) -> io::Result<Vec<SocketAddr>> {
    // runs on a thread of the runtime's pool, where it may continue after the limit: the C library's
    // resolver cannot be interrupted
    let found = timer
        .within(limit, tokio::net::lookup_host((host, port)))
        .await
        .map_err(|_elapsed| timed_out("the name was not resolved in time"))??;

    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() {
        let reason = "the name has no address";
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    }
    Ok(addresses)
}

fn timed_out(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, reason)
}

/// Orders addresses so that the two families take turns, beginning with that of the first address
/// (RFC 8305 section 4).
fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == first_is_v4);

    let mut order = VecDeque::new();
    while let Some(address) = first.pop_front().or_else(|| second.pop_front()) {
        order.push_back(address);
        order.extend(second.pop_front());
    }
    order
}

/// Starts an attempt for each address, the next when [`ATTEMPT_DELAY`] is over or all before it
/// have failed. Attempts that are not needed any more are dropped, which closes them.
async fn connect_first(
    mut addresses: VecDeque<SocketAddr>,
    timer: &impl Timer,
) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    let mut errors = Vec::new();
    loop {
        match addresses.pop_front() {
            Some(address) => attempts.push(attempt(address)),
            None if attempts.is_empty() => return Err(join_errors(errors)),
            None => {}
        }

        let next = async {
            match attempts.next().await {
                Some(outcome) => outcome,
                None => pending().await,
            }
        };
        // after the last address there is no next attempt to start
        let outcome = if addresses.is_empty() {
            Ok(next.await)
        } else {
            timer.within(ATTEMPT_DELAY, next).await
        };

        match outcome {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => errors.push(error),
            Err(_elapsed) => {}
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one home of opening connections to the outside"
)]
async fn attempt(address: SocketAddr) -> Result<TcpStream, (SocketAddr, io::Error)> {
    let started = boot_clock();
    let connected = TcpStream::connect(address)
        .await
        // requests are written in whole pieces: waiting for more to send only delays them
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream));

    let took = boot_clock().saturating_sub(started);
    let error = connected.as_ref().err().map(tracing::field::display);
    tracing::debug!(%address, ?took, error, "TCP connection attempt");
    connected.map_err(|error| (address, error))
}

/// Returns one error for all: the only one, or a list of what each address returned.
fn join_errors(mut errors: Vec<(SocketAddr, io::Error)>) -> io::Error {
    // its text alone: the address is the one that is named beside it
    if let [_] = errors.as_slice()
        && let Some((_, error)) = errors.pop()
    {
        return error;
    }

    // the hint depends on the kind, and the first address is the one that the system prefers
    let kind = errors
        .first()
        .map_or(io::ErrorKind::NotFound, |(_, error)| error.kind());
    let rest = errors.len().saturating_sub(MAX_LISTED);
    let listed = errors.iter().take(MAX_LISTED);
    let mut texts: Vec<_> = listed
        .map(|(address, error)| format!("{}: {error}", address.ip()))
        .collect();
    if rest > 0 {
        texts.push(format!("and {rest} more"));
    }
    io::Error::new(kind, texts.join("; "))
}

/// The recommended Connection Attempt Delay (RFC 8305 section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses that an error lists.
const MAX_LISTED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_runtime::RuntimeTimer;

    fn all(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn address_families_alternate() {
        let mixed = all(&[
            "[::1]:1",
            "[::2]:1",
            "[::3]:1",
            "127.0.0.1:1",
            "127.0.0.2:1",
        ]);
        let order = interleave(mixed);
        let wanted = all(&[
            "[::1]:1",
            "127.0.0.1:1",
            "[::2]:1",
            "127.0.0.2:1",
            "[::3]:1",
        ]);
        assert_eq!(order, wanted);
        let one = all(&["127.0.0.1:1", "127.0.0.2:1"]);
        assert_eq!(interleave(one.clone()), one);
        assert!(interleave(Vec::new()).is_empty());
    }

    /// A listener whose queue is full answers no SYN: to a client it is a dead address.
    async fn dead() -> (SocketAddr, Vec<TcpStream>, tokio::net::TcpListener) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut filling = Vec::new();
        loop {
            let more = tokio::time::timeout(Duration::from_millis(300), attempt(address));
            match more.await {
                Ok(stream) => filling.push(stream.unwrap()),
                Err(_full) => return (address, filling, listener),
            }
        }
    }

    #[tokio::test]
    async fn an_unresponsive_address_does_not_delay_the_next() {
        let (silent, _filling, _listener) = dead().await;
        let alive = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = alive.local_addr().unwrap();
        // without the race the first attempt would take the whole limit
        let racing = connect_first([silent, address].into(), &RuntimeTimer);
        let stream = tokio::time::timeout(Duration::from_secs(20), racing);
        assert_eq!(stream.await.unwrap().unwrap().peer_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn after_a_refusal_the_next_address_is_tried_and_the_error_lists_all() {
        // ports that are taken, so that nothing else gets them, but that do not listen
        let taken = [(); 2].map(|()| {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
            socket
        });
        let closed = taken.each_ref().map(|socket| socket.local_addr().unwrap());
        let alive = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = alive.local_addr().unwrap();
        let with_alive = closed.into_iter().chain([address]).collect();
        let stream = connect_first(with_alive, &RuntimeTimer).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);

        let error = connect_first(VecDeque::from(closed), &RuntimeTimer)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(
            error.to_string().matches("127.0.0.1: ").count(),
            2,
            "{error}"
        );
    }
}
