//! The gateway's own pages: pure functions from plain values to HTML.
//!
//! Every value is escaped. A page requests nothing but one style sheet, small scripts, an icon and its
//! events, all of them from the gateway that served it. All pages but the login with a token work without
//! scripts. The values contain no secret, so no page can show one.
// A new variant has to be decided on at every match: a wildcard arm would show it as another one.
#![deny(clippy::wildcard_enum_match_arm)]

mod activity;
mod card;
mod fleet;
mod format;
mod layout;
mod notices;
mod overview;
#[cfg(test)]
mod tests;

pub use activity::ActivityMinute;
pub use card::{
    EnvironmentCard, Identity, NotReadyReason, QueueState, RunningCommand, SessionState,
    Status, TokenState, UnresolvedName,
};
pub use fleet::{FleetInfo, SharedSlots};
pub use layout::{COPY_SCRIPT, ICON, LIVE_SCRIPT, LOGIN_SCRIPT, STYLE_SHEET, StaticFile};
pub use notices::{
    FaultPage, render_console_login, render_fault, render_handover, render_signed_out,
};
pub use overview::{
    Address, LivePart, Overview, RefusedRequestInfo, render_live_parts, render_overview,
};
