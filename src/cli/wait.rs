//! `wait`: returns when a running gateway is ready; for scripts and init containers.

use super::inputs::Inputs;
use super::status::ToAsk;
use super::terminal::Terminal;
use super::{Exit, management};
use crate::runtime::Moment;
use clap::Args;
use std::fmt;
use std::io;
use std::time::Duration;

/// The options of `wait`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    inputs: Inputs<ToAsk>,
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
    let address = match options.inputs.management(terminal) {
        Ok(address) => address,
        Err(exit) => return exit,
    };
    let started = Moment::now();
    loop {
        let left = options.timeout.saturating_sub(started.age(Moment::now()));
        let limit = left.clamp(INTERVAL, PATIENCE);
        let last = match management::get(address, "/readyz", limit) {
            Ok((200, _)) => return Exit::Done,
            Ok((_, why)) => shortened(why),
            Err(error) if is_silence(&error) => format!("{address}: no answer"),
            Err(error) if management::is_cut(&error) => {
                format!("{address}: it does not talk as a gateway does")
            }
            Err(error) => format!("{address}: {error}"),
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

/// A read that times out ends with `WouldBlock` here and with `TimedOut` there.
fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// What was said, or its beginning: a program that is no gateway may say anything.
fn shortened(mut why: String) -> String {
    if let Some((end, _)) = why.char_indices().nth(LONGEST_REASON) {
        why.truncate(end);
        why.push('…');
    }
    why
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command that waits has no runtime to block"
)]
fn pause() {
    std::thread::sleep(INTERVAL);
}

/// More than a few environments have to say, in characters.
const LONGEST_REASON: usize = 1000;
/// One question's limit.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between questions.
const INTERVAL: Duration = Duration::from_millis(100);
