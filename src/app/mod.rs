//! The composition root: the one place that knows every room. Builds them from the
//! configuration, runs them, and takes them down in order.

mod build;
mod hardening;
mod probe;
mod run;
mod settings;
mod view;
mod worker;

pub use build::{Built, Extras, StartError, build};
pub use hardening::{harden, raise_descriptor_limit};
pub use probe::{Finding, Level, check_files, probe};
pub use run::Outcome;
