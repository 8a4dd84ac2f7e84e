//! The AWS side: the calls that the gateway makes, and what they give.

mod answer;
mod backoff;
mod connect;
mod denial;
pub mod discovery;
mod error;
mod exchange;
mod giver;
mod hint;
mod host_prefix;
mod http_client;
mod origin;
mod regions;
mod role;
mod sdk;
mod sign_in;
mod sorting;
mod state;
mod token_time;
mod told;
mod versions;

pub use backoff::Backoff;
pub use connect::{Settings, StaticKey};
pub use discovery::Discovery;
pub use error::{AwsError, AwsErrorKind};
pub use origin::{Origin, Source};
pub use sdk::Sdk;
pub use sign_in::SignIn;
pub use state::explained;
pub use token_time::off_by;
pub use versions::{VersionError, Versions};

pub use crate::names::Described;
use crate::names::{Environment, Secret};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A reply that is still on its way.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, AwsError>> + Send + 'a>>;

/// The MWAA API, as far as the gateway calls it.
pub trait ControlPlane: Debug + Send + Sync {
    /// `CreateCliToken`. Needs `airflow:CreateCliToken` on the environment.
    fn create_cli_token<'a>(&'a self, environment: &'a Environment) -> Reply<'a, CliToken>;

    /// The region that calls for this environment go to: its own, else the AWS chain's. No
    /// call of an API.
    fn region<'a>(&'a self, environment: &'a Environment) -> Reply<'a, String>;

    /// `CreateWebLoginToken`. Needs `airflow:CreateWebLoginToken` on a role of the environment.
    fn create_web_login_token<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> Reply<'a, WebToken>;

    /// `ListEnvironments`, all pages: the names. Needs `airflow:ListEnvironments` on `*`. Only
    /// region and identity of the environment count.
    fn list_environments<'a>(&'a self, any: &'a Environment) -> Reply<'a, Vec<String>>;

    /// `GetEnvironment`. Needs `airflow:GetEnvironment` on the environment.
    fn get_environment<'a>(&'a self, environment: &'a Environment) -> Reply<'a, Described>;
}

/// What `CreateCliToken` gave.
#[derive(Debug)]
pub struct CliToken {
    /// The token, opaque.
    pub token: Secret<String>,
    /// The web server that takes it: a bare host name, not yet believed.
    pub host: String,
    /// The region that was asked.
    pub region: String,
    /// How long the token says it lives, by AWS's own clock: its `exp` claim less the reply's
    /// `Date`. A hint that may only shorten.
    pub life: Option<Duration>,
    /// How far our clock is ahead of AWS's, in seconds, as the reply's `Date` tells.
    pub clock_offset: Option<i64>,
}

/// What `CreateWebLoginToken` gave.
#[derive(Debug)]
pub struct WebToken {
    /// The token, opaque; good for one login within 60 s.
    pub token: Secret<String>,
    /// The web server that takes it: a bare host name, not yet believed.
    pub host: String,
    /// The region that was asked.
    pub region: String,
    /// Who AWS says we are, such as `assumed-role/Analyst/ann`.
    pub iam_identity: Option<String>,
    /// The Airflow user that this identity becomes.
    pub airflow_identity: Option<String>,
}
