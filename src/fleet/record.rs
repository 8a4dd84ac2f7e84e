//! The records of the store: what their values hold, and their versions.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One process of the gateway. It is random, so a process that restarts is another replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId(pub u64);

impl fmt::Display for ReplicaId {
    /// Writes the first six digits, which are enough for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0 >> 40)
    }
}

/// The version of a record. The nonce is random in each write, so a version never comes back, even
/// if the store loses records or goes back to an older state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// The number of writes since the record was created.
    pub count: u64,
    /// A random number.
    pub nonce: u64,
}

impl Version {
    /// Reads a version that [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, nonce) = text.split_once('-')?;
        Some(Self {
            count: count.parse().ok()?,
            nonce: u64::from_str_radix(nonce, 16).ok()?,
        })
    }

    /// Returns the version of the write that follows this one.
    pub(crate) fn next(before: Option<Self>, nonce: u64) -> Self {
        let count = before.map_or(0, |before| before.count);
        Self {
            count: count.saturating_add(1),
            nonce,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.count, self.nonce)
    }
}

/// A record that was read, with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The version.
    pub version: Version,
    /// The value.
    pub value: T,
}

/// The command slots of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRecord {
    /// A random number that changes when the record is created, or when a replica finds that the
    /// store has lost data.
    pub epoch: u64,
    /// True once no command can run that this epoch does not know.
    pub warm: bool,
    /// The slots that are taken.
    pub leases: Vec<Lease>,
    /// The replicas that wait, the first one first.
    pub tickets: Vec<Ticket>,
}

/// A slot that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The replica that sends the command.
    pub owner: ReplicaId,
    /// The owner's number of the command.
    pub number: u64,
    /// The owner's renewals so far.
    pub renewals: u64,
}

/// A replica's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The replica.
    pub owner: ReplicaId,
    /// The replica's number of the ticket, so that a later one is not taken for it.
    pub number: u64,
}

/// Returns a time as records have it.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
