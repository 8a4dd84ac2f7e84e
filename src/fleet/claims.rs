//! One replica's part in the sharing of an environment's token or session. Pure: it does no I/O, and
//! the times are passed in: `now` is the replica's own monotonic clock, `time` the store's clock.
//!
//! A [`Claim`] is one search for an item. [`Claim::next_step`] says what to do, and the other methods take
//! the results. `docs/how-it-works/fleet.md` has the rules.

use crate::record::{ReplicaId, Version, Versioned, millis};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The token or session of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRecord<T> {
    /// The newest item.
    pub item: Option<SharedItem<T>>,
    /// The replica that makes one.
    pub claim: Option<Claimed>,
    /// The last failure of AWS.
    pub failure: Option<SharedFailure>,
}

/// An item that replicas share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedItem<T> {
    /// A random number, by which a replica knows the item again.
    pub id: u64,
    /// The time of the store before it was requested, in milliseconds since 1970.
    pub claimed: u64,
    /// The time for which it is used, in milliseconds.
    pub usable: u64,
    /// The item.
    pub value: T,
}

/// A claim to make an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    owner: ReplicaId,
    /// Changes when the claim is renewed.
    renewals: u64,
}

/// A failure of AWS, which the other replicas return too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedFailure {
    /// The replica whose call failed. It tries again when it wants to.
    pub owner: ReplicaId,
    /// The fault code.
    pub code: String,
    /// The reason.
    pub detail: String,
    /// The advice.
    pub hint: String,
    /// The time of the store until which the others return it, in milliseconds since 1970.
    pub until: u64,
}

/// The times of the protocol.
#[derive(Debug, Clone)]
pub struct ClaimSettings {
    /// A claim that was not renewed for this time is passed over.
    pub claim: Duration,
    /// The longest wait for one other replica. All together are waited for half as long again.
    pub patience: Duration,
    /// The pause between two reads while another replica makes an item.
    pub pause: Duration,
    /// Items of the store are used until this part of their use: after that, they are to be
    /// replaced.
    pub fresh: f64,
}

/// The next thing to do.
#[derive(Debug)]
pub enum ClaimStep<T> {
    /// Read the record.
    Read,
    /// Write the record if it still has this version.
    Write(Option<Version>, Versioned<ItemRecord<T>>),
    /// Wait.
    Wait(Duration),
    /// Use this item, which is so old.
    Use(SharedItem<T>, Duration),
    /// Return this failure.
    Fail(SharedFailure),
    /// Make an item; then call [`Claim::publish`]. Renew the claim meanwhile.
    Make,
    /// Make an item without the store.
    MakeAlone,
}

/// The claim of another replica.
#[derive(Debug, Clone, Copy)]
struct Other {
    claim: Claimed,
    /// The time since which it is unchanged.
    since: Duration,
    /// The time since which it is this replica's.
    first: Duration,
}

/// A search for an item.
#[derive(Debug)]
pub struct Claim<T> {
    me: ReplicaId,
    settings: ClaimSettings,
    /// The item that this replica has had already.
    known: Option<u64>,
    began: Duration,
    other: Option<Other>,
    base: Option<Versioned<ItemRecord<T>>>,
    /// The time of the store at the last read.
    time: Duration,
    next: Option<ClaimStep<T>>,
}

impl<T: Clone> Claim<T> {
    /// Begins a search for another item than `known`.
    pub fn new(
        me: ReplicaId,
        settings: ClaimSettings,
        known: Option<u64>,
        now: Duration,
    ) -> Self {
        Self {
            me,
            settings,
            known,
            began: now,
            other: None,
            base: None,
            time: Duration::ZERO,
            next: Some(ClaimStep::Read),
        }
    }

    /// Returns the next thing to do.
    pub fn next_step(&mut self) -> ClaimStep<T> {
        // a wait is followed by a read
        self.next.take().unwrap_or(ClaimStep::Read)
    }

    /// Takes a record that was read between two moments, with the time of the store.
    pub fn on_read(
        &mut self,
        started: Duration,
        ended: Duration,
        record: Option<Versioned<ItemRecord<T>>>,
        time: Duration,
    ) {
        self.time = time;
        let now = millis(time);
        let value = record.as_ref().map(|record| &record.value);

        if let Some(item) = value.and_then(|value| value.item.as_ref())
            && let Some(age) = self.find_age(item, now)
        {
            self.next = Some(ClaimStep::Use(item.clone(), age));
            return;
        }
        let failure = value.and_then(|value| value.failure.as_ref());
        // one that is held for longer is from a time when the store's clock was ahead
        let held_until = now + 1..=now + millis(FAILURE);
        let is_held = |failure: &&SharedFailure| {
            failure.owner != self.me && held_until.contains(&failure.until)
        };
        if let Some(failure) = failure.filter(is_held) {
            self.next = Some(ClaimStep::Fail(failure.clone()));
            return;
        }

        let claim = value.and_then(|value| value.claim);
        let is_pending = match claim {
            Some(claim) if claim.owner != self.me => self.is_pending(claim, started, ended),
            Some(_) | None => false,
        };
        self.base = record;
        if is_pending {
            self.next = Some(ClaimStep::Wait(self.settings.pause));
        } else {
            self.next = Some(self.write_claim(0));
        }
    }

    /// Returns true while another replica makes an item, and it is worth to wait for it.
    fn is_pending(&mut self, claim: Claimed, started: Duration, ended: Duration) -> bool {
        let same_owner = self.other.filter(|other| other.claim.owner == claim.owner);
        let same_claim = same_owner.filter(|other| other.claim == claim);
        let other = Other {
            claim,
            since: same_claim.map_or(ended, |other| other.since),
            first: same_owner.map_or(ended, |other| other.first),
        };
        self.other = Some(other);

        let ClaimSettings {
            claim, patience, ..
        } = self.settings;
        let waited = ended.saturating_sub(self.began);
        let is_dead = started.saturating_sub(other.since) >= claim;
        // the patience begins again when another replica claims, or all that wait would make an item at
        // once; but it has an end
        let owned = ended.saturating_sub(other.first);
        let is_late = owned >= patience || waited >= patience * 3 / 2;
        !is_dead && !is_late
    }

    /// Returns the age of an item that this replica may use.
    fn find_age(&self, item: &SharedItem<T>, now: u64) -> Option<Duration> {
        // an item from the future has an unknown age
        let age = Duration::from_millis(now.checked_sub(item.claimed)?);
        let fresh = Duration::from_millis(item.usable).mul_f64(self.settings.fresh);
        (self.known != Some(item.id) && age < fresh).then_some(age)
    }

    fn write_claim(&self, renewals: u64) -> ClaimStep<T> {
        let base = self.base.as_ref();
        let claim = Claimed {
            owner: self.me,
            renewals,
        };
        let value = ItemRecord {
            item: base.and_then(|base| base.value.item.clone()),
            claim: Some(claim),
            failure: None,
        };

        let version = base.map(|base| base.version);
        let next = Version::next(version, fastrand::u64(..));
        ClaimStep::Write(
            version,
            Versioned {
                version: next,
                value,
            },
        )
    }

    /// Takes the result of a write that [`next_step`](Self::next_step) asked for.
    pub fn on_write(&mut self, written: Versioned<ItemRecord<T>>, is_done: bool) {
        if is_done {
            self.base = Some(written);
            self.next = Some(ClaimStep::Make);
        } else {
            // another replica was faster
            self.next = Some(ClaimStep::Read);
        }
    }

    /// Takes the failure of a call: there is no time to wait for the store.
    pub fn on_failure(&mut self) {
        self.next = Some(ClaimStep::MakeAlone);
    }

    /// Returns the write that renews the claim while the item is being made.
    pub fn renew(&self) -> ClaimStep<T> {
        let claim = self.base.as_ref().and_then(|base| base.value.claim);
        self.write_claim(claim.map_or(0, |claim| claim.renewals + 1))
    }

    /// Takes the result of a renewal.
    pub fn on_renewed(&mut self, written: Versioned<ItemRecord<T>>) {
        self.base = Some(written);
    }

    /// Takes the record after a [`publish`](Self::publish) that was not done. Returns true if it may be
    /// tried again: the claim is still there, and it was a renewal that has changed the version.
    pub fn rebase(&mut self, record: Option<Versioned<ItemRecord<T>>>) -> bool {
        let claim = record.as_ref().and_then(|record| record.value.claim);
        let is_mine = claim.is_some_and(|claim| claim.owner == self.me);
        self.base = record;
        is_mine
    }

    /// Returns the write that gives the others what came of the claim.
    pub fn publish(&self, result: &ClaimResult<T>) -> ClaimStep<T> {
        let base = self.base.as_ref();
        let old = base.and_then(|base| base.value.item.clone());
        let (item, failure) = match result {
            ClaimResult::Made { id, value, usable } => {
                let item = SharedItem {
                    id: *id,
                    claimed: millis(self.time),
                    usable: millis(*usable),
                    value: value.clone(),
                };
                (Some(item), None)
            }
            ClaimResult::Failed(failure) => {
                let until = millis(self.time + FAILURE);
                let owner = self.me;
                (
                    old,
                    Some(SharedFailure {
                        owner,
                        until,
                        ..failure.clone()
                    }),
                )
            }
            ClaimResult::Nothing => (old, None),
        };

        let version = base.map(|base| base.version);
        let next = Version::next(version, fastrand::u64(..));
        let value = ItemRecord {
            item,
            claim: None,
            failure,
        };
        ClaimStep::Write(
            version,
            Versioned {
                version: next,
                value,
            },
        )
    }
}

/// The result of a claim.
#[derive(Debug)]
pub enum ClaimResult<T> {
    /// An item.
    Made {
        /// Its new id.
        id: u64,
        /// The item.
        value: T,
        /// The time for which it is used.
        usable: Duration,
    },
    /// A failure of AWS that the others would see too.
    Failed(SharedFailure),
    /// A failure of this replica's own.
    Nothing,
}

/// The others return a failure for this time after the claim, as one gateway holds its first.
const FAILURE: Duration = Duration::from_secs(2);
