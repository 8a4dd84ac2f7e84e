//! What was told of a call that failed.
#![deny(clippy::wildcard_enum_match_arm)]

use super::AwsErrorKind;
use super::answer::{Answer, shortened};
use super::error::Call;
use super::giver::Giver;
use super::sorting::Chain;
use std::fmt;

/// What was told of a failed call.
pub(super) enum Told {
    /// What AWS answered.
    Answer(Answer),
    /// Why there was no answer.
    Chain(Chain),
    /// No answer in time.
    Silence,
}

impl Told {
    /// The service that gives keys and failed to.
    pub(super) fn giver(&self) -> Option<&Giver> {
        match self {
            Self::Chain(chain) => chain.giver.as_ref(),
            Self::Answer(_) | Self::Silence => None,
        }
    }

    /// AWS's answer, if it is that it does not take the first keys.
    pub(super) fn refused_keys(&self) -> Option<&Answer> {
        match self {
            Self::Answer(answer) => {
                (answer.kind() == AwsErrorKind::Credentials).then_some(answer)
            }
            Self::Chain(_) | Self::Silence => self.giver()?.refused_keys(),
        }
    }

    /// How far our clock is ahead of AWS's, in seconds, if that is why the keys are refused.
    pub(super) fn clock_offset(&self, call: &Call<'_>) -> Option<i64> {
        self.refused_keys()?;
        let offset = match self.giver() {
            Some(giver) => giver.clock_offset,
            None => call.clock_offset,
        };
        offset.filter(|offset| offset.abs() > CLOCK_TOLERANCE)
    }

    /// Whether the call was signed for another region than the one that was asked.
    pub(super) fn is_other_region(&self) -> bool {
        self.refused_keys()
            .is_some_and(|answer| answer.message().contains("scoped to a valid region"))
    }

    /// Which kind of failure it is.
    pub(super) fn kind(&self, call: &Call<'_>) -> AwsErrorKind {
        let kind = match self {
            Self::Answer(answer) => answer.kind(),
            Self::Chain(chain) => chain.kind(call.origin),
            Self::Silence => AwsErrorKind::Unavailable,
        };
        // the next sign-in gives other keys
        let wants_others = kind == AwsErrorKind::Credentials
            && self.refused_keys().is_some()
            && self.clock_offset(call).is_none()
            && !self.is_other_region();
        if wants_others && call.origin.sign_in().is_some() {
            AwsErrorKind::LoginNeeded
        } else {
            kind
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => answer.fmt(f),
            Self::Chain(chain) => match &chain.giver {
                Some(
                    giver @ Giver {
                        answer: Some(answer),
                        ..
                    },
                ) => {
                    write!(f, "{giver} answered {answer}")
                }
                _ => f.write_str(&shortened(&chain.text)),
            },
            Self::Silence => f.write_str("no reply in time"),
        }
    }
}

/// AWS refuses signatures that are older; less is not the clock's fault. In seconds.
const CLOCK_TOLERANCE: i64 = 240;
