//! A client that sends exact bytes and reads whole responses.

use super::soon;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UnixStream};

/// One connection.
pub(crate) struct Client {
    stream: Box<dyn Wire>,
    received: Vec<u8>,
}

pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A response as it came.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// Without the framing.
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) async fn tcp(address: SocketAddr) -> Self {
        Self::try_tcp(address).await.unwrap()
    }

    pub(crate) async fn try_tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpSocket::new_v4()?.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// From one of this machine's other loopback addresses.
    pub(crate) async fn tcp_from(from: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        let stream = socket.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    pub(crate) async fn unix(path: &Path) -> Self {
        Self::over(UnixStream::connect(path).await.unwrap())
    }

    /// Over a stream that was opened elsewhere.
    pub(crate) fn over(stream: impl Wire + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            received: Vec::new(),
        }
    }

    /// Sends these bytes. A peer that has closed already is no failure: what it said first
    /// can still be read.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        drop(soon("the peer to read", self.stream.write_all(bytes.as_ref())).await);
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// Reads the next response, an interim one (1xx) included.
    pub(crate) async fn response(&mut self) -> Response {
        self.try_response().await.unwrap()
    }

    /// Reads the next response; an error if the connection ends before it is whole.
    pub(crate) async fn try_response(&mut self) -> io::Result<Response> {
        soon("a response", self.read_response()).await
    }

    /// Sends and reads.
    pub(crate) async fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        self.send(bytes).await;
        self.response().await
    }

    /// What comes until the peer closes, or resets.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        soon("the end of the connection", async {
            while self.more().await.is_ok() {}
        })
        .await;
        std::mem::take(&mut self.received)
    }

    /// Reads the head of a message, with the empty line at its end.
    pub(crate) async fn head(&mut self) -> String {
        let head = soon("a head", self.until(b"\r\n\r\n")).await.unwrap();
        String::from_utf8(head).unwrap()
    }

    /// Reads the next line, with its end.
    pub(crate) async fn line(&mut self) -> String {
        let line = soon("a line", self.until(b"\n")).await.unwrap();
        String::from_utf8(line).unwrap()
    }

    /// Reads so many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        soon("more bytes", self.exactly(count)).await.unwrap()
    }

    async fn read_response(&mut self) -> io::Result<Response> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no status line: {first:?}")))?;
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap();
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect();
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        response.body = if status < 200 || status == 204 || status == 304 {
            Vec::new()
        } else if let Some(coding) = response.header("transfer-encoding") {
            assert_eq!(coding, "chunked");
            self.chunks().await?
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().unwrap();
            self.exactly(length).await?
        } else {
            while self.more().await.is_ok() {}
            std::mem::take(&mut self.received)
        };
        Ok(response)
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let chunk = self.next_chunk().await?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// Reads the next chunk of a chunked body; the last one is empty.
    pub(crate) async fn chunk(&mut self) -> Vec<u8> {
        soon("a chunk", self.next_chunk()).await.unwrap()
    }

    async fn next_chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = self.until(b"\r\n").await?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let mut chunk = self.exactly(size + 2).await?;
        assert!(chunk.ends_with(b"\r\n"), "a chunk without its end");
        chunk.truncate(size);
        Ok(chunk)
    }

    async fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            let found = self.received[searched..]
                .windows(end.len())
                .position(|window| window == end);
            if let Some(at) = found {
                return self.exactly(searched + at + end.len()).await;
            }
            searched = self.received.len().saturating_sub(end.len());
            self.more().await?;
        }
    }

    async fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < count {
            self.more().await?;
        }
        let rest = self.received.split_off(count);
        Ok(std::mem::replace(&mut self.received, rest))
    }

    async fn more(&mut self) -> io::Result<()> {
        self.received.reserve(16 * 1024);
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Response {
    /// The only header field of this name; `None` if there is none. `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} twice: {self}");
        Some(value)
    }

    /// The fault code of a reply that the gateway itself made; body and header must agree.
    pub(crate) fn fault(&self) -> Option<&str> {
        let code = self.header("mwaa-gateway-fault")?;
        note_fault(code);
        if self.header("content-type") == Some("text/html; charset=utf-8") {
            assert!(
                self.text().contains(&format!("<code>{code}</code>")),
                "{self}"
            );
            return Some(code);
        }
        if let Some(exception) = self.header("x-amzn-errortype") {
            assert!(exception.ends_with("Exception"), "{self}");
            assert!(self.text().contains(&format!("({code})")), "{self}");
            return Some(code);
        }
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.json()["code"], code, "{self}");
        assert_eq!(self.json()["status"], self.status, "{self}");
        Some(code)
    }

    /// What a fault says, and its hint.
    pub(crate) fn complaint(&self) -> String {
        let body = self.json();
        let word = |name: &str| body[name].as_str().unwrap().to_owned();
        format!("{} ({})", word("detail"), word("hint"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The decoded stdout of MWAA's JSON.
    pub(crate) fn stdout(&self) -> String {
        let stdout = self.json()["stdout"].as_str().unwrap().to_owned();
        String::from_utf8(STANDARD.decode(stdout).unwrap()).unwrap()
    }
}

/// Leaves a file of the code's name, for `tests/provoked.rs`.
fn note_fault(code: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("provoked");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(code), "").unwrap();
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.text();
        let start: String = text.chars().take(1000).collect();
        write!(f, "{} {:?} {start}", self.status, self.headers)
    }
}
