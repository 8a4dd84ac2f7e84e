//! The steps of a request, as spans of its trace and as lines of the log at level debug. Without
//! either, a step costs a few instructions.

use mwaa_http1::RequestHead;
use mwaa_http1::name::TRACEPARENT;
use mwaa_runtime::boot_clock;
use mwaa_telemetry::traces::{OpenSpan, RequestTrace, TraceContext, TraceId, Tracer};
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
    /// The trace, if it is recorded.
    trace: Option<Rc<RequestTrace>>,
    propagation: Propagation,
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
        let Some(tracer) = tracer else {
            return Self {
                span,
                trace: None,
                propagation: Propagation::Unchanged,
            };
        };

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
            span,
            trace: trace.map(Rc::new),
            propagation,
        }
    }

    /// Begins a step, which ends when the visit is dropped.
    pub(crate) fn enter(&self, step: Step) -> Visit<'_> {
        let is_seen = self.trace.is_some() || tracing::enabled!(Level::DEBUG);
        let begun = is_seen.then(|| Begun {
            at: boot_clock(),
            span: self.open(step),
        });
        Visit {
            steps: self,
            step,
            begun,
        }
    }

    /// Begins the span of a step in the trace, if that is recorded.
    pub(crate) fn open(&self, step: Step) -> Option<OpenSpan> {
        let trace = self.trace.as_ref()?;
        Some(trace.enter(step.as_str(), step == Step::Upstream))
    }

    /// The trace, if it is recorded.
    pub(crate) fn trace(&self) -> Option<&RequestTrace> {
        self.trace.as_deref()
    }

    /// Returns the trace of the request, whether or not it is recorded here.
    pub(crate) fn trace_id(&self, head: &RequestHead) -> Option<TraceId> {
        match self.propagation {
            Propagation::Position { context, .. } => Some(context.trace),
            Propagation::Unchanged => find_context(head).map(|context| context.trace),
        }
    }
}

/// Returns the client's position in a trace. A request that has two has none.
fn find_context(head: &RequestHead) -> Option<TraceContext> {
    TraceContext::parse(head.headers.get_only(TRACEPARENT)?)
}

/// A step that has begun.
pub(crate) struct Visit<'a> {
    steps: &'a Steps,
    step: Step,
    begun: Option<Begun>,
}

struct Begun {
    at: Duration,
    span: Option<OpenSpan>,
}

impl Visit<'_> {
    /// Returns the trace context that the web server gets.
    pub(crate) fn propagation(&self) -> Propagation {
        let begun = self.begun.as_ref();
        let span = begun.and_then(|begun| begun.span.as_ref());
        match (self.steps.propagation, &self.steps.trace, span) {
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

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let Some(begun) = &self.begun else { return };
        if let (Some(trace), Some(span)) = (&self.steps.trace, &begun.span) {
            trace.leave(span);
        }
        let took = boot_clock().saturating_sub(begun.at);
        tracing::debug!(parent: &self.steps.span, step = self.step.as_str(), ?took, "step ended");
    }
}
