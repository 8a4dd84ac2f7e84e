//! A command's events as they happen: one JSON object a line, the last one its end.

use super::cli_output::CliResult;
use super::problem::{Problem, retry_after};
use super::{Reply, ReplyStream, stamp};
use crate::names::{Code, Fault, RequestId, debug_only};
use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What happens to a command before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// It waits for a slot.
    Queued {
        /// 1 is next.
        place: usize,
        /// How many commands run.
        running: usize,
    },
    /// It was written to the web server: from now on it runs there.
    Sent,
}

/// The body: a command under way, and what is told of it. The command is driven by whoever
/// reads the body, and given up with it.
pub struct Events {
    /// Ends with the last line.
    course: Option<Pin<Box<dyn Future<Output = LastLine>>>>,
    /// The fault that ended the command.
    fault: Option<&'static Code>,
    news: Box<dyn FnMut() -> Option<Event>>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("over", &self.is_over())
            .finish_non_exhaustive()
    }
}

impl Events {
    /// The fault that ended the command, once it has ended.
    pub(super) fn fault(&self) -> Option<&'static Code> {
        self.fault
    }

    pub(super) fn is_over(&self) -> bool {
        self.course.is_none()
    }

    /// The next lines; nothing after the last one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(course) = &mut self.course else {
            return Poll::Ready(None);
        };
        let end = course.as_mut().poll(cx);
        let mut lines = BytesMut::new();
        while let Some(event) = (self.news)() {
            lines.extend_from_slice(&line(&event));
        }
        if let Poll::Ready(last) = end {
            self.course = None;
            self.fault = last.fault;
            lines.extend_from_slice(&last.line);
        }
        if lines.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Some(lines.freeze()))
    }
}

/// The reply that tells what happens. `course` is the command under way and ends with the last
/// line; after each of its steps `news` is asked for what has happened, until it has nothing.
pub fn events(
    id: RequestId,
    course: impl Future<Output = LastLine> + 'static,
    news: impl FnMut() -> Option<Event> + 'static,
) -> Reply {
    let mut response = Response::new(ReplyStream::Events(Box::new(Events {
        course: Some(Box::pin(course)),
        fault: None,
        news: Box::new(news),
    })));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    stamp(headers, id);
    response
}

/// The last line of a command that was answered: its result, or the text of a reply that is no
/// command's output.
pub fn done_line(
    status: StatusCode,
    repeated: bool,
    result: &Result<CliResult, Bytes>,
) -> LastLine {
    let other = result.as_ref().err();
    let text = other.map(|raw| {
        let shown = raw.get(..LONGEST_BODY).unwrap_or(raw);
        (String::from_utf8_lossy(shown), shown.len() < raw.len())
    });
    let line = line(&Done {
        event: "done",
        status: status.as_u16(),
        repeated,
        result: result.as_ref().ok(),
        cut: text.as_ref().is_some_and(|(_, cut)| *cut),
        body: text.map(|(text, _)| text),
    });
    LastLine { line, fault: None }
}

/// The last line of a command that failed on its way.
pub fn fault_line(fault: &dyn Fault, id: RequestId) -> LastLine {
    let line = line(&Failed {
        event: "fault",
        problem: Problem::of(fault, id),
        retry_after: retry_after(fault),
    });
    LastLine {
        line,
        fault: Some(fault.code()),
    }
}

/// How a command's events end.
pub struct LastLine {
    line: Bytes,
    fault: Option<&'static Code>,
}

debug_only!(LastLine: fault);

#[derive(Serialize)]
struct Done<'a> {
    event: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    result: Option<&'a CliResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<std::borrow::Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

#[derive(Serialize)]
struct Failed<'a> {
    event: &'static str,
    problem: Problem<'a>,
    /// In seconds: the head with its `Retry-After` is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

fn line(event: &impl Serialize) -> Bytes {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    Bytes::from(line)
}

/// The media type (newline-delimited JSON).
pub(super) const MEDIA: &str = "application/vnd.mwaa-gateway.cli-events+ndjson";
/// The most of an error page that is told, in bytes.
const LONGEST_BODY: usize = 64 * 1024;
