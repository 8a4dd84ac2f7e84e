//! An error that a service of AWS answered with.

use super::AwsErrorKind;
use super::sorting::by_code;
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::error::ErrorMetadata;
use aws_types::request_id::RequestId as _;
use std::fmt;

/// The answer. Holds no part of the reply but its error message.
#[derive(Debug)]
pub(super) struct Answer {
    code: Option<String>,
    message: Option<String>,
    /// `None` where the SDK keeps it to itself.
    status: Option<u16>,
    id: Option<String>,
}

impl Answer {
    /// The answer to a call; `None` if there was none.
    pub(super) fn of<E: ProvideErrorMetadata>(
        error: &SdkError<E, HttpResponse>,
    ) -> Option<Self> {
        let raw = error.raw_response()?;
        let none = ErrorMetadata::default();
        let meta = error.as_service_error().map_or(&none, E::meta);
        let mut answer = Self::new(meta, Some(raw.status().as_u16()));
        answer.id = error.request_id().map(str::to_owned).or(answer.id);
        Some(answer)
    }

    pub(super) fn new(meta: &ErrorMetadata, status: Option<u16>) -> Self {
        Self {
            code: meta.code().map(str::to_owned),
            message: meta.message().map(str::to_owned),
            status,
            id: meta.request_id().map(str::to_owned),
        }
    }

    /// AWS's code, empty where there is none.
    pub(super) fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// AWS's message in full.
    pub(super) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Whether this is none of the service's own answers: what stands between has a page for
    /// every status, so the status says nothing.
    pub(super) fn is_unreadable(&self) -> bool {
        self.code.is_none() && self.message.is_none()
    }

    /// Whether the service found fault with the call, not with itself.
    pub(super) fn is_refusal(&self) -> bool {
        !self.is_unreadable()
            && self
                .status
                .is_some_and(|status| (400..500).contains(&status))
    }

    /// Which kind of failure it is.
    pub(super) fn kind(&self) -> AwsErrorKind {
        match self.status {
            Some(429) => AwsErrorKind::Throttled,
            _ if self.is_unreadable() => AwsErrorKind::Unavailable,
            status => by_code(self.code(), status),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts: Vec<String> = Vec::new();
        facts.extend(self.status.map(|status| format!("HTTP {status}")));
        if self.is_unreadable() {
            f.write_str("a reply that can't be read")?;
        } else {
            f.write_str(self.code.as_deref().unwrap_or("no error code"))?;
            facts.extend(self.id.as_ref().map(|id| format!("request {id}")));
        }
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        if self.is_unreadable() {
            return Ok(());
        }
        let message = self.message.as_deref().unwrap_or("no message");
        write!(f, ": {}", shortened(message))
    }
}

/// As much of AWS's words as a person reads. The encoded message is for a program, and what a
/// hint needs is taken from the whole.
pub(super) fn shortened(message: &str) -> String {
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

/// As much as is taken from one message of AWS, in characters: a denial with its reason.
const LONGEST_MESSAGE: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: Option<&str>, status: u16) -> Answer {
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code);
        }
        Answer::new(&meta.build(), Some(status))
    }

    /// A proxy's page has a status too.
    #[test]
    fn what_is_none_of_aws_s_answers_is_no_refusal() {
        for status in [200, 400, 401, 403, 404, 500, 502] {
            let kind = answer(None, status).kind();
            assert_eq!(kind, AwsErrorKind::Unavailable, "{status}");
        }
        assert_eq!(answer(None, 429).kind(), AwsErrorKind::Throttled);
        let denied = answer(Some("AccessDeniedException"), 403);
        assert_eq!(denied.kind(), AwsErrorKind::Denied);
        assert!(denied.is_refusal() && !answer(None, 403).is_refusal());
    }

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
