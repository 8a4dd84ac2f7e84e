//! What a gateway tells of a command: its steps, its result, its faults.

use crate::names::debug_only;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// Something has happened to a command that still runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(in crate::cli) enum Step {
    /// The gateway has taken it, under this request id.
    #[serde(skip)]
    Taken(String),
    /// It waits for its turn.
    Queued {
        /// How many are before it.
        place: u64,
        /// How many run now.
        running: u64,
    },
    /// It was sent: from now on it runs at the web server.
    Sent,
}

/// How a command ended.
pub(in crate::cli) enum Answer {
    /// It ran, and printed something.
    Output(Box<Output>),
    /// The web server's reply is no command's output: its status and text.
    Odd(u16, String),
    /// The web server's own JSON, as it came, with its status: the form that was asked for.
    Raw(u16, Bytes),
    /// The gateway refused it, or could not do it.
    Fault(Box<Problem>),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(output) => output.fmt(f),
            Self::Odd(status, text) => write!(f, "Odd({status}, {} bytes)", text.len()),
            Self::Raw(status, bytes) => write!(f, "Raw({status}, {} bytes)", bytes.len()),
            Self::Fault(problem) => problem.fmt(f),
        }
    }
}

/// The full result: `application/vnd.mwaa-gateway.cli+json; detail=full`.
#[derive(Clone, Deserialize)]
pub(in crate::cli) struct Output {
    pub(in crate::cli) stdout: String,
    pub(in crate::cli) stderr: String,
    pub(in crate::cli) succeeded: Succeeded,
    /// Why the gateway judges so.
    #[serde(default)]
    pub(in crate::cli) reason: Option<String>,
    /// All of it as it came.
    #[serde(skip)]
    pub(in crate::cli) whole: Value,
}

debug_only!(Output: succeeded);

/// Whether a command worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub(in crate::cli) enum Succeeded {
    Yes,
    No,
    /// Nothing tells.
    Unknown,
}

impl From<Value> for Succeeded {
    fn from(value: Value) -> Self {
        match value {
            Value::Bool(true) => Self::Yes,
            Value::Bool(false) => Self::No,
            _ => Self::Unknown,
        }
    }
}

/// A fault of the gateway (RFC 9457).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::cli) struct Problem {
    pub(in crate::cli) code: String,
    pub(in crate::cli) title: String,
    pub(in crate::cli) status: u16,
    pub(in crate::cli) detail: Option<String>,
    pub(in crate::cli) hint: Option<String>,
    pub(in crate::cli) request_id: Option<String>,
}

impl Problem {
    /// Whether the command may have run, or certainly did, so that repeating it may do harm.
    pub(in crate::cli) fn may_have_run(&self) -> bool {
        matches!(
            self.code.as_str(),
            "upstream.broken" | "upstream.output_too_large" | "upstream.timeout"
        )
    }
}

/// The last event of a command's stream.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Last {
    Done {
        status: u16,
        result: Option<Value>,
        #[serde(default)]
        body: Option<String>,
    },
    Fault {
        problem: Problem,
    },
}

/// One line of a command's stream.
#[derive(Debug)]
pub(super) enum Event {
    Step(Step),
    Last(Answer),
}

impl Event {
    /// Reads a line; `None` is an event of a later gateway, which says nothing to us.
    pub(super) fn read(line: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        let value: Value = serde_json::from_slice(line)?;
        match value.get("event").and_then(Value::as_str) {
            Some("queued" | "sent") => Ok(Some(Self::Step(serde_json::from_value(value)?))),
            Some("done" | "fault") => {
                let answer = match serde_json::from_value(value)? {
                    Last::Done {
                        result: Some(result),
                        ..
                    } => output(result)?,
                    Last::Done { status, body, .. } => {
                        Answer::Odd(status, body.unwrap_or_default())
                    }
                    Last::Fault { problem } => Answer::Fault(Box::new(problem)),
                };
                Ok(Some(Self::Last(answer)))
            }
            _ => Ok(None),
        }
    }
}

/// Reads a full result.
fn output(whole: Value) -> Result<Answer, serde_json::Error> {
    let mut output = Output::deserialize(&whole)?;
    output.whole = whole;
    Ok(Answer::Output(Box::new(output)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Event> {
        Event::read(line.as_bytes()).unwrap()
    }

    #[test]
    fn the_lines_of_a_stream_are_read() {
        let queued = read(r#"{"event":"queued","place":3,"running":1}"#);
        let Some(Event::Step(step)) = queued else {
            panic!("{queued:?}")
        };
        let (place, running) = (3, 1);
        assert_eq!(step, Step::Queued { place, running });
        let sent = read(r#"{"event":"sent"}"#);
        assert!(matches!(sent, Some(Event::Step(Step::Sent))));
        let done = read(
            r#"{"event":"done","status":200,"result":{"stdout":"a","stderr":"","succeeded":"unknown","json":[1]}}"#,
        );
        let Some(Event::Last(Answer::Output(output))) = done else {
            panic!("{done:?}")
        };
        assert_eq!(output.succeeded, Succeeded::Unknown);
        assert_eq!(output.whole["json"], serde_json::json!([1]));
        let odd = read(r#"{"event":"done","status":502,"result":null,"body":"<html>"}"#);
        assert!(matches!(odd, Some(Event::Last(Answer::Odd(502, text))) if text == "<html>"));
        let fault = read(r#"{"event":"fault","problem":{"code":"queue.full","more":1}}"#);
        let Some(Event::Last(Answer::Fault(problem))) = fault else {
            panic!("{fault:?}")
        };
        assert_eq!(problem.code, "queue.full");
        assert!(read(r#"{"event":"later"}"#).is_none());
        assert!(Event::read(b"<html>").is_err());
        assert!(Event::read(br#"{"event":"done"}"#).is_err());
    }
}
