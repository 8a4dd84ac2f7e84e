//! Decides whether an Airflow command or a request may be sent to an environment.
//!
//! [`Command::read`] splits a command line into words, [`permit_command`] checks them by the tables
//! of the environment's MWAA release and by the rules of the configuration. [`permit_web`] checks
//! the path of a request for the REST API or the UI. Nothing is sent without the permit that they
//! return.
//!
//! The crate is pure: the same input gives the same result, at any time and on any machine. It
//! reads no clock and no file, opens no connection and logs nothing.
// A new variant has to be decided on at every match: a wildcard arm could allow it unseen.
#![deny(clippy::wildcard_enum_match_arm)]

mod command;
mod error;
mod options;
mod tables;
#[cfg(test)]
mod tests;
mod web;

pub use command::Command;
pub use command::ParseError;
pub use command::check::{AllowedCommand, CommandPolicy};
pub use command::listing::{
    ArgumentInfo, CommandInfo, Signature, SupportStatus, list_commands,
};
pub use command::memory::{CommandMemory, KnownCommand};
pub use command::permit::{CommandPermit, permit_command};
pub use error::{PolicyError, ReadOnlyReason};
pub use tables::arguments::ValueKind;
pub use tables::commands::{CommandClass, command_names};
pub use tables::commands::{Release, explain_release, find_release};
pub use web::{
    WebPermit, check_handover, check_real_token, may_read_secrets, permit_logout, permit_web,
};
