//! MWAA's JSON around a command's output, and what it may be instead.

use super::Asked;
use crate::names::{Code, Fault, code};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::StatusCode;
use std::borrow::Cow;
use std::fmt;

/// A reply that is no command output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputError {
    /// The reply broke off.
    Broken(String),
    /// It is not MWAA's JSON, or not base64 within.
    Garbled(&'static str),
    /// A 502, 503 or 504 without MWAA's JSON: the load balancer in front of the web server
    /// answered.
    LoadBalancer {
        /// Its status, which the fault keeps.
        status: StatusCode,
        /// The command.
        asked: Asked,
    },
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
            Self::LoadBalancer { status, asked } => {
                write!(f, "the load balancer answered {}: ", status.as_u16())?;
                f.write_str(match *status {
                    StatusCode::GATEWAY_TIMEOUT => TIMED_OUT,
                    StatusCode::SERVICE_UNAVAILABLE => NOT_TAKEN,
                    _ => BROKE_OFF,
                })?;
                if asked.repeated {
                    f.write_str(TWICE)?;
                }
                Ok(())
            }
            Self::TooLarge { limit } => {
                write!(
                    f,
                    "the command has run, but its output is larger than limits.cli_output \
                     ({limit} bytes)"
                )
            }
        }
    }
}

const TIMED_OUT: &str = "the web server did not answer within the load balancer's limit; the \
     command may still be running; outcome: unknown";
const NOT_TAKEN: &str = "no web server took the command, so most likely it did not run";
const BROKE_OFF: &str = "the web server broke off or did not answer in HTTP; the command may have \
     run; outcome: unknown";
const TWICE: &str = "; it was written twice, and the first write may have run";

impl std::error::Error for OutputError {}

impl Fault for OutputError {
    fn code(&self) -> &'static Code {
        match self {
            Self::LoadBalancer { status, .. } => match *status {
                StatusCode::GATEWAY_TIMEOUT => &code::UPSTREAM_TIMEOUT,
                StatusCode::SERVICE_UNAVAILABLE => &code::UPSTREAM_UNAVAILABLE,
                _ => &code::UPSTREAM_BROKEN,
            },
            Self::TooLarge { .. } => &code::UPSTREAM_OUTPUT_TOO_LARGE,
            Self::Broken(_) | Self::Garbled(_) => &code::UPSTREAM_BROKEN,
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
            Self::LoadBalancer { status, asked } => {
                let look = if asked.version.major < 2 {
                    "`list_dag_runs` and `task_state`"
                } else {
                    "`dags list-runs` and `tasks states-for-dag-run`"
                };
                let shorter = if *status == StatusCode::GATEWAY_TIMEOUT {
                    "; a command that takes this long is better split up"
                } else {
                    ""
                };
                format!("do not simply repeat it: {look} show what it has done{shorter}").into()
            }
            Self::TooLarge { .. } => {
                "run it again only if that does no harm; then ask for MWAA's own JSON (no Accept \
                 header; `airflow --output raw`), which has no limit, or raise limits.cli_output"
                    .into()
            }
            Self::Broken(_) | Self::Garbled(_) => self.code().advice.into(),
        }
    }
}

/// Whether a load balancer answers with this status in place of the web server, unless the body
/// is MWAA's JSON (Elastic Load Balancing, "Troubleshoot your Application Load Balancers").
pub(in crate::reply) fn is_load_balancers(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

#[derive(serde::Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    stdout: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stderr: Option<Cow<'a, str>>,
}

/// Standard output and standard error out of MWAA's JSON.
pub(super) fn streams(raw: &[u8]) -> Result<(String, String), OutputError> {
    let wire: Wire<'_> = serde_json::from_slice(raw)
        .map_err(|_text| OutputError::Garbled("it is not the JSON that MWAA sends"))?;
    if wire.stdout.is_none() && wire.stderr.is_none() {
        return Err(OutputError::Garbled("it has neither stdout nor stderr"));
    }
    Ok((decode(wire.stdout)?, decode(wire.stderr)?))
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

/// Standard base64 (RFC 4648 section 4); padding is what MWAA sends and not what we insist on.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
