//! The commands of an import, one after the other over one connection.

use super::progress::Progress;
use crate::cli::airflow::attend::{Attended, Left, attend};
use crate::cli::client::{Answer, Client, Form, Lost, Output, Problem, Succeeded};
use crate::cli::signals::Signals;
use crate::names::AirflowVersion;
use crate::policy::Command;
use serde_json::Value;
use std::collections::BTreeSet;

/// What runs the commands.
pub(super) struct Caller<'a> {
    pub(super) client: &'a mut Client,
    pub(super) signals: &'a mut Signals,
    pub(super) progress: Progress,
    /// A signal that came while the last command ended: nothing more may be sent.
    pub(super) interrupted: Option<u8>,
}

/// How a command ended.
#[derive(Debug)]
pub(super) enum Called {
    /// It ran.
    Output(Box<Output>),
    /// The web server answered with something else.
    Odd(u16),
    /// The gateway refused it, or could not do it.
    Fault(Box<Problem>),
    /// The gateway went away.
    Lost(Lost),
    /// A signal came.
    Left(Left),
}

impl Caller<'_> {
    /// Runs a command.
    pub(super) async fn call(&mut self, command: &Command) -> Called {
        if let Some(signal) = self.interrupted {
            return Called::Left(Left::before(signal));
        }
        let progress = &mut self.progress;
        let attended = attend(self.client, command, Form::Full, self.signals, progress).await;
        let (ended, signal) = match attended {
            Attended::Ended(ended, signal) => (ended, signal),
            Attended::Left(left) => return Called::Left(left),
        };
        self.interrupted = signal;
        match ended {
            Ok(Answer::Output(output)) => Called::Output(output),
            Ok(Answer::Odd(status, _) | Answer::Raw(status, _)) => Called::Odd(status),
            Ok(Answer::Fault(problem)) => Called::Fault(problem),
            Err(lost) => Called::Lost(lost),
        }
    }

    /// The environment's Airflow.
    pub(super) async fn version(&mut self) -> Result<AirflowVersion, Called> {
        let output = self.ask(&["version"]).await?;
        let text = output.whole.get("output").and_then(Value::as_str);
        let version = text.unwrap_or(&output.stdout).lines().next_back();
        version
            .and_then(|version| version.trim().parse().ok())
            .ok_or(Called::Output(output))
    }

    /// The names of the variables that are there.
    pub(super) async fn variables(&mut self) -> Result<BTreeSet<String>, Called> {
        let output = self.ask(&["variables", "list", "-o", "json"]).await?;
        let names = output.whole.get("json").and_then(Value::as_array);
        let names = names.map(|rows| {
            rows.iter()
                .filter_map(|row| Some(row.get("key")?.as_str()?.to_owned()))
                .collect()
        });
        names.ok_or(Called::Output(output))
    }

    async fn ask(&mut self, words: &[&str]) -> Result<Box<Output>, Called> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        // plain words can always be read
        let Ok(command) = Command::from_words(&words) else {
            return Err(Called::Odd(400));
        };
        match self.call(&command).await {
            Called::Output(output) if output.succeeded == Succeeded::Yes => Ok(output),
            other => Err(other),
        }
    }
}
