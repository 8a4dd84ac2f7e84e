//! Asks a proxy for a connection: SOCKS 5 and HTTP CONNECT, spoken by hyper-util. The proxy's
//! response is recorded for the error, which hyper-util reduces to a few words.

use super::error::{ProxyConnectError, ProxyErrorKind};
use super::proxies::ProxyServer;
use super::stream::StreamKind;
use super::{Settings, Stream, tcp, tls};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use mwaa_model::{HostPort, ProxyScheme, ProxyUser, Secret};
use mwaa_runtime::Timer;
use std::error::Error;
use std::future::{Ready, ready as completed};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// Opens a connection to `host:port` through the proxy.
pub(super) async fn connect(
    proxy: &ProxyServer,
    host: &str,
    port: u16,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<Stream, ProxyConnectError> {
    let handshake = Handshake {
        proxy,
        settings,
        timer,
    };

    handshake
        .connect(host, port)
        .await
        .map_err(|kind| ProxyConnectError {
            proxy: proxy.url.clone(),
            target: HostPort { host, port }.to_string(),
            has_user: proxy.user.is_some(),
            kind,
        })
}

struct Handshake<'a, T> {
    proxy: &'a ProxyServer,
    settings: &'a Settings,
    timer: &'a T,
}

impl<T: Timer> Handshake<'_, T> {
    async fn connect(&self, host: &str, port: u16) -> Result<Stream, ProxyErrorKind> {
        match self.proxy.url.scheme {
            ProxyScheme::Http | ProxyScheme::Https => {
                self.connect_http(build_target(host, port)?).await
            }
            ProxyScheme::Socks5h => self.connect_socks(&build_target(host, port)?).await,
            ProxyScheme::Socks5 => self.connect_socks_by_address(host, port).await,
        }
    }

    /// Asks with HTTP `CONNECT` (RFC 9110 section 9.3.6).
    async fn connect_http(&self, target: Uri) -> Result<Stream, ProxyErrorKind> {
        let stream = self.connect_to_proxy().await?;
        let response = RecordedResponse::default();
        let connection = OnceConnector::new(stream, &response);
        let mut tunnel = Tunnel::new(Uri::default(), connection);
        if let Some(user) = &self.proxy.user {
            tunnel = tunnel.with_auth(basic_auth(user));
        }

        // `?` is for the limit; what is left is the library's error
        self.limit(tunnel.call(target))
            .await?
            .map(RecordingStream::into_inner)
            .map_err(|error| response.to_http_error(&error))
    }

    /// Resolves the name here, and asks for its addresses one after the other.
    async fn connect_socks_by_address(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Stream, ProxyErrorKind> {
        let addresses = tcp::resolve(host, port, self.settings.dns, self.timer)
            .await
            .map_err(ProxyErrorKind::NameNotResolved)?;

        let mut last = None;
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            let target = build_target(&address.ip().to_string(), port)?;
            match self.connect_socks(&target).await {
                // any other error is the same for the next address
                Err(error @ ProxyErrorKind::Refused(_)) => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or_else(|| ProxyErrorKind::Refused("no address".to_owned())))
    }

    async fn connect_socks(&self, target: &Uri) -> Result<Stream, ProxyErrorKind> {
        let user = self.proxy.user.as_ref();
        if let Some(stream) = self.try_socks(target, user).await? {
            return Ok(stream);
        }

        // hyper-util offers one method only: a proxy that takes no user is asked again without
        if user.is_some()
            && let Some(stream) = self.try_socks(target, None).await?
        {
            return Ok(stream);
        }
        Err(ProxyErrorKind::CredentialsRequired)
    }

    /// Asks with SOCKS 5 (RFC 1928). Returns `None` if the proxy does not take the method that is
    /// offered: with a user, or without.
    async fn try_socks(
        &self,
        target: &Uri,
        user: Option<&ProxyUser>,
    ) -> Result<Option<Stream>, ProxyErrorKind> {
        let stream = self.connect_to_proxy().await?;
        let response = RecordedResponse::default();
        let connection = OnceConnector::new(stream, &response);

        let mut socks = SocksV5::new(Uri::default(), connection);
        if let Some(user) = user {
            // the library keeps its own copies for the length of the handshake
            let name = user.name.reveal().clone();
            let password = user.password.reveal().clone();
            // and has room for so much in all
            let host = target.host().map_or(0, str::len);
            if name.len() + password.len() + host > MAX_SOCKS_SIZE {
                return Err(ProxyErrorKind::CredentialsTooLong);
            }
            socks = socks.with_auth(name, password);
        }

        match self.limit(socks.call(target.clone())).await? {
            Ok(stream) => Ok(Some(stream.into_inner())),
            Err(_) if response.refuses_method(user.is_some()) => Ok(None),
            Err(error) => Err(response.to_socks_error(&error.to_string())),
        }
    }

    /// Opens a connection to the proxy itself, within TLS if its scheme says so.
    async fn connect_to_proxy(&self) -> Result<Stream, ProxyErrorKind> {
        let url = &self.proxy.url;
        let stream = tcp::connect(&url.host, url.port, self.settings, self.timer)
            .await
            .map_err(ProxyErrorKind::Unreachable)?;
        if url.scheme != ProxyScheme::Https {
            return Ok(Stream::new(StreamKind::Tcp(stream)));
        }

        // inside this TLS there is the TLS to the web server
        let config = tls::proxy_config();
        tls::connect(&url.host, stream, config, self.settings.tls, self.timer)
            .await
            .map(|stream| Stream::new(StreamKind::Tls(Box::new(stream))))
            .map_err(ProxyErrorKind::Tls)
    }

    /// Bounds the handshake: the proxy has to connect further within it.
    async fn limit<F: Future>(&self, handshake: F) -> Result<F::Output, ProxyErrorKind> {
        let limit = self.settings.connect;
        self.timer
            .within(limit, handshake)
            .await
            .map_err(|_elapsed| ProxyErrorKind::TimedOut(limit))
    }
}

fn build_target(host: &str, port: u16) -> Result<Uri, ProxyErrorKind> {
    Uri::builder()
        .scheme("https")
        .authority(HostPort { host, port }.to_string())
        .path_and_query("/")
        .build()
        .map_err(|_bad| {
            ProxyErrorKind::InvalidResponse("the web server's name is not a host name")
        })
}

/// Returns `Proxy-Authorization` with a user and password (RFC 7617).
fn basic_auth(user: &ProxyUser) -> HeaderValue {
    let plain = Secret::concat(&[user.name.reveal(), ":", user.password.reveal()]);
    // secrets again: each copy is wiped when it is dropped
    let encoded = Secret::new(STANDARD.encode(plain.reveal()));
    Secret::concat(&["Basic ", encoded.reveal()])
        .into_header()
        // base64 is always a valid value
        .unwrap_or_else(|| HeaderValue::from_static(""))
}

/// The beginning of a proxy's response.
#[derive(Clone, Default)]
struct RecordedResponse(Arc<Mutex<Vec<u8>>>);

impl RecordedResponse {
    fn record(&self, bytes: &[u8]) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // a proxy may send without end
        let room = MAX_RECORDED.saturating_sub(recorded.len());
        recorded.extend(bytes.iter().take(room));
    }

    fn bytes(&self) -> Vec<u8> {
        let recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.clone()
    }

    /// Returns `true` if a SOCKS proxy has chosen another method than the one that was offered.
    fn refuses_method(&self, has_user: bool) -> bool {
        let other = if has_user { NO_USER } else { USER };
        // version and chosen method come first (RFC 1928 section 3)
        matches!(
            self.bytes().as_slice(),
            [SOCKS_5, method, ..] if [other, NO_METHOD].contains(method)
        )
    }

    /// Returns the error of a SOCKS proxy; `text` is the library's.
    fn to_socks_error(&self, text: &str) -> ProxyErrorKind {
        let text = text.strip_prefix("SOCKS error: ").unwrap_or(text);
        match self.bytes().as_slice() {
            [] => {
                ProxyErrorKind::InvalidResponse("it closed the connection without a response")
            }
            [version, ..] if *version != SOCKS_5 => {
                ProxyErrorKind::InvalidResponse("its response is not SOCKS 5")
            }

            // the words are all that distinguishes the library's errors
            _ if text.contains("not accepted") => ProxyErrorKind::CredentialsRejected,
            _ if text.contains("io error") => {
                ProxyErrorKind::InvalidResponse("it closed the connection during the handshake")
            }
            _ if text.contains("parsing") => {
                ProxyErrorKind::InvalidResponse("its response is invalid")
            }
            _ => ProxyErrorKind::Refused(text.to_owned()),
        }
    }

    /// Returns the error of an HTTP proxy: its status line, and the schemes that it accepts for a
    /// password. `error` is the library's.
    fn to_http_error(&self, error: &dyn Error) -> ProxyErrorKind {
        let bytes = self.bytes();
        let text = String::from_utf8_lossy(&bytes);

        // `HTTP/1.1 403 Forbidden`: the version takes 9 bytes
        let mut lines = text.lines();
        let status = lines.next().unwrap_or_default().trim();
        let status = status
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..));

        // the words are all that distinguishes the library's errors
        if let Some(status) = status
            && error.to_string().contains("unexpected end")
        {
            let status = to_printable(status);
            tracing::debug!(status, "the proxy's response is cut short");
            return ProxyErrorKind::InvalidResponse("its response is incomplete");
        }
        let Some(status) = status.filter(|status| !status.starts_with("200")) else {
            return ProxyErrorKind::InvalidResponse(match (text.is_empty(), error.source()) {
                (true, Some(_)) => "it broke the connection without a response",
                (true, None) => "it closed the connection without a response",
                (false, _) if status.is_some() => {
                    "the head of its response is too long or invalid"
                }
                (false, _) => "its response is not HTTP",
            });
        };

        let schemes = lines
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("proxy-authenticate"))
            // one field may name several, each with parameters (RFC 9110 section 11.6.1)
            .flat_map(|(_, value)| value.split(','))
            .filter_map(|challenge| challenge.split_ascii_whitespace().next())
            .filter(|scheme| !scheme.contains('='))
            .map(to_printable)
            .collect();
        ProxyErrorKind::UnexpectedStatus {
            status: to_printable(status),
            schemes,
        }
    }
}

/// Returns a short printable line: the text may come from anywhere.
fn to_printable(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    text.chars().map(printable).take(MAX_LINE).collect()
}

/// A connector for hyper-util that returns the one connection that is open already.
struct OnceConnector {
    stream: Option<RecordingStream>,
}

impl OnceConnector {
    fn new(stream: Stream, response: &RecordedResponse) -> Self {
        let stream = TokioIo::new(stream);
        let response = response.clone();
        Self {
            stream: Some(RecordingStream { stream, response }),
        }
    }
}

impl Service<Uri> for OnceConnector {
    type Response = RecordingStream;
    type Error = io::Error;
    type Future = Ready<io::Result<RecordingStream>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _proxy: Uri) -> Self::Future {
        let taken = || io::Error::other("the connection is taken");
        completed(self.stream.take().ok_or_else(taken))
    }
}

/// A connection that records the beginning of what it reads.
struct RecordingStream {
    stream: TokioIo<Stream>,
    response: RecordedResponse,
}

impl RecordingStream {
    fn into_inner(self) -> Stream {
        self.stream.into_inner()
    }
}

impl Read for RecordingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // a buffer of its own: hyper's cursor cannot be read back
        let mut bytes = [0; 1024];
        let room = buf.remaining().min(bytes.len());
        let (space, _) = bytes.split_at_mut(room);
        let mut own = hyper::rt::ReadBuf::new(space);

        ready!(Pin::new(&mut self.stream).poll_read(cx, own.unfilled()))?;
        self.response.record(own.filled());
        buf.put_slice(own.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for RecordingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The part of a proxy's response that is kept, in bytes.
const MAX_RECORDED: usize = 8192;
/// User, password and host together, in bytes.
const MAX_SOCKS_SIZE: usize = 240;
/// The version of SOCKS, and its methods (RFC 1928 section 3): without a user, with one, and none
/// is acceptable.
const SOCKS_5: u8 = 5;
const NO_USER: u8 = 0;
const USER: u8 = 2;
const NO_METHOD: u8 = 0xff;
/// The part of a line that is shown, in characters.
const MAX_LINE: usize = 120;
/// Addresses of a name that a SOCKS proxy is asked for, one after the other.
const MAX_ADDRESSES: usize = 4;
