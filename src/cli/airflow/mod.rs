//! `airflow`: one Airflow command, through the running gateway or without one.

mod attend;
mod ending;
mod import;
mod waiting;

use super::Exit;
use super::client::{Ask, Client, Form, Target};
use super::serve::control;
use super::signals::Signals;
use super::terminal::Terminal;
use crate::app::StartError;
use crate::names::Fault as _;
use crate::policy::Command;
use attend::{Attended, attend};
use clap::{Args, ValueEnum};
use import::{Unfit, Wishes};
use waiting::Waiting;

/// The options of `airflow`.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    target: Target,
    /// Print the result as JSON, instead of the command's own stdout and stderr
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    /// Let a `dags trigger` with a --run-id be written once more if its outcome is unknown
    #[arg(long)]
    repeatable: bool,
    /// Go on with an import that did not come to its end
    #[arg(long)]
    resume: bool,
    /// The Airflow command, as `airflow` itself takes it
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// MWAA's own, byte for byte, with both streams in base64
    Raw,
    /// The gateway's: both streams as text, whether the command worked, and why
    Json,
}

impl Options {
    /// The import that the command asks for, and its file's text.
    fn import(&self) -> Result<Option<(import::Request, String)>, Unfit> {
        match import::Request::read(&self.command) {
            None if self.resume => {
                let what = "--resume is for variables, connections and pools import";
                Err(Unfit::Arguments(what.to_owned()))
            }
            None => Ok(None),
            Some(_) if self.output == Some(Output::Raw) => {
                let what = "an import is many commands: it has no raw output";
                Err(Unfit::Arguments(what.to_owned()))
            }
            Some(request) => {
                let request = request?;
                let text = request.text()?;
                Ok(Some((request, text)))
            }
        }
    }
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let command = match Command::from_words(&options.command) {
        Ok(command) => command,
        Err(refusal) => return terminal.fail(Exit::Usage, &refusal, Some(&refusal.hint())),
    };
    // what an import reads is on this machine: it is read before anything is asked
    let import = match options.import() {
        Ok(import) => import,
        Err(unfit) => {
            let exit = match unfit {
                Unfit::Arguments(_) => Exit::Usage,
                Unfit::Unreadable(..) | Unfit::Content(_) => Exit::Failed,
            };
            return terminal.fail(exit, &unfit, None);
        }
    };
    let prepared = match options.target.prepare(terminal) {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    control(terminal, async {
        let mut signals = Signals::listen().map_err(StartError::Thread)?;
        let found = tokio::select! {
            found = Client::find(prepared, terminal) => found,
            number = signals.next() => return Ok(ending::early(number, terminal)),
        };
        let mut client = match found {
            Ok(client) => client,
            Err(absent) => return absent.end(),
        };
        if let Some((request, text)) = import {
            let wishes = Wishes {
                resume: options.resume,
                as_json: options.output == Some(Output::Json),
                limit: client.longest_command(),
            };
            let exit =
                import::run(&request, &text, wishes, &mut client, &mut signals, terminal).await;
            client.end().await;
            return Ok(exit);
        }
        let form = match options.output {
            Some(Output::Raw) => Form::Raw,
            Some(Output::Json) | None => Form::Full,
        };
        let ask = Ask {
            form,
            repeatable: options.repeatable,
        };
        let mut waiting = Waiting::new(&command, client.environment(), terminal);
        let attended = attend(&mut client, &command, ask, &mut signals, &mut waiting).await;
        drop(waiting);
        match attended {
            Attended::Ended(Ok(answer), _) => {
                let exit = ending::answer(
                    answer,
                    Some(&command),
                    options.output == Some(Output::Json),
                    terminal,
                );
                client.end().await;
                Ok(exit)
            }
            Attended::Ended(Err(lost), _) => Ok(ending::lost(&lost, terminal)),
            Attended::Left(left) => Ok(ending::left(&left, &command, &client, terminal)),
        }
    })
}
