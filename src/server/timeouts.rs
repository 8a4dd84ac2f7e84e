//! The time that a client may take for its response: a command's slot must not be held for hours
//! by a client that reads a little now and then.

use std::time::Duration;

/// The time for which writes may still wait for the client. Only waiting counts, and each byte that
/// the client takes gives some of the time back. The
/// clock is read only when a write begins or ends to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteTimeout {
    left: Duration,
    /// The boot clock at which a write began to wait.
    since: Option<Duration>,
}

impl WriteTimeout {
    pub(super) fn new(max: Duration) -> Self {
        Self {
            left: max,
            since: None,
        }
    }

    /// Returns `true` while a write waits for the client.
    pub(super) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// A write has to wait; returns the longest time that it may.
    pub(super) fn start_wait(&mut self, now: Duration) -> Duration {
        self.since = Some(now);
        self.left
    }

    /// The client reads again.
    pub(super) fn end_wait(&mut self, now: Duration) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(now.saturating_sub(since));
        }
    }

    /// The client has taken so many bytes: adds their share of time, up to `max` in all.
    pub(super) fn add_bytes(&mut self, bytes: usize, max: Duration) {
        if self.left < max {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.left = max.min(self.left + TIME_PER_BYTE.saturating_mul(bytes));
        }
    }
}

/// The time that a byte gives back. So the lowest rate is 16 KiB a second.
const TIME_PER_BYTE: Duration = Duration::from_nanos(1_000_000_000 / (16 << 10));

#[cfg(test)]
mod tests {
    use super::super::IncomingRequest;
    use super::super::accept::{Server, Terms};
    use super::super::connection::{Connection, Settings};
    use super::super::places::{OpenConnections, Places};
    use super::super::response::Response;
    use super::super::stream::Stream;
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;
    use mwaa_model::{ListenerPolicy, PeerAddress, PeerIdentity};
    use mwaa_runtime::{BackgroundTasks, CoarseTimer, LocalTasks, Shutdown, ShutdownStage};
    use std::net::SocketAddr;
    use std::rc::Rc;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpSocket;
    use tokio::sync::watch;
    use tokio::task::LocalSet;

    const MAX: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn only_waiting_counts_and_written_bytes_restore_the_time() {
        let mut timeout = WriteTimeout::new(MAX);
        assert_eq!(timeout.start_wait(at(100)), MAX);
        timeout.end_wait(at(140));
        timeout.add_bytes(1, MAX);
        // whatever time the gateway itself takes meanwhile
        assert_eq!(
            timeout.start_wait(at(500)).as_secs(),
            20,
            "one byte resets nothing"
        );
        timeout.end_wait(at(510));
        timeout.add_bytes(16 << 10, MAX);
        let left = timeout.start_wait(at(510)).as_secs_f64();
        assert!((10.9..11.1).contains(&left), "{left}");
        timeout.end_wait(at(511));
        timeout.add_bytes(100 << 20, MAX);
        assert_eq!(
            timeout.start_wait(at(511)),
            MAX,
            "there is no more than all"
        );
        timeout.end_wait(at(611));
        timeout.add_bytes(0, MAX);
        assert_eq!(timeout.start_wait(at(700)), Duration::ZERO);
    }

    /// Returns the bytes of a long response that a client gets which takes a little now and then.
    async fn trickle(keep_alive: Duration, pause: Duration, enough: usize) -> usize {
        let tasks = LocalTasks::default();
        let timer = CoarseTimer::start(&tasks, &BackgroundTasks::current());
        let (_running, shutdown) = watch::channel(ShutdownStage::Serving);
        let handle = async |_: IncomingRequest| {
            let body = Full::new(Bytes::from(vec![b'x'; 8 << 20]));
            Response::new(body)
        };
        let connections = OpenConnections::start(&Places::new(1, 1), &timer, &tasks);
        let place = connections.take(0).await;
        let server = Rc::new(Server {
            settings: Settings {
                head_timeout: MAX,
                keep_alive,
                head_size: 32 << 10,
                header_count: 64,
            }
            .into(),
            connections: Rc::clone(&connections),
            tasks: tasks.clone(),
            shutdown: Shutdown::watch(shutdown, &timer, &tasks),
            timer,
            handle,
            refuse: Box::new(|_, _| Bytes::new()),
            farewell: Box::new(|_| Bytes::new()),
        });

        // small buffers, so that each write waits for the client
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4 << 10).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(1).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4 << 10).unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = client.connect(address).await.unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();

        let connection = Connection {
            server,
            peer: PeerAddress::Tcp(peer),
            identity: PeerIdentity::default(),
            terms: Rc::new(Terms::new(
                ListenerPolicy {
                    name: "listener".to_owned(),
                    environment: None,
                    rules: None,
                },
                None,
            )),
            era: 0,
            peers: None,
            is_tls: false,
        };
        tasks.spawn(tracing::Span::none(), async move {
            connection.serve(Stream::Tcp(accepted), place).await;
        });

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
    async fn a_client_that_reads_too_slowly_is_disconnected() {
        LocalSet::new()
            .run_until(async {
                let (limit, much) = (Duration::from_secs(1), 128 << 10);
                let taken = trickle(limit, limit / 4, much).await;
                assert!(taken < much, "{taken} bytes, a few at a time");
                // a busy machine may delay even this one for a while
                let taken = trickle(limit * 10, Duration::ZERO, much).await;
                assert!(taken >= much, "{taken} bytes at once");
            })
            .await;
    }
}
