//! The AWS side: the calls that the gateway makes, and what they return.

mod classify;
mod client;
mod connect;
mod credential_origin;
mod described;
pub mod discovery;
mod dynamodb;
mod elasticache;
mod error;
mod hint;
mod http_client;
mod login_command;
mod regions;
mod rest_api;
mod service_error;
mod versions;

pub use client::AwsClient;
pub use connect::{Settings, StaticKey};
pub use credential_origin::{CredentialOrigin, CredentialSource};
pub use discovery::Discovery;
pub use dynamodb::DynamoDbStore;
pub use elasticache::ElastiCacheLogin;
pub use error::{AwsError, AwsErrorKind};
pub use http_client::format_clock_offset;
pub use login_command::LoginCommand;
pub use rest_api::{RestApiError, RestApiRequest, RestApiResponse};
pub use versions::{VersionError, VersionResolver};

pub(crate) use error::with_environment_state;

use bytes::Bytes;
use mwaa_model::{Environment, EnvironmentInfo, Secret};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The response to a call of the API.
pub type ApiFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, AwsError>> + Send + 'a>>;

/// The response to a call of `InvokeRestApi`.
pub type RestApiFuture<'a> =
    Pin<Box<dyn Future<Output = Result<RestApiResponse, RestApiError>> + Send + 'a>>;

/// The MWAA API, as far as the gateway calls it.
pub trait MwaaApi: Debug + Send + Sync {
    /// `CreateCliToken`. Needs `airflow:CreateCliToken` on the environment.
    fn create_cli_token<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> ApiFuture<'a, MintedCliToken>;

    /// `CreateWebLoginToken`. Needs `airflow:CreateWebLoginToken` on a role of the environment.
    fn create_web_login_token<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> ApiFuture<'a, MintedWebToken>;

    /// `ListEnvironments`, all pages: the names. Needs `airflow:ListEnvironments` on `*`. Only
    /// region and identity of the environment count.
    fn list_environments<'a>(&'a self, any: &'a Environment) -> ApiFuture<'a, Vec<String>>;

    /// `GetEnvironment`. Needs `airflow:GetEnvironment` on the environment.
    fn get_environment<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> ApiFuture<'a, EnvironmentInfo>;

    /// `GetEnvironment`: the document as AWS sends it.
    fn describe_environment<'a>(&'a self, environment: &'a Environment)
    -> ApiFuture<'a, Bytes>;

    /// `InvokeRestApi`, which is called once: it may change something. Needs `airflow:InvokeRestApi`
    /// on a role of the environment.
    fn invoke_rest_api<'a>(
        &'a self,
        environment: &'a Environment,
        request: &'a RestApiRequest,
    ) -> RestApiFuture<'a>;

    /// Returns the region that calls for this environment are sent to: its own, else the AWS
    /// chain's. Not a call of the API.
    fn region<'a>(&'a self, environment: &'a Environment) -> ApiFuture<'a, String>;
}

/// The response to `CreateCliToken`.
#[derive(Debug)]
pub struct MintedCliToken {
    /// The token, opaque.
    pub token: Secret<String>,
    /// The web server that takes it: a bare host name, not checked yet.
    pub host: String,
    /// The region that was asked.
    pub region: String,
    /// The life that the token states, by AWS's own clock: its `exp` claim less the response's
    /// `Date`. A hint that may only shorten.
    pub life: Option<Duration>,
    /// The seconds by which our clock is ahead of AWS's, by the response's `Date`.
    pub clock_offset: Option<i64>,
}

/// The response to `CreateWebLoginToken`.
#[derive(Debug)]
pub struct MintedWebToken {
    /// The token, opaque; good for one login within 60 s.
    pub token: Secret<String>,
    /// The web server that takes it: a bare host name, not checked yet.
    pub host: String,
    /// The region that was asked.
    pub region: String,
    /// Our IAM identity by AWS's account, such as `assumed-role/Analyst/ann`.
    pub iam_identity: Option<String>,
    /// The Airflow user that this identity becomes.
    pub airflow_identity: Option<String>,
}
