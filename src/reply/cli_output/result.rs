//! The full result of a command, as the gateway sends it and its own client reads it.

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Whether a command worked, as far as status and texts tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Succeeded {
    /// It did: `true`.
    Yes,
    /// It failed: `false`.
    No,
    /// Nothing that was said tells: `"unknown"`.
    Unknown,
}

impl Succeeded {
    /// The word for headers and people: `true`, `false` or `unknown`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yes => "true",
            Self::No => "false",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for Succeeded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::Unknown => serializer.serialize_str(self.word()),
        }
    }
}

impl<'de> Deserialize<'de> for Succeeded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Seen {
            Known(bool),
            Word(String),
        }
        match Seen::deserialize(deserializer)? {
            Seen::Known(true) => Ok(Self::Yes),
            Seen::Known(false) => Ok(Self::No),
            Seen::Word(word) if word == Self::Unknown.word() => Ok(Self::Unknown),
            Seen::Word(_) => Err(D::Error::custom("neither true, false nor \"unknown\"")),
        }
    }
}

/// All that is known of a command that was answered: the media type
/// `application/vnd.mwaa-gateway.cli+json; detail=full`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CliResult {
    /// Its standard output, decoded and otherwise untouched.
    pub stdout: String,
    /// Its standard error, decoded and otherwise untouched.
    pub stderr: String,
    /// Whether it worked.
    pub succeeded: Succeeded,
    /// Why it is judged so: `status 400`, `stderr: airflow.exceptions.DagNotFound`; none where
    /// nothing spoke against success.
    pub reason: Option<String>,
    /// `stdout` without warnings and colour codes; of `-o json` the bare document.
    pub output: String,
    /// The warnings and log lines of both streams, without colour codes, one text each.
    pub warnings: Vec<String>,
    /// `stderr` without warnings and colour codes.
    pub errors: String,
    /// If the command was asked for `-o json`: the document in `stdout`, null if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
}

impl CliResult {
    /// One line of JSON.
    pub fn json(&self) -> Bytes {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        Bytes::from(line)
    }

    /// The output, or what a person wants to read of a command that failed.
    pub fn into_text(self) -> String {
        if self.succeeded == Succeeded::No && !self.errors.trim().is_empty() {
            self.errors
        } else {
            self.output
        }
    }
}

impl std::fmt::Debug for CliResult {
    /// What a command prints may hold secrets: sizes only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CliResult")
            .field("stdout", &self.stdout.len())
            .field("stderr", &self.stderr.len())
            .field("succeeded", &self.succeeded)
            .field("warnings", &self.warnings.len())
            .finish_non_exhaustive()
    }
}
