//! A command's output out of MWAA's JSON, and the gateway's reading of it.

mod clean;
mod json;
mod judge;
mod noise;
mod outcomes;
mod result;
#[cfg(test)]
mod tests;
mod traceback;
mod wire;

pub use result::{CliResult, Succeeded};
pub use wire::OutputError;
pub(super) use wire::is_load_balancers;

use crate::names::{AirflowVersion, debug_only};
use bytes::Bytes;
use clean::Holds;
use http::StatusCode;

/// What is known of the command whose output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Its name in the table of commands (`dags trigger`), or `other`.
    pub command: &'static str,
    /// Whether it was asked for `-o json`.
    pub json: bool,
    /// The environment's Airflow.
    pub version: AirflowVersion,
    /// Whether it was written twice, because nobody knew what became of the first time.
    pub repeated: bool,
}

/// What a command printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CliOutput {
    /// Its standard output, decoded.
    pub stdout: String,
    /// Its standard error, decoded.
    pub stderr: String,
    /// Whether it worked, as far as status and text tell.
    pub succeeded: Succeeded,
    /// Why it is judged so.
    pub reason: Option<String>,
    asked: Asked,
}

debug_only!(CliOutput: succeeded);

impl CliOutput {
    /// Reads MWAA's JSON.
    pub fn read(raw: &[u8], status: StatusCode, asked: &Asked) -> Result<Self, OutputError> {
        let (stdout, stderr) = wire::streams(raw)?;
        let (mut succeeded, mut reason) = judge::judge(asked.command, status, &stdout, &stderr);
        if asked.repeated && judge::run_exists(&stderr) {
            (succeeded, reason) = (Succeeded::Yes, Some(EXISTS.to_owned()));
        }
        Ok(Self {
            stdout,
            stderr,
            succeeded,
            reason,
            asked: *asked,
        })
    }

    /// How much it printed, in bytes.
    pub(super) const fn size(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    /// Standard output, or what a person wants to read of a command that failed.
    pub(super) fn text(&self) -> &String {
        if self.succeeded == Succeeded::No && !self.stderr.trim().is_empty() {
            &self.stderr
        } else {
            &self.stdout
        }
    }

    /// The full result: warnings and colour codes apart, the JSON document found.
    pub fn full(self) -> CliResult {
        let holds = self.asked.holds();
        let output = clean::clean(&self.stdout, holds);
        let errors = clean::clean(&self.stderr, Holds::Output);
        let document = self
            .asked
            .json
            .then(|| json::document(&output.kept).map(str::to_owned));
        let json = document.as_ref().map(|document| {
            document
                .as_deref()
                .and_then(|document| serde_json::from_str(document).ok())
                .unwrap_or_default()
        });
        CliResult {
            output: document.flatten().unwrap_or(output.kept),
            warnings: [output.noise, errors.noise].concat(),
            errors: errors.kept,
            json,
            stdout: self.stdout,
            stderr: self.stderr,
            succeeded: self.succeeded,
            reason: self.reason,
        }
    }

    /// `{"stdout","stderr","succeeded"}`.
    pub(super) fn json(&self) -> Bytes {
        let value = serde_json::json!({
            "stdout": self.stdout,
            "stderr": self.stderr,
            "succeeded": self.succeeded,
        });
        Bytes::from(format!("{value}\n"))
    }
}

/// Why a second write that Airflow refused is a success.
const EXISTS: &str = "written twice: the run exists, so the first write had taken effect";

impl Asked {
    /// What its standard output may hold besides lines that Airflow's own code prints.
    fn holds(&self) -> Holds {
        match self.command {
            "variables get" => Holds::Text,
            "dags test" | "tasks test" | "tasks run" | "dags backfill" | "backfill" | "run"
            | "test" => Holds::Logs,
            _ => Holds::Output,
        }
    }
}
