//! Traces: the position of a request in the trace of its caller, the spans of a request, and their
//! export by OTLP. Without a collector none of it is used.

mod context;
mod exporter;
mod message;
mod sampler;
mod span;

pub use context::{SpanId, TraceContext, TraceId};
pub use exporter::{ExportError, Settings, Tracer};
pub use sampler::Sampler;
pub use span::{OpenSpan, RequestTrace};

use std::borrow::Cow;

/// A fact about a span.
pub type Attribute = (Cow<'static, str>, Value);

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
}

#[cfg(test)]
mod tests;
