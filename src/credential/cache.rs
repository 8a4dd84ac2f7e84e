//! The slots of all environments. The map and its guards never leave this file.

use super::slot::Slot;
use crate::names::EntryId;
use dashmap::DashMap;
use std::sync::Arc;

/// A slot for each environment. An entry's id stands for account, region, identity, endpoint
/// and name together: a changed environment gets a new id, so a token never outlives what it
/// was minted for.
#[derive(Debug, Default)]
pub(super) struct Cache(DashMap<EntryId, Arc<Slot>>);

impl Cache {
    /// The environment's slot.
    pub(super) fn slot(&self, id: EntryId) -> Arc<Slot> {
        if let Some(slot) = self.0.get(&id) {
            return Arc::clone(&slot);
        }
        Arc::clone(&self.0.entry(id).or_default())
    }
}
