//! The output of Airflow's commands: reads MWAA's response, determines if the command succeeded,
//! and separates what the command printed from warnings and log lines. Pure: no I/O, no clock.

mod json;
mod log_lines;
mod response;
mod success;
#[cfg(test)]
mod tests;
mod traceback;

pub use response::{OutputError, is_load_balancer_status};

use bytes::Bytes;
use http::StatusCode;
use log_lines::{CleanOutput, OutputKind};
use mwaa_model::{AirflowVersion, debug_fields};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A command, as far as the reader of its output must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandFacts {
    /// Its name in the table of commands (`dags trigger`), or `other`.
    pub command: &'static str,
    /// True if it has `-o json`.
    pub json: bool,
    /// The environment's Airflow.
    pub version: AirflowVersion,
    /// True if it was sent a second time because the outcome of the first was unknown.
    pub repeated: bool,
}

impl CommandFacts {
    /// Returns the same facts with [`repeated`](Self::repeated) set.
    #[must_use]
    pub fn with_repeated(self, repeated: bool) -> Self {
        Self { repeated, ..self }
    }

    /// Returns the kind of the command's standard output.
    fn output_kind(&self) -> OutputKind {
        match self.command {
            "variables get" => OutputKind::UserText,
            // Airflow 1.10 has the last three
            "dags test" | "tasks test" | "tasks run" | "dags backfill" | "backfill" | "run"
            | "test" => OutputKind::TaskLog,
            _ => OutputKind::Command,
        }
    }
}

/// The decoded output of a command.
#[derive(Clone, PartialEq, Eq)]
pub struct CliOutput {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// The success of the command, as determined from the status and the texts.
    pub succeeded: SuccessStatus,
    /// The reason for it, without arguments of the command.
    pub reason: Option<String>,
    facts: CommandFacts,
}

debug_fields!(CliOutput: succeeded);

impl CliOutput {
    /// Parses MWAA's JSON and determines if the command succeeded. Fails if the body is not that
    /// JSON.
    pub fn parse(
        body: &[u8],
        status: StatusCode,
        facts: &CommandFacts,
    ) -> Result<Self, OutputError> {
        let (stdout, stderr) = response::decode_streams(body)?;
        let (succeeded, reason) = success::determine_success(facts, status, &stdout, &stderr);
        Ok(Self {
            stdout,
            stderr,
            succeeded,
            reason,
            facts: *facts,
        })
    }

    /// Returns the size of both streams, in bytes.
    pub const fn size(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    /// Returns standard output; if the command failed, the standard error if there is any.
    pub fn into_text(self) -> String {
        choose_text(self.succeeded, self.stdout, self.stderr)
    }

    /// Returns the full result: warnings and colour codes separated, the JSON document found.
    pub fn into_result(self) -> CliResult {
        let output = CleanOutput::new(&self.stdout, self.facts.output_kind());
        let errors = CleanOutput::new(&self.stderr, OutputKind::Command);

        let wants_json = self.facts.json;
        // searched without the messages, whose lines may begin with brackets
        let document = wants_json
            .then(|| json::find_document(&output.text))
            .flatten();
        let json = wants_json.then(|| {
            let value = document.and_then(|document| serde_json::from_str(document).ok());
            value.unwrap_or_default()
        });

        CliResult {
            output: document.map(str::to_owned).unwrap_or(output.text),
            warnings: [output.messages, errors.messages].concat(),
            errors: errors.text,
            json,
            stdout: self.stdout,
            stderr: self.stderr,
            succeeded: self.succeeded,
            reason: self.reason,
        }
    }

    /// Returns `{"stdout","stderr","succeeded"}`, as one line.
    pub fn to_json(&self) -> Bytes {
        let value = serde_json::json!({
            "stdout": self.stdout,
            "stderr": self.stderr,
            "succeeded": self.succeeded,
        });
        Bytes::from(format!("{value}\n"))
    }
}

/// The full result of a command: the media type
/// `application/vnd.mwaa-gateway.cli+json; detail=full`.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct CliResult {
    /// Its standard output, decoded and otherwise unchanged.
    pub stdout: String,
    /// Its standard error, decoded and otherwise unchanged.
    pub stderr: String,
    /// The success of the command.
    pub succeeded: SuccessStatus,
    /// The reason: `status 400`, `stderr: airflow.exceptions.DagNotFound`; none if nothing spoke
    /// against success.
    pub reason: Option<String>,
    /// `stdout` without warnings and colour codes; of `-o json` the bare document.
    pub output: String,
    /// The warnings and log lines of both streams, without colour codes, one text each.
    pub warnings: Vec<String>,
    /// `stderr` without warnings and colour codes.
    pub errors: String,
    /// The document in `stdout` of a command with `-o json`, null if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
}

impl CliResult {
    /// Returns the result as one line of JSON.
    pub fn to_json(&self) -> Bytes {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        Bytes::from(line)
    }

    /// Returns the output; if the command failed, its errors if there are any.
    pub fn into_text(self) -> String {
        choose_text(self.succeeded, self.output, self.errors)
    }
}

impl std::fmt::Debug for CliResult {
    /// The output of a command may contain secrets: sizes only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CliResult")
            .field("stdout", &self.stdout.len())
            .field("stderr", &self.stderr.len())
            .field("succeeded", &self.succeeded)
            .field("warnings", &self.warnings.len())
            .finish_non_exhaustive()
    }
}

/// Returns the text that a person wants to read.
fn choose_text(succeeded: SuccessStatus, output: String, errors: String) -> String {
    if succeeded == SuccessStatus::No && !errors.trim().is_empty() {
        errors
    } else {
        output
    }
}

/// The success of a command, as far as it can be determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuccessStatus {
    /// It succeeded: `true`.
    Yes,
    /// It failed: `false`.
    No,
    /// Neither the status nor the texts say: `"unknown"`.
    Unknown,
}

impl SuccessStatus {
    /// Returns `true`, `false` or `unknown`, for headers and people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "true",
            Self::No => "false",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for SuccessStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // JSON's own values, so that scripts can use them as they are
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::Unknown => serializer.serialize_str(self.as_str()),
        }
    }
}
