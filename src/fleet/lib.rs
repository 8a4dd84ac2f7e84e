//! Gateways that share tokens, sessions and command slots through a store: `[fleet]`.

mod claims;
mod fleet;
mod limited_stream;
mod members;
mod record;
mod redis;
mod seal;
mod sealed;
mod slots;
mod store;
#[cfg(test)]
mod tests;

pub use claims::{
    Claim, ClaimResult, ClaimSettings, ClaimStep, Claimed, ItemRecord, SharedFailure,
    SharedItem,
};
pub use fleet::{Claimer, CommandWaiters, Fleet, FleetSettings, FleetStatus, Found, SlotPort};
pub use record::{Lease, ReplicaId, SlotRecord, Ticket, Version, Versioned};
pub use redis::{PasswordSource, RedisPassword, RedisStore};
pub use seal::{FleetKeys, KeyFileError, SealError};
pub use slots::{Grant, SendLimit, SlotSettings, SlotStep, Slots};
pub use store::{Call, NewRecord, Store, StoreError, StoredRecord, WriteResult};
