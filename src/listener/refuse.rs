//! Answers what is no request, in a way that the client gets to see the answer.

use super::BadHead;
use bytes::Bytes;
use std::fmt;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What answers: requests, and heads that could not become one.
pub struct Handler<H> {
    /// Answers a request.
    pub handle: H,
    /// Makes the whole reply to a head that could not become a request, and records it.
    pub refuse: Box<dyn Fn(BadHead) -> Bytes>,
}

impl<H> fmt::Debug for Handler<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// Sends the last bytes of a connection, and [drains](drain) it. The caller bounds it in time.
pub(super) async fn answer_and_close(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    reply: &[u8],
) {
    if stream.write_all(reply).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    drain(stream).await;
}

/// Reads what a client still sends after the last reply of its connection: a close with bytes
/// unread would reset the connection, and the client would lose that reply (RFC 9112 section
/// 9.6). The caller bounds it in time.
pub(super) async fn drain(stream: impl AsyncRead + Unpin) {
    let mut rest = stream.take(MOST_IGNORED);
    let mut buffer = vec![0; 16 * 1024];
    while matches!(rest.read(&mut buffer).await, Ok(count) if count > 0) {}
}

/// More of what a refused client sends is not read, in bytes.
const MOST_IGNORED: u64 = 4 << 20;
