//! The queue in front of an environment's command slots.
//!
//! MWAA runs about four commands at once and answers 503 beyond that; AWS asks callers to wait
//! until the last command has finished. So commands wait here, bounded in number and time.
//! [`fair_queue`] decides who is next; this file adds the lock, the wake-up and the numbers that
//! people see.

mod fair_queue;
#[cfg(test)]
mod tests;

use fair_queue::{Enqueued, FairQueue};
use mwaa_fleet::{CommandWaiters, Fleet, FleetStatus, Grant, SlotPort};
use mwaa_model::{ClientKey, Code, Entry, EntryTable, Fault, RESTART, RequestId, code};
use mwaa_runtime::{CoarseTimer, Elapsed, boot_clock};
use mwaa_telemetry::{Metrics, QueueMetrics};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// The limits of every queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most commands that may wait. A client that has none waiting may exceed it, as long
    /// as fewer clients than this wait.
    pub size: usize,
    /// The longest wait.
    pub wait: Duration,
}

/// The queues of all environments. Shared by all worker threads.
#[derive(Debug)]
pub struct CommandQueues {
    settings: Settings,
    metrics: Arc<Metrics>,
    queues: Arc<EntryTable<Arc<CommandQueue>>>,
    closed: Arc<AtomicBool>,
    /// The fleet that has the slots; `None` if they are this gateway's own.
    fleet: Option<Arc<Fleet>>,
}

impl CommandQueues {
    /// Creates the queues; each environment's own is made on its first use.
    pub fn new(settings: Settings, metrics: Arc<Metrics>, fleet: Option<Arc<Fleet>>) -> Self {
        Self {
            settings,
            metrics,
            queues: Arc::default(),
            closed: Arc::default(),
            fleet,
        }
    }

    /// Returns the state of the fleet for a person, if the slots come from one.
    pub fn fleet_status(&self) -> Option<FleetStatus> {
        self.fleet.as_ref().map(|fleet| fleet.watch())
    }

    /// Gives no more slots: the commands that wait fail, and so do new ones. Those that have a slot
    /// keep it.
    pub fn close(&self) {
        // before the look at the queues: one that is made after it sees this
        self.closed.store(true, Ordering::SeqCst);
        for queue in self.queues.values() {
            queue.close();
        }
    }

    /// Returns the same queues with other limits, and these environments' numbers of slots. Commands
    /// keep their positions and the limit of their wait; new slots are taken at once.
    #[must_use]
    pub fn succeed<'a>(
        &self,
        settings: Settings,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Self {
        let queues = Self {
            settings,
            metrics: Arc::clone(&self.metrics),
            queues: Arc::clone(&self.queues),
            closed: Arc::clone(&self.closed),
            fleet: self.fleet.clone(),
        };
        for entry in entries {
            let slots = entry.environment.cli_concurrency;
            queues.queue(entry).resize(slots, queues.settings.size);
        }
        queues
    }

    /// Takes a free slot or a position in the queue, without waiting. Dropping the entry gives
    /// up either. Fails if the queue is full.
    pub fn enqueue(
        &self,
        entry: &Entry,
        client: ClientKey,
        command: QueuedCommand,
    ) -> Result<QueueEntry, QueueError> {
        QueueEntry::enter(self.queue(entry), client, command, self.settings.wait)
    }

    /// Returns the commands that run and wait at this environment.
    pub fn summary(&self, entry: &Entry) -> QueueSummary {
        self.queue(entry).summary()
    }

    fn queue(&self, entry: &Entry) -> &Arc<CommandQueue> {
        self.queues.get_or_init(entry.id, || {
            let slots = entry.environment.cli_concurrency;
            let metrics = self.metrics.queue_metrics(entry);
            let queue = CommandQueue::new(slots, self.settings.size, metrics, &self.closed);
            if let Some(fleet) = &self.fleet {
                queue.join(fleet, entry);
            }
            queue
        })
    }
}

/// The parts of a command that people may see: never its arguments.
#[derive(Debug, Clone, Copy)]
pub struct QueuedCommand {
    /// The request's id.
    pub id: RequestId,
    /// The command's name without its arguments.
    pub name: &'static str,
}

/// A waiting command's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePosition {
    /// 1 is next. It may grow: a client's first command has its turn before the second one of
    /// another client.
    pub place: usize,
    /// The number of commands that run.
    pub running: usize,
}

/// A queue at one moment.
#[derive(Debug, Clone, Default)]
pub struct QueueSummary {
    /// The commands that have a slot, the oldest first.
    pub running: Vec<Arc<RunningCommand>>,
    /// The number of commands that wait.
    pub waiting: usize,
    /// The wait so far of the command that has waited longest.
    pub longest_wait: Option<Duration>,
}

/// A command that has a slot.
#[derive(Debug)]
pub struct RunningCommand {
    info: QueuedCommand,
    since: Duration,
    sent: AtomicBool,
    abandoned: AtomicBool,
    /// The slot of the fleet.
    grant: Option<Grant>,
}

impl RunningCommand {
    fn new(info: QueuedCommand, since: Duration, grant: Option<Grant>) -> Arc<Self> {
        Arc::new(Self {
            info,
            since,
            sent: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            grant,
        })
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.info.id
    }

    /// The command's name without its arguments.
    pub fn name(&self) -> &'static str {
        self.info.name
    }

    /// Returns the time since it got its slot.
    pub fn age(&self) -> Duration {
        boot_clock().saturating_sub(self.since)
    }

    /// Records that the first byte is about to be written to the web server: from now on the
    /// command may run there, whatever comes of the write.
    pub fn mark_sending(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// Returns true if any of it may have been written to the web server.
    pub fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    /// Records that its client has disconnected.
    pub fn mark_abandoned(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Returns true if its client has disconnected.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }
}

/// One of an environment's slots, and the command that has it. Dropping it frees the slot.
#[derive(Debug)]
pub struct CommandSlot {
    queue: Arc<CommandQueue>,
    command: Arc<RunningCommand>,
}

impl CommandSlot {
    /// The command that has the slot.
    pub fn running(&self) -> &Arc<RunningCommand> {
        &self.command
    }

    /// Records that the first byte is about to be written to the web server. Returns false if it must
    /// not be, because the fleet may have given the slot to another gateway.
    pub fn start_sending(&self) -> bool {
        let port = self.queue.port.get().zip(self.command.grant.as_ref());
        let may_send = port.is_none_or(|(port, grant)| port.may_send(grant));
        if may_send {
            self.command.mark_sending();
        }
        may_send
    }
}

impl Drop for CommandSlot {
    fn drop(&mut self) {
        self.queue.release(&self.command);
    }
}

/// A slot, or a position in the queue for one.
#[derive(Debug)]
pub struct QueueEntry(EntryState);

#[derive(Debug)]
enum EntryState {
    Acquired(CommandSlot),
    Waiting(WaitingEntry),
}

/// A position in the queue. Dropping it gives up the position, and a slot that has been handed
/// over and not been taken.
#[derive(Debug)]
struct WaitingEntry {
    queue: Arc<CommandQueue>,
    client: ClientKey,
    number: u64,
    receiver: oneshot::Receiver<CommandSlot>,
    limit: Duration,
    /// True once the wait has ended by itself, and not because the client disconnected.
    ended: bool,
}

impl QueueEntry {
    fn enter(
        queue: &Arc<CommandQueue>,
        client: ClientKey,
        command: QueuedCommand,
        limit: Duration,
    ) -> Result<Self, QueueError> {
        let state = match queue.enqueue(client, command) {
            Entered::Acquired(slot) => EntryState::Acquired(slot),
            Entered::Waiting { number, receiver } => EntryState::Waiting(WaitingEntry {
                queue: Arc::clone(queue),
                client,
                number,
                receiver,
                limit,
                ended: false,
            }),
            Entered::Full { waiting } => {
                let retry = queue.retry_after();
                return Err(QueueError::Full { waiting, retry });
            }
            Entered::Closed => return Err(QueueError::Stopping),
            Entered::Refused => return Err(QueueError::Refused),
        };

        Ok(Self(state))
    }

    /// Waits for the slot. Fails after the longest wait that the settings allow.
    pub async fn acquire(self, timer: &CoarseTimer) -> Result<CommandSlot, QueueError> {
        match self.0 {
            EntryState::Acquired(slot) => Ok(slot),
            EntryState::Waiting(mut entry) => {
                let slot = timer.within(entry.limit, &mut entry.receiver).await;
                entry.finish(slot.map(Result::ok))
            }
        }
    }

    /// Waits for the slot, and calls `on_move` with the position, now and on every change.
    pub async fn acquire_with(
        self,
        timer: &CoarseTimer,
        on_move: impl Fn(QueuePosition),
    ) -> Result<CommandSlot, QueueError> {
        match self.0 {
            EntryState::Acquired(slot) => Ok(slot),
            EntryState::Waiting(mut entry) => {
                let slot = timer.within(entry.limit, entry.watch(on_move)).await;
                entry.finish(slot)
            }
        }
    }
}

impl WaitingEntry {
    async fn watch(&mut self, on_move: impl Fn(QueuePosition)) -> Option<CommandSlot> {
        let mut changes = self.queue.changes.subscribe();
        let mut last = None;
        loop {
            let position = self.queue.position(&self.client, self.number);
            if let Some(position) = position.filter(|position| last != Some(*position)) {
                last = Some(position);
                on_move(position);
            }
            tokio::select! {
                // a slot that is there wins over the news of a position
                biased;
                slot = &mut self.receiver => return slot.ok(),
                _ = changes.changed() => {}
            }
        }
    }

    /// Ends the wait. `slot` is `None` if the queue was closed.
    fn finish(
        &mut self,
        slot: Result<Option<CommandSlot>, Elapsed>,
    ) -> Result<CommandSlot, QueueError> {
        self.ended = true;
        if let Ok(slot) = slot {
            return slot.ok_or_else(|| self.queue.closed_error());
        }

        self.queue.remove(&self.client, self.number);
        self.queue.state().metrics.count_timeout();
        Err(QueueError::Timeout {
            after: self.limit,
            retry: self.queue.retry_after(),
        })
    }
}

impl Drop for WaitingEntry {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.state().metrics.count_left();
        }
        self.queue.remove(&self.client, self.number);
    }
}

/// One environment's queue.
#[derive(Debug)]
struct CommandQueue {
    state: Mutex<State>,
    /// Sends a message whenever a position may have changed.
    changes: watch::Sender<()>,
    /// Set once no queue gives any more slots.
    closed: Arc<AtomicBool>,
    /// The fleet's slots, if it has them.
    port: OnceLock<Arc<SlotPort>>,
}

#[derive(Debug)]
struct State {
    queue: FairQueue<ClientKey, WaitingCommand>,
    running: Vec<Arc<RunningCommand>>,
    /// The recent average time for which a command keeps its slot.
    average: Option<Duration>,
    metrics: QueueMetrics,
    /// True while the fleet's store is gone and no command may run.
    is_refusing: bool,
}

impl State {
    /// Gives a slot to a command that has waited. Returns the sender for it.
    fn start(
        &mut self,
        next: WaitingCommand,
        now: Duration,
        grant: Option<Grant>,
    ) -> (oneshot::Sender<CommandSlot>, Arc<RunningCommand>) {
        let command = RunningCommand::new(next.info, now, grant);
        self.running.push(Arc::clone(&command));
        self.metrics.count_wait(now.saturating_sub(next.since));
        (next.slot, command)
    }

    fn update_metrics(&mut self) {
        let (waiting, running) = (self.queue.waiting(), self.queue.running());
        self.metrics.set_commands(waiting, running);
    }
}

#[derive(Debug)]
struct WaitingCommand {
    info: QueuedCommand,
    since: Duration,
    slot: oneshot::Sender<CommandSlot>,
}

/// The result of [`CommandQueue::enqueue`].
#[derive(Debug)]
enum Entered {
    Acquired(CommandSlot),
    Waiting {
        number: u64,
        receiver: oneshot::Receiver<CommandSlot>,
    },
    Full {
        waiting: usize,
    },
    Closed,
    /// The fleet gives no slots.
    Refused,
}

impl CommandQueue {
    fn new(
        slots: usize,
        size: usize,
        metrics: QueueMetrics,
        closed: &Arc<AtomicBool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                queue: FairQueue::new(slots.max(1), size),
                running: Vec::new(),
                average: None,
                metrics,
                is_refusing: false,
            }),
            changes: watch::Sender::new(()),
            closed: Arc::clone(closed),
            port: OnceLock::new(),
        })
    }

    /// Lets the commands that wait fail.
    fn close(&self) {
        let mut state = self.state();
        let waiting = state.queue.clear();
        state.update_metrics();
        // their tasks wake when their senders are dropped, and take the lock again
        drop(state);
        drop(waiting);
    }

    /// Returns the reason for which the queue gives no slots.
    fn closed_error(&self) -> QueueError {
        if self.closed.load(Ordering::SeqCst) {
            QueueError::Stopping
        } else {
            QueueError::Refused
        }
    }

    /// Takes every slot from the fleet from now on. No command has entered yet.
    fn join(self: &Arc<Self>, fleet: &Arc<Fleet>, entry: &Entry) {
        self.state().queue.wait_for_grants();
        let this: Weak<Self> = Arc::downgrade(self);
        self.port
            .get_or_init(|| fleet.share_slots(&entry.environment, this));
    }

    fn enqueue(self: &Arc<Self>, client: ClientKey, info: QueuedCommand) -> Entered {
        let since = boot_clock();
        let mut state = self.state();
        // under the lock: a command that has not seen it waits before the queue is cleared
        if self.closed.load(Ordering::SeqCst) {
            return Entered::Closed;
        }
        if state.is_refusing {
            return Entered::Refused;
        }
        let enqueued = state.queue.enqueue(client, || {
            let (slot, receiver) = oneshot::channel();
            (WaitingCommand { info, since, slot }, receiver)
        });

        match enqueued {
            Enqueued::Waiting(number, receiver) => {
                state.update_metrics();
                drop(state);
                if let Some(port) = self.port.get() {
                    port.wake();
                }
                self.notify();
                Entered::Waiting { number, receiver }
            }
            Enqueued::Acquired => {
                let command = RunningCommand::new(info, since, None);
                state.running.push(Arc::clone(&command));
                state.metrics.count_wait(Duration::ZERO);
                state.update_metrics();
                drop(state);
                self.notify();
                Entered::Acquired(self.slot(command))
            }
            Enqueued::Full => {
                state.metrics.count_full();
                Entered::Full {
                    waiting: state.queue.waiting(),
                }
            }
        }
    }

    /// Removes a waiting command, if it still waits.
    fn remove(&self, client: &ClientKey, number: u64) {
        let mut state = self.state();
        if state.queue.remove(client, number).is_some() {
            state.update_metrics();
            drop(state);
            self.notify();
        }
    }

    /// Frees the slot of a command that has ended, and hands it to the next one.
    fn release(self: &Arc<Self>, ended: &Arc<RunningCommand>) {
        let now = boot_clock();
        let mut state = self.state();
        state.running.retain(|command| !Arc::ptr_eq(command, ended));

        // a command that was never sent says nothing about how long commands take
        if ended.is_sent() {
            let took = now.saturating_sub(ended.since);
            state.average = Some(match state.average {
                Some(average) => (average * 3 + took) / 4,
                None => took,
            });
            state.metrics.count_command(took);
        }

        let next = state.queue.release();
        let next = next.map(|next| state.start(next, now, None));
        state.update_metrics();
        // the handed-over slot may be dropped at once, which takes the lock again
        drop(state);
        if let Some((port, grant)) = self.port.get().zip(ended.grant) {
            port.end(grant.number);
        }
        if let Some((slot, command)) = next {
            // if its client has left, the slot is dropped here and passes to the next
            drop(slot.send(self.slot(command)));
        }
        self.notify();
    }

    /// Changes the number of slots and the room for waiting commands. Commands beyond it stay.
    fn resize(self: &Arc<Self>, slots: usize, size: usize) {
        let now = boot_clock();
        let mut state = self.state();
        state.queue.resize(slots.max(1), size);
        if let Some(port) = self.port.get() {
            port.set_slots(slots.max(1));
        }
        let mut started = Vec::new();
        while let Some(next) = state.queue.acquire() {
            started.push(state.start(next, now, None));
        }
        state.update_metrics();
        drop(state);
        for (slot, command) in started {
            drop(slot.send(self.slot(command)));
        }
        self.notify();
    }

    fn slot(self: &Arc<Self>, command: Arc<RunningCommand>) -> CommandSlot {
        CommandSlot {
            queue: Arc::clone(self),
            command,
        }
    }

    fn position(&self, client: &ClientKey, number: u64) -> Option<QueuePosition> {
        let state = self.state();
        Some(QueuePosition {
            place: state.queue.position(client, number)?,
            running: state.queue.running(),
        })
    }

    /// Estimates from recent commands when those that run and wait now have been served.
    fn retry_after(&self) -> Duration {
        let state = self.state();
        let commands = state.queue.waiting() + state.queue.running();
        let rounds = commands.div_ceil(state.queue.slots());
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let average = state.average.unwrap_or(USUAL);
        average
            .saturating_mul(rounds)
            .clamp(SHORTEST_RETRY, LONGEST_RETRY)
    }

    fn summary(&self) -> QueueSummary {
        let now = boot_clock();
        let state = self.state();
        let waits = state.queue.items();
        QueueSummary {
            running: state.running.clone(),
            waiting: state.queue.waiting(),
            longest_wait: waits.map(|one| now.saturating_sub(one.since)).max(),
        }
    }

    fn notify(&self) {
        if self.changes.receiver_count() > 0 {
            self.changes.send_replace(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommandWaiters for CommandQueue {
    fn waiting(&self) -> usize {
        self.state().queue.waiting()
    }

    fn grant(self: Arc<Self>, grant: Grant) -> bool {
        let now = boot_clock();
        let mut state = self.state();
        let Some(next) = state.queue.grant() else {
            return false;
        };
        let (slot, command) = state.start(next, now, Some(grant));
        state.update_metrics();
        // if its client has left, the slot is dropped at once, which takes the lock again
        drop(state);
        drop(slot.send(self.slot(command)));
        self.notify();
        true
    }

    fn set_refusing(&self, is_refusing: bool) {
        self.state().is_refusing = is_refusing;
        if is_refusing {
            self.close();
        }
    }
}

/// A command that got no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The queue is full.
    #[error("{waiting} commands are already waiting")]
    Full {
        /// The number of commands that wait.
        waiting: usize,
        /// An estimate of when there is room again.
        retry: Duration,
    },
    /// The gateway gives no more slots.
    #[error("the gateway is stopping, and the command had no slot yet; nothing was sent")]
    Stopping,
    /// The fleet's store cannot be used, and commands are not to run without it.
    #[error("the fleet's store cannot be used (fleet.on_loss is \"refuse\"); nothing was sent")]
    Refused,
    /// It waited for the longest time that is allowed.
    #[error("no slot became free within {}; nothing was sent", humantime::format_duration(*after))]
    Timeout {
        /// That time.
        after: Duration,
        /// An estimate of when those that wait now have been served.
        retry: Duration,
    },
}

impl Fault for QueueError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Full { .. } => &code::QUEUE_FULL,
            Self::Stopping => &code::STOPPING,
            Self::Timeout { .. } => &code::QUEUE_TIMEOUT,
            Self::Refused => &code::FLEET_UNAVAILABLE,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { retry, .. } | Self::Timeout { retry, .. } => Some(*retry),
            Self::Stopping => Some(RESTART),
            Self::Refused => Some(STORE_RETRY),
        }
    }
}

/// A command's time as long as none has run: Airflow takes seconds to start.
const USUAL: Duration = Duration::from_secs(5);
/// The `Retry-After` while the fleet's store cannot be used.
const STORE_RETRY: Duration = Duration::from_secs(5);
/// The shortest `Retry-After`.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
/// The longest `Retry-After`.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
