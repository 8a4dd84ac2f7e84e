//! MWAA's response to a command: JSON with both streams in base64, or an error in its place.

use super::CommandFacts;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::StatusCode;
use mwaa_model::{Code, Fault, code};
use std::borrow::Cow;
use std::error::Error;

/// A response that is no command's output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The response broke off.
    #[error("the command has run, but the response broke off")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// It is not MWAA's JSON, or not base64 within.
    #[error("the response is not a command's output: {0}")]
    Malformed(&'static str),
    /// A 502, 503 or 504 without MWAA's JSON: the load balancer in front of the web server
    /// answered.
    #[error(
        "the load balancer answered {}: {}{}",
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
    #[error(
        "the command has run, but its output is larger than limits.cli_output ({limit} bytes)"
    )]
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
                "wait a moment and send it again: MWAA runs about four commands at once, and its \
                 web server restarts after an update; `mwaa-gateway check` shows the environment's \
                 status"
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
                    "; a command that takes this long is better split up"
                } else {
                    ""
                };
                format!("do not simply repeat it: {commands} show what it has done{advice}").into()
            }
            Self::TooLarge { .. } => {
                "run it again only if that does no harm; then ask for MWAA's own JSON (no Accept \
                 header; `airflow --output raw`), which has no limit, or raise limits.cli_output"
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
            "the web server did not answer within the load balancer's limit; the command may still \
             be running; outcome: unknown"
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "no web server took the command, so most likely it did not run"
        }
        _ => {
            "the web server broke off or did not answer in HTTP; the command may have run; \
             outcome: unknown"
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
pub(super) fn decode_streams(body: &[u8]) -> Result<(String, String), OutputError> {
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
const SENT_TWICE: &str = "; it was written twice, and the first write may have run";
/// Standard base64 (RFC 4648 section 4). MWAA pads it; that is not required here.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
