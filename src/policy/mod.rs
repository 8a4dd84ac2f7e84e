//! Is this command allowed: reads a command line, judges it against the tables of the
//! environment's MWAA release and the environment's own rules. Pure: no clock, no I/O.
#![deny(clippy::wildcard_enum_match_arm)]

mod advice;
mod characters;
mod command;
mod entry;
mod flag_style;
mod judge;
mod listing;
mod option_advice;
mod option_rows;
mod option_rules;
mod options;
mod output_form;
mod passage;
mod paths;
mod permitted;
mod questions;
mod refusal;
mod release;
mod repeatable;
mod rulebook;
mod signature;
mod table;
#[cfg(test)]
mod tests;
mod unreadable;
mod words;

pub use command::Command;
pub use entry::Class;
pub use judge::{Permit, Rules, Whose, judge};
pub use listing::{Row, Verdict, listing};
pub use passage::{Passage, may_leave, pass};
pub use permitted::{Permitted, permit};
pub use refusal::{Closed, Refusal};
pub use release::{Match, Release, release_for};
pub use rulebook::Rulebook;
pub use signature::{Argument, Signature, Takes, signatures};
pub use table::command_names;
