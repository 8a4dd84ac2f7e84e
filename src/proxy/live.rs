//! The events of the overview: server-sent events (WHATWG HTML standard, section 9.2) with the parts of
//! the page that have changed, at most once a second. They are made on the worker thread of their
//! connection, and only while it is open; neither AWS nor a web server is called.

use crate::context::RequestContext;
use crate::local_pages;
use crate::response::{self, Response};
use crate::routing::LocalPageRequest;
use bytes::Bytes;
use futures_util::stream;
use mwaa_pages::LivePart;
use mwaa_runtime::ShutdownStage;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The open streams of events, by listener. Each takes a place for connections for as long as a page is
/// open, so that their number is limited.
#[derive(Debug, Clone)]
pub struct Watchers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: usize,
    open: Mutex<BTreeMap<String, usize>>,
}

/// One stream, counted until it is dropped.
#[derive(Debug)]
struct Watcher {
    watchers: Watchers,
    listener: String,
}

impl Watchers {
    /// Allows this many streams at each listener.
    pub fn new(max: usize) -> Self {
        let open = Mutex::default();
        Self(Arc::new(Shared { max, open }))
    }

    /// Counts one more stream; `None` if the listener has too many.
    fn enter(&self, listener: &str) -> Option<Watcher> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(listener.to_owned()).or_insert(0);
        if *count >= self.0.max {
            return None;
        }
        *count += 1;
        Some(Watcher {
            watchers: self.clone(),
            listener: listener.to_owned(),
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let open = &self.watchers.0.open;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.listener) {
            *count -= 1;
        }
    }
}

/// Returns the events of an overview. If the listener has too many streams the response is 204, after
/// which a browser does not ask again.
pub(crate) fn respond(request: LocalPageRequest, ctx: &RequestContext) -> Response {
    let watchers = &ctx.proxy().state.watchers;
    let Some(watcher) = watchers.enter(&ctx.listener().name) else {
        tracing::debug!("the listener has too many streams of events");
        return response::no_events(ctx.id());
    };
    let live = LiveOverview {
        ctx: ctx.clone(),
        request,
        sent: BTreeMap::new(),
        phase: Phase::First,
        _watcher: watcher,
    };
    response::from_live(stream::unfold(live, LiveOverview::next), ctx.id())
}

/// The overview of one client that watches it.
struct LiveOverview {
    ctx: RequestContext,
    request: LocalPageRequest,
    /// The hash of each part as the client has it.
    sent: BTreeMap<&'static str, u64>,
    phase: Phase,
    _watcher: Watcher,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    First,
    Watching,
    Ended,
}

impl LiveOverview {
    /// Waits for a change and returns its events; `None` at the end.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let mut quiet = 0;
        loop {
            match self.phase {
                Phase::Ended => return None,
                Phase::First => self.phase = Phase::Watching,
                Phase::Watching => {
                    let proxy = self.ctx.proxy();
                    let ended = proxy
                        .timer
                        .within(INTERVAL, proxy.shutdown.wait_for(ShutdownStage::Draining))
                        .await;
                    if ended.is_ok() || proxy.is_replaced.get() {
                        // the next gateway may take a moment to start
                        self.phase = Phase::Ended;
                        return Some((Bytes::from_static(RETRY), self));
                    }
                }
            }

            let events = self.changes();
            if !events.is_empty() {
                return Some((Bytes::from(events), self));
            }
            quiet += 1;
            // a client that has gone without a word is noticed by a write
            if quiet >= LONGEST_SILENCE {
                return Some((Bytes::from_static(COMMENT), self));
            }
        }
    }

    /// Returns the events for the parts that have changed.
    fn changes(&mut self) -> String {
        let overview = local_pages::gather(&self.request, &self.ctx);
        let mut events = String::new();
        for part in mwaa_pages::render_live_parts(&overview) {
            let mut hasher = DefaultHasher::new();
            part.html.hash(&mut hasher);
            let hash = hasher.finish();
            if self.sent.insert(part.id, hash) != Some(hash) {
                push_event(&mut events, &part);
            }
        }
        events
    }
}

/// Appends one event. Each line of its data is a field, and a carriage return would end one too.
fn push_event(events: &mut String, part: &LivePart) {
    // writing to a String does not fail
    let _infallible = writeln!(events, "event: {}", part.id);
    for line in part.html.replace('\r', "&#13;").split('\n') {
        let _infallible = writeln!(events, "data: {line}");
    }
    events.push('\n');
}

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// The most looks without a change before a comment is sent.
const LONGEST_SILENCE: u32 = 15;
const COMMENT: &[u8] = b":\n\n";
/// The last event sets the time after which the browser connects again, in milliseconds.
const RETRY: &[u8] = b"retry: 2000\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_end_its_event() {
        let mut events = String::new();
        let part = LivePart {
            id: "refusals",
            html: "a\nevent: x\r\rdata: y\n\nb".to_owned(),
        };
        push_event(&mut events, &part);
        let expected =
            "event: refusals\ndata: a\ndata: event: x&#13;&#13;data: y\ndata: \ndata: b\n\n";
        assert_eq!(events, expected);
    }

    #[test]
    fn each_listener_has_its_own_number_of_streams() {
        let watchers = Watchers::new(2);
        let first = watchers.enter("listener");
        let second = watchers.enter("listener");
        assert!(first.is_some() && second.is_some());
        assert!(watchers.enter("listener").is_none());
        assert!(watchers.enter("listeners.x").is_some());
        drop(first);
        assert!(watchers.enter("listener").is_some());
    }
}
