//! The steps of a request, as spans of its trace and as lines of the log at level debug. Without
//! either, a step costs a few instructions.

use mwaa_http1::RequestHead;
use mwaa_http1::name::TRACEPARENT;
use mwaa_runtime::boot_clock;
use mwaa_telemetry::traces::{OpenSpan, RequestTrace, TraceContext, TraceId, Tracer};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tracing::{Level, Span};

/// A step of a request; `ARCHITECTURE.md` has them in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Admission,
    Routing,
    Policy,
    Queue,
    Auth,
    Upstream,
    Response,
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Routing => "routing",
            Self::Policy => "policy",
            Self::Queue => "queue",
            Self::Auth => "auth",
            Self::Upstream => "upstream",
            Self::Response => "response",
        }
    }
}

/// The observer of a request's steps. Clones share the trace.
#[derive(Debug, Clone)]
pub(crate) struct Steps {
    /// The request's span in the log.
    span: Span,
    /// The trace, if there is a collector.
    traced: Option<Rc<Traced>>,
}

#[derive(Debug)]
struct Traced {
    /// The spans, if the trace is recorded.
    trace: Option<RequestTrace>,
    /// `None` if what the client sent is passed on unchanged.
    position: Option<Position>,
    /// The request to the web server.
    upstream: Cell<Option<OpenSpan>>,
    response: Cell<Option<OpenSpan>>,
}

/// The position in a trace that the web server gets in place of the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The trace and the span.
    pub context: TraceContext,
    /// True if the client's `tracestate` is passed on: it belongs to the same trace.
    pub keeps_state: bool,
}

impl Steps {
    /// Creates the observer of a request that has just arrived. Its trace begins here, or is a part
    /// of its client's.
    pub(crate) fn begin(span: Span, tracer: Option<&Tracer>, head: &RequestHead) -> Self {
        let traced = tracer.map(|tracer| Rc::new(Traced::begin(tracer, head)));
        Self { span, traced }
    }

    /// The request's span in the log.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Begins a step, which ends when the visit is dropped.
    #[inline]
    pub(crate) fn enter(&self, step: Step) -> Visit<'_> {
        let is_seen = self.traced.is_some() || tracing::enabled!(Level::DEBUG);
        Visit {
            _step: is_seen.then(|| Box::new(self.begin_step(step))),
        }
    }

    #[cold]
    fn begin_step(&self, step: Step) -> StepInProgress<'_> {
        StepInProgress {
            steps: self,
            step,
            begun: boot_clock(),
            span: self.open(step),
        }
    }

    /// Begins the span of a step in the trace, if that is recorded.
    fn open(&self, step: Step) -> Option<OpenSpan> {
        let trace = self.trace()?;
        Some(trace.enter(step.as_str(), step == Step::Upstream))
    }

    /// A request to the web server begins.
    pub(crate) fn begin_upstream(&self) {
        if let Some(traced) = &self.traced {
            traced.upstream.set(self.open(Step::Upstream));
        }
    }

    /// A request to the web server has ended.
    pub(crate) fn end_upstream(&self, took: Duration) {
        if let Some(traced) = &self.traced {
            traced.leave(&traced.upstream);
        }
        self.log(Step::Upstream, took);
    }

    /// Returns the position in a trace that the web server gets; `None` if it gets the client's.
    pub(crate) fn position(&self) -> Option<Position> {
        let traced = self.traced.as_ref()?;
        let position = traced.position?;
        Some(match (&traced.trace, traced.upstream.get()) {
            (Some(trace), Some(upstream)) => Position {
                context: trace.position(&upstream),
                ..position
            },
            _ => position,
        })
    }

    fn log(&self, step: Step, took: Duration) {
        tracing::debug!(parent: &self.span, step = step.as_str(), ?took, "step ended");
    }

    /// The head of the response is ready.
    pub(crate) fn begin_response(&self) {
        if let Some(traced) = &self.traced {
            traced.response.set(self.open(Step::Response));
        }
    }

    /// The response has ended. Returns the trace, if it is recorded.
    pub(crate) fn end_response(&self) -> Option<&RequestTrace> {
        let traced = self.traced.as_ref()?;
        // a client that has left ends what it waited for
        traced.leave(&traced.upstream);
        traced.leave(&traced.response);
        traced.trace.as_ref()
    }

    fn trace(&self) -> Option<&RequestTrace> {
        self.traced.as_ref()?.trace.as_ref()
    }

    /// Returns the trace of the request, whether or not it is recorded here.
    pub(crate) fn trace_id(&self, head: &RequestHead) -> Option<TraceId> {
        let position = self.traced.as_ref().and_then(|traced| traced.position);
        let context = position.map(|position| position.context);
        context
            .or_else(|| find_context(head))
            .map(|context| context.trace)
    }
}

impl Traced {
    fn begin(tracer: &Tracer, head: &RequestHead) -> Self {
        let parent = find_context(head);
        let (context, trace) = tracer.begin(parent);
        // a client that wants nothing recorded gets its way
        let is_own = trace.is_some() || parent.is_none();
        Self {
            trace,
            position: is_own.then_some(Position {
                context,
                keeps_state: parent.is_some(),
            }),
            upstream: Cell::new(None),
            response: Cell::new(None),
        }
    }

    /// Ends a span, if it has begun.
    fn leave(&self, span: &Cell<Option<OpenSpan>>) {
        if let (Some(trace), Some(span)) = (&self.trace, span.take()) {
            trace.leave(&span);
        }
    }
}

/// Returns the client's position in a trace. A request that has two has none.
fn find_context(head: &RequestHead) -> Option<TraceContext> {
    TraceContext::parse(head.headers.get_only(TRACEPARENT)?)
}

/// A step that has begun; `None` without a collector and above level debug.
pub(crate) struct Visit<'a> {
    _step: Option<Box<StepInProgress<'a>>>,
}

struct StepInProgress<'a> {
    steps: &'a Steps,
    step: Step,
    begun: Duration,
    span: Option<OpenSpan>,
}

impl Drop for StepInProgress<'_> {
    fn drop(&mut self) {
        if let (Some(trace), Some(span)) = (self.steps.trace(), &self.span) {
            trace.leave(span);
        }
        self.steps
            .log(self.step, boot_clock().saturating_sub(self.begun));
    }
}
