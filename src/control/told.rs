//! What was told of a call that failed, and as much of it as a person reads.
#![deny(clippy::wildcard_enum_match_arm)]

use super::AwsErrorKind;
use super::error::Call;
use super::sorting::{Chain, by_code};
use std::fmt;

/// What was told of a failed call.
pub(super) enum Told {
    /// AWS's error.
    Answer {
        code: Option<String>,
        message: Option<String>,
        status: u16,
        id: Option<String>,
    },
    /// Why there was no answer.
    Chain(Chain),
    /// No answer in time.
    Silence,
    /// A reply that is none of this API's.
    Unreadable(u16),
}

impl Told {
    /// AWS's code.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Answer { code, .. } => code.as_deref(),
            Self::Chain(_) | Self::Silence | Self::Unreadable(_) => None,
        }
    }

    /// AWS's message in full, or that of a service that gives keys.
    pub(super) fn message(&self) -> Option<&str> {
        match self {
            Self::Answer { message, .. } => message.as_deref(),
            Self::Chain(chain) => chain.refusal.as_deref(),
            Self::Silence | Self::Unreadable(_) => None,
        }
    }

    /// Whether the causes tell of this.
    pub(super) fn has(&self, words: &str) -> bool {
        matches!(self, Self::Chain(chain) if chain.text.contains(words))
    }

    /// Whether AWS itself answered the call, and so has seen the keys.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Answer { .. })
    }

    /// Which kind of failure it is.
    pub(super) fn kind(&self, call: &Call<'_>) -> AwsErrorKind {
        match self {
            Self::Answer { code, status, .. } => by_code(code.as_deref(), *status),
            Self::Chain(chain) => chain.kind(call.origin),
            Self::Silence => AwsErrorKind::Unavailable,
            Self::Unreadable(status) => by_code(None, *status),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer {
                code,
                message,
                status,
                id,
            } => {
                let code = code.as_deref().unwrap_or("no error code");
                write!(f, "{code} (HTTP {status}")?;
                if let Some(id) = id {
                    write!(f, ", request {id}")?;
                }
                let message = message.as_deref().unwrap_or("no message");
                write!(f, "): {}", shortened(message))
            }
            Self::Chain(chain) => f.write_str(&shortened(&chain.text)),
            Self::Silence => f.write_str("no reply in time"),
            Self::Unreadable(status) => write!(f, "a reply that can't be read (HTTP {status})"),
        }
    }
}

/// As much of AWS's words as a person reads. The encoded message is for a program, and what a
/// hint needs is taken from the whole.
fn shortened(message: &str) -> String {
    let message = message
        .split("Encoded authorization failure message")
        .next()
        .unwrap_or(message)
        .trim();
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => {
            let cut = message.get(..end).unwrap_or(message);
            // not within a word, unless it is endless
            let cut = match cut.rsplit_once(' ') {
                Some((whole, rest)) if rest.len() < LONGEST_MESSAGE / 2 => whole,
                _ => cut,
            };
            format!("{cut}…")
        }
        None => message.to_owned(),
    }
}

/// As much as is taken from one message of AWS, in characters.
const LONGEST_MESSAGE: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_keeps_what_people_read() {
        let encoded = format!(
            "You are not authorized. Encoded authorization failure message: {}",
            "x".repeat(700)
        );
        assert_eq!(shortened(&encoded), "You are not authorized.");
        let told = shortened(&"word ".repeat(100));
        assert!(
            told.ends_with("word…") && told.chars().count() <= LONGEST_MESSAGE + 1,
            "{told}"
        );
        assert_eq!(
            shortened(&"é".repeat(900)).chars().count(),
            LONGEST_MESSAGE + 1
        );
        assert_eq!(shortened("short"), "short");
    }
}
