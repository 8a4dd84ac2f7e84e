//! The record of one command: filled in on the way, and written to the log and the audit log
//! when the last part of the gateway that works on the command drops it, whether or not its
//! client is still there.

use crate::context::RequestContext;
use crate::queue::{QueuePosition, RunningCommand};
use crate::response::{Event, SuccessStatus};
use crate::state::ProxyState;
use crate::steps::Steps;
use mwaa_model::{Code, Entry, Fault, RequestId, code};
use mwaa_policy::{Command, CommandPermit};
use mwaa_runtime::{CoarseTimer, LocalTasks, boot_clock};
use mwaa_telemetry::Audit;
use mwaa_telemetry::audit::Record;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The record of one command. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct CommandRecord(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    id: RequestId,
    /// With the request's span: the end may come when the request is gone.
    steps: Steps,
    state: Arc<ProxyState>,
    tasks: LocalTasks,
    arrived: Duration,
    /// The entry of the audit log, if there is one.
    entry: Option<RefCell<Record>>,
    /// The command's name, also of one that no policy permits.
    name: Cell<Option<&'static str>>,
    /// The time that the web server took to answer.
    upstream: Cell<Option<Duration>>,
    /// The time that the command waited for its slot.
    queue_time: Cell<Option<Duration>>,
    /// The command's name and the time on the boot clock at which it was permitted.
    permitted: Cell<Option<(&'static str, Duration)>>,
    /// Set once the command has entered the queue.
    queued: Cell<bool>,
    /// A position in the queue that was not yet reported.
    position: Cell<Option<QueuePosition>>,
    running: RefCell<Option<Arc<RunningCommand>>>,
    repeated: Cell<bool>,
    outcome: RefCell<Option<CommandOutcome>>,
    delivery: Cell<Delivery>,
}

/// The end of a command on its way to the web server and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandOutcome {
    /// The web server answered with this status.
    Answered(u16),
    /// It failed on the way, with this fault's code and detail.
    Failed(&'static str, String),
}

impl CommandOutcome {
    /// Returns the outcome of a fault.
    pub(crate) fn failed(fault: &dyn Fault) -> Self {
        Self::Failed(fault.code().text, fault.detail())
    }
}

/// The delivery of the outcome to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// The client has seen nothing of it.
    Pending,
    /// MWAA's own response is being passed on.
    Streaming,
    /// All of it is in the gateway, or was passed on.
    Complete,
}

impl CommandRecord {
    /// Creates the record of the command that a request sends.
    pub(crate) fn new(ctx: &RequestContext) -> Self {
        let proxy = ctx.proxy();
        let audited = proxy.state.audit.is_some();
        let id = ctx.id();

        Self(Rc::new(Inner {
            id,
            steps: ctx.steps().clone(),
            state: Arc::clone(&proxy.state),
            tasks: proxy.tasks.clone(),
            arrived: boot_clock(),
            entry: audited.then(|| RefCell::new(Record::new(id, ctx.client()))),
            name: Cell::new(None),
            upstream: Cell::new(None),
            queue_time: Cell::new(None),
            permitted: Cell::new(None),
            queued: Cell::new(false),
            position: Cell::new(None),
            running: RefCell::new(None),
            repeated: Cell::new(false),
            outcome: RefCell::new(None),
            delivery: Cell::new(Delivery::Pending),
        }))
    }

    /// The command is for this environment.
    pub(crate) fn on_environment(&self, entry: &Entry) {
        self.edit(|record| record.set_environment(entry));
    }

    /// The command was parsed.
    pub(crate) fn on_parsed(&self, command: &Command<'_>) {
        let name = command.known_name().unwrap_or("other");
        self.0.name.set(Some(name));
        self.edit(|record| record.command = Some(name));
        let audit = self.0.state.audit.as_ref();
        if audit.is_some_and(Audit::has_arguments) {
            self.edit(|record| record.arguments = Some(command.to_line()));
        }
    }

    /// The command has this name.
    pub(crate) fn on_name(&self, name: &'static str) {
        self.0.name.set(Some(name));
    }

    /// The policy permits the command.
    pub(crate) fn on_permitted(&self, permit: &CommandPermit) {
        self.0.permitted.set(Some((permit.name(), boot_clock())));
        self.edit(|record| {
            record.command = Some(permit.name());
            record.options = permit.options().to_vec();
        });
    }

    /// Writes to the audit log that the command is about to run, if the configuration requires
    /// that, and waits until it is on disk. Fails if it cannot be written.
    pub(crate) async fn require_audit(
        &self,
        timer: &CoarseTimer,
    ) -> Result<(), AuditUnavailable> {
        let audit = self.0.state.audit.as_ref();
        let required = audit.filter(|audit| audit.is_required());
        let (Some(audit), Some(entry)) = (required, &self.0.entry) else {
            return Ok(());
        };
        let written = audit.write_accepted(&entry.borrow());
        require_written(written, timer).await
    }

    /// The command has entered the queue: from now on its end is worth a log line.
    pub(crate) fn on_queued(&self) {
        self.0.queued.set(true);
    }

    /// The command waits, at this position.
    pub(crate) fn on_position(&self, position: QueuePosition) {
        self.0.position.set(Some(position));
    }

    /// The command has a slot.
    pub(crate) fn on_slot(&self, command: &Arc<RunningCommand>) {
        *self.0.running.borrow_mut() = Some(Arc::clone(command));
        if let Some((_, permitted)) = self.0.permitted.get() {
            let waited = boot_clock().saturating_sub(permitted);
            self.0.queue_time.set(Some(waited));
            self.edit(|record| record.set_queue_time(waited));
        }
    }

    /// The outcome of the command is unknown, and it is sent a second time.
    pub(crate) fn on_repeat(&self) {
        let id = self.0.id;
        let command = self.name();
        tracing::info!(%id, command, "retrying a repeatable command: its outcome is unknown");
        self.0.repeated.set(true);
    }

    /// The web server has answered the request that was sent to it, after this time, or failed.
    pub(crate) fn on_exchange(&self, took: Duration) {
        self.0.steps.end_upstream(took);
        let before = self.0.upstream.get().unwrap_or_default();
        self.0.upstream.set(Some(before + took));
    }

    /// Returns the time that the web server took so far.
    pub(crate) fn upstream_time(&self) -> Option<Duration> {
        self.0.upstream.get()
    }

    /// Returns the time that the command waited, or waits, for a slot; `None` if it did not get
    /// that far.
    pub(crate) fn queue_time(&self) -> Option<Duration> {
        if !self.0.queued.get() {
            return None;
        }
        self.0.queue_time.get().or_else(|| {
            let (_, permitted) = self.0.permitted.get()?;
            Some(boot_clock().saturating_sub(permitted))
        })
    }

    /// The observer of the request's steps.
    pub(crate) fn steps(&self) -> &Steps {
        &self.0.steps
    }

    /// Returns the command's name, if it was read.
    pub(crate) fn command_name(&self) -> Option<&'static str> {
        self.0.name.get()
    }

    /// Returns true if the command was sent a second time.
    pub(crate) fn is_repeated(&self) -> bool {
        self.0.repeated.get()
    }

    /// The command has ended. The first outcome counts.
    pub(crate) fn on_outcome(&self, outcome: CommandOutcome) {
        self.0.outcome.borrow_mut().get_or_insert(outcome);
    }

    /// A fault is reported to the client.
    pub(crate) fn on_fault(&self, fault: &dyn Fault) {
        self.on_outcome(CommandOutcome::failed(fault));
        self.edit(|record| record.fault = Some(fault.code().text));
        self.0.delivery.set(Delivery::Complete);
    }

    /// The result is reported to the client. `None` means that the response does not say whether
    /// the command succeeded.
    pub(crate) fn on_result(&self, succeeded: Option<SuccessStatus>) {
        let outcome = succeeded.map(|succeeded| match succeeded {
            SuccessStatus::Yes => "succeeded",
            SuccessStatus::No => "failed",
            SuccessStatus::Unknown => "unknown",
        });
        self.edit(|record| record.outcome = outcome);
        self.0.delivery.set(Delivery::Complete);
    }

    /// MWAA's own response is being passed on to the client.
    pub(crate) fn on_streaming(&self) {
        self.0.delivery.set(Delivery::Streaming);
    }

    /// All of the response was passed on.
    pub(crate) fn on_delivered(&self) {
        if self.0.delivery.get() == Delivery::Streaming {
            self.0.delivery.set(Delivery::Complete);
        }
    }

    /// Returns true if any of the command was written to the web server.
    pub(crate) fn is_sent(&self) -> bool {
        self.0.is_sent()
    }

    /// Returns a function that returns the events that were not yet reported, one at a time.
    pub(crate) fn events(&self) -> impl FnMut() -> Option<Event> + use<> {
        let record = self.clone();
        let mut reported_sent = false;
        move || {
            if reported_sent {
                return None;
            }
            let position = record.0.position.take();
            reported_sent = record.is_sent();
            match position {
                // the position of a command that runs by now is no news
                Some(QueuePosition { place, running }) if !reported_sent => {
                    Some(Event::Queued { place, running })
                }
                Some(_) | None => reported_sent.then_some(Event::Sent),
            }
        }
    }

    /// Returns a guard for the time that the client waits: dropped early, it records that the
    /// client has disconnected.
    pub(crate) fn disconnect_guard(&self) -> DisconnectGuard {
        DisconnectGuard(Some(self.clone()))
    }

    fn name(&self) -> &'static str {
        self.0.permitted.get().map_or("other", |(name, _)| name)
    }

    fn edit(&self, edit: impl FnOnce(&mut Record)) {
        if let Some(entry) = &self.0.entry {
            edit(&mut entry.borrow_mut());
        }
    }
}

impl Inner {
    fn is_sent(&self) -> bool {
        let running = self.running.borrow();
        running.as_ref().is_some_and(|running| running.is_sent())
    }

    fn is_abandoned(&self) -> bool {
        let running = self.running.borrow();
        running
            .as_ref()
            .is_some_and(|running| running.is_abandoned())
    }

    /// Logs the end of a permitted command. A fault that the client sees is logged as a refusal.
    fn log_end(&self, command: &'static str) {
        let id = self.id;
        let sent = self.is_sent();

        // a client that waited to the end knows the outcome; only the others are worth a line
        match &*self.outcome.borrow() {
            Some(CommandOutcome::Answered(status)) if self.is_abandoned() => {
                tracing::info!(parent: self.steps.span(), %id, command, status, "the client closed its connection before its command ended");
            }
            Some(CommandOutcome::Failed(code, detail)) if self.is_abandoned() => {
                tracing::info!(parent: self.steps.span(), %id, command, code, detail, "the client closed its connection before its command failed");
            }
            Some(CommandOutcome::Answered(status)) => {
                tracing::debug!(parent: self.steps.span(), %id, command, status, "command answered");
            }
            Some(CommandOutcome::Failed(..)) => {}
            None if self.tasks.is_closed() => {
                tracing::info!(parent: self.steps.span(), %id, command, sent, "the gateway stopped before the command ended");
            }
            None => {
                tracing::info!(parent: self.steps.span(), %id, command, sent, "the client closed its connection before its command ran");
            }
        }
    }

    /// Returns the outcome for the audit log:
    ///
    /// - the result, if it was read: `succeeded`, `failed` or `unknown`
    /// - `answered`, if MWAA's own response was passed on and not read
    /// - `unknown`, if the command may have run and its end was not seen
    /// - `refused`, if no policy permitted it
    /// - `not_sent`, if it was permitted and nothing of it was sent
    fn audit_outcome(&self, record: &Record) -> &'static str {
        if let Some(result) = record.outcome {
            return result;
        }
        match (record.status, record.fault) {
            // a fault after the response, or a load balancer's error that no client has seen
            (Some(_), Some(_)) | (Some(502..=504), None) => "unknown",
            // it broke off, or the client disconnected
            (Some(_), None) if self.delivery.get() == Delivery::Streaming => "unknown",
            (Some(_), None) => "answered",
            (None, _) if self.is_sent() => "unknown",
            (None, Some(_)) if self.permitted.get().is_none() => "refused",
            (None, _) => "not_sent",
        }
    }

    /// Completes the entry of the audit log and writes it.
    fn write_audit(&self) {
        let (Some(audit), Some(entry)) = (&self.state.audit, &self.entry) else {
            return;
        };
        let mut record = entry.borrow_mut();
        match &*self.outcome.borrow() {
            Some(CommandOutcome::Answered(status)) => record.status = Some(*status),
            Some(CommandOutcome::Failed(code, _)) => {
                record.fault.get_or_insert(code);
            }
            None => {}
        }

        let delivery = self.delivery.get();
        let permitted = self.permitted.get();
        record.outcome = Some(self.audit_outcome(&record));
        record.client_left = delivery != Delivery::Complete;

        let now = boot_clock();
        if let Some((_, permitted)) = permitted.filter(|_| record.queued_ms.is_none()) {
            record.set_queue_time(now.saturating_sub(permitted));
        }
        record.set_duration(now.saturating_sub(self.arrived));
        audit.write_ended(&record);
    }
}

impl Drop for Inner {
    /// The one place where the end of every command is known.
    fn drop(&mut self) {
        if let Some((command, _)) = self.permitted.get()
            && self.queued.get()
        {
            self.log_end(command);
        }
        self.write_audit();
    }
}

/// A client waits for a command. Dropping it before [`complete`](Self::complete) records that
/// the client has disconnected.
#[derive(Debug)]
pub(crate) struct DisconnectGuard(Option<CommandRecord>);

impl DisconnectGuard {
    pub(crate) fn complete(mut self) {
        self.0 = None;
    }
}

impl Drop for DisconnectGuard {
    fn drop(&mut self) {
        if let Some(record) = &self.0
            // at the end of the gateway the client is there
            && !record.0.tasks.is_closed()
            && let Some(running) = &*record.0.running.borrow()
        {
            running.mark_abandoned();
        }
    }
}

/// Waits until a line is on disk. Fails if it cannot be written.
pub(crate) async fn require_written(
    written: impl Future<Output = bool>,
    timer: &CoarseTimer,
) -> Result<(), AuditUnavailable> {
    match timer.within(LONGEST_WRITE, written).await {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(AuditUnavailable),
    }
}

/// A command that must be in the audit log before it runs, and cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written; nothing was sent")]
pub(crate) struct AuditUnavailable;

impl Fault for AuditUnavailable {
    fn code(&self) -> &'static Code {
        &code::OFF_RECORD
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(RETRY_AFTER)
    }
}

/// A disk that hangs for this long counts as full.
const LONGEST_WRITE: Duration = Duration::from_secs(5);
/// A person has to make room first.
const RETRY_AFTER: Duration = Duration::from_secs(30);
