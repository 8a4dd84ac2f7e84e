//! A connection whose server may not send more than a reply can have.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that fails once the server has sent more than a number of bytes since the last
/// request.
#[derive(Debug)]
pub(crate) struct LimitedStream<S> {
    stream: S,
    limit: usize,
    received: usize,
}

impl<S> LimitedStream<S> {
    pub(crate) fn new(stream: S, limit: usize) -> Self {
        Self {
            stream,
            limit,
            received: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.received += buffer.filled().len() - before;
        if self.received > self.limit {
            let limit = self.limit;
            let text = format!("the server has sent more than {limit} bytes for one reply");
            return Poll::Ready(Err(io::Error::other(text)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.received = 0;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn each_request_may_have_a_reply_of_so_many_bytes() {
        let (mut server, client) = duplex(100);
        let mut client = LimitedStream::new(client, 10);
        let mut reply = [0; 10];
        for _ in 0..3 {
            client.write_all(b"?").await.unwrap();
            server.write_all(&[1; 10]).await.unwrap();
            client.read_exact(&mut reply).await.unwrap();
        }

        server.write_all(b"x").await.unwrap();
        let error = client.read_u8().await.unwrap_err();
        assert!(error.to_string().contains("more than 10 bytes"), "{error}");
    }
}
