//! `aws-sdk-mwaa` behind [`ControlPlane`]: one client for each identity, made when first used.

use super::connect::{Connected, Identity, Settings};
use super::error::Call;
use super::exchange::Exchange;
use super::http_client::{self, http_client};
use super::token_time::{clock_offset, life};
use super::{
    AwsError, AwsErrorKind, CliToken, ControlPlane, Described, Origin, Reply, Source, WebToken,
};
use crate::names::{Environment, Secret};
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rustls::ClientConfig;
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::OnceCell;

/// The AWS SDK. Making it reads nothing and calls nobody.
#[derive(Debug)]
pub struct Sdk {
    settings: Settings,
    trust: OnceLock<Arc<ClientConfig>>,
    clients: Mutex<HashMap<Identity, Arc<OnceCell<Connected>>>>,
}

impl Sdk {
    /// Makes the control plane.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            trust: OnceLock::new(),
            clients: Mutex::default(),
        }
    }

    /// The client for an identity's calls. TLS is set up once.
    fn http(&self, environment: &Environment) -> SharedHttpClient {
        let settings = &self.settings;
        let trust = self
            .trust
            .get_or_init(|| http_client::trust(settings.ca_bundle.as_deref()));
        let trust = Arc::clone(trust);
        http_client(&settings.egress, environment, trust, settings.tls_timeout)
    }

    async fn connected(&self, environment: &Environment) -> Result<ConnectedRef, AwsError> {
        let identity = Identity {
            region: environment.region.as_ref().map(ToString::to_string),
            profile: environment.profile.clone(),
            role_arn: environment.role_arn.clone(),
            endpoint_url: environment.endpoint_url.clone(),
            proxy: environment.proxy.clone(),
        };
        let cell = {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(clients.entry(identity.clone()).or_default())
        };
        cell.get_or_try_init(|| async {
            Connected::connect(&self.settings, &self.http(environment), &identity).await
        })
        .await?;
        Ok(ConnectedRef(cell))
    }

    /// Where the keys of these calls come from.
    async fn origin(&self, environment: &Environment) -> Origin {
        if self.settings.static_key.is_some() {
            return Source::Given.into();
        }
        let mut origin = Origin::find(environment.profile.as_deref()).await;
        origin
            .roles
            .extend(environment.role_arn.as_deref().map(str::to_owned));
        origin
    }

    /// Sorts a failure. A client whose credentials were the cause is let go: the SDK reads a
    /// profile only once, and keeps keys without an end for ever. The next client finds what a
    /// person has put there since.
    async fn failed<E>(
        &self,
        operation: &'static str,
        environment: &Environment,
        client: &ConnectedRef,
        exchange: &Exchange,
        error: &SdkError<E, HttpResponse>,
    ) -> AwsError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let region = match client.get() {
            Ok(connected) => connected.region.as_str(),
            Err(error) => return error,
        };
        let call = Call {
            operation,
            environment,
            region,
            way: self.settings.egress.way_to_aws(environment, region),
            origin: &self.origin(environment).await,
            was_sent: exchange.was_sent(),
            limit: self.settings.call_timeout,
            clock_offset: clock_offset(exchange.date()),
        };
        let error = AwsError::from_sdk(error, &call);
        if matches!(
            error.kind,
            AwsErrorKind::Credentials | AwsErrorKind::LoginNeeded
        ) {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            clients.retain(|_, other| !Arc::ptr_eq(other, &client.0));
        }
        error
    }

    /// Who AWS says we are: the ARN of `GetCallerIdentity`, which needs no permission.
    pub async fn caller_identity(&self, environment: &Environment) -> Result<String, AwsError> {
        let client = self.connected(environment).await?;
        let connected = client.get()?;
        let exchange = Exchange::default();
        let call = connected.sts.get_caller_identity().customize();
        let reply = match call.interceptor(exchange.clone()).send().await {
            Ok(reply) => reply,
            Err(error) => {
                let operation = "GetCallerIdentity";
                return Err(self
                    .failed(operation, environment, &client, &exchange, &error)
                    .await);
            }
        };
        reply.arn.ok_or_else(|| {
            AwsError::new(
                AwsErrorKind::Unavailable,
                "GetCallerIdentity gave no ARN",
                "try again",
            )
        })
    }
}

/// Keeps the client's cell alive for the length of a call.
struct ConnectedRef(Arc<OnceCell<Connected>>);

impl ConnectedRef {
    fn get(&self) -> Result<&Connected, AwsError> {
        self.0.get().ok_or_else(|| {
            AwsError::new(
                AwsErrorKind::Unavailable,
                "the AWS client is not ready",
                "try again",
            )
        })
    }
}

impl ControlPlane for Sdk {
    fn create_cli_token<'a>(&'a self, environment: &'a Environment) -> Reply<'a, CliToken> {
        Box::pin(async move {
            let client = self.connected(environment).await?;
            let connected = client.get()?;
            let exchange = Exchange::default();
            let call = connected.client.create_cli_token();
            let call = call.name(environment.name.as_ref()).customize();
            let reply = match call.interceptor(exchange.clone()).send().await {
                Ok(reply) => reply,
                Err(error) => {
                    let operation = "CreateCliToken";
                    return Err(self
                        .failed(operation, environment, &client, &exchange, &error)
                        .await);
                }
            };
            match (reply.cli_token, reply.web_server_hostname) {
                (Some(token), Some(host)) if !token.is_empty() => Ok(CliToken {
                    life: life(&token, exchange.date()),
                    clock_offset: clock_offset(exchange.date()),
                    token: Secret::new(token),
                    host,
                    region: connected.region.clone(),
                }),
                _ => Err(incomplete("CreateCliToken", environment)),
            }
        })
    }

    fn create_web_login_token<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> Reply<'a, WebToken> {
        Box::pin(async move {
            let client = self.connected(environment).await?;
            let connected = client.get()?;
            let exchange = Exchange::default();
            let call = connected.client.create_web_login_token();
            let call = call.name(environment.name.as_ref()).customize();
            let reply = match call.interceptor(exchange.clone()).send().await {
                Ok(reply) => reply,
                Err(error) => {
                    let operation = "CreateWebLoginToken";
                    return Err(self
                        .failed(operation, environment, &client, &exchange, &error)
                        .await);
                }
            };
            match (reply.web_token, reply.web_server_hostname) {
                (Some(token), Some(host)) if !token.is_empty() => Ok(WebToken {
                    token: Secret::new(token),
                    host,
                    region: connected.region.clone(),
                    iam_identity: reply.iam_identity,
                    airflow_identity: reply.airflow_identity,
                }),
                _ => Err(incomplete("CreateWebLoginToken", environment)),
            }
        })
    }

    fn region<'a>(&'a self, environment: &'a Environment) -> Reply<'a, String> {
        Box::pin(async move {
            let client = self.connected(environment).await?;
            Ok(client.get()?.region.clone())
        })
    }

    fn list_environments<'a>(&'a self, any: &'a Environment) -> Reply<'a, Vec<String>> {
        Box::pin(async move {
            let client = self.connected(any).await?;
            let connected = client.get()?;
            let (mut names, mut next) = (Vec::new(), None);
            loop {
                let exchange = Exchange::default();
                let call = connected.client.list_environments();
                let call = call.set_next_token(next.clone()).customize();
                let page = match call.interceptor(exchange.clone()).send().await {
                    Ok(page) => page,
                    Err(error) => {
                        let operation = "ListEnvironments";
                        return Err(self
                            .failed(operation, any, &client, &exchange, &error)
                            .await);
                    }
                };
                names.extend(page.environments);
                // the same page again would have no end
                if page.next_token.as_deref().is_none_or(str::is_empty)
                    || page.next_token == next
                {
                    return Ok(names);
                }
                next = page.next_token;
            }
        })
    }

    fn get_environment<'a>(&'a self, environment: &'a Environment) -> Reply<'a, Described> {
        Box::pin(async move {
            let client = self.connected(environment).await?;
            let connected = client.get()?;
            let exchange = Exchange::default();
            let call = connected.client.get_environment();
            let call = call.name(environment.name.as_ref()).customize();
            let reply = match call.interceptor(exchange.clone()).send().await {
                Ok(reply) => reply,
                Err(error) => {
                    let operation = "GetEnvironment";
                    return Err(self
                        .failed(operation, environment, &client, &exchange, &error)
                        .await);
                }
            };
            let described = reply.environment.as_ref();
            Ok(Described {
                airflow_version: described.and_then(|e| e.airflow_version()?.parse().ok()),
                status: described
                    .and_then(|e| e.status())
                    .map_or_else(|| "UNKNOWN".to_owned(), |status| status.as_str().to_owned()),
                access_mode: described
                    .and_then(|e| e.webserver_access_mode())
                    .map(|mode| mode.as_str().to_owned()),
                webserver_host: described.and_then(|e| e.webserver_url()).map(|url| {
                    url.trim_start_matches("https://")
                        .trim_end_matches('/')
                        .to_owned()
                }),
            })
        })
    }
}

/// A reply that lacks what the call is made for.
fn incomplete(operation: &str, environment: &Environment) -> AwsError {
    AwsError::new(
        AwsErrorKind::Unavailable,
        &format!(
            "{operation} for {:?} gave no token or no host",
            environment.name
        ),
        "something between here and AWS changes replies; check endpoint_url and proxies",
    )
}
