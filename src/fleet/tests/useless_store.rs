//! A store that responds, but is of no use for slots: it is taken for one that is gone.

use crate::record::{Lease, ReplicaId, SlotRecord, Version, Versioned};
use crate::slots::{Grant, SlotSettings, SlotStep, Slots};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The ways in which a store is of no use.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// Each write is done, and no read shows it.
    KeepsNothing,
    /// No write is done.
    RefusesWrites,
    /// Each write is done, and each read returns the same old record.
    ReturnsOldRecord,
    /// The same, and no write is done.
    IsReadOnly,
    /// It returns two old records in turn, and no write is done.
    AlternatesRecords,
}

/// A store with one record.
struct Store {
    trouble: Option<Trouble>,
    record: Option<Versioned<SlotRecord>>,
    calls: u64,
}

/// Returns a record of a replica that has gone, which holds all slots.
fn old_record(version: u64, epoch: u64) -> Versioned<SlotRecord> {
    let lease = |number| Lease {
        owner: ReplicaId(7),
        number,
        renewals: version,
    };
    Versioned {
        version: Version {
            count: version,
            nonce: version,
        },
        value: SlotRecord {
            epoch,
            warm: true,
            leases: vec![lease(1), lease(2)],
            tickets: Vec::new(),
        },
    }
}

impl Store {
    fn read(&mut self) -> Option<Versioned<SlotRecord>> {
        self.calls += 1;
        match self.trouble {
            None | Some(Trouble::RefusesWrites) => self.record.clone(),
            Some(Trouble::KeepsNothing) => None,
            Some(Trouble::ReturnsOldRecord | Trouble::IsReadOnly) => Some(old_record(5, 1)),
            Some(Trouble::AlternatesRecords) => {
                let turn = self.calls / 2 % 2;
                Some(old_record(5 + turn, 1 + turn))
            }
        }
    }

    fn write(&mut self, base: Option<Version>, record: Versioned<SlotRecord>) -> bool {
        self.calls += 1;
        match self.trouble {
            None => {
                let version = self.record.as_ref().map(|record| record.version);
                let is_done = version == base;
                if is_done {
                    self.record = Some(record);
                }
                is_done
            }
            Some(Trouble::KeepsNothing | Trouble::ReturnsOldRecord) => true,
            Some(Trouble::RefusesWrites | Trouble::IsReadOnly | Trouble::AlternatesRecords) => {
                false
            }
        }
    }
}

/// A replica in which commands wait, and its store.
struct World {
    slots: Slots,
    store: Store,
    now: Duration,
    waiting: usize,
}

impl World {
    fn new(trouble: Trouble, shares: bool) -> Self {
        let settings = SlotSettings::new(2, 20 * SECOND, shares);
        let rng = fastrand::Rng::with_seed(7);
        Self {
            slots: Slots::new(ReplicaId(1), settings, rng),
            store: Store {
                trouble: Some(trouble),
                record: None,
                calls: 0,
            },
            now: 1_000 * SECOND,
            waiting: 1,
        }
    }

    /// Runs until something is so, at most for this time. Returns the slots that were granted.
    fn run(&mut self, limit: Duration, is_done: impl Fn(&Slots) -> bool) -> Vec<Grant> {
        let end = self.now + limit;
        let mut grants = Vec::new();
        while self.now < end && !is_done(&self.slots) {
            self.slots.set_demand(self.waiting, Some(1));
            let started = self.now;
            let step = self.slots.next(started);
            self.now += Duration::from_millis(1);
            match step {
                SlotStep::Read => {
                    let record = self.store.read();
                    self.slots.on_read(started, self.now, record);
                }
                SlotStep::Write { base, record } => {
                    let is_written = self.store.write(base, record.clone());
                    self.slots.on_write(started, self.now, record, is_written);
                }
                SlotStep::Wait(time) => self.now += time.unwrap_or(SECOND),
            }
            while let Some(grant) = self.slots.take_grant() {
                self.waiting -= 1;
                grants.push(grant);
            }
        }
        grants
    }
}

const TROUBLES: [Trouble; 5] = [
    Trouble::KeepsNothing,
    Trouble::RefusesWrites,
    Trouble::ReturnsOldRecord,
    Trouble::IsReadOnly,
    Trouble::AlternatesRecords,
];

#[test]
fn commands_run_without_a_store_that_keeps_no_write() {
    for trouble in TROUBLES {
        let mut world = World::new(trouble, true);
        let grants = world.run(30 * SECOND, Slots::is_alone);
        assert!(grants.is_empty(), "{trouble:?}: {grants:?}");
        let grants = world.run(SECOND, |_| false);
        assert!(
            grants.iter().all(|one| one.is_alone),
            "{trouble:?}: {grants:?}"
        );
        assert_eq!(grants.len(), 1, "{trouble:?}");

        // the store is not called forever, and its responses are not trusted
        world.store.calls = 0;
        world.run(60 * SECOND, |slots| !slots.is_alone());
        assert!(world.slots.is_alone(), "{trouble:?}");
        assert!(
            world.store.calls < 100,
            "{trouble:?}: {}",
            world.store.calls
        );
    }
}

#[test]
fn commands_are_refused_if_they_need_the_store() {
    for trouble in TROUBLES {
        let mut world = World::new(trouble, false);
        let grants = world.run(30 * SECOND, Slots::is_refusing);
        assert!(world.slots.is_refusing(), "{trouble:?}");
        assert!(grants.is_empty(), "{trouble:?}: {grants:?}");
    }
}

#[test]
fn a_store_that_keeps_writes_again_is_used_again() {
    for (trouble, shares) in TROUBLES
        .into_iter()
        .flat_map(|one| [(one, true), (one, false)])
    {
        let mut world = World::new(trouble, shares);
        world.run(30 * SECOND, Slots::is_alone);
        for grant in world.run(20 * SECOND, |_| false) {
            world.slots.end(grant.number);
        }
        world.waiting = 0;
        world.store.trouble = None;
        world.run(20 * SECOND, |slots| !slots.is_alone());
        assert!(!world.slots.is_alone(), "{trouble:?}");

        // after the fence of a new record
        world.waiting = 1;
        let grants = world.run(10 * SECOND, |_| false);
        assert!(
            grants.iter().all(|one| !one.is_alone),
            "{trouble:?}: {grants:?}"
        );
        assert_eq!(grants.len(), 1, "{trouble:?}");
    }
}

#[test]
fn a_store_that_lost_its_data_now_and_then_is_still_used() {
    let mut world = World::new(Trouble::KeepsNothing, true);
    world.store.trouble = None;
    for _ in 0..20 {
        world.waiting = 1;
        let grants = world.run(5 * SECOND, Slots::is_alone);
        assert!(!world.slots.is_alone());
        assert_eq!(grants.len(), 1);
        world.slots.end(grants[0].number);
        world.run(SECOND / 2, Slots::is_alone);
        world.store.record = None;
    }
}
