//! The body of a response to the client, and the report of its end.

use super::events::EventStream;
use super::links::LinkRewriter;
use super::redact::RedactedBody;
use crate::context::RequestContext;
use crate::upstream::UpstreamBody;
use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use mwaa_model::{Code, Fault, code, error_chain};
use mwaa_server::BoxError;
use mwaa_telemetry::RequestLabels;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A response body.
///
/// The request is counted and logged when the body is dropped, because only then it is known if
/// the client could get all of it: a response whose body broke off is no success.
pub struct ResponseBody {
    source: BodySource,
    record: Option<RequestRecord>,
}

enum BodySource {
    /// The events of a command, as they happen.
    Events(Box<EventStream>),
    /// The events of our own page.
    Live(Pin<Box<dyn Stream<Item = Bytes>>>),
    /// A page of the web server; its links are rewritten as it comes.
    Rewritten(Box<LinkRewriter>),
    /// A JSON document of the web server, without the values that a read-only client may not see.
    Redacted(Box<RedactedBody>),
    /// The web server's body, passed on as it comes.
    Upstream(Box<UpstreamBody>),
    /// A body in memory.
    Memory(Option<Bytes>),
}

/// The record of a request until the end of its response.
struct RequestRecord {
    context: RequestContext,
    status: u16,
    took: Duration,
    /// The body was polled to its end.
    complete: bool,
    /// The fault of a body that failed after the head was sent.
    broken: Option<&'static Code>,
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            BodySource::Events(events) => events.fmt(f),
            BodySource::Live(_) => f.write_str("Live"),
            BodySource::Rewritten(page) => page.fmt(f),
            BodySource::Redacted(document) => document.fmt(f),
            BodySource::Upstream(body) => body.fmt(f),
            BodySource::Memory(bytes) => {
                let size = bytes.as_ref().map_or(0, Bytes::len);
                write!(f, "Memory({size} bytes)")
            }
        }
    }
}

impl ResponseBody {
    /// Creates a body in memory.
    pub(super) fn from_bytes(bytes: Bytes) -> Self {
        Self::new(BodySource::Memory(Some(bytes)))
    }

    /// Creates a response without a body.
    pub(super) fn empty() -> Self {
        Self::new(BodySource::Memory(None))
    }

    pub(super) fn from_events(events: EventStream) -> Self {
        Self::new(BodySource::Events(Box::new(events)))
    }

    pub(super) fn from_live(events: impl Stream<Item = Bytes> + 'static) -> Self {
        Self::new(BodySource::Live(Box::pin(events)))
    }

    pub(super) fn rewritten(page: LinkRewriter) -> Self {
        Self::new(BodySource::Rewritten(Box::new(page)))
    }

    pub(super) fn redacted(document: RedactedBody) -> Self {
        Self::new(BodySource::Redacted(Box::new(document)))
    }

    pub(super) fn from_upstream(body: Box<UpstreamBody>) -> Self {
        Self::new(BodySource::Upstream(body))
    }

    fn new(source: BodySource) -> Self {
        Self {
            source,
            record: None,
        }
    }

    /// Returns true if it is the web server's body as it comes.
    pub(crate) fn is_upstream(&self) -> bool {
        matches!(self.source, BodySource::Upstream(_))
    }

    /// Makes the body report the request at its end. `status` is the response's; the time until
    /// its head counts as the request's duration.
    pub(crate) fn report(mut self, context: RequestContext, status: u16) -> Self {
        let took = context.on_head(status);
        self.record = Some(RequestRecord {
            context,
            status,
            took,
            complete: false,
            broken: None,
        });
        self
    }

    /// Records the error of the source.
    fn fail(&mut self, error: &BoxError) {
        if let Some(record) = &mut self.record {
            let cause = error_chain(error.as_ref());
            let fault = if error.is::<CutError>() {
                BrokenResponseError::Cut(CutError)
            } else {
                BrokenResponseError::Upstream(cause)
            };
            record.broken = Some(fault.code());
            record.context.record_fault(&fault);
        }
    }

    /// Returns true if the gateway is about to end, and does not wait for the rest.
    fn is_cut(&self) -> bool {
        let record = self.record.as_ref();
        record.is_some_and(|record| record.context.proxy().tasks.is_closed())
    }

    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.source {
            BodySource::Upstream(body) => Pin::new(body.as_mut()).poll_frame(cx),
            BodySource::Events(events) => {
                let line = ready!(events.poll_next(cx));
                Poll::Ready(line.map(|line| Ok(Frame::data(line))))
            }
            BodySource::Live(events) => {
                let events = ready!(events.as_mut().poll_next(cx));
                Poll::Ready(events.map(|events| Ok(Frame::data(events))))
            }
            BodySource::Rewritten(page) => Pin::new(page.as_mut()).poll_frame(cx),
            BodySource::Redacted(document) => Pin::new(document.as_mut()).poll_frame(cx),
            BodySource::Memory(bytes) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    /// Returns the fault that ended the events of a command.
    fn fault(&self) -> Option<&'static Code> {
        match &self.source {
            BodySource::Events(events) => events.fault(),
            BodySource::Live(_)
            | BodySource::Rewritten(_)
            | BodySource::Redacted(_)
            | BodySource::Upstream(_)
            | BodySource::Memory(_) => None,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let frame = match this.poll_source(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending if this.is_cut() => Some(Err(CutError.into())),
            Poll::Pending => return Poll::Pending,
        };

        match frame {
            Some(Ok(frame)) => {
                if let (Some(record), Some(data)) = (&this.record, frame.data_ref()) {
                    record.context.on_sent(data.len());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                if let Some(record) = &mut this.record {
                    record.complete = true;
                }
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                this.fail(&error);
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            BodySource::Events(events) => events.is_end(),
            BodySource::Live(_) => false,
            BodySource::Rewritten(page) => page.is_end_stream(),
            BodySource::Redacted(document) => document.is_end_stream(),
            BodySource::Upstream(body) => body.is_end_stream(),
            BodySource::Memory(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            // unknown before the end
            BodySource::Events(_) | BodySource::Live(_) => SizeHint::default(),
            BodySource::Rewritten(page) => page.size_hint(),
            BodySource::Redacted(document) => document.size_hint(),
            BodySource::Upstream(body) => body.size_hint(),
            BodySource::Memory(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let Some(record) = &self.record else { return };
        let context = &record.context;

        // a body that is known to be at its end is never polled to it
        let is_complete = record.complete || self.is_end_stream();
        context.on_end(is_complete);
        if is_complete && let Some(command) = context.existing_command_record() {
            command.on_delivered();
        }

        // a client that saw the response fail did not see the status that it began with
        let (kind, status) = match record.broken.or_else(|| self.fault()) {
            Some(code) => ("fault", code.status.as_u16()),
            None => (context.kind(), record.status),
        };
        let took = record.took;
        let proxy = context.proxy();
        let labels = RequestLabels {
            environment: context.entry(),
            status,
            kind,
        };
        proxy
            .metrics
            .count_request(labels, took, |id| proxy.state.environment_name(id));
        if context.has_access_line() {
            return;
        }
        tracing::debug!(parent: context.span(), id = %context.id(), method = %context.method(), kind, status, ?took, "answered");
    }
}

/// A response that broke off after some of it had been sent to the client.
#[derive(Debug, thiserror::Error)]
enum BrokenResponseError {
    #[error("{0}; outcome: unknown")]
    Cut(CutError),
    #[error(
        "the web server's response was cut off after part of it was sent ({0}); outcome: unknown"
    )]
    Upstream(String),
}

/// The gateway's end cuts off a response.
#[derive(Debug, thiserror::Error)]
#[error("the gateway stopped after part of the response was sent")]
struct CutError;

impl Fault for BrokenResponseError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Cut(_) => &code::INTERRUPTED,
            Self::Upstream(_) => &code::UPSTREAM_BROKEN,
        }
    }
}
