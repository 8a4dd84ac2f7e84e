//! Asks a running gateway: one question, one reply.

use crate::runtime::Moment;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Asks the management address for a path: the status code (0 if it does not talk as a gateway
/// does) and the body. All of it within `limit`, however slowly the other side talks.
pub(super) fn get(
    address: SocketAddr,
    path: &str,
    limit: Duration,
) -> io::Result<(u16, String)> {
    let reply = ask(address, path, limit)?;
    let said = reply
        .split_once("\r\n\r\n")
        .map_or("it does not talk as a gateway does", |(_, body)| body)
        .trim()
        .to_owned();
    Ok((status(&reply), said))
}

/// Whether the other side took the connection and closed it, as a TLS port does.
pub(super) fn is_cut(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Whether a gateway answers at this address: its listener, or its management address.
pub(super) fn is_gateway(address: SocketAddr) -> bool {
    let ask = |path: &str| ask(address, path, QUICK).unwrap_or_default();
    let listener = || {
        let reply = ask("/-/icon.svg").to_ascii_lowercase();
        reply.contains(REQUEST_ID)
    };
    let management = || {
        let reply = ask("/startupz");
        status(&reply) == 200 && reply.ends_with("\r\n\r\nok\n")
    };
    listener() || management()
}

fn ask(address: SocketAddr, path: &str, limit: Duration) -> io::Result<String> {
    let started = Moment::now();
    let left = || match limit.saturating_sub(started.age(Moment::now())) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut reply = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while reply.len() < LONGEST_REPLY {
        stream.set_read_timeout(Some(left()?))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        reply.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn status(reply: &str) -> u16 {
    reply
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or(0)
}

/// On every reply of a gateway's listener.
const REQUEST_ID: &str = "\r\nmwaa-gateway-request-id:";
/// A gateway of this machine answers at once.
const QUICK: Duration = Duration::from_secs(1);
/// More than a gateway with a thousand environments says.
const LONGEST_REPLY: usize = 4 << 20;
