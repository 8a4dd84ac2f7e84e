//! `wait`: returns when a running gateway is ready; for scripts and init containers.

use super::Exit;
use super::terminal::Terminal;
use crate::config::env;
use crate::runtime::Moment;
use clap::Args;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The options of `wait`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// The management address of the gateway
    #[arg(long, value_name = "ADDR", env = env::MANAGEMENT, default_value = "127.0.0.1:9180")]
    management: SocketAddr,
}

#[derive(Debug)]
struct NotReady {
    after: Duration,
    last: String,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not ready after {}: {}",
            humantime::format_duration(self.after),
            self.last
        )
    }
}

impl std::error::Error for NotReady {}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let started = Moment::now();
    loop {
        let left = options.timeout.saturating_sub(started.age(Moment::now()));
        let last = match ask(options.management, left.clamp(INTERVAL, PATIENCE)) {
            Ok((true, _)) => return Exit::Done,
            Ok((false, why)) => why,
            Err(error) if is_silence(&error) => format!("{}: no answer", options.management),
            Err(error) => format!("{}: {error}", options.management),
        };
        if started.age(Moment::now()) >= options.timeout {
            let hint = "is the gateway running, and is this its management address?";
            let error = NotReady {
                after: options.timeout,
                last,
            };
            return terminal.fail(Exit::Failed, &error, Some(hint));
        }
        pause();
    }
}

/// Asks `/readyz`: whether it is ready, and what it said. All of it within `limit`, however
/// slowly the other side talks.
fn ask(address: SocketAddr, limit: Duration) -> io::Result<(bool, String)> {
    let started = Moment::now();
    let left = || match limit.saturating_sub(started.age(Moment::now())) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    while reply.len() < LONGEST_REPLY {
        stream.set_read_timeout(Some(left()?))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        reply.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    let reply = String::from_utf8_lossy(&reply);
    let ready = reply.starts_with("HTTP/1.1 200 ");
    let said = reply
        .split_once("\r\n\r\n")
        .map_or("it does not talk as a gateway does", |(_, body)| body)
        .trim()
        .to_owned();
    Ok((ready, said))
}

/// A read that times out ends with `WouldBlock` here and with `TimedOut` there.
fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command that waits has no runtime to block"
)]
fn pause() {
    std::thread::sleep(INTERVAL);
}

/// One question's limit.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between questions.
const INTERVAL: Duration = Duration::from_millis(100);
/// More than any `/readyz` says.
const LONGEST_REPLY: usize = 64 * 1024;
