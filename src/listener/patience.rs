//! How slowly a client may take its reply: a command's slot must not be held for hours by one that
//! takes a little now and then.

use std::time::Duration;

/// How long a client may still keep its reply waiting. Only the time in which a write waits for
/// the client counts; what the client takes gives some of it back. The clock is read only when a
/// write begins or ends to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    left: Duration,
    /// The uptime at which a write began to wait.
    since: Option<Duration>,
}

impl Patience {
    pub(super) fn new(most: Duration) -> Self {
        Self {
            left: most,
            since: None,
        }
    }

    /// Whether a write waits for the client.
    pub(super) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// A write has to wait; returns for how long it may.
    pub(super) fn wait(&mut self, now: Duration) -> Duration {
        self.since = Some(now);
        self.left
    }

    /// The client takes something again.
    pub(super) fn resume(&mut self, now: Duration) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(now.saturating_sub(since));
        }
    }

    /// The client has taken so many bytes.
    pub(super) fn refill(&mut self, bytes: usize, most: Duration) {
        if self.left < most {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.left = most.min(self.left + TIME_PER_BYTE.saturating_mul(bytes));
        }
    }
}

/// What a byte that the client takes gives back of its time: the lowest rate is 16 KiB a second.
const TIME_PER_BYTE: Duration = Duration::from_nanos(1_000_000_000 / (16 << 10));

#[cfg(test)]
mod tests {
    use super::super::conn::{Connection, Settings};
    use super::super::{Arrived, Handler};
    use super::*;
    use crate::names::{Caller, Entrance, Owner, Peer};
    use crate::runtime::{LocalTasks, Sweeper};
    use bytes::Bytes;
    use http_body_util::Full;
    use std::net::SocketAddr;
    use std::rc::Rc;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpSocket;
    use tokio::sync::watch;
    use tokio::task::LocalSet;

    const MOST: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_waiting_uses_patience_up_and_bytes_give_it_back() {
        let mut patience = Patience::new(MOST);
        assert_eq!(patience.wait(at(100)), MOST);
        patience.resume(at(140));
        patience.refill(1, MOST);
        // whatever time the gateway itself takes meanwhile
        assert_eq!(
            patience.wait(at(500)).as_secs(),
            20,
            "one byte resets nothing"
        );
        patience.resume(at(510));
        patience.refill(16 << 10, MOST);
        let left = patience.wait(at(510)).as_secs_f64();
        assert!((10.9..11.1).contains(&left), "{left}");
        patience.resume(at(511));
        patience.refill(100 << 20, MOST);
        assert_eq!(patience.wait(at(511)), MOST, "there is no more than all");
        patience.resume(at(611));
        patience.refill(0, MOST);
        assert_eq!(patience.wait(at(700)), Duration::ZERO);
    }

    /// How much of a long reply a client gets that takes a little now and then.
    async fn trickles(keep_alive: Duration, pause: Duration, enough: usize) -> usize {
        let tasks = LocalTasks::default();
        let (_running, stop) = watch::channel(false);
        let connection = |peer| Connection {
            secure: false,
            caller: Caller {
                peer: Peer::Tcp(peer),
                owner: Owner::default(),
                entrance: Rc::new(Entrance {
                    name: "listener".to_owned(),
                    environment: None,
                    rules: None,
                }),
            },
            settings: Rc::new(Settings {
                head_timeout: MOST,
                keep_alive,
                head_size: 32 << 10,
                header_count: 64,
            }),
            deadline: Rc::new(Sweeper::start(&tasks).deadline()),
            stop: stop.clone(),
            handler: Rc::new(Handler {
                handle: async |_: Arrived| {
                    http::Response::new(Full::new(Bytes::from(vec![b'x'; 8 << 20])))
                },
                refuse: Box::new(|_| Bytes::new()),
            }),
        };
        // small buffers, so that each write waits for the client
        let server = TcpSocket::new_v4().unwrap();
        server.set_send_buffer_size(4 << 10).unwrap();
        server.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let server = server.listen(1).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4 << 10).unwrap();
        let mut client = client.connect(server.local_addr().unwrap()).await.unwrap();
        let (accepted, peer) = server.accept().await.unwrap();
        tasks.spawn(connection(peer).serve(accepted));
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut taken = 0;
        let mut some = [0; 2 << 10];
        while taken < enough {
            match client.read(&mut some).await {
                Ok(0) | Err(_) => break,
                Ok(bytes) => taken += bytes,
            }
            tokio::time::sleep(pause).await;
        }
        taken
    }

    #[tokio::test]
    async fn a_client_that_trickles_is_cut_and_one_that_reads_on_is_not() {
        LocalSet::new()
            .run_until(async {
                let (limit, much) = (Duration::from_secs(1), 128 << 10);
                let taken = trickles(limit, limit / 4, much).await;
                assert!(taken < much, "{taken} bytes, a few at a time");
                // a busy machine may delay even this one for a while
                let taken = trickles(limit * 10, Duration::ZERO, much).await;
                assert!(taken >= much, "{taken} bytes at once");
            })
            .await;
    }
}
