//! The output of Airflow's commands: reads MWAA's response, determines if the command succeeded,
//! and separates what the command printed from warnings and log lines. Pure: no I/O, no clock.

mod json;
mod log_lines;
mod success;
#[cfg(test)]
mod tests;
mod traceback;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::StatusCode;
use log_lines::{CleanOutput, OutputKind};
use mwaa_model::{AirflowVersion, Code, Fault, code, debug_fields};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::error::Error;

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
        let (stdout, stderr) = decode_streams(body)?;
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

/// A response that is no command's output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The response broke off.
    #[error("the command ran, but its response was cut off")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// It is not MWAA's JSON, or not base64 within.
    #[error("the response contains no command output: {0}")]
    Malformed(&'static str),
    /// A 502, 503 or 504 without MWAA's JSON: the load balancer in front of the web server
    /// answered.
    #[error(
        "the load balancer returned {}: {}{}",
        status.as_u16(),
        explain_load_balancer(*status),
        if facts.repeated { SENT_TWICE } else { "" }
    )]
    LoadBalancer {
        /// Its status, which the fault keeps.
        status: StatusCode,
        /// The command.
        facts: CommandFacts,
    },
    /// It is larger than the limit.
    #[error("the command ran, but its output is larger than limits.cli_output ({limit} bytes)")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl Fault for OutputError {
    fn code(&self) -> &'static Code {
        match self {
            Self::LoadBalancer { status, .. } => match *status {
                StatusCode::GATEWAY_TIMEOUT => &code::UPSTREAM_TIMEOUT,
                StatusCode::SERVICE_UNAVAILABLE => &code::UPSTREAM_UNAVAILABLE,
                _ => &code::UPSTREAM_BROKEN,
            },
            Self::TooLarge { .. } => &code::UPSTREAM_OUTPUT_TOO_LARGE,
            Self::Broken(_) | Self::Malformed(_) => &code::UPSTREAM_BROKEN,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::LoadBalancer { status, .. } if *status == StatusCode::SERVICE_UNAVAILABLE => {
                "wait a moment and try again: MWAA runs about four commands at once, and its \
                 web server restarts after an update; `mwaa-gateway check` shows the \
                 environment's status"
                    .into()
            }
            Self::LoadBalancer { status, facts } => {
                // Airflow 1.10 has other names
                let commands = if facts.version.major < 2 {
                    "`list_dag_runs` and `task_state`"
                } else {
                    "`dags list-runs` and `tasks states-for-dag-run`"
                };

                let advice = if *status == StatusCode::GATEWAY_TIMEOUT {
                    "; split a command that takes this long"
                } else {
                    ""
                };
                format!("do not simply run it again: {commands} show whether it ran{advice}")
                    .into()
            }
            Self::TooLarge { .. } => {
                "run it again only if that is safe; then request MWAA's own JSON (no Accept \
                 header; `airflow --output raw`), which has no limit, or raise \
                 limits.cli_output"
                    .into()
            }
            Self::Broken(_) | Self::Malformed(_) => self.code().advice.into(),
        }
    }
}

/// Returns the meaning of a load balancer's status for the command.
fn explain_load_balancer(status: StatusCode) -> &'static str {
    match status {
        StatusCode::GATEWAY_TIMEOUT => {
            "the web server did not respond within the load balancer's limit; the command may \
             still be running; outcome: unknown"
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "no web server accepted the command, so it probably did not run"
        }
        _ => {
            "the web server closed the connection or did not return HTTP; the command may have \
             run; outcome: unknown"
        }
    }
}

/// Returns true if a load balancer answers with this status in place of the web server, unless the
/// body is MWAA's JSON (Elastic Load Balancing, "Troubleshoot your Application Load Balancers").
pub fn is_load_balancer_status(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The body of MWAA's response (MWAA User Guide, "Apache Airflow CLI command reference").
#[derive(serde::Deserialize)]
struct CliResponse<'a> {
    #[serde(borrow, default)]
    stdout: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stderr: Option<Cow<'a, str>>,
}

/// Returns standard output and standard error. Fails if the body is not MWAA's JSON.
fn decode_streams(body: &[u8]) -> Result<(String, String), OutputError> {
    let response: CliResponse<'_> = serde_json::from_slice(body)
        .map_err(|_text| OutputError::Malformed("it is not the JSON that MWAA sends"))?;
    if response.stdout.is_none() && response.stderr.is_none() {
        return Err(OutputError::Malformed("it has neither stdout nor stderr"));
    }
    // one of them may be missing or null
    Ok((decode(response.stdout)?, decode(response.stderr)?))
}

fn decode(field: Option<Cow<'_, str>>) -> Result<String, OutputError> {
    let bytes = BASE64
        .decode(field.unwrap_or_default().as_bytes())
        .map_err(|_position| OutputError::Malformed("a stream is not base64"))?;
    // commands may print any bytes: those that are not UTF-8 are marked, not dropped
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Added to the text of a load balancer's error if the command was sent twice.
const SENT_TWICE: &str = "; it was sent twice, and the first attempt may have run";
/// Standard base64 (RFC 4648 section 4). MWAA pads it; that is not required here.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
