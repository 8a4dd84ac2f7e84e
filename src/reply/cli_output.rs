//! A command's output out of MWAA's JSON, and the gateway's reading of whether it worked.

use crate::names::{Code, Fault, code};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::StatusCode;
use std::borrow::Cow;
use std::fmt;

/// What a command printed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CliOutput {
    /// Its standard output, decoded.
    pub stdout: String,
    /// Its standard error, decoded.
    pub stderr: String,
    /// Whether it worked, as far as status and text tell.
    pub succeeded: bool,
}

/// A reply that is no command output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputError {
    /// The reply broke off.
    Broken(String),
    /// It is not MWAA's JSON, or not base64 within.
    Garbled(&'static str),
    /// It is larger than the limit.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(how) => write!(f, "the reply broke off: {how}; the command has run"),
            Self::Garbled(what) => write!(f, "the reply is not a command's output: {what}"),
            Self::TooLarge { limit } => {
                write!(
                    f,
                    "the output is larger than limits.cli_output ({limit} bytes)"
                )
            }
        }
    }
}

impl std::error::Error for OutputError {}

impl Fault for OutputError {
    fn code(&self) -> &'static Code {
        &code::UPSTREAM_BROKEN
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Broken(_) | Self::Garbled(_) => self.code().advice.into(),
            Self::TooLarge { .. } => {
                "ask for MWAA's own JSON (no Accept header): it is passed on at any size".into()
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    stdout: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stderr: Option<Cow<'a, str>>,
}

impl CliOutput {
    /// Reads MWAA's JSON.
    pub fn read(raw: &[u8], status: StatusCode) -> Result<Self, OutputError> {
        let wire: Wire<'_> = serde_json::from_slice(raw)
            .map_err(|_text| OutputError::Garbled("it is not the JSON that MWAA sends"))?;
        if wire.stdout.is_none() && wire.stderr.is_none() {
            return Err(OutputError::Garbled("it has neither stdout nor stderr"));
        }
        let stdout = decode(wire.stdout)?;
        let stderr = decode(wire.stderr)?;
        let succeeded = status.is_success() && !looks_failed(&stdout, &stderr);
        Ok(Self {
            stdout,
            stderr,
            succeeded,
        })
    }

    /// How much it printed, in bytes.
    pub(super) const fn size(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    /// What a person wants to read of a command that failed.
    pub(super) fn complaint(&self) -> &String {
        if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
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

fn decode(field: Option<Cow<'_, str>>) -> Result<String, OutputError> {
    let field = field.unwrap_or_default();
    let bytes = BASE64
        .decode(field.as_bytes())
        .map_err(|_position| OutputError::Garbled("a stream is not base64"))?;
    // tools may print any bytes; what is not UTF-8 is marked, not dropped
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// MWAA has no exit code on the wire, and answered 200 for failed commands in some versions.
/// A command that worked prints to stdout; many of those print warnings to stderr too. So only
/// an empty stdout with an error on stderr counts as a failure.
fn looks_failed(stdout: &str, stderr: &str) -> bool {
    stdout.trim().is_empty()
        && stderr.lines().any(|line| {
            line.starts_with("Traceback (most recent call last)")
                || line.starts_with("usage: airflow")
                || line.starts_with("airflow command error:")
                || (line.starts_with("airflow ") && line.contains(" error: "))
                || line.ends_with(" does not exist")
                || is_raised(line)
        })
}

/// `some.module.SomeError: text`, as Python ends a traceback and Airflow prints on exit.
fn is_raised(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    let class = name.rsplit('.').next().unwrap_or_default();
    let identifier = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    identifier
        && class.starts_with(|c: char| c.is_ascii_uppercase())
        && ["Error", "Exception", "Exists", "NotFound", "SystemExit"]
            .iter()
            .any(|end| class.ends_with(end))
}

/// Standard base64 (RFC 4648 section 4); padding is what MWAA sends and not what we insist on.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stdout: &str, stderr: &str, status: u16) -> CliOutput {
        let raw = serde_json::json!({"stderr": BASE64.encode(stderr), "stdout": BASE64.encode(stdout)});
        CliOutput::read(
            raw.to_string().as_bytes(),
            StatusCode::from_u16(status).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn warnings_are_no_failure_and_errors_are() {
        assert!(read("2.10.5\n", "UserWarning: no graphviz\n", 200).succeeded);
        assert!(read("", "", 200).succeeded);
        assert!(read("", "/x.py:1 RemovedInAirflow3Warning: old\n", 200).succeeded);
        assert!(!read("2.10.5\n", "", 400).succeeded);
        for stderr in [
            "Variable nosuch does not exist\n",
            "Traceback (most recent call last):\n  File x\n",
            "airflow.exceptions.DagNotFound: Dag id x not found\n",
            "airflow dags trigger command error: the following arguments are required: dag_id, see help above.\n",
        ] {
            assert!(!read("", stderr, 200).succeeded, "{stderr}");
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
                    CliOutput::read(raw.as_bytes(), ok),
                    Err(OutputError::Garbled(_))
                ),
                "{raw}"
            );
        }
        let lone = CliOutput::read(br#"{"stdout": "/w==", "stderr": null}"#, ok).unwrap();
        assert_eq!(lone.stdout, "\u{fffd}");
    }
}
