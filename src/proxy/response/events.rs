//! The events of a command as they happen: one JSON object a line, the last one its end.

use super::problem::{ProblemDetails, get_retry_after};
use super::set_request_id;
use super::{Response, ResponseBody};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use mwaa_http1::name::{CACHE_CONTROL, CONTENT_TYPE};
use mwaa_model::{Code, Fault, RequestId, debug_fields};
use mwaa_output::CliResult;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Returns a response that reports events. `command` is the command under way, which ends with its
/// last event; after each of its steps `next_event` returns the events before that, one at a time.
pub fn from_events(
    id: RequestId,
    command: impl Future<Output = LastEvent> + 'static,
    next_event: impl FnMut() -> Option<Event> + 'static,
) -> Response {
    let mut response = Response::new(ResponseBody::from_events(EventStream {
        command: Some(Box::pin(command)),
        fault: None,
        next_event: Box::new(next_event),
    }));

    let headers = &mut response.headers;
    headers.set(CONTENT_TYPE, MEDIA_TYPE);
    headers.set(CACHE_CONTROL, "no-store");
    set_request_id(headers, id);
    // the gateway's own client takes its command out of the queue so, and reads the last events
    response.half_close_cancels = true;
    response
}

/// An event before the end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// It waits for a slot.
    Queued {
        /// 1 is next.
        place: usize,
        /// The number of commands that run.
        running: usize,
    },
    /// It was written to the web server: from now on it runs there.
    Sent,
}

/// The last event of a command.
pub struct LastEvent {
    line: Bytes,
    fault: Option<&'static Code>,
}

debug_fields!(LastEvent: fault);

impl LastEvent {
    /// Creates the last event of a command that the web server answered: its result, or the body of
    /// a response that is no command's output.
    pub fn from_result(
        status: StatusCode,
        repeated: bool,
        result: &Result<CliResult, Bytes>,
    ) -> Self {
        // an error page helps a person even if it is cut
        let raw = result.as_ref().err();
        let shown = raw.map(|raw| raw.get(..MAX_BODY).unwrap_or(raw));
        let line = to_line(&DoneEvent {
            event: "done",
            status: status.as_u16(),
            repeated,
            result: result.as_ref().ok(),
            cut: raw.is_some_and(|raw| raw.len() > MAX_BODY),
            body: shown.map(String::from_utf8_lossy),
        });
        Self { line, fault: None }
    }

    /// Creates the last event of a command that failed on its way.
    pub fn from_fault(fault: &dyn Fault, id: RequestId) -> Self {
        let line = to_line(&FaultEvent {
            event: "fault",
            problem: ProblemDetails::new(fault, id),
            retry_after: get_retry_after(fault),
        });
        Self {
            line,
            fault: Some(fault.code()),
        }
    }
}

#[derive(Serialize)]
struct DoneEvent<'a> {
    event: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    result: Option<&'a CliResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

#[derive(Serialize)]
struct FaultEvent<'a> {
    event: &'static str,
    problem: ProblemDetails<'a>,
    /// In seconds. The head, which could have had a `Retry-After`, was sent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// A command under way, and the events of it. The command advances when the body is polled, and is
/// given up when the body is dropped.
pub struct EventStream {
    /// `None` after the last event.
    command: Option<Pin<Box<dyn Future<Output = LastEvent>>>>,
    /// The fault that ended the command.
    fault: Option<&'static Code>,
    next_event: Box<dyn FnMut() -> Option<Event>>,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("is_end", &self.is_end())
            .finish_non_exhaustive()
    }
}

impl EventStream {
    /// The fault that ended the command.
    pub(super) fn fault(&self) -> Option<&'static Code> {
        self.fault
    }

    /// Returns true after the last event.
    pub(super) fn is_end(&self) -> bool {
        self.command.is_none()
    }

    /// Returns the next lines; `None` after the last one.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(command) = &mut self.command else {
            return Poll::Ready(None);
        };
        // one step of the command; it wakes the task when the next one is due
        let end = command.as_mut().poll(cx);

        // the events of this step come before its end
        let mut lines = BytesMut::new();
        while let Some(event) = (self.next_event)() {
            lines.extend_from_slice(&to_line(&event));
        }
        if let Poll::Ready(last) = end {
            self.command = None;
            self.fault = last.fault;
            lines.extend_from_slice(&last.line);
        }

        if lines.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Some(lines.freeze()))
    }
}

fn to_line(event: &impl Serialize) -> Bytes {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    Bytes::from(line)
}

/// The media type (newline-delimited JSON).
pub(super) const MEDIA_TYPE: &str = "application/vnd.mwaa-gateway.cli-events+ndjson";
/// The longest part of an error page that is reported, in bytes.
const MAX_BODY: usize = 64 * 1024;
