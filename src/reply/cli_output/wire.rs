//! MWAA's JSON around a command's output, and what it may be instead.

use crate::names::{Code, Fault, code};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
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
                    "the command has run, but its output is larger than limits.cli_output \
                     ({limit} bytes)"
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
                "ask for MWAA's own JSON (no Accept header; `airflow --output raw`): it is passed on \
                 at any size"
                    .into()
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
