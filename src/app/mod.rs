//! The composition root: the one place that knows every room. Builds them from the
//! configuration, runs them, and takes them down in order.

mod build;
mod files;
mod hardening;
mod local_urls;
mod probe;
mod run;
mod search;
mod settings;
mod survey;
mod view;
mod worker;

pub use build::{Built, Extras, StartError, build};
pub use files::check_files;
pub use hardening::{harden, raise_descriptor_limit};
pub use probe::{Finding, Level, probe};
pub use run::Outcome;
pub use survey::{Configured, Survey, Surveyed, Trouble, configured, shared_url, survey};
