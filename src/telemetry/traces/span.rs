//! The spans of one request, while it runs. They stay on its thread until its end.

use super::context::SpanId;
use super::exporter::Tracer;
use super::{Attribute, TraceContext};
use mwaa_runtime::{Timestamp, boot_clock};
use std::cell::RefCell;
use std::time::Duration;

/// The recorded trace of one request.
#[derive(Debug)]
pub struct RequestTrace {
    tracer: Tracer,
    /// The position of the request's own span.
    context: TraceContext,
    parent: Option<SpanId>,
    begun: Timestamp,
    spans: RefCell<Vec<FinishedSpan>>,
}

/// A span within a request that has begun.
#[derive(Debug, Clone, Copy)]
pub struct OpenSpan {
    id: SpanId,
    name: &'static str,
    is_client: bool,
    begun: Duration,
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub(super) struct FinishedSpan {
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: String,
    pub(super) kind: SpanKind,
    /// Both on the wall clock.
    pub(super) begun: Duration,
    pub(super) ended: Duration,
    pub(super) attributes: Vec<Attribute>,
    /// True if the gateway or the web server has failed.
    pub(super) is_error: bool,
}

/// The side of a call that a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanKind {
    Internal,
    Server,
    Client,
}

/// The spans of a request that has ended.
#[derive(Debug)]
pub(super) struct FinishedTrace {
    pub(super) context: TraceContext,
    pub(super) spans: Vec<FinishedSpan>,
}

impl RequestTrace {
    pub(super) fn begin(
        tracer: Tracer,
        parent: Option<TraceContext>,
        own: TraceContext,
    ) -> Self {
        Self {
            tracer,
            context: own,
            parent: parent.map(|parent| parent.span),
            begun: Timestamp::now(),
            spans: RefCell::default(),
        }
    }

    /// The position of the request's own span.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Begins a span within the request.
    pub fn enter(&self, name: &'static str, is_client: bool) -> OpenSpan {
        OpenSpan {
            id: SpanId::random(),
            name,
            is_client,
            begun: boot_clock(),
        }
    }

    /// Returns the position of a span, for the one that is called within it.
    pub fn position(&self, span: &OpenSpan) -> TraceContext {
        TraceContext {
            span: span.id,
            ..self.context
        }
    }

    /// Ends a span within the request.
    pub fn leave(&self, span: &OpenSpan) {
        self.spans.borrow_mut().push(FinishedSpan {
            id: span.id,
            parent: Some(self.context.span),
            name: span.name.to_owned(),
            kind: if span.is_client {
                SpanKind::Client
            } else {
                SpanKind::Internal
            },
            begun: self.to_wall(span.begun),
            ended: self.to_wall(boot_clock()),
            attributes: Vec::new(),
            is_error: false,
        });
    }

    /// Ends the request's own span, and passes all to the exporter.
    pub fn end(&self, name: String, attributes: Vec<Attribute>, is_error: bool) {
        let mut spans = self.spans.take();
        spans.push(FinishedSpan {
            id: self.context.span,
            parent: self.parent,
            name,
            kind: SpanKind::Server,
            begun: self.begun.wall(),
            ended: self.to_wall(boot_clock()),
            attributes,
            is_error,
        });
        self.tracer.push(FinishedTrace {
            context: self.context,
            spans,
        });
    }

    /// Returns the wall clock at a time of the boot clock: durations are right although someone sets
    /// the wall clock.
    fn to_wall(&self, boot: Duration) -> Duration {
        self.begun.wall() + boot.saturating_sub(self.begun.boot())
    }
}
