//! How a command ended, told to people and as the exit code.

use super::attend::Left;
use crate::cli::Exit;
use crate::cli::client::{Answer, Client, Lost, Output, Problem, Succeeded};
use crate::cli::neutral::neutral;
use crate::cli::terminal::Terminal;
use crate::names::AirflowVersion;
use crate::policy::Command;
use crate::reply;
use http::StatusCode;
use std::error::Error;
use std::fmt;

/// Prints what came.
pub(super) fn answer(
    answer: Answer,
    command: Option<&Command>,
    as_json: bool,
    terminal: &Terminal,
) -> Exit {
    match answer {
        Answer::Output(output) => self::output(&output, as_json, terminal),
        Answer::Raw(status, body) => {
            terminal.others_bytes(&body);
            raw(status, &body, command, terminal)
        }
        Answer::Odd(status, text) => odd(status, &text, terminal),
        Answer::Fault(problem) => fault(&problem, terminal),
    }
}

/// Prints a command's output.
pub(super) fn output(output: &Output, as_json: bool, terminal: &Terminal) -> Exit {
    if as_json {
        terminal.others(format_args!("{}\n", output.whole));
    } else {
        terminal.others(&output.stdout);
        Terminal::others_talk(&output.stderr);
    }
    judged(output, terminal)
}

/// Reports a reply that is no command's output. Its text helps unless it is a web page.
pub(super) fn odd(status: u16, text: &str, terminal: &Terminal) -> Exit {
    if !text.trim_start().starts_with('<') {
        Terminal::others_talk(text);
    }
    terminal.fail(Exit::Failed, &NoOutput(status), Some(SEE_LOG))
}

fn judged(output: &Output, terminal: &Terminal) -> Exit {
    match output.succeeded {
        Succeeded::Yes => Exit::Done,
        Succeeded::No => {
            if [&output.stdout, &output.stderr].map(|text| text.trim()) == ["", ""] {
                let reason = output.reason.as_deref().map_or_else(|| "".into(), neutral);
                terminal.say(format_args!(
                    "note: the command failed and printed nothing: {reason}"
                ));
            }
            Exit::Failed
        }
        Succeeded::Unknown => unknown(output.reason.as_deref(), terminal),
    }
}

fn unknown(reason: Option<&str>, terminal: &Terminal) -> Exit {
    let reason = reason.map_or_else(String::new, |reason| format!(": {}", neutral(reason)));
    terminal.say(format_args!(
        "note: it can't be told whether the command worked{reason}"
    ));
    Exit::Done
}

/// Judges MWAA's own JSON, which the gateway has passed on without a look.
fn raw(status: u16, body: &[u8], command: Option<&Command>, terminal: &Terminal) -> Exit {
    let asked = reply::Asked {
        command: command.and_then(Command::known_name).unwrap_or("other"),
        json: false,
        repeated: false,
        // not known here, and of no matter to how a result is judged
        version: AirflowVersion::new(2, 0, 0),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    match reply::CliOutput::read(body, status, &asked) {
        Ok(output) => match output.succeeded {
            reply::Succeeded::Yes => Exit::Done,
            reply::Succeeded::No => Exit::Failed,
            reply::Succeeded::Unknown => unknown(output.reason.as_deref(), terminal),
        },
        Err(error) => terminal.fail(Exit::Failed, &error, Some(SEE_LOG)),
    }
}

/// Reports a fault of the gateway, of AWS or of the web server.
pub(super) fn fault(problem: &Problem, terminal: &Terminal) -> Exit {
    let exit = match problem.code.split('.').next() {
        // scripts take 69 for "try again", which may run the command a second time
        Some("aws" | "upstream") if !problem.may_have_run() => Exit::Unavailable,
        _ => Exit::Failed,
    };
    let hint = match problem.code.as_str() {
        "route.unknown_environment" => Some("name one of them with -e".into()),
        _ => problem.hint.as_deref().map(neutral),
    };
    terminal.fail(exit, problem, hint.as_deref())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail.as_deref().unwrap_or(&self.title);
        f.write_str(&neutral(detail))?;
        if self.detail.is_some() && !self.title.is_empty() {
            write!(f, "\n  {}", neutral(&self.title))?;
        }
        write!(f, "\n  {}", neutral(&self.code))?;
        match &self.request_id {
            Some(id) => write!(f, ", request {}", neutral(id)),
            None => Ok(()),
        }
    }
}

impl Error for Problem {}

/// The web server's reply held no command output.
#[derive(Debug)]
struct NoOutput(u16);

impl fmt::Display for NoOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the web server answered {} and no command output",
            self.0
        )
    }
}

impl Error for NoOutput {}

/// Tells that the gateway went away.
pub(super) fn lost(lost: &Lost, terminal: &Terminal) -> Exit {
    let (exit, hint) = match lost {
        Lost::Gone(_) => (Exit::Unavailable, "run it again"),
        Lost::Broken(_) => (
            Exit::Failed,
            "look whether the command ran before it is run again",
        ),
    };
    terminal.fail(exit, lost, Some(hint))
}

/// A signal came before there was any connection.
pub(super) fn early(signal: u8, terminal: &Terminal) -> Exit {
    terminal.tell("interrupted: nothing was sent");
    Exit::Signal(signal)
}

/// Tells what goes on without us.
pub(super) fn left(
    left: &Left,
    command: &Command,
    client: &Client,
    terminal: &Terminal,
) -> Exit {
    let name = command.known_name().unwrap_or("the command");
    let place = client.environment().map(|name| format!(" in {name}"));
    let place = place.unwrap_or_default();
    let request = left.request_id.as_ref();
    let request = request.map_or_else(String::new, |id| format!(" (request {id})"));
    match left.sent {
        Some(false) => {
            terminal.tell(format_args!(
                "interrupted: nothing was sent: {name} had not begun"
            ));
        }
        Some(true) => {
            terminal.tell(format_args!("interrupted: {name} goes on{place}{request}"));
            terminal.say(RUNS_ON);
            terminal.say(slot(client));
            look(command, terminal);
        }
        None => {
            terminal.tell(format_args!(
                "interrupted: {name} may have been sent{place}{request}"
            ));
            terminal.say("If it was, MWAA runs it to its end.");
            terminal.say(slot(client));
            look(command, terminal);
        }
    }
    Exit::Signal(left.signal)
}

fn slot(client: &Client) -> &'static str {
    if client.is_alone() {
        "No gateway runs that would keep its slot: another command may meet it running."
    } else {
        "Its slot is busy until then; the gateway's page /-/ shows it."
    }
}

fn look(command: &Command, terminal: &Terminal) {
    let makes_runs = matches!(
        command.known_name(),
        Some("dags trigger" | "dags backfill" | "trigger_dag" | "backfill" | "backfill create")
    );
    if makes_runs {
        terminal.say("`dags list-runs` shows what has become of it.");
    }
}

const RUNS_ON: &str = "MWAA runs it to its end, whether anybody listens or not.";
/// What to do about a reply that holds no command output.
const SEE_LOG: &str = "the environment's web server log may tell more";
