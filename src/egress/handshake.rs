//! Asks a proxy for a connection: SOCKS 5 and HTTP CONNECT, spoken by hyper-util. What the proxy
//! answered is kept for people.

use super::addresses::{connect, resolve};
use super::{ProxyFailure, Settings, Stream, Via, address, tls};
use crate::names::{ProxyScheme, ProxyUser, Secret};
use crate::runtime::Timer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready as completed};
use tower_service::Service;

/// Opens a connection to `host:port` through the proxy.
pub(super) async fn through(
    via: &Via,
    host: &str,
    port: u16,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<Stream, ProxyFailure> {
    match via.url.scheme {
        ProxyScheme::Http | ProxyScheme::Https => {
            let target = target(host, port)?;
            let stream = to_proxy(via, settings, timer).await?;
            let asked = asked_by_connect(stream, target, via.user.as_ref());
            timer
                .within(settings.connect, asked)
                .await
                .map_err(|_elapsed| ProxyFailure::Silent(settings.connect))?
        }
        ProxyScheme::Socks5h => by_socks(via, target(host, port)?, settings, timer).await,
        ProxyScheme::Socks5 => {
            let addresses = resolve(host, port, settings.dns, timer)
                .await
                .map_err(ProxyFailure::NoName)?;
            let mut last = None;
            for found in addresses.into_iter().take(MOST_ADDRESSES) {
                let target = target(&found.ip().to_string(), port)?;
                match by_socks(via, target, settings, timer).await {
                    // only what the proxy says of one address is no word on the next
                    Err(failure @ ProxyFailure::Refused(_)) => last = Some(failure),
                    ended => return ended,
                }
            }
            Err(last.unwrap_or_else(|| ProxyFailure::Refused("no address".to_owned())))
        }
    }
}

/// A connection to the proxy itself, within TLS where its scheme says so.
async fn to_proxy(
    via: &Via,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<Stream, ProxyFailure> {
    let tcp = connect(&via.url.host, via.url.port, settings, timer)
        .await
        .map_err(ProxyFailure::Unreachable)?;
    if via.url.scheme != ProxyScheme::Https {
        return Ok(Stream::tcp(tcp));
    }
    let config = tls::proxy_config();
    tls::handshake(&via.url.host, tcp, config, settings.tls, timer)
        .await
        .map(Stream::tls)
        .map_err(|failure| ProxyFailure::Tls(failure.to_string()))
}

async fn asked_by_connect(
    stream: Stream,
    target: Uri,
    user: Option<&ProxyUser>,
) -> Result<Stream, ProxyFailure> {
    let answer = Answer::default();
    let mut tunnel = Tunnel::new(Uri::default(), Once::new(stream, &answer));
    if let Some(user) = user {
        tunnel = tunnel.with_auth(basic(user));
    }
    match tunnel.call(target).await {
        Ok(heard) => Ok(heard.stream.into_inner()),
        Err(error) => Err(answer.failure(&error)),
    }
}

async fn by_socks(
    via: &Via,
    target: Uri,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<Stream, ProxyFailure> {
    match asked_by_socks(via, via.user.as_ref(), &target, settings, timer).await {
        // the library offers one way of signing in; a proxy that wants none is asked again
        Err(ProxyFailure::WantsNoUser) => {
            asked_by_socks(via, None, &target, settings, timer).await
        }
        ended => ended,
    }
}

async fn asked_by_socks(
    via: &Via,
    user: Option<&ProxyUser>,
    target: &Uri,
    settings: &Settings,
    timer: &impl Timer,
) -> Result<Stream, ProxyFailure> {
    let stream = to_proxy(via, settings, timer).await?;
    let answer = Answer::default();
    let mut socks = SocksV5::new(Uri::default(), Once::new(stream, &answer));
    if let Some(user) = user {
        // the library keeps its own copies for the length of the handshake
        let (name, password) = (user.name.reveal().clone(), user.password.reveal().clone());
        // and has room for so much in all
        let host = target.host().map_or(0, str::len);
        if name.len() + password.len() + host > LONGEST_SOCKS {
            return Err(ProxyFailure::LongUser);
        }
        socks = socks.with_auth(name, password);
    }
    let asked = async {
        match socks.call(target.clone()).await {
            Ok(heard) => Ok(heard.stream.into_inner()),
            Err(error) => Err(answer.socks_failure(&error.to_string(), user.is_some())),
        }
    };
    timer
        .within(settings.connect, asked)
        .await
        .map_err(|_elapsed| ProxyFailure::Silent(settings.connect))?
}

fn target(host: &str, port: u16) -> Result<Uri, ProxyFailure> {
    Uri::builder()
        .scheme("https")
        .authority(address(host, port))
        .path_and_query("/")
        .build()
        .map_err(|_bad| ProxyFailure::Broken("the web server's name is no host name"))
}

/// `Proxy-Authorization` with a user and password (RFC 7617).
fn basic(user: &ProxyUser) -> HeaderValue {
    let plain = Secret::concat(&[user.name.reveal(), ":", user.password.reveal()]);
    let encoded = Secret::new(STANDARD.encode(plain.reveal()));
    Secret::concat(&["Basic ", encoded.reveal()])
        .into_header()
        .unwrap_or_else(|| HeaderValue::from_static(""))
}

/// The beginning of what a proxy answered.
#[derive(Clone, Default)]
struct Answer(Arc<Mutex<Vec<u8>>>);

impl Answer {
    fn hear(&self, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = LONGEST_ANSWER.saturating_sub(heard.len());
        heard.extend(bytes.iter().take(room));
    }

    fn text(&self) -> String {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// What a SOCKS proxy said, where the library gives this text.
    fn socks_failure(&self, text: &str, has_user: bool) -> ProxyFailure {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text.strip_prefix("SOCKS error: ").unwrap_or(text);
        // version and chosen method come first (RFC 1928 section 3)
        match heard.as_slice() {
            [] => ProxyFailure::Broken("it closed the connection without an answer"),
            [version, ..] if *version != 5 => {
                ProxyFailure::Broken("what it answers is not SOCKS 5")
            }
            [_, NO_USER | NOTHING] if has_user => ProxyFailure::WantsNoUser,
            [_, USER | NOTHING] if !has_user => ProxyFailure::WantsUser,
            _ if text.contains("not accepted") => ProxyFailure::WrongUser,
            _ if text.contains("io error") => {
                ProxyFailure::Broken("it closed the connection in the middle of the handshake")
            }
            _ if text.contains("parsing") => ProxyFailure::Broken("its answer is broken"),
            _ => ProxyFailure::Refused(text.to_owned()),
        }
    }

    /// What an HTTP proxy said: its status line, and which schemes it wants for a password.
    fn failure(&self, error: &dyn Error) -> ProxyFailure {
        let text = self.text();
        let mut lines = text.lines();
        let status = lines.next().unwrap_or_default().trim();
        // the library tells its errors apart by their words only
        let how = error.to_string();
        let status = status
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..));
        if let Some(status) = status
            && how.contains("unexpected end")
        {
            tracing::debug!(status = clean(status), "the proxy's answer is cut short");
            return ProxyFailure::Broken("it cut its answer short");
        }
        let Some(status) = status.filter(|status| !status.starts_with("200")) else {
            return ProxyFailure::Broken(match (text.is_empty(), error.source()) {
                (true, Some(_)) => "it broke the connection without an answer",
                (true, None) => "it closed the connection without an answer",
                (false, _) if status.is_some() => {
                    "the head of its answer is too long or broken"
                }
                (false, _) => "what it answers is not HTTP",
            });
        };
        let wants = lines
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("proxy-authenticate"))
            // one field may name several, each with parameters (RFC 9110 section 11.6.1)
            .flat_map(|(_, value)| value.split(','))
            .filter_map(|challenge| challenge.split_ascii_whitespace().next())
            .filter(|scheme| !scheme.contains('='))
            .map(clean)
            .collect();
        ProxyFailure::Answered {
            status: clean(status),
            wants,
        }
    }
}

/// A short printable line: the text may come from anywhere.
fn clean(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    text.chars().map(printable).take(LONGEST_LINE).collect()
}

/// Hands hyper-util the one connection that is open already.
struct Once {
    stream: Option<Heard>,
}

impl Once {
    fn new(stream: Stream, answer: &Answer) -> Self {
        let stream = TokioIo::new(stream);
        let answer = answer.clone();
        Self {
            stream: Some(Heard { stream, answer }),
        }
    }
}

impl Service<Uri> for Once {
    type Response = Heard;
    type Error = io::Error;
    type Future = Ready<io::Result<Heard>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _proxy: Uri) -> Self::Future {
        let taken = || io::Error::other("the connection is taken");
        ready(self.stream.take().ok_or_else(taken))
    }
}

/// A connection that notes the beginning of what comes from it.
struct Heard {
    stream: TokioIo<Stream>,
    answer: Answer,
}

impl Read for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; 1024];
        let room = buf.remaining().min(bytes.len());
        let (space, _) = bytes.split_at_mut(room);
        let mut own = hyper::rt::ReadBuf::new(space);
        completed!(Pin::new(&mut self.stream).poll_read(cx, own.unfilled()))?;
        self.answer.hear(own.filled());
        buf.put_slice(own.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Heard {
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

/// Of a proxy's answer so much is kept, in bytes.
const LONGEST_ANSWER: usize = 8192;
/// User, password and host together, in bytes.
const LONGEST_SOCKS: usize = 240;
/// Methods of SOCKS 5 (RFC 1928 section 3): none is asked for, a user is, none is acceptable.
const NO_USER: u8 = 0;
const USER: u8 = 2;
const NOTHING: u8 = 0xff;
/// Of a line of it so much is shown, in characters.
const LONGEST_LINE: usize = 120;
/// Addresses of a name that a SOCKS proxy is asked for, one after the other.
const MOST_ADDRESSES: usize = 4;
