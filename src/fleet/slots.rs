//! One replica's part in the sharing of an environment's command slots. Pure: it does no I/O, and
//! the time is passed in, which is the replica's own monotonic clock.
//!
//! [`Slots::next`] says what to do, `on_read` and `on_write` take the results, and
//! [`Slots::take_grant`] gives the slots away. `docs/how-it-works/fleet.md` has the rules.

use crate::record::{Lease, ReplicaId, SlotRecord, Ticket, Version, Versioned};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// The times and numbers of the protocol.
#[derive(Debug, Clone)]
pub struct SlotSettings {
    /// The slots of the environment.
    pub slots: usize,
    /// A lease that was not renewed for this time is dead.
    pub lease: Duration,
    /// A command is sent within this time after the write that gave it the slot.
    pub send: Duration,
    /// A new epoch grants nothing for this time.
    pub fence: Duration,
    /// A first ticket that leaves a free slot unused for this time is passed over.
    pub turn: Duration,
    /// The slots that a cold epoch grants.
    pub cold: usize,
    /// True if commands run without the store, false if they are refused.
    pub shares: bool,
}

impl SlotSettings {
    /// Returns the settings for so many slots, where a command takes at most `longest` from its
    /// first byte. `shares` is true if commands run without the store.
    pub fn new(slots: usize, longest: Duration, shares: bool) -> Self {
        // below that, the time between the grant and the first byte becomes too short
        let longest = longest.max(SHORTEST_COMMAND);
        Self {
            slots,
            // sent up to a quarter after the write, and a quarter for clocks that differ
            lease: longest * 3 / 2,
            send: longest / 4,
            fence: FENCE,
            turn: TURN,
            cold: (slots / 2).max(1),
            shares,
        }
    }
}

/// The next thing to do.
#[derive(Debug, PartialEq, Eq)]
pub enum SlotStep {
    /// Read the record.
    Read,
    /// Write the record if it still has this version.
    Write {
        /// The version that it must have; `None` if it must not exist.
        base: Option<Version>,
        /// The new record.
        record: Versioned<SlotRecord>,
    },
    /// Nothing before this time has passed, or something changes here. `None` is for ever.
    Wait(Option<Duration>),
}

/// A slot for one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The number by which it is [returned](Slots::end).
    pub number: u64,
    /// The time until which the command's first byte may be sent, if no later write has renewed its
    /// lease.
    pub send_by: Duration,
    /// True if it was given without the store.
    pub is_alone: bool,
}

/// The limit for the first bytes of commands whose leases were renewed.
#[derive(Debug, Clone, Copy, Default)]
pub struct SendLimit {
    /// The time until which they may be sent.
    by: Duration,
    /// It is for grants with higher numbers. Those before it were not renewed for so long that others
    /// may have taken their slots, also if they were renewed later.
    above: u64,
}

impl SendLimit {
    /// Returns true if the first byte of the command may be sent now.
    pub fn allows(&self, grant: &Grant, now: Duration) -> bool {
        now <= grant.send_by || (grant.number > self.above && now <= self.by)
    }
}

/// A slot that a command of this replica has.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// The time before the last write that confirmed it, and its epoch; `None` if it was never in
    /// the store.
    confirmed: Option<(Duration, u64)>,
}

/// The record as far as it is known.
#[derive(Debug, Clone)]
enum Base {
    /// It must be read.
    Unknown,
    /// It does not exist.
    Absent,
    /// It is this.
    Record(Versioned<SlotRecord>),
}

/// A value of another replica, and the time since which it is unchanged.
#[derive(Debug, Clone, Copy)]
struct Seen<T> {
    value: T,
    since: Duration,
}

/// One replica's view of an environment's slots.
#[derive(Debug)]
pub struct Slots {
    me: ReplicaId,
    settings: SlotSettings,
    rng: fastrand::Rng,
    /// The commands that wait here.
    waiting: usize,
    /// The number of replicas, for the share without the store.
    replicas: usize,
    next_number: u64,
    renewals: u64,
    held: BTreeMap<u64, Held>,
    /// Leases in a write whose outcome is not known, with the time before that write.
    attempts: BTreeMap<u64, Duration>,
    grants: VecDeque<Grant>,
    base: Base,
    /// The start of the last read.
    looked: Duration,
    /// Somebody looks at the slots until then.
    watched: Duration,
    /// The time of the next read.
    due: Duration,
    pause: Duration,
    /// The writes in a row that found another version.
    conflicts: u32,
    /// Those of them that no write of another replica explains.
    refusals: u32,
    /// The version that the last write did not get, as long as no read has followed.
    missed: Option<Version>,
    /// The writes in a row that were done, and that the next read did not show.
    losses: u32,
    /// The last write that was done, as long as no read has followed.
    unread: Option<Version>,
    leases: HashMap<(ReplicaId, u64), Seen<u64>>,
    first: Option<Seen<Ticket>>,
    epoch: Option<Seen<u64>>,
    /// The version that was read last.
    version: Option<Version>,
    /// The highest version of this epoch.
    highest: u64,
    /// True if the record has gone back to an older version.
    is_older: bool,
    /// True if nothing of this replica is in the store.
    is_settled: bool,
    /// The time before the last write that was done.
    renewed: Duration,
    /// The highest number of a grant before the last time without a write that was too long.
    lapsed: u64,
    failures: u32,
    retry: Duration,
}

impl Slots {
    /// Creates the view of a replica that knows nothing yet.
    pub fn new(me: ReplicaId, settings: SlotSettings, rng: fastrand::Rng) -> Self {
        Self {
            me,
            settings,
            rng,
            waiting: 0,
            replicas: 1,
            next_number: 0,
            renewals: 0,
            held: BTreeMap::new(),
            attempts: BTreeMap::new(),
            grants: VecDeque::new(),
            base: Base::Unknown,
            looked: Duration::ZERO,
            watched: Duration::ZERO,
            due: Duration::ZERO,
            pause: FIRST_PAUSE,
            conflicts: 0,
            refusals: 0,
            missed: None,
            losses: 0,
            unread: None,
            leases: HashMap::new(),
            first: None,
            epoch: None,
            version: None,
            highest: 0,
            is_older: false,
            is_settled: true,
            renewed: Duration::ZERO,
            lapsed: 0,
            failures: 0,
            retry: Duration::ZERO,
        }
    }

    /// Sets the number of commands that wait here, and the number of replicas that are known.
    pub fn set_demand(&mut self, waiting: usize, replicas: Option<usize>) {
        if waiting > self.waiting {
            // a command that has just come need not wait for the next read
            self.pause = FIRST_PAUSE;
        }
        self.waiting = waiting;
        // a replica that knows of none cannot know how many share the slots
        self.replicas = replicas.unwrap_or(self.settings.slots).max(1);
    }

    /// Reads the record for a few seconds also if no command is here: somebody looks at the slots.
    pub fn watch(&mut self, now: Duration) {
        self.watched = now + WATCH;
    }

    /// Changes the number of slots.
    pub fn set_slots(&mut self, slots: usize) {
        self.settings.slots = slots;
        self.settings.cold = (slots / 2).max(1);
    }

    /// Returns a slot: its command has ended, or there was none for it.
    pub fn end(&mut self, number: u64) {
        self.held.remove(&number);
    }

    /// Returns the next slot for a command that waits.
    pub fn take_grant(&mut self) -> Option<Grant> {
        self.grants.pop_front()
    }

    /// Returns true if the replica works without the store.
    pub fn is_alone(&self) -> bool {
        self.failures >= MAX_FAILURES || self.is_useless()
    }

    /// Returns true if the store responds, but does not keep what this replica writes.
    pub fn is_useless(&self) -> bool {
        self.refusals >= MAX_REFUSALS || self.losses >= MAX_LOSSES
    }

    /// Returns true if commands are to be refused.
    pub fn is_refusing(&self) -> bool {
        self.is_alone() && !self.settings.shares
    }

    /// Returns the limit for the first bytes of commands: each write renews all leases, so it grows.
    pub fn send_limit(&self) -> SendLimit {
        SendLimit {
            by: self.renewed + self.settings.send,
            above: self.lapsed,
        }
    }

    /// Returns the number of slots that this replica has without the store.
    pub fn share(&self) -> usize {
        (self.settings.slots / self.replicas).max(1)
    }

    /// Returns true if no command waits or runs here, and nothing of this replica is in the store.
    pub fn is_idle(&self) -> bool {
        self.waiting == 0 && self.held.is_empty() && self.is_settled
    }

    /// Notes whether anything of this replica is in the record.
    fn settle(&mut self, record: Option<&SlotRecord>) {
        let is_mine = |record: &SlotRecord| {
            let mut leases = record.leases.iter();
            let mut tickets = record.tickets.iter();
            leases.any(|lease| lease.owner == self.me)
                || tickets.any(|ticket| ticket.owner == self.me)
        };
        self.is_settled = !record.is_some_and(is_mine);
    }

    /// Returns the leases of the record, with their owners.
    pub fn leases(&self) -> &[Lease] {
        match &self.base {
            Base::Record(record) => &record.value.leases,
            Base::Unknown | Base::Absent => &[],
        }
    }

    /// Returns the next thing to do.
    pub fn next(&mut self, now: Duration) -> SlotStep {
        // a read is due after a while, and where an old one would decide about a command
        let is_old = now.saturating_sub(self.looked) > LONGEST_PAUSE;
        let is_alone = self.is_alone();
        if is_alone {
            self.grant_alone(now);
            if now < self.retry {
                return SlotStep::Wait(Some(self.retry.saturating_sub(now)));
            }
            if is_old || self.unread.is_some() {
                return SlotStep::Read;
            }
        }

        let has_work = is_alone || !self.is_idle() || now < self.watched;
        let base = match self.base.clone() {
            Base::Record(record) => Some(record),
            Base::Absent => None,
            Base::Unknown if !has_work => return SlotStep::Wait(None),
            Base::Unknown if now < self.due => {
                return SlotStep::Wait(Some(self.due.saturating_sub(now)));
            }
            Base::Unknown => return SlotStep::Read,
        };
        if (self.waiting > 0 && is_old) || (has_work && now >= self.due) {
            return SlotStep::Read;
        }

        match self.plan(base.as_ref().map(|base| &base.value), now) {
            Some(value) => {
                let base = base.map(|base| base.version);
                let version = Version::next(base, self.rng.u64(..));
                self.is_settled = false;
                let record = Versioned { version, value };
                SlotStep::Write { base, record }
            }
            None if has_work => SlotStep::Wait(Some(self.due.saturating_sub(now))),
            None => SlotStep::Wait(None),
        }
    }

    /// Takes the record that was read between two moments.
    pub fn on_read(
        &mut self,
        started: Duration,
        ended: Duration,
        record: Option<Versioned<SlotRecord>>,
    ) {
        self.failures = 0;
        self.looked = started;
        self.check_last_write(record.as_ref(), ended);
        if let Some(record) = &record {
            self.observe(record, started, ended);
        } else {
            self.leases.clear();
            self.first = None;
        }

        // leases of a write whose response was lost, and which are there
        let is_there = |number: &u64| {
            let leases = record.iter().flat_map(|record| &record.value.leases);
            leases
                .filter(|lease| lease.owner == self.me)
                .any(|lease| lease.number == *number)
        };
        let mut attempts = std::mem::take(&mut self.attempts);
        attempts.retain(|number, _| is_there(number));
        let epoch = record.as_ref().map_or(0, |record| record.value.epoch);
        for (number, sent) in attempts {
            if self.waiting > 0 && ended < sent + self.settings.send {
                self.grant(number, sent, epoch);
            }
        }

        self.settle(record.as_ref().map(|record| &record.value));
        if self.version != record.as_ref().map(|record| record.version) {
            // slots come and go: the next one may be for this replica
            self.pause = FIRST_PAUSE;
        }
        self.version = record.as_ref().map(|record| record.version);
        self.base = record.map_or(Base::Absent, Base::Record);
        self.schedule(ended);
    }

    /// Compares a record that was read with what this replica has written before: other replicas
    /// only add to it, as long as the store keeps all.
    fn check_last_write(&mut self, record: Option<&Versioned<SlotRecord>>, now: Duration) {
        if let Some(missed) = self.missed.take() {
            let is_newer = record.is_some_and(|record| record.version.count >= missed.count);
            self.refusals = self.refusals.saturating_add(u32::from(!is_newer));
            self.back_off(now);
        }

        let Some(written) = self.unread.take() else {
            return;
        };
        let epoch = self.epoch.map(|epoch| epoch.value);
        let is_kept = record.is_some_and(|record| {
            Some(record.value.epoch) == epoch && record.version.count >= written.count
        });
        if is_kept {
            self.conflicts = 0;
            self.refusals = 0;
            self.losses = 0;
        } else {
            self.losses = self.losses.saturating_add(1);
            self.back_off(now);
        }
    }

    /// Takes the failure of a read.
    pub fn on_read_failure(&mut self, now: Duration) {
        self.base = Base::Unknown;
        self.fail(now);
    }

    /// Takes the result of the write that [`next`](Self::next) asked for: true if it was done, false
    /// if the record had another version.
    pub fn on_write(
        &mut self,
        started: Duration,
        ended: Duration,
        written: Versioned<SlotRecord>,
        is_done: bool,
    ) {
        self.failures = 0;
        if !is_done {
            self.forget_new(&written.value);
            self.base = Base::Unknown;
            // those who met here should not meet again
            self.conflicts = self.conflicts.saturating_add(1);
            let spread = FIRST_CONFLICT.saturating_mul(1 << self.conflicts.min(6));
            self.due = ended + spread.mul_f64(self.rng.f64());
            self.missed = Some(written.version);
            self.back_off(ended);
            return;
        }

        self.unread = Some(written.version);
        let epoch = written.value.epoch;
        if self.epoch.is_none_or(|known| known.value != epoch) {
            self.begin_epoch(epoch, ended);
        }
        self.highest = written.version.count;
        self.is_older = false;
        if started > self.renewed + self.settings.send {
            self.lapsed = self.held.keys().next_back().copied().unwrap_or(self.lapsed);
        }
        self.renewed = started;
        let own = written.value.leases.iter();
        let own: Vec<_> = own.filter(|lease| lease.owner == self.me).collect();
        for lease in own {
            if let Some(held) = self.held.get_mut(&lease.number) {
                held.confirmed = Some((started, epoch));
            } else if self.attempts.remove(&lease.number).is_some() {
                self.grant(lease.number, started, epoch);
            }
        }
        self.settle(Some(&written.value));
        self.base = Base::Record(written);
        self.schedule(ended);
    }

    /// Takes the failure of a write, which may have happened all the same.
    pub fn on_write_failure(&mut self, now: Duration) {
        self.base = Base::Unknown;
        self.fail(now);
    }

    /// Works without the store for a while: a step has panicked, and the next one may do so too.
    pub fn on_panic(&mut self, now: Duration) {
        self.base = Base::Unknown;
        self.failures = self.failures.max(MAX_FAILURES);
        self.fail(now);
    }

    fn fail(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        // the first failure may be that of an old connection
        self.due = now;
        self.back_off(now);
    }

    /// Sets the time at which a store that is lost is tried again.
    fn back_off(&mut self, now: Duration) {
        let failures = self.failures.saturating_sub(MAX_FAILURES);
        let refusals = self.refusals.saturating_sub(MAX_REFUSALS);
        let losses = self.losses.saturating_sub(MAX_LOSSES);
        let exponent = failures.max(refusals).max(losses).min(6);
        let pause = (FIRST_RETRY * 2u32.pow(exponent)).min(LONGEST_RETRY);
        self.retry = now + pause.mul_f64(0.75 + 0.5 * self.rng.f64());
    }

    /// Gives slots without the store, as far as this replica's share allows.
    fn grant_alone(&mut self, now: Duration) {
        if !self.settings.shares {
            return;
        }
        while self.waiting > 0 && self.held.len() < self.share() {
            let number = self.take_number();
            self.held.insert(number, Held { confirmed: None });
            self.waiting -= 1;
            self.grants.push_back(Grant {
                number,
                // one that a paused replica sends after the store is back would come on top
                send_by: now + self.settings.send,
                is_alone: true,
            });
        }
    }

    fn grant(&mut self, number: u64, sent: Duration, epoch: u64) {
        let confirmed = Some((sent, epoch));
        self.held.insert(number, Held { confirmed });
        self.waiting = self.waiting.saturating_sub(1);
        self.grants.push_back(Grant {
            number,
            send_by: sent + self.settings.send,
            is_alone: false,
        });
    }

    fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Sets the time of the next read: seldom while nothing moves.
    fn schedule(&mut self, now: Duration) {
        let pause = if self.waiting > 0 {
            let pause = self.pause;
            self.pause = (pause * 5 / 4).min(LONGEST_PAUSE);
            pause
        } else {
            LONGEST_PAUSE
        };
        self.due = now + pause.mul_f64(0.8 + 0.2 * self.rng.f64());
    }

    /// Notes since when the values of the others are unchanged.
    fn observe(&mut self, record: &Versioned<SlotRecord>, started: Duration, ended: Duration) {
        let SlotRecord {
            epoch,
            leases,
            tickets,
            ..
        } = &record.value;
        if self.epoch.is_none_or(|known| known.value != *epoch) {
            self.begin_epoch(*epoch, ended);
        }
        self.is_older = record.version.count < self.highest;
        self.highest = self.highest.max(record.version.count);

        let mut seen = HashMap::new();
        for lease in leases.iter().filter(|lease| lease.owner != self.me) {
            let key = (lease.owner, lease.number);
            let known = self.leases.get(&key).copied();
            let known = known.filter(|known| known.value == lease.renewals);
            let fresh = Seen {
                value: lease.renewals,
                since: ended,
            };
            seen.insert(key, known.unwrap_or(fresh));
        }
        self.leases = seen;

        // a turn that is not used shows only while there is a slot
        let has_slot = self.count_live(leases, started) < self.limit(&record.value, started);
        let first = tickets.first().copied().filter(|_| has_slot);
        self.first = first.map(|ticket| {
            let known = self.first.filter(|known| known.value == ticket);
            known.unwrap_or(Seen {
                value: ticket,
                since: ended,
            })
        });
    }

    fn begin_epoch(&mut self, epoch: u64, now: Duration) {
        self.epoch = Some(Seen {
            value: epoch,
            since: now,
        });
        self.highest = 0;
    }

    /// Returns true if the owner of a lease has not renewed it in time.
    fn is_dead(&self, lease: &Lease, looked: Duration) -> bool {
        let known = self.leases.get(&(lease.owner, lease.number));
        known.is_some_and(|known| looked.saturating_sub(known.since) >= self.settings.lease)
    }

    fn count_live(&self, leases: &[Lease], looked: Duration) -> usize {
        let live = leases.iter().filter(|lease| !self.is_dead(lease, looked));
        live.count()
    }

    /// Returns the time for which this replica has watched the epoch.
    fn watched(&self, record: &SlotRecord, looked: Duration) -> Duration {
        let known = self.epoch.filter(|known| known.value == record.epoch);
        known.map_or(Duration::ZERO, |known| looked.saturating_sub(known.since))
    }

    /// Returns the number of slots that the record may grant.
    fn limit(&self, record: &SlotRecord, looked: Duration) -> usize {
        let watched = self.watched(record, looked);
        if record.warm || watched >= self.settings.lease {
            self.settings.slots
        } else if watched >= self.settings.fence {
            self.settings.cold.min(self.settings.slots)
        } else {
            0
        }
    }

    /// Returns the record as it should be; `None` if it is already.
    fn plan(&mut self, base: Option<&SlotRecord>, now: Duration) -> Option<SlotRecord> {
        let looked = self.looked;
        let mut record = base.cloned().unwrap_or_else(|| SlotRecord {
            epoch: self.rng.u64(..),
            warm: false,
            leases: Vec::new(),
            tickets: Vec::new(),
        });
        let before = record.clone();

        if base.is_some_and(|base| self.has_lost_data(base, now)) {
            record.epoch = self.rng.u64(..);
            record.warm = false;
        }
        let is_dead = |lease: &Lease| lease.owner != self.me && self.is_dead(lease, looked);
        record.leases.retain(|lease| !is_dead(lease));
        self.put_own_leases(&mut record);
        if self.watched(&record, looked) >= self.settings.lease {
            record.warm = true;
        }
        self.take_slots(&mut record, now);

        let is_renewal_due = self.held.values().any(|held| {
            held.confirmed
                .is_none_or(|(at, _)| now.saturating_sub(at) >= self.settings.send / 2)
        });
        // a store that kept nothing shows only by a write that it is of use again
        let is_trial = self.is_alone();
        let is_needed = is_trial || self.waiting > 0 || !self.held.is_empty();
        if (base.is_none() && !is_needed)
            || (base.is_some() && record == before && !is_renewal_due && !is_trial)
        {
            return None;
        }
        // each write renews all
        self.renewals += 1;
        let own = record.leases.iter_mut();
        own.filter(|lease| lease.owner == self.me)
            .for_each(|lease| lease.renewals = self.renewals);
        Some(record)
    }

    /// Returns true if the record lacks something that it would have if the store had kept all.
    fn has_lost_data(&self, record: &SlotRecord, now: Duration) -> bool {
        // no other replica may remove a live lease
        let is_lost = |number: &u64, held: &Held| {
            let mut leases = record.leases.iter();
            let is_live = held.confirmed.is_some_and(|(at, epoch)| {
                let age = now.saturating_sub(at);
                epoch == record.epoch && age < self.settings.lease.mul_f64(0.95)
            });
            is_live && !leases.any(|lease| lease.owner == self.me && lease.number == *number)
        };
        self.is_older || self.held.iter().any(|(number, held)| is_lost(number, held))
    }

    /// Adds the leases of commands that run here, and removes those of commands that do not.
    fn put_own_leases(&self, record: &mut SlotRecord) {
        record
            .leases
            .retain(|lease| lease.owner != self.me || self.held.contains_key(&lease.number));
        for number in self.held.keys() {
            let mut leases = record.leases.iter();
            if !leases.any(|lease| lease.owner == self.me && lease.number == *number) {
                record.leases.push(Lease {
                    owner: self.me,
                    number: *number,
                    renewals: self.renewals,
                });
            }
        }
    }

    /// Takes the slots that are this replica's turn, and a ticket for those that are not.
    fn take_slots(&mut self, record: &mut SlotRecord, now: Duration) {
        let limit = self.limit(record, self.looked);
        let mut free = limit.saturating_sub(record.leases.len());
        // its replica has gone, or it would have taken the slot
        let passed = self
            .first
            .filter(|first| self.looked.saturating_sub(first.since) >= self.settings.turn);
        record.tickets.retain(|ticket| {
            ticket.owner == self.me || passed.is_none_or(|first| first.value != *ticket)
        });

        // nothing that the store grants is believed before it has kept a write
        let mut wanted = if self.is_alone() { 0 } else { self.waiting };
        let me = self.me;
        let place = |record: &SlotRecord| {
            let mut tickets = record.tickets.iter();
            let own = tickets.position(|ticket| ticket.owner == me);
            own.unwrap_or(record.tickets.len())
        };
        // each that waits before this replica has a free slot of its own
        while wanted > 0 && place(record) < free {
            record.tickets.retain(|ticket| ticket.owner != self.me);
            let number = self.take_number();
            self.attempts.insert(number, now);
            record.leases.push(Lease {
                owner: self.me,
                number,
                renewals: self.renewals,
            });
            wanted -= 1;
            free -= 1;
        }

        let has_ticket = record.tickets.iter().any(|it| it.owner == self.me);
        if wanted == 0 {
            record.tickets.retain(|ticket| ticket.owner != self.me);
        } else if !has_ticket {
            record.tickets.push(Ticket {
                owner: self.me,
                number: self.rng.u64(..),
            });
        }
    }

    /// Forgets the leases of a write that was not done.
    fn forget_new(&mut self, record: &SlotRecord) {
        for lease in record.leases.iter().filter(|lease| lease.owner == self.me) {
            self.attempts.remove(&lease.number);
        }
    }
}

/// Shorter limits of commands count as this.
const SHORTEST_COMMAND: Duration = Duration::from_secs(20);
/// Longer than two reads of a replica that runs commands.
const FENCE: Duration = Duration::from_millis(2_500);
/// Longer than the longest pause of a replica that waits, and two calls.
const TURN: Duration = Duration::from_secs(3);
/// The pause between two reads while a command waits; it grows.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between two reads while commands wait or run.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The time for which one look at the slots makes them be read.
const WATCH: Duration = Duration::from_secs(3);
/// The pause after a write that met another is random between nothing and twice this.
const FIRST_CONFLICT: Duration = Duration::from_millis(4);
/// So many failures in a row mean that the store is gone.
const MAX_FAILURES: u32 = 2;
/// So many writes in a row that find another version, although the next read shows no newer one, mean
/// that the store is of no use.
const MAX_REFUSALS: u32 = 20;
/// So many writes in a row that the next read does not show mean the same.
const MAX_LOSSES: u32 = 5;
/// The first pause before a store that is gone is tried again.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// The longest of these pauses.
const LONGEST_RETRY: Duration = Duration::from_secs(10);
