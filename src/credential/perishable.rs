//! What tokens and sessions have in common: they go bad.

use crate::runtime::Moment;

/// Something that lives for a while.
pub(super) trait Perishable: Send + Sync + 'static {
    /// Whether it may still be used.
    fn is_usable(&self, now: Moment) -> bool;

    /// Whether it should be replaced ahead of its end, if it is in use.
    fn is_due(&self, now: Moment) -> bool;

    /// How often it may be replaced after a refusal.
    const RENEWALS: u32;
}
