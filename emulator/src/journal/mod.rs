//! What the emulator saw: the witness statement that tests read.

mod entries;
mod record;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

pub use entries::{ControlCall, TokenKind, WebRequest};

/// A record of every call, request and connection, newest last.
///
/// Entries appear when a request arrives and are completed when it is answered. Only the
/// newest entries are kept (see [`Settings::journal_limit`](super::Settings)); the counters
/// count all.
#[derive(Debug)]
pub struct Journal {
    pages: Mutex<Pages>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Pages {
    limit: usize,
    next_id: u64,
    control_calls: VecDeque<ControlCall>,
    web_requests: VecDeque<WebRequest>,
    commands: VecDeque<String>,
    server_names: VecDeque<Option<String>>,
    received: BTreeMap<u64, Vec<u8>>,
    cli_mints: usize,
    web_mints: usize,
    logins: usize,
    control_count: usize,
    web_count: usize,
    connections: u64,
    running: usize,
    peak: usize,
}

impl Journal {
    pub(crate) fn new(limit: usize) -> Self {
        let pages = Pages {
            limit: limit.max(1),
            ..Pages::default()
        };
        Self {
            pages: Mutex::new(pages),
            changes: watch::Sender::new(0),
        }
    }

    /// The calls to the AWS side.
    pub fn control_calls(&self) -> Vec<ControlCall> {
        self.read().control_calls.iter().cloned().collect()
    }

    /// How many kept calls asked for an operation, answered or not.
    pub fn calls(&self, operation: &str) -> usize {
        let pages = self.read();
        pages
            .control_calls
            .iter()
            .filter(|call| call.operation == operation)
            .count()
    }

    /// How many calls of any kind reached the AWS side.
    pub fn control_count(&self) -> usize {
        self.read().control_count
    }

    /// How many tokens of a kind were issued.
    pub fn mints(&self, kind: TokenKind) -> usize {
        let pages = self.read();
        match kind {
            TokenKind::Cli => pages.cli_mints,
            TokenKind::Web => pages.web_mints,
        }
    }

    /// How many logins with a web token succeeded, whatever became of their sessions.
    pub fn logins(&self) -> usize {
        self.read().logins
    }

    /// The requests to the web side.
    pub fn web_requests(&self) -> Vec<WebRequest> {
        self.read().web_requests.iter().cloned().collect()
    }

    /// How many requests reached the web side.
    pub fn web_count(&self) -> usize {
        self.read().web_count
    }

    /// The command lines that were run, as received.
    pub fn commands(&self) -> Vec<String> {
        self.read().commands.iter().cloned().collect()
    }

    /// How many commands run at this moment.
    pub fn running_commands(&self) -> usize {
        self.read().running
    }

    /// The most commands that ever ran at once.
    pub fn peak_commands(&self) -> usize {
        self.read().peak
    }

    /// How many TCP connections the web side accepted.
    pub fn web_connections(&self) -> usize {
        usize::try_from(self.read().connections).unwrap_or(usize::MAX)
    }

    /// The server name each finished TLS handshake asked for.
    pub fn server_names(&self) -> Vec<Option<String>> {
        self.read().server_names.iter().cloned().collect()
    }

    /// The first 64 KiB of what came in on a web connection, byte for byte, inside TLS. Kept for
    /// the newest thousand connections.
    pub fn received(&self, connection: u64) -> Vec<u8> {
        self.read()
            .received
            .get(&connection)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until the predicate holds. It is asked now and again after every change; put a
    /// timeout around it where the change may never come.
    pub async fn wait_for(&self, mut predicate: impl FnMut(&Self) -> bool) {
        let mut changes = self.changes.subscribe();
        while !predicate(self) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn read(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<R>(&self, change: impl FnOnce(&mut Pages) -> R) -> R {
        let result = change(&mut self.read());
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_with_the_change_that_was_waited_for() {
        let journal = Journal::new(2);
        let mut waiting =
            std::pin::pin!(journal.wait_for(|journal| journal.calls("GetEnvironment") == 2));
        assert!(poll_once(waiting.as_mut()).await.is_none());
        journal.begin_control("GetEnvironment", None, None, None);
        assert!(poll_once(waiting.as_mut()).await.is_none());
        journal.begin_control("GetEnvironment", None, None, None);
        assert!(poll_once(waiting.as_mut()).await.is_some());
    }

    #[test]
    fn old_entries_go_and_counters_stay() {
        let journal = Journal::new(2);
        for _ in 0..3 {
            let id = journal.begin_control("CreateCliToken", Some("demo"), None, None);
            journal.end_control(id, 200, None, None);
        }
        assert_eq!(journal.calls("CreateCliToken"), 2);
        assert_eq!(journal.control_count(), 3);
        assert!(
            journal
                .control_calls()
                .iter()
                .all(|call| call.status == Some(200))
        );
    }

    async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
