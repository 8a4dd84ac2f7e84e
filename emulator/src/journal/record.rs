//! Writing the journal: what both sides report as it happens.

use std::collections::VecDeque;

use super::entries::{ControlCall, TokenKind, WebRequest};
use super::{Journal, Pages};

impl Journal {
    pub(crate) fn begin_control(
        &self,
        operation: &'static str,
        environment: Option<&str>,
        access_key_id: Option<&str>,
        host: Option<&str>,
    ) -> u64 {
        self.write(|pages| {
            let id = pages.id();
            pages.control_count += 1;
            let call = ControlCall {
                id,
                operation,
                environment: environment.map(str::to_owned),
                access_key_id: access_key_id.map(str::to_owned),
                host: host.map(str::to_owned),
                status: None,
                error: None,
                token: None,
            };
            push(&mut pages.control_calls, call, pages.limit);
            id
        })
    }

    pub(crate) fn end_control(
        &self,
        id: u64,
        status: u16,
        error: Option<&str>,
        token: Option<String>,
    ) {
        self.write(|pages| {
            if let Some(call) = pages.control_calls.iter_mut().rfind(|call| call.id == id) {
                call.status = Some(status);
                call.error = error.map(str::to_owned);
                call.token = token;
            }
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
        self.write(|pages| {
            push(
                &mut pages.server_names,
                server_name.map(str::to_owned),
                pages.limit,
            );
        });
    }

    pub(crate) fn receive(&self, connection: u64, bytes: &[u8]) {
        self.write(|pages| {
            let received = pages.received.entry(connection).or_default();
            let room = RECEIVED_BYTES
                .saturating_sub(received.len())
                .min(bytes.len());
            received.extend(bytes.iter().take(room));
            if pages.received.len() > RECEIVED_CONNECTIONS {
                pages.received.pop_first();
            }
        });
    }

    pub(crate) fn begin_web(&self, mut request: WebRequest) -> u64 {
        self.write(|pages| {
            let id = pages.id();
            pages.web_count += 1;
            request.id = id;
            push(&mut pages.web_requests, request, pages.limit);
            id
        })
    }

    pub(crate) fn end_web(&self, id: u64, status: u16) {
        self.write(|pages| {
            if let Some(entry) = pages.web_requests.iter_mut().rfind(|entry| entry.id == id) {
                entry.status = Some(status);
            }
        });
    }

    pub(crate) fn command_started(&self, command: String) {
        self.write(|pages| {
            push(&mut pages.commands, command, pages.limit);
            pages.running += 1;
            pages.peak = pages.peak.max(pages.running);
        });
    }

    /// Forgets all entries and counts, except what is open and what is running.
    pub(crate) fn clear(&self) {
        self.write(|pages| {
            *pages = Pages {
                limit: pages.limit,
                next_id: pages.next_id,
                connections: pages.connections,
                running: pages.running,
                ..Pages::default()
            };
        });
    }

    pub(crate) fn command_ended(&self) {
        self.write(|pages| pages.running = pages.running.saturating_sub(1));
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

/// How much of each connection is kept: a head and a command line.
const RECEIVED_BYTES: usize = 64 * 1024;
/// How many connections' bytes are kept: as many as the largest stampede a test makes.
const RECEIVED_CONNECTIONS: usize = 1000;
