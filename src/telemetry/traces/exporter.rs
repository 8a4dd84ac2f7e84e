//! The way of finished traces to the collector: a bounded queue, and batches.

use super::context::{SpanId, TraceId};
use super::message::{ExportRequest, ExportResponse, Resource};
use super::span::{FinishedTrace, RequestTrace};
use super::{Attribute, Sampler, TraceContext};
use prost::Message as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Begins the traces of requests, and takes them when they have ended. Clones share the queue.
#[derive(Debug, Clone)]
pub struct Tracer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    queue: Mutex<Queue>,
    /// Notified when there is a whole batch, and at the end.
    wake: Notify,
    /// The spans that no collector has got.
    dropped: AtomicU64,
    is_ending: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    traces: Vec<FinishedTrace>,
    spans: usize,
}

/// The settings of the export.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The traces that are recorded.
    pub sampler: Sampler,
    /// The attributes of the gateway itself.
    pub resource: Vec<Attribute>,
    /// The most spans that wait.
    pub max_queue: usize,
    /// The spans of a batch; a request's spans stay together.
    pub max_batch: usize,
    /// The longest time that spans wait for a batch.
    pub delay: Duration,
}

/// An export that failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It may be sent again.
    #[error("{0}")]
    Temporary(String),
    /// The collector does not want it.
    #[error("{0}")]
    Refused(String),
}

impl Tracer {
    /// Creates a queue; [`run`](Self::run) empties it.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            settings,
            queue: Mutex::default(),
            wake: Notify::new(),
            dropped: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
        }))
    }

    /// Begins the trace of a request, as a part of its caller's if that has a valid one. Returns the
    /// position of the request; and the trace, if it is recorded.
    pub fn begin(&self, parent: Option<TraceContext>) -> (TraceContext, Option<RequestTrace>) {
        let trace = parent.map_or_else(TraceId::random, |parent| parent.trace);
        let own = TraceContext {
            trace,
            span: SpanId::random(),
            is_sampled: self.0.settings.sampler.samples(parent, trace),
        };
        let recorded = own
            .is_sampled
            .then(|| RequestTrace::begin(self.clone(), parent, own));
        (own, recorded)
    }

    /// Returns the number of spans that no collector has got.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Adds a trace, or counts it if the collector is too slow or gone.
    pub(super) fn push(&self, trace: FinishedTrace) {
        let Settings {
            max_queue,
            max_batch,
            ..
        } = self.0.settings;
        let count = trace.spans.len();
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.spans + count > max_queue {
            drop(queue);
            self.count_dropped(count);
            return;
        }

        let before = queue.spans;
        queue.spans += count;
        queue.traces.push(trace);
        let is_batch = before < max_batch && queue.spans >= max_batch;
        drop(queue);
        if is_batch {
            self.0.wake.notify_one();
        }
    }

    fn count_dropped(&self, spans: usize) {
        let before = self.0.dropped.fetch_add(spans as u64, Ordering::Relaxed);
        if before == 0 {
            tracing::warn!("spans are dropped: the collector of traces is too slow, or gone");
        }
    }

    /// Ends [`run`](Self::run), once what waits has been sent.
    pub fn end(&self) {
        self.0.is_ending.store(true, Ordering::Relaxed);
        self.0.wake.notify_one();
    }

    /// Sends the traces in batches until [`end`](Self::end). `send` sends one message and returns the
    /// collector's answer. A message that may be sent again is, [`MAX_TRIES`] times; meanwhile the
    /// queue fills up and spans are dropped.
    pub async fn run<F>(self, send: impl Fn(Vec<u8>) -> F)
    where
        F: Future<Output = Result<Vec<u8>, ExportError>>,
    {
        loop {
            let is_ending = self.0.is_ending.load(Ordering::Relaxed);
            if !is_ending {
                let delay = self.0.settings.delay;
                tokio::select! {
                    () = self.0.wake.notified() => {}
                    () = tokio::time::sleep(delay) => {}
                }
            }
            while let Some((message, spans)) = self.next_batch() {
                self.export(message, spans, &send).await;
            }
            if is_ending {
                return;
            }
        }
    }

    fn next_batch(&self) -> Option<(Vec<u8>, usize)> {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = 0;
        let mut traces = 0;
        for trace in &queue.traces {
            traces += 1;
            spans += trace.spans.len();
            if spans >= self.0.settings.max_batch {
                break;
            }
        }
        if traces == 0 {
            return None;
        }
        queue.spans -= spans;
        let batch = queue.traces.drain(..traces).collect();
        drop(queue);

        let resource = Resource::new(&self.0.settings.resource);
        let message = ExportRequest::new(resource, batch).encode_to_vec();
        Some((message, spans))
    }

    async fn export<F>(&self, message: Vec<u8>, spans: usize, send: &impl Fn(Vec<u8>) -> F)
    where
        F: Future<Output = Result<Vec<u8>, ExportError>>,
    {
        let mut pause = FIRST_PAUSE;

        for tries in 1..=MAX_TRIES {
            match send(message.clone()).await {
                Ok(answer) => {
                    let answer = ExportResponse::decode(&*answer).unwrap_or_default();
                    if let Some(partial) = answer.partial_success
                        && partial.rejected_spans > 0
                    {
                        let rejected = usize::try_from(partial.rejected_spans);
                        tracing::debug!(
                            ?rejected,
                            error = partial.error_message,
                            "rejected spans"
                        );
                        self.count_dropped(rejected.unwrap_or(spans));
                    }
                    return;
                }
                Err(ExportError::Temporary(error)) if tries < MAX_TRIES => {
                    tracing::debug!(error, tries, "cannot send traces; trying again");
                    if !self.0.is_ending.load(Ordering::Relaxed) {
                        tokio::time::sleep(pause).await;
                    }
                    pause *= 2;
                }
                Err(error) => {
                    // once: the counter has the rest
                    if self.dropped() == 0 {
                        tracing::warn!(%error, "cannot send traces");
                    }
                    self.count_dropped(spans);
                    return;
                }
            }
        }
    }
}

/// The number of times that a message is sent.
const MAX_TRIES: u32 = 4;
/// The pause before the second time; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
