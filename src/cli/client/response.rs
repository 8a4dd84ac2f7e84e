//! The gateway's response to a command: a stream of events, or a result in one piece.

use super::connection::CommandError;
use bytes::{Bytes, BytesMut};
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use mwaa_runtime::{RuntimeTimer, Timer as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::time::Duration;

/// The form of a command's result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ResultFormat {
    /// Both streams, as the command printed them.
    #[default]
    #[value(skip)]
    Text,
    /// MWAA's JSON, unchanged, with both streams in base64
    Raw,
    /// The gateway's JSON: both streams as text, whether the command succeeded, and why
    Json,
}

/// A step of a command that is still running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandEvent {
    /// The gateway has accepted it, under this request id.
    Accepted(String),
    /// It waits in the queue, at this place; the next one is at 1.
    Queued(u64),
    /// It was sent: from now on it runs at the web server.
    Sent,
}

/// The end of a command.
pub(crate) enum CommandResult {
    /// It ran.
    Output(Box<CommandOutput>),
    /// The web server's response is no command's output: its status and text.
    Unexpected(u16, String),
    /// The web server's own JSON, as it came, with its status: [`ResultFormat::Raw`].
    Raw(u16, Bytes),
    /// The gateway refused it, or could not run it.
    Fault(Box<ProblemDetails>),
}

/// The full result: `application/vnd.mwaa-gateway.cli+json; detail=full`.
#[derive(Deserialize)]
pub(crate) struct CommandOutput {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// `None` means that the gateway can't know it.
    #[serde(deserialize_with = "read_succeeded")]
    pub(crate) succeeded: Option<bool>,
    /// The gateway's reason for that.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// The result as it came.
    #[serde(skip)]
    pub(crate) json: Value,
}

/// Reads a boolean; any other value means that it is not known.
fn read_succeeded<'de, D: Deserializer<'de>>(value: D) -> Result<Option<bool>, D::Error> {
    Value::deserialize(value).map(|value| value.as_bool())
}

/// A fault of the gateway (RFC 9457).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProblemDetails {
    pub(crate) code: String,
    pub(crate) title: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) request_id: Option<String>,
}

impl ProblemDetails {
    /// Returns true if the command may have run, or has, so that repeating it may do harm.
    pub(crate) fn may_have_run(&self) -> bool {
        matches!(
            self.code.as_str(),
            "gateway.interrupted"
                | "upstream.broken"
                | "upstream.output_too_large"
                | "upstream.timeout"
        )
    }
}

/// Reads the response to its end, and reports each event. Fails if it breaks off, or if the gateway
/// is silent for longer than `timeout`.
pub(super) async fn read_response(
    response: Response<Incoming>,
    format: ResultFormat,
    timeout: Duration,
    on_event: &mut dyn FnMut(CommandEvent),
) -> Result<CommandResult, CommandError> {
    if media_type(&response) == EVENT_STREAM {
        return read_events(response.into_body(), timeout, on_event).await;
    }

    let is_fault = response.headers().contains_key(FAULT);
    let status = response.status().as_u16();

    let body = RuntimeTimer
        .within(timeout, response.into_body().collect())
        .await
        .map_err(|_elapsed| CommandError::silent())?
        .map_err(CommandError::broken)?
        .to_bytes();

    if is_fault {
        let problem = serde_json::from_slice(&body).map_err(CommandError::broken)?;
        return Ok(CommandResult::Fault(problem));
    }
    Ok(match format {
        ResultFormat::Raw => CommandResult::Raw(status, body),
        ResultFormat::Text | ResultFormat::Json => {
            CommandResult::Unexpected(status, String::from_utf8_lossy(&body).into_owned())
        }
    })
}

/// Returns the media type without parameters.
fn media_type(response: &Response<Incoming>) -> &str {
    let value = response.headers().get(CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok());
    let media_type = text.and_then(|text| text.split(';').next());
    media_type.unwrap_or_default().trim()
}

/// Reads a stream of events to its end.
async fn read_events(
    mut body: Incoming,
    timeout: Duration,
    on_event: &mut dyn FnMut(CommandEvent),
) -> Result<CommandResult, CommandError> {
    let mut rest = BytesMut::new();
    // so that a long line is not searched once more for each of its frames
    let mut searched = 0;
    loop {
        let frame = RuntimeTimer
            .within(timeout, body.frame())
            .await
            .map_err(|_elapsed| CommandError::silent())?
            .ok_or_else(|| CommandError::broken("it closed the connection"))?
            .map_err(CommandError::broken)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };

        rest.extend_from_slice(data);
        // a frame may hold several lines, or a part of one
        while let Some(end) = memchr::memchr(b'\n', rest.get(searched..).unwrap_or_default()) {
            let line = rest.split_to(searched + end + 1);
            searched = 0;
            let end = StreamEvent::parse(&line).and_then(|event| event.handle(on_event));
            if let Some(result) = end.map_err(CommandError::broken)? {
                return Ok(result);
            }
        }
        searched = rest.len();
        if searched > MAX_LINE {
            return Err(CommandError::broken("it sent a line that is too long"));
        }
    }
}

/// One line of a command's stream.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum StreamEvent {
    Queued {
        place: u64,
    },
    Sent,
    Done {
        status: u16,
        result: Option<Value>,
        #[serde(default)]
        body: Option<String>,
    },
    Fault {
        problem: Box<ProblemDetails>,
    },
    /// An event of a later gateway.
    #[serde(other)]
    Unknown,
}

impl StreamEvent {
    fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// Reports the event, or returns the result that ends the stream.
    fn handle(
        self,
        on_event: &mut dyn FnMut(CommandEvent),
    ) -> Result<Option<CommandResult>, serde_json::Error> {
        match self {
            Self::Queued { place } => on_event(CommandEvent::Queued(place)),
            Self::Sent => on_event(CommandEvent::Sent),
            Self::Unknown => {}

            Self::Done {
                result: Some(json), ..
            } => {
                let output = CommandOutput::deserialize(&json)?;
                let output = Box::new(CommandOutput { json, ..output });
                return Ok(Some(CommandResult::Output(output)));
            }
            // the web server answered with something else than MWAA's JSON
            Self::Done { status, body, .. } => {
                let body = body.unwrap_or_default();
                return Ok(Some(CommandResult::Unexpected(status, body)));
            }
            Self::Fault { problem } => return Ok(Some(CommandResult::Fault(problem))),
        }
        Ok(None)
    }
}

/// The field of responses that the gateway made itself.
const FAULT: &str = "mwaa-gateway-fault";
/// The media type of the stream of events.
const EVENT_STREAM: &str = "application/vnd.mwaa-gateway.cli-events+ndjson";
/// The longest line of the stream, in bytes: a result holds the output several times over.
const MAX_LINE: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    /// The events that a line reports, and the result.
    fn read(line: &str) -> (Vec<CommandEvent>, Option<CommandResult>) {
        let mut events = Vec::new();
        let event = StreamEvent::parse(line.as_bytes()).unwrap();
        let result = event.handle(&mut |event| events.push(event)).unwrap();
        (events, result)
    }

    #[test]
    fn a_stream_is_read_line_by_line() {
        let queued = read(r#"{"event":"queued","place":3,"running":1}"#);
        assert!(matches!(queued, (events, None) if events == [CommandEvent::Queued(3)]));
        let sent = read(r#"{"event":"sent"}"#);
        assert!(matches!(sent, (events, None) if events == [CommandEvent::Sent]));
        let done = read(
            r#"{"event":"done","status":200,"result":{"stdout":"a","stderr":"","succeeded":"unknown","json":[1]}}"#,
        );
        let (_, Some(CommandResult::Output(output))) = done else {
            panic!("another result")
        };
        assert_eq!(output.succeeded, None);
        assert_eq!(output.json["json"], serde_json::json!([1]));
        let (_, unexpected) =
            read(r#"{"event":"done","status":502,"result":null,"body":"<html>"}"#);
        assert!(
            matches!(unexpected, Some(CommandResult::Unexpected(502, text)) if text == "<html>")
        );
        let fault = read(r#"{"event":"fault","problem":{"code":"queue.full","more":1}}"#);
        let (_, Some(CommandResult::Fault(problem))) = fault else {
            panic!("another result")
        };
        assert_eq!(problem.code, "queue.full");
        assert!(
            matches!(read(r#"{"event":"later","more":1}"#), (events, None) if events.is_empty())
        );
        assert!(StreamEvent::parse(b"<html>").is_err());
        assert!(StreamEvent::parse(br#"{"event":"done"}"#).is_err());
    }
}
