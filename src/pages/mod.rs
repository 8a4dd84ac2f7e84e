//! Our own pages: pure functions from plain values to HTML. Nothing is asked for here, and no
//! page asks anybody but the gateway that sent it: all is escaped, one style sheet, one small
//! script that the pages work without. Values hold no secret, so no page can show one.
#![deny(clippy::wildcard_enum_match_arm)]

mod assets;
mod card;
mod fault;
mod layout;
mod overview;
mod queue;
mod recipes;
mod refusals;
mod session;
#[cfg(test)]
mod tests;
mod words;

pub use assets::{Asset, icon, script, style};
pub use card::{Card, Identity, SessionState, Status, TokenState, Trouble, UnknownName};
pub use fault::{FaultPage, fault};
pub use overview::{Address, Overview, overview};
pub use queue::{QueueState, RunningCommand};
pub use refusals::RefusalRow;
pub use session::{handover, signed_out};
