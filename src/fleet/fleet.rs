//! The gateway's part in its fleet: tasks of the control thread that run the protocol.

use crate::claims::{Claim, ClaimResult, ClaimSettings, ClaimStep, ItemRecord, SharedFailure};
use crate::members::{ANNOUNCE, Member, MemberRecord};
use crate::record::{Lease, ReplicaId, SlotRecord, Version, Versioned};
use crate::seal::{FleetKeys, name_record};
use crate::sealed::SealedStore;
use crate::slots::{Grant, SendLimit, SlotSettings, SlotStep, Slots};
use crate::store::{Store, StoreError};
use mwaa_model::{EnvName, Environment};
use mwaa_runtime::{BackgroundTasks, Timestamp, boot_clock};
use mwaa_telemetry::{Metrics, StoreTotals};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tracing::Span;

/// The settings of a fleet.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// The longest call of the store.
    pub call: Duration,
    /// The longest command, from its first byte.
    pub command: Duration,
    /// True if commands run without the store, false if they are refused.
    pub shares: bool,
}

/// A queue of commands that wait for the fleet's slots.
pub trait CommandWaiters: fmt::Debug + Send + Sync {
    /// Returns the number of commands that wait.
    fn waiting(&self) -> usize;

    /// Gives a slot to the next command. Returns false if none waits.
    fn grant(self: Arc<Self>, grant: Grant) -> bool;

    /// Refuses the commands that wait and those that come, or stops to do so.
    fn set_refusing(&self, is_refusing: bool);
}

/// The fleet, as this replica sees it.
#[derive(Debug)]
pub struct Fleet {
    me: ReplicaId,
    store: SealedStore,
    settings: FleetSettings,
    background: BackgroundTasks,
    /// The replicas that were seen last; `None` before the first answer of the store.
    members: Mutex<Option<Vec<Member>>>,
    /// The error of the last call; `None` if it succeeded.
    trouble: Mutex<Option<StoreError>>,
    ports: Mutex<Vec<(EnvName, Arc<SlotPort>)>>,
    closing: watch::Sender<bool>,
    /// Held by each task that has something to give back.
    tasks: Mutex<Option<mpsc::Sender<()>>>,
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

/// The connection between a queue and the task that gets its slots.
#[derive(Debug, Default)]
pub struct SlotPort {
    wake: Notify,
    ended: Mutex<Vec<u64>>,
    leases: Mutex<Vec<Lease>>,
    /// Somebody has looked at the leases.
    is_watched: AtomicBool,
    is_alone: AtomicBool,
    /// The slots of the environment; 0 as long as they have not changed.
    slots: AtomicUsize,
    send_limit: Mutex<SendLimit>,
}

impl SlotPort {
    /// Returns true if the first byte of a command with this slot may be sent now.
    pub fn may_send(&self, grant: &Grant) -> bool {
        lock(&self.send_limit).allows(grant, boot_clock())
    }

    /// Changes the number of the environment's slots.
    pub fn set_slots(&self, slots: usize) {
        self.slots.store(slots, Ordering::Relaxed);
        self.wake();
    }

    /// Makes the task look at the queue, in which a command waits now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Returns a slot whose command has ended.
    pub fn end(&self, number: u64) {
        lock(&self.ended).push(number);
        self.wake.notify_one();
    }
}

/// The state of the fleet, for people.
#[derive(Debug, Clone)]
pub struct FleetStatus {
    /// This replica.
    pub me: ReplicaId,
    /// The replicas that were seen last.
    pub replicas: Vec<ReplicaId>,
    /// The error of the last call of the store; `None` if it succeeded.
    pub trouble: Option<StoreError>,
    /// Each environment with the replicas that hold its slots, a replica for each slot, and true if
    /// this replica works without the store.
    pub slots: Vec<(EnvName, Vec<ReplicaId>, bool)>,
    /// The calls of the store since the start.
    pub totals: StoreTotals,
}

impl Fleet {
    /// Joins the fleet: announces this replica as a task of `background`.
    pub fn join(
        store: Box<dyn Store>,
        keys: FleetKeys,
        settings: FleetSettings,
        background: BackgroundTasks,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let (tasks, ended) = mpsc::channel(1);
        let fleet = Arc::new(Self {
            me: ReplicaId(fastrand::u64(..)),
            store: SealedStore {
                store,
                keys,
                limit: settings.call,
                metrics,
            },
            settings,
            background,
            members: Mutex::new(None),
            trouble: Mutex::new(None),
            ports: Mutex::default(),
            closing: watch::Sender::new(false),
            tasks: Mutex::new(Some(tasks)),
            ended: tokio::sync::Mutex::new(ended),
        });

        tracing::info!(replica = %fleet.me, store = ?fleet.store.store, "this gateway is a replica of a fleet");
        let announcer = Arc::clone(&fleet);
        fleet.run_task(tracing::debug_span!("fleet"), move |_panics| {
            Arc::clone(&announcer).announce()
        });
        fleet
    }

    /// Runs a task that has something to give back, and again if it panics. `start` gets the number
    /// of panics so far.
    fn run_task<F>(
        self: &Arc<Self>,
        span: Span,
        mut start: impl FnMut(u64) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let fleet = Arc::clone(self);
        // held until the task has ended, also while it is about to start again
        let guard = lock(&self.tasks).clone();
        self.background.spawn_restarting(span, move |panics| {
            let _held = &guard;
            if panics > 0 {
                tracing::error!(panics, "a task of the fleet has panicked, and starts again");
                fleet.store.metrics.count_fleet_panic();
            }
            start(panics)
        });
    }

    /// Asks the store for the replicas, without joining them, and writes a record of its own. Returns
    /// the time of the store too.
    ///
    /// Fails if the store cannot be used, or holds values that these keys do not open.
    pub async fn check(
        store: Box<dyn Store>,
        keys: FleetKeys,
        settings: &FleetSettings,
    ) -> Result<(usize, Duration), StoreError> {
        let mut store = SealedStore {
            store,
            keys,
            // the first call may have to wait for credentials
            limit: settings.call.max(FIRST_CALL),
            metrics: Arc::default(),
        };
        let read = store.read::<MemberRecord>(&name_record(&["members"])).await;
        let (record, time) = read?;
        let members = record.map_or(0, |record| record.value.members.len());

        store.limit = settings.call;
        let name = name_record(&["check"]);
        let (before, _time) = store.read::<()>(&name).await?;
        let base = before.map(|before| before.version);
        let version = Version::next(base, fastrand::u64(..));
        let written = Versioned { version, value: () };
        // it is not written if another gateway is being checked; then the store can do that too
        store.write(&name, base, &written).await?;
        Ok((members, time))
    }

    /// Starts to get slots for the commands of an environment, which has so many.
    pub fn share_slots(
        self: &Arc<Self>,
        environment: &Environment,
        waiters: Weak<dyn CommandWaiters>,
    ) -> Arc<SlotPort> {
        let port = Arc::<SlotPort>::default();
        let name = environment.local.clone();
        lock(&self.ports).push((name, Arc::clone(&port)));

        let settings = SlotSettings::new(
            environment.cli_concurrency.max(1),
            self.settings.command,
            self.settings.shares,
        );
        let task = SlotTask {
            fleet: Arc::clone(self),
            environment: environment.local.clone(),
            record: name_environment("slots", environment),
            port: Arc::clone(&port),
            waiters,
            slots: Slots::new(self.me, settings, fastrand::Rng::new()),
            is_useless: false,
        };
        // a task that starts again continues with the slots that it had
        let task = Arc::new(tokio::sync::Mutex::new(task));
        let span = tracing::debug_span!("slots", environment = %environment.local);
        self.run_task(span, move |panics| {
            let task = Arc::clone(&task);
            async move {
                let mut task = task.lock().await;
                if panics > 0 {
                    task.slots.on_panic(boot_clock());
                }
                task.run().await;
            }
        });
        port
    }

    /// Looks for a token or session, which is of this kind, in the store: another than `known`. Waits
    /// while another replica makes one, at most for the patience of the settings.
    pub async fn find<T>(
        self: &Arc<Self>,
        environment: &Environment,
        kind: &'static str,
        known: Option<u64>,
        settings: ClaimSettings,
    ) -> Found<T>
    where
        T: Clone + Serialize + DeserializeOwned,
    {
        let record = name_environment(kind, environment);
        let mut claim = Claim::new(self.me, settings, known, boot_clock());
        let mut looked = Timestamp::now();
        let mut conflicts = 0;

        loop {
            match claim.next_step() {
                ClaimStep::Read => {
                    // its age counts from before the question
                    looked = Timestamp::now();
                    let read = self.store.read::<ItemRecord<T>>(&record).await;
                    self.note(read.as_ref().err());
                    let now = boot_clock();
                    match read {
                        Ok((found, time)) => claim.on_read(looked.boot(), now, found, time),
                        Err(_) => claim.on_failure(),
                    }
                }
                ClaimStep::Write(base, value) => {
                    let written = self.store.write(&record, base, &value).await;
                    self.note(written.as_ref().err());
                    conflicts += u32::from(matches!(written, Ok(false)));
                    match written {
                        // a store in which no write matches is of no use
                        Ok(false) if conflicts > MAX_CONFLICTS => claim.on_failure(),
                        Ok(is_done) => claim.on_write(value, is_done),
                        Err(_) => claim.on_failure(),
                    }
                }
                ClaimStep::Wait(pause) => tokio::time::sleep(pause).await,
                ClaimStep::Use(item, age) => {
                    return Found::Item {
                        id: item.id,
                        usable: Duration::from_millis(item.usable),
                        value: item.value,
                        requested: looked.before(age),
                    };
                }
                ClaimStep::Fail(failure) => return Found::Failure(failure),
                ClaimStep::Make => {
                    let claimer = Claimer::new(Arc::clone(self), record, claim);
                    return Found::Claimed(Box::new(claimer));
                }
                ClaimStep::MakeAlone => return Found::Alone,
            }
        }
    }

    /// Returns the number of replicas that were seen last.
    fn replicas(&self) -> Option<usize> {
        lock(&self.members).as_ref().map(Vec::len)
    }

    /// Returns the state of the fleet.
    pub fn status(&self) -> FleetStatus {
        let members = lock(&self.members).clone().unwrap_or_default();
        let ports = lock(&self.ports);
        let slots = ports.iter().map(|(name, port)| {
            let leases = lock(&port.leases);
            let owners = leases.iter().map(|lease| lease.owner);
            let is_alone = port.is_alone.load(Ordering::Relaxed);
            (name.clone(), owners.collect(), is_alone)
        });
        FleetStatus {
            me: self.me,
            replicas: members.iter().map(|member| member.id).collect(),
            trouble: lock(&self.trouble).clone(),
            slots: slots.collect(),
            totals: self.store.metrics.store_totals(),
        }
    }

    /// Returns the state for a person. Slots that no command needs here are read again, so that the next
    /// look finds them as they are.
    pub fn watch(&self) -> FleetStatus {
        for (_, port) in lock(&self.ports).iter() {
            port.is_watched.store(true, Ordering::Relaxed);
            port.wake();
        }
        self.status()
    }

    /// Gives back what this replica holds, and leaves the fleet. It takes no longer than `limit`.
    pub async fn leave(&self, limit: Duration) {
        self.closing.send_replace(true);
        for (_, port) in lock(&self.ports).iter() {
            port.wake();
        }
        drop(lock(&self.tasks).take());
        let mut ended = self.ended.lock().await;
        let left = tokio::time::timeout(limit, ended.recv()).await;
        tracing::debug!(complete = left.is_ok(), "left the fleet");
    }

    /// Announces this replica until it leaves.
    async fn announce(self: Arc<Self>) {
        let mut closing = self.closing.subscribe();

        loop {
            let known = lock(&self.members).clone().unwrap_or_default();
            let announce = |record: &MemberRecord, me, time| record.with(&known, me, time);
            let result = self.change_members(announce).await;
            let pause = match result {
                Ok(()) => ANNOUNCE.mul_f64(0.9 + 0.2 * fastrand::f64()),
                Err(_) => RETRY,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = closing.wait_for(|closing| *closing) => break,
            }
        }
        let _gone = self
            .change_members(|record, me, _time| record.without(me))
            .await;
    }

    /// Changes the list of replicas. Fails if each write finds that it was changed in between.
    pub(crate) async fn change_members(
        &self,
        change: impl Fn(&MemberRecord, ReplicaId, Duration) -> MemberRecord,
    ) -> Result<(), StoreError> {
        let name = name_record(&["members"]);
        for _ in 0..MEMBER_TRIES {
            let read = self.store.read::<MemberRecord>(&name).await;
            self.note(read.as_ref().err());
            let (known, time) = read?;
            let base = known.as_ref().map(|known| known.version);
            let record = known.map(|known| known.value).unwrap_or_default();

            let value = change(&record, self.me, time);
            let members = value.members.clone();
            let version = Version::next(base, fastrand::u64(..));
            let written = self
                .store
                .write(&name, base, &Versioned { version, value })
                .await;
            self.note(written.as_ref().err());
            if written? {
                *lock(&self.members) = Some(members);
                return Ok(());
            }
            // another one was faster
            tokio::time::sleep(CONFLICT.mul_f64(fastrand::f64())).await;
        }
        Err(StoreError::Conflicts)
    }

    /// Keeps the error of the last call, and logs when the store is gone and when it is back.
    fn note(&self, error: Option<&StoreError>) {
        let mut trouble = lock(&self.trouble);
        match (&*trouble, error) {
            (None, Some(error)) => {
                tracing::warn!(%error, hint = error.hint(), "the fleet's store cannot be used; until then this gateway works without it");
            }
            (Some(_), None) => tracing::info!("the fleet's store can be used again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *trouble = error.cloned();
    }
}

/// The result of a look into the store.
#[derive(Debug)]
pub enum Found<T> {
    /// An item of another replica.
    Item {
        /// Its id.
        id: u64,
        /// The item.
        value: T,
        /// It was requested at this time or later.
        requested: Timestamp,
        /// The time for which it is used since then.
        usable: Duration,
    },
    /// Another replica's call to AWS has failed a moment ago.
    Failure(SharedFailure),
    /// The item is to be made, and the others wait for it.
    Claimed(Box<Claimer<T>>),
    /// The item is to be made, and no other replica knows of it.
    Alone,
}

/// The claim of this replica to make an item.
#[derive(Debug)]
pub struct Claimer<T> {
    fleet: Arc<Fleet>,
    record: String,
    claim: Claim<T>,
}

impl<T: Clone + Serialize + DeserializeOwned> Claimer<T> {
    fn new(fleet: Arc<Fleet>, record: String, claim: Claim<T>) -> Self {
        Self {
            fleet,
            record,
            claim,
        }
    }

    /// Runs a future, and renews the claim meanwhile.
    pub async fn keep<F: Future>(&mut self, make: F) -> F::Output {
        let mut make = pin!(make);
        loop {
            if let Ok(made) = tokio::time::timeout(RENEW, &mut make).await {
                return made;
            }
            let renewal = self.claim.renew();
            tokio::select! {
                made = &mut make => return made,
                () = self.renew(renewal) => {}
            }
        }
    }

    async fn renew(&mut self, renewal: ClaimStep<T>) {
        if let ClaimStep::Write(base, value) = renewal
            && let Ok(true) = self.fleet.store.write(&self.record, base, &value).await
        {
            self.claim.on_renewed(value);
        }
    }

    /// Gives the others what came of it. If they have passed over this claim, they do not get it.
    pub async fn publish(mut self, result: ClaimResult<T>) {
        let store = &self.fleet.store;
        for _ in 0..PUBLISH_TRIES {
            let ClaimStep::Write(base, value) = self.claim.publish(&result) else {
                return;
            };
            let written = store.write(&self.record, base, &value).await;
            self.fleet.note(written.as_ref().err());
            if written.unwrap_or(false) {
                return;
            }
            // a renewal may have been written although this replica did not wait for its response
            let read = store.read(&self.record).await;
            let may_repeat = read.is_ok_and(|(record, _time)| self.claim.rebase(record));
            if !may_repeat {
                return;
            }
        }
    }
}

/// The task that gets the slots of one environment.
struct SlotTask {
    fleet: Arc<Fleet>,
    environment: EnvName,
    record: String,
    port: Arc<SlotPort>,
    waiters: Weak<dyn CommandWaiters>,
    slots: Slots,
    /// True if the store was of no use when it was last looked at.
    is_useless: bool,
}

impl SlotTask {
    async fn run(&mut self) {
        loop {
            for number in lock(&self.port.ended).drain(..) {
                self.slots.end(number);
            }
            match self.port.slots.load(Ordering::Relaxed) {
                0 => {}
                slots => self.slots.set_slots(slots),
            }
            if self.port.is_watched.swap(false, Ordering::Relaxed) {
                self.slots.watch(boot_clock());
            }
            let Some(waiters) = self.waiters.upgrade() else {
                return;
            };
            // what a call has given, before anything else is wanted
            self.hand_out(&waiters);
            let is_closing = *self.fleet.closing.borrow();
            self.slots
                .set_demand(waiters.waiting(), self.fleet.replicas());
            let step = self.slots.next(boot_clock());
            self.hand_out(&waiters);

            waiters.set_refusing(self.slots.is_refusing());
            drop(waiters);
            self.show_state();
            if is_closing && (self.slots.is_idle() || self.slots.is_alone()) {
                return;
            }
            self.act(step).await;
        }
    }

    /// Shows the state to the queue and to people.
    fn show_state(&mut self) {
        *lock(&self.port.leases) = self.slots.leases().to_vec();
        let is_alone = self.slots.is_alone();
        self.port.is_alone.store(is_alone, Ordering::Relaxed);
        *lock(&self.port.send_limit) = self.slots.send_limit();

        let was_useless = std::mem::replace(&mut self.is_useless, self.slots.is_useless());
        match (was_useless, self.is_useless) {
            (false, true) => {
                tracing::warn!(environment = %self.environment, "the fleet's store does not keep the command slots; until it does, this gateway works without it");
            }
            (true, false) => {
                tracing::info!(environment = %self.environment, "the fleet's store keeps the command slots again");
            }
            (false, false) | (true, true) => {}
        }
    }

    fn hand_out(&mut self, waiters: &Arc<dyn CommandWaiters>) {
        while let Some(grant) = self.slots.take_grant() {
            if !Arc::clone(waiters).grant(grant) {
                self.slots.end(grant.number);
            } else if grant.is_alone {
                let metrics = &self.fleet.store.metrics;
                metrics.count_without_store(&self.environment);
            }
        }
    }

    async fn act(&mut self, step: SlotStep) {
        let store = &self.fleet.store;
        let started = boot_clock();

        match step {
            SlotStep::Wait(None) => self.port.wake.notified().await,
            SlotStep::Wait(Some(time)) => {
                // a wake-up that comes first ends the wait
                let woken = self.port.wake.notified();
                let _either = tokio::time::timeout(time, woken).await;
            }
            SlotStep::Read => {
                let read = store.read::<SlotRecord>(&self.record).await;
                let now = boot_clock();
                self.fleet.note(read.as_ref().err());
                match read {
                    Ok((record, _time)) => self.slots.on_read(started, now, record),
                    Err(_) => self.slots.on_read_failure(now),
                }
            }
            SlotStep::Write { base, record } => {
                let written = store.write(&self.record, base, &record).await;
                let now = boot_clock();
                self.fleet.note(written.as_ref().err());
                match written {
                    Ok(is_done) => self.slots.on_write(started, now, record, is_done),
                    Err(_) => self.slots.on_write_failure(now),
                }
            }
        }
    }
}

/// Returns the name of an environment's record. Replicas have the same name only for the same
/// environment, with the same identity.
fn name_environment(kind: &str, environment: &Environment) -> String {
    let region = environment.region.as_ref();
    name_record(&[
        kind,
        environment.local.as_str(),
        &environment.name,
        region.map_or("", |region| region.as_str()),
        environment.profile.as_deref().unwrap_or_default(),
        environment.role_arn.as_deref().unwrap_or_default(),
        environment.endpoint_url.as_deref().unwrap_or_default(),
    ])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest first call of a check.
const FIRST_CALL: Duration = Duration::from_secs(5);
/// The pause between two renewals of a claim.
const RENEW: Duration = Duration::from_secs(1);
/// The most claims of one search that find another version. After one, the other's claim is seen.
const MAX_CONFLICTS: u32 = 10;
/// The tries to write what came of a claim.
const PUBLISH_TRIES: u32 = 3;
/// The pause before a replica tries again to announce itself.
const RETRY: Duration = Duration::from_secs(5);
/// The tries to announce it while others do the same.
const MEMBER_TRIES: u32 = 20;
/// The pause after such a try is random between nothing and this.
const CONFLICT: Duration = Duration::from_millis(50);
