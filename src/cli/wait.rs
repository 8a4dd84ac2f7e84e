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
        let last = match ask(options.management) {
            Ok((true, _)) => return Exit::Done,
            Ok((false, why)) => why,
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

/// Asks `/readyz`: whether it is ready, and what it said.
fn ask(address: SocketAddr) -> io::Result<(bool, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut reply = String::new();
    stream.take(LONGEST_REPLY).read_to_string(&mut reply)?;
    let ready = reply.starts_with("HTTP/1.1 200 ");
    let said = reply
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body)
        .trim()
        .to_owned();
    Ok((ready, said))
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
const LONGEST_REPLY: u64 = 64 * 1024;
