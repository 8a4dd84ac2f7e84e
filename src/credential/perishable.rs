//! What tokens and sessions have in common: they go bad.

use crate::runtime::Moment;

/// Something that lives for a while.
pub(super) trait Perishable: Send + Sync + 'static {
    /// Whether it may still be used.
    fn is_usable(&self, now: Moment) -> bool;

    /// Whether it should be replaced ahead of its end, if it is in use.
    fn is_due(&self, now: Moment) -> bool;

    /// Whether the web server has ever accepted it. What never was accepted is replaced only
    /// rarely: a web server that refuses what it has just given must not be asked again and
    /// again.
    fn was_accepted(&self) -> bool;
}
