//! What the emulator saw: the witness statement that tests read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One call to the AWS side.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ControlCall {
    /// Its place among all entries.
    pub(crate) id: u64,
    /// AWS's name for the operation, `Unknown` when there is none.
    pub operation: &'static str,
    /// The environment the call names.
    pub environment: Option<String>,
    /// The access key that the `Authorization` header claims.
    pub access_key_id: Option<String>,
    /// The `Host` header as received.
    pub host: Option<String>,
    /// The status of the answer; `None` while there is none.
    pub status: Option<u16>,
    /// The error code of the answer.
    pub error: Option<String>,
    /// The `jti` of the token in the answer.
    pub token: Option<String>,
}

/// One request to the web side.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebRequest {
    /// Its place among all entries.
    pub(crate) id: u64,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// The method as received.
    pub method: String,
    /// The request target as received.
    pub target: String,
    /// The headers, names in lower case, values as bytes.
    pub headers: Vec<(String, Bytes)>,
    /// The first 64 KiB of the body.
    pub body: Bytes,
    /// The `jti` of the token it carried, if that was one of ours.
    pub token: Option<String>,
    /// Whether its target or its `Referer` held a token of ours, where none belongs.
    pub token_in_url: bool,
    /// The environment it was for.
    pub environment: Option<String>,
    /// The status of the answer; `None` while there is none, and for good if it was spoilt.
    pub status: Option<u16>,
}

impl WebRequest {
    /// The first value of a header, if it is text. `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(candidate, _)| candidate == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// The two kinds of token, as the `aud` claim has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// For the command line endpoint.
    Cli,
    /// For signing in to the UI and the REST API.
    Web,
}

/// A record of every call, request and connection, newest last.
///
/// Entries appear when a request arrives and are completed when it is answered. Only the
/// newest entries are kept (see [`Settings::journal_limit`](super::Settings)); the counters
/// count all.
#[derive(Debug)]
pub struct Journal {
    pages: Mutex<Pages>,
    changes: watch::Sender<()>,
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
            changes: watch::Sender::default(),
        }
    }

    /// The calls to the AWS side.
    pub fn control_calls(&self) -> Vec<ControlCall> {
        self.read().control_calls.iter().cloned().collect()
    }

    /// How many kept calls asked for an operation, answered or not.
    pub fn calls(&self, operation: &str) -> usize {
        let asked = |call: &&ControlCall| call.operation == operation;
        self.read().control_calls.iter().filter(asked).count()
    }

    /// How many calls of any kind reached the AWS side.
    pub fn control_count(&self) -> usize {
        self.read().control_count
    }

    /// How many tokens of a kind were issued.
    pub fn mints(&self, kind: TokenKind) -> usize {
        match kind {
            TokenKind::Cli => self.read().cli_mints,
            TokenKind::Web => self.read().web_mints,
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

    /// The first 64 KiB of each command line that was run.
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
        let pages = self.read();
        pages.received.get(&connection).cloned().unwrap_or_default()
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

    /// Notes a call that has arrived, and returns its id.
    pub(crate) fn begin_control(&self, call: ControlCall) -> u64 {
        self.write(|pages| {
            let id = pages.id();
            pages.control_count += 1;
            push(
                &mut pages.control_calls,
                ControlCall { id, ..call },
                pages.limit,
            );
            id
        })
    }

    /// Completes a call: `change` adds what is known of its answer.
    pub(crate) fn end_control(&self, id: u64, change: impl FnOnce(&mut ControlCall)) {
        self.write(|pages| {
            let mut calls = pages.control_calls.iter_mut();
            calls.rfind(|call| call.id == id).map(change)
        });
    }

    pub(crate) fn minted(&self, kind: TokenKind) {
        self.write(|pages| match kind {
            TokenKind::Cli => pages.cli_mints += 1,
            TokenKind::Web => pages.web_mints += 1,
        });
    }

    pub(crate) fn signed_in(&self) {
        self.write(|pages| pages.logins += 1);
    }

    pub(crate) fn connected(&self) -> u64 {
        self.write(|pages| {
            pages.connections += 1;
            pages.connections
        })
    }

    pub(crate) fn named(&self, server_name: Option<&str>) {
        let name = server_name.map(str::to_owned);
        self.write(|pages| push(&mut pages.server_names, name, pages.limit));
    }

    pub(crate) fn receive(&self, connection: u64, bytes: &[u8]) {
        self.write(|pages| {
            let received = pages.received.entry(connection).or_default();
            let room = KEPT_BYTES.saturating_sub(received.len());
            received.extend(bytes.iter().take(room));
            if pages.received.len() > RECEIVED_CONNECTIONS {
                pages.received.pop_first();
            }
        });
    }

    pub(crate) fn begin_web(&self, mut request: WebRequest) -> u64 {
        // a slice would keep the rest in memory
        request.body = Bytes::copy_from_slice(beginning(&request.body));
        self.write(|pages| {
            let id = pages.id();
            pages.web_count += 1;
            push(
                &mut pages.web_requests,
                WebRequest { id, ..request },
                pages.limit,
            );
            id
        })
    }

    pub(crate) fn end_web(&self, id: u64, status: u16) {
        self.write(|pages| {
            let mut requests = pages.web_requests.iter_mut();
            if let Some(request) = requests.rfind(|request| request.id == id) {
                request.status = Some(status);
            }
        });
    }

    pub(crate) fn command_started(&self, command: &str) {
        let command = String::from_utf8_lossy(beginning(command.as_bytes())).into_owned();
        self.write(|pages| {
            push(&mut pages.commands, command, pages.limit);
            pages.running += 1;
            pages.peak = pages.peak.max(pages.running);
        });
    }

    pub(crate) fn command_ended(&self) {
        self.write(|pages| pages.running = pages.running.saturating_sub(1));
    }

    /// Forgets all entries and counts, except what is open and what is running.
    pub(crate) fn clear(&self) {
        self.write(|pages| {
            *pages = Pages {
                limit: pages.limit,
                next_id: pages.next_id,
                connections: pages.connections,
                running: pages.running,
                peak: pages.running,
                ..Pages::default()
            };
        });
    }

    fn read(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<R>(&self, change: impl FnOnce(&mut Pages) -> R) -> R {
        let result = change(&mut self.read());
        self.changes.send_replace(());
        result
    }
}

impl Pages {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

fn push<T>(entries: &mut VecDeque<T>, entry: T, limit: usize) {
    if entries.len() == limit {
        entries.pop_front();
    }
    entries.push_back(entry);
}

/// The bytes that are kept.
fn beginning(bytes: &[u8]) -> &[u8] {
    bytes.get(..KEPT_BYTES).unwrap_or(bytes)
}

/// How much of each connection, body and command is kept.
const KEPT_BYTES: usize = 64 * 1024;
/// How many connections' bytes are kept: as many as the largest stampede a test makes.
const RECEIVED_CONNECTIONS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn old_entries_go_and_counters_stay() {
        let journal = Journal::new(2);
        let three = journal.wait_for(|journal| journal.control_count() == 3);
        let calls = async {
            for _ in 0..3 {
                let id = journal.begin_control(ControlCall::default());
                journal.end_control(id, |call| call.status = Some(200));
            }
        };
        tokio::join!(three, calls);
        assert_eq!(journal.calls(""), 2);
        assert!(
            journal
                .control_calls()
                .iter()
                .all(|call| call.status == Some(200))
        );
    }
}
