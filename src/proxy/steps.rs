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
    propagation: Propagation,
    response: Cell<Option<OpenSpan>>,
}

/// The trace context that the web server gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// The client's, whatever it is.
    Unchanged,
    /// This position. `keeps_state` is false if the client's `tracestate` belongs to no valid trace.
    Position {
        /// The position.
        context: TraceContext,
        /// True if the client's `tracestate` is passed on.
        keeps_state: bool,
    },
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
        Visit(is_seen.then(|| Box::new(self.begin_step(step))))
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

    /// The head of the response is ready.
    pub(crate) fn begin_response(&self) {
        if let Some(traced) = &self.traced {
            traced.response.set(self.open(Step::Response));
        }
    }

    /// The response has ended. Returns the trace, if it is recorded.
    pub(crate) fn end_response(&self) -> Option<&RequestTrace> {
        let traced = self.traced.as_ref()?;
        let trace = traced.trace.as_ref()?;
        if let Some(response) = traced.response.take() {
            trace.leave(&response);
        }
        Some(trace)
    }

    fn trace(&self) -> Option<&RequestTrace> {
        self.traced.as_ref()?.trace.as_ref()
    }

    /// Returns the trace of the request, whether or not it is recorded here.
    pub(crate) fn trace_id(&self, head: &RequestHead) -> Option<TraceId> {
        match self.traced.as_ref().map(|traced| traced.propagation) {
            Some(Propagation::Position { context, .. }) => Some(context.trace),
            Some(Propagation::Unchanged) | None => {
                find_context(head).map(|context| context.trace)
            }
        }
    }
}

impl Traced {
    fn begin(tracer: &Tracer, head: &RequestHead) -> Self {
        let parent = find_context(head);
        let (context, trace) = tracer.begin(parent);
        let propagation = if trace.is_none() && parent.is_some() {
            // as the client has said: nothing of it is recorded
            Propagation::Unchanged
        } else {
            Propagation::Position {
                context,
                keeps_state: parent.is_some(),
            }
        };
        Self {
            trace,
            propagation,
            response: Cell::new(None),
        }
    }
}

/// Returns the client's position in a trace. A request that has two has none.
fn find_context(head: &RequestHead) -> Option<TraceContext> {
    TraceContext::parse(head.headers.get_only(TRACEPARENT)?)
}

/// A step that has begun; `None` if nobody observes it.
pub(crate) struct Visit<'a>(Option<Box<StepInProgress<'a>>>);

struct StepInProgress<'a> {
    steps: &'a Steps,
    step: Step,
    begun: Duration,
    span: Option<OpenSpan>,
}

impl Visit<'_> {
    /// Returns the trace context that the web server gets.
    pub(crate) fn propagation(&self) -> Propagation {
        let in_progress = self.0.as_ref();
        in_progress.map_or(Propagation::Unchanged, |step| step.propagation())
    }
}

impl StepInProgress<'_> {
    fn propagation(&self) -> Propagation {
        let Some(traced) = &self.steps.traced else {
            return Propagation::Unchanged;
        };
        match (traced.propagation, &traced.trace, &self.span) {
            (Propagation::Position { keeps_state, .. }, Some(trace), Some(span)) => {
                Propagation::Position {
                    context: trace.position(span),
                    keeps_state,
                }
            }
            (propagation, ..) => propagation,
        }
    }
}

impl Drop for StepInProgress<'_> {
    fn drop(&mut self) {
        if let (Some(trace), Some(span)) = (self.steps.trace(), &self.span) {
            trace.leave(span);
        }
        let took = boot_clock().saturating_sub(self.begun);
        tracing::debug!(parent: &self.steps.span, step = self.step.as_str(), ?took, "step ended");
    }
}
