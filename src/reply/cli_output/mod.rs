//! A command's output out of MWAA's JSON, and the gateway's reading of it.

mod judge;
mod result;
mod wire;

pub use result::{CliResult, Succeeded};
pub use wire::OutputError;

use crate::names::AirflowVersion;
use bytes::Bytes;
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
}

/// What a command printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliOutput {
    /// Its standard output, decoded.
    pub stdout: String,
    /// Its standard error, decoded.
    pub stderr: String,
    /// Whether it worked, as far as status and text tell.
    pub succeeded: Succeeded,
    /// Why it is judged so.
    pub reason: Option<String>,
    json: bool,
}

impl CliOutput {
    /// Reads MWAA's JSON.
    pub fn read(raw: &[u8], status: StatusCode, asked: &Asked) -> Result<Self, OutputError> {
        let (stdout, stderr) = wire::streams(raw)?;
        let (succeeded, reason) = judge::judge(status, &stdout, &stderr);
        Ok(Self {
            stdout,
            stderr,
            succeeded,
            reason,
            json: asked.json,
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
        CliResult {
            output: self.stdout.clone(),
            warnings: Vec::new(),
            errors: self.stderr.clone(),
            json: self
                .json
                .then(|| serde_json::from_str(&self.stdout).unwrap_or_default()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use wire::BASE64;

    const ASKED: Asked = Asked {
        command: "version",
        json: false,
        version: AirflowVersion::new(2, 10, 5),
    };

    fn read(stdout: &str, stderr: &str, status: u16) -> Succeeded {
        let raw = serde_json::json!({"stderr": BASE64.encode(stderr), "stdout": BASE64.encode(stdout)});
        let status = StatusCode::from_u16(status).unwrap();
        CliOutput::read(raw.to_string().as_bytes(), status, &ASKED)
            .unwrap()
            .succeeded
    }

    #[test]
    fn warnings_are_no_failure_and_errors_are() {
        assert_eq!(
            read("2.10.5\n", "UserWarning: no graphviz\n", 200),
            Succeeded::Yes
        );
        assert_eq!(read("", "", 200), Succeeded::Yes);
        assert_eq!(
            read("", "/x.py:1 RemovedInAirflow3Warning: old\n", 200),
            Succeeded::Yes
        );
        assert_eq!(read("2.10.5\n", "", 400), Succeeded::No);
        for stderr in [
            "Variable nosuch does not exist\n",
            "Traceback (most recent call last):\n  File x\n",
            "airflow.exceptions.DagNotFound: Dag id x not found\n",
            "airflow dags trigger command error: the following arguments are required: dag_id, see help above.\n",
        ] {
            assert_eq!(read("", stderr, 200), Succeeded::No, "{stderr}");
        }
    }

    #[test]
    fn what_is_no_output_is_told() {
        let ok = StatusCode::OK;
        for raw in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"stdout": 3}"#,
            r#"{"stdout": "***", "stderr": ""}"#,
        ] {
            assert!(
                matches!(
                    CliOutput::read(raw.as_bytes(), ok, &ASKED),
                    Err(OutputError::Garbled(_))
                ),
                "{raw}"
            );
        }
        let lone =
            CliOutput::read(br#"{"stdout": "/w==", "stderr": null}"#, ok, &ASKED).unwrap();
        assert_eq!(lone.stdout, "\u{fffd}");
    }
}
