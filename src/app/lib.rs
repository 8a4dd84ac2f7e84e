//! The gateway as a whole: [`Gateway::bind`] builds every part from the configuration,
//! [`Gateway::serve`] runs it until the shutdown. Beside it are the questions about a configuration
//! that need no running gateway.

mod check;
mod environments;
mod gateway;
mod generation;
mod local_urls;
mod process;
mod reload;
mod settings;
mod sockets;
mod status;
mod supervisor;
mod traces;
mod worker;

pub use check::{CERTIFICATE_MAKER, CheckLevel, CheckResult, check_environments, check_files};
pub use environments::{
    EnvironmentList, EnvironmentListEntry, ListError, LocalEnvironment,
    configured_environments, list_environments,
};
pub use gateway::{ExternalInputs, Gateway, StartError};
pub use local_urls::main_url;
pub use mwaa_server::InheritError;
pub use process::{harden, raise_descriptor_limit};
pub use reload::{ConfigProblem, ConfigSource, ReloadRequests};
pub use supervisor::Supervisor;
pub use traces::TraceSettingsError;
pub use worker::{AFTER_DRAIN, ShutdownStatus};
