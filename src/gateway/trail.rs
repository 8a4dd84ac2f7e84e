//! What the audit log will tell of a request to the CLI route: filled in on the way, written when
//! the last who works on it lets go, whoever is left to hear of the end.

use super::Shared;
use crate::listener::Arrived;
use crate::names::{Code, Entry, Fault, code};
use crate::policy::{Command, Permitted};
use crate::reply::Succeeded;
use crate::runtime::{Sweeper, uptime};
use crate::telemetry::Audit;
use crate::telemetry::audit::Record;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A handle on what will be told; empty where nothing will.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail(Option<Rc<Inner>>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    record: RefCell<Record>,
    arrived: Duration,
    /// When it passed the policy.
    passed: Cell<Option<Duration>>,
    /// Whether some of it was written to the web server.
    sent: Cell<bool>,
    told: Cell<Told>,
}

/// Whether the client was told the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    /// MWAA's own reply is on its way to it.
    Underway,
    Yes,
}

/// A command that must be on record before it runs, and can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffRecord;

impl fmt::Display for OffRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the audit log can't be written; nothing was sent")
    }
}

impl std::error::Error for OffRecord {}

impl Fault for OffRecord {
    fn code(&self) -> &'static Code {
        &code::OFF_RECORD
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(RETRY_AFTER)
    }
}

impl Trail {
    /// Begins one for each request to the CLI route, if there is an audit log.
    pub(super) fn of(arrived: &Arrived, shared: &Arc<Shared>) -> Self {
        if shared.audit.is_none() || arrived.head.uri.path() != CLI {
            return Self::default();
        }
        Self(Some(Rc::new(Inner {
            shared: Arc::clone(shared),
            record: RefCell::new(Record::new(arrived.id, &arrived.caller)),
            arrived: uptime(),
            passed: Cell::new(None),
            sent: Cell::new(false),
            told: Cell::new(Told::No),
        })))
    }

    /// It is for this environment.
    pub(super) fn goes_to(&self, entry: &Entry) {
        self.note(|record| record.goes_to(entry));
    }

    /// It was read.
    pub(super) fn read(&self, command: &Command) {
        self.note(|record| record.command = Some(command.known_name().unwrap_or("other")));
        self.arguments(|| command.canonical());
    }

    /// It passed the policy.
    pub(super) fn passed(&self, permitted: &Permitted) {
        let Some(inner) = &self.0 else { return };
        inner.passed.set(Some(uptime()));
        self.note(|record| {
            record.command = Some(permitted.name());
            record.options = permitted.options().to_vec();
            record.goes_to(permitted.entry());
        });
    }

    /// It has a slot.
    pub(super) fn seated(&self) {
        if let Some(passed) = self.0.as_ref().and_then(|inner| inner.passed.get()) {
            self.note(|record| record.queued(uptime().saturating_sub(passed)));
        }
    }

    /// The web server answered, or it failed on the way.
    pub(super) fn course(&self, sent: bool, status: Option<u16>, fault: Option<&'static str>) {
        if let Some(inner) = &self.0 {
            inner.sent.set(sent);
        }
        self.note(|record| {
            record.status = status;
            record.fault = record.fault.or(fault);
        });
    }

    /// The client is told the end: whether the command worked, if that was looked at.
    pub(super) fn heard(&self, succeeded: Option<Succeeded>) {
        let outcome = succeeded.map(|succeeded| match succeeded {
            Succeeded::Yes => "succeeded",
            Succeeded::No => "failed",
            Succeeded::Unknown => "unknown",
        });
        self.note(|record| record.outcome = outcome);
        self.told(Told::Yes);
    }

    /// The client is sent MWAA's own reply as it comes.
    pub(super) fn streams(&self) {
        self.told(Told::Underway);
    }

    /// All of the reply was sent.
    pub(super) fn delivered(&self) {
        if self
            .0
            .as_ref()
            .is_some_and(|inner| inner.told.get() == Told::Underway)
        {
            self.told(Told::Yes);
        }
    }

    /// The client is told a fault.
    pub(super) fn fault(&self, fault: &dyn Fault) {
        self.note(|record| record.fault = Some(fault.code().text));
        self.told(Told::Yes);
    }

    fn told(&self, told: Told) {
        if let Some(inner) = &self.0 {
            inner.told.set(told);
        }
    }

    /// Waits until it is on record that the command is about to run, if that is required.
    pub(super) async fn on_record(&self, sweeper: &Sweeper) -> Result<(), OffRecord> {
        let written = self.0.as_ref().and_then(|inner| {
            let audit = inner
                .shared
                .audit
                .as_ref()
                .filter(|audit| audit.is_required())?;
            Some(audit.accepted(&inner.record.borrow()))
        });
        match written {
            None => Ok(()),
            Some(written) => match sweeper.within(LONGEST_WRITE, written).await {
                Ok(true) => Ok(()),
                Ok(false) | Err(_) => Err(OffRecord),
            },
        }
    }

    fn arguments(&self, line: impl FnOnce() -> String) {
        let audit = self
            .0
            .as_ref()
            .and_then(|inner| inner.shared.audit.as_ref());
        if audit.is_some_and(Audit::wants_arguments) {
            self.note(|record| record.arguments = Some(line()));
        }
    }

    fn note(&self, what: impl FnOnce(&mut Record)) {
        if let Some(inner) = &self.0 {
            what(&mut inner.record.borrow_mut());
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let (passed, sent, told) = (self.passed.get(), self.sent.get(), self.told.get());
        let record = self.record.get_mut();
        let outcome = match (record.outcome, record.status, record.fault) {
            (Some(judged), ..) => judged,
            // a fault, or a load balancer's error that nobody was left to hear of
            (None, Some(_), Some(_)) | (None, Some(502..=504), None) => "unknown",
            // it broke off, or the client left: nobody has seen its end
            (None, Some(_), None) if told == Told::Underway => "unknown",
            (None, Some(_), None) => "answered",
            (None, None, _) if sent => "unknown",
            (None, None, Some(_)) if passed.is_none() => "refused",
            (None, None, _) => "not_sent",
        };
        record.outcome = Some(outcome);
        record.client_left = told != Told::Yes;
        if let Some(passed) = passed.filter(|_| record.queued_ms.is_none()) {
            record.queued(uptime().saturating_sub(passed));
        }
        record.took(uptime().saturating_sub(self.arrived));
        if let Some(audit) = &self.shared.audit {
            audit.ended(record);
        }
    }
}

/// The route of commands, as the guard knows it.
const CLI: &str = "/aws_mwaa/cli";
/// A disk that hangs for so long counts as full.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// Somebody has to make room first.
const RETRY_AFTER: Duration = Duration::from_secs(30);
