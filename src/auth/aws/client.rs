//! `aws-sdk-mwaa` behind [`MwaaApi`]: one SDK client for each identity, created when it is first
//! used.

use super::connect::{AwsIdentity, SdkClient, Settings};
use super::error::CallContext;
use super::http_client::{
    CallRecord, DocumentRecord, build_tls_config, clock_offset, http_client,
};
use super::rest_api::{CALL_LIMIT, RequestDocument, is_too_long, is_unsent};
use super::service_error::truncate_message;
use super::{
    ApiFuture, AwsError, AwsErrorKind, CredentialOrigin, CredentialSource, MintedCliToken,
    MintedWebToken, MwaaApi, RestApiError, RestApiFuture, RestApiRequest, RestApiResponse,
};
use crate::lifetime::parse_jwt_expiry;
use aws_sdk_mwaa::Config;
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::config::timeout::TimeoutConfig;
use aws_sdk_mwaa::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_mwaa::operation::get_environment::GetEnvironmentOutput;
use aws_sdk_mwaa::operation::invoke_rest_api::InvokeRestApiError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use mwaa_model::{Environment, EnvironmentInfo, Fault as _, ProxyChoice, Secret};
use mwaa_runtime::boot_clock;
use rustls::ClientConfig;
use serde_json::Value;
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

/// The AWS SDK. Creating it reads nothing and calls no one.
#[derive(Debug)]
pub struct AwsClient {
    settings: Settings,
    tls: OnceLock<Arc<ClientConfig>>,
    clients: Mutex<HashMap<SdkClientKey, SharedCell>>,
}

/// The key of an SDK client: its identity, and the proxy to AWS.
type SdkClientKey = (AwsIdentity, Option<ProxyChoice>);

/// A client that is created once, however many callers wait for it.
type SharedCell = Arc<OnceCell<Arc<SdkClient>>>;

/// One call of an API, from its request to its response.
pub(super) struct Call<'a> {
    operation: &'static str,
    environment: &'a Environment,
    pub(super) client: Arc<SdkClient>,
    pub(super) record: CallRecord,
}

impl AwsClient {
    /// Creates the client; nothing is connected yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            tls: OnceLock::new(),
            clients: Mutex::default(),
        }
    }

    /// Returns true if a client with these settings would do the same.
    pub fn has_settings(&self, settings: &Settings) -> bool {
        self.settings.is_same(settings)
    }

    /// Calls `GetCallerIdentity`, which needs no permission, and returns our ARN.
    pub async fn caller_identity(&self, environment: &Environment) -> Result<String, AwsError> {
        let call = self.call("GetCallerIdentity", environment).await?;
        let request = call
            .client
            .sts
            .get_caller_identity()
            .customize()
            .interceptor(call.record.clone());
        let response = self.send(&call, request.send()).await?;

        response.arn.ok_or_else(|| {
            AwsError::new(
                AwsErrorKind::Unavailable,
                "GetCallerIdentity returned no ARN",
                "try again",
            )
        })
    }

    /// Prepares a call. Fails if there is no region, or an endpoint that must not be called.
    pub(super) async fn call<'a>(
        &self,
        operation: &'static str,
        environment: &'a Environment,
    ) -> Result<Call<'a>, AwsError> {
        Ok(Call {
            operation,
            environment,
            client: self.sdk_client(environment).await?,
            record: CallRecord::default(),
        })
    }

    /// Returns the SDK client for this environment's identity, created if there is none yet.
    pub(super) async fn sdk_client(
        &self,
        environment: &Environment,
    ) -> Result<Arc<SdkClient>, AwsError> {
        let identity = AwsIdentity::from(environment);
        let key = (identity.clone(), environment.proxy.clone());
        // the map is locked only to find the cell: creating a client reads files
        let cell = Arc::clone(self.lock().entry(key).or_default());

        let client = cell
            .get_or_try_init(|| async {
                let http = self.http_client(environment);
                let client = SdkClient::connect(&self.settings, &http, &identity).await?;
                tracing::debug!(region = client.region, profile = ?identity.profile, "AWS client created");
                Ok(Arc::new(client))
            })
            .await?;
        Ok(Arc::clone(client))
    }

    /// Returns a new HTTP client for an identity's calls. TLS is set up once: the system's roots
    /// take a while to read.
    fn http_client(&self, environment: &Environment) -> SharedHttpClient {
        let settings = &self.settings;
        let tls = self
            .tls
            .get_or_init(|| build_tls_config(settings.ca_bundle.as_deref()));
        http_client(
            &settings.connector,
            environment,
            Arc::clone(tls),
            settings.tls_timeout,
        )
    }

    /// Sends a call, and turns its failure into an error for people.
    pub(super) async fn send<T, E>(
        &self,
        call: &Call<'_>,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        // the wall clock may be set while a call runs
        let begun = boot_clock();
        let result = request.await;
        let took = boot_clock().saturating_sub(begun);
        let environment = &call.environment.local;
        let operation = call.operation;

        match result {
            Ok(_token) if call.record.is_from_gateway() => Err(new_gateway_error(call)),
            Ok(response) => {
                tracing::debug!(%environment, operation, ?took, "AWS answered");
                Ok(response)
            }
            Err(error) => {
                let error = self.convert_error(call, &error).await;
                tracing::debug!(%environment, operation, ?took, code = error.code().text, "AWS call failed");
                Err(error)
            }
        }
    }

    /// Calls `GetEnvironment`. Returns the response, and the document that it was read from.
    async fn call_get_environment(
        &self,
        environment: &Environment,
    ) -> Result<(GetEnvironmentOutput, Bytes), AwsError> {
        let call = self.call("GetEnvironment", environment).await?;
        let record = DocumentRecord::default();
        let request = call
            .client
            .mwaa
            .get_environment()
            .name(environment.name.as_ref())
            .customize()
            .interceptor(call.record.clone())
            .interceptor(record.clone());
        let response = self.send(&call, request.send()).await?;
        Ok((response, record.document()))
    }

    /// Calls `InvokeRestApi`. Fails unless AWS returns a response of Airflow's.
    async fn call_rest_api(
        &self,
        environment: &Environment,
        request: &RestApiRequest,
    ) -> Result<RestApiResponse, RestApiError> {
        let call = self.call("InvokeRestApi", environment).await;
        let call = call.map_err(RestApiError::Refused)?;
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(CALL_LIMIT)
            .build();
        let record = DocumentRecord::default();
        let sent = call
            .client
            .mwaa
            .invoke_rest_api()
            .name(environment.name.as_ref())
            .path(&request.path)
            .method(request.method.as_str().into())
            .customize()
            .config_override(Config::builder().timeout_config(timeouts))
            .interceptor(RequestDocument(request.to_document()))
            .interceptor(call.record.clone())
            .interceptor(record.clone())
            .send();

        // boxed: the SDK's future is large
        let sent = Box::pin(sent).await;
        // read from the bytes, also where the SDK cannot read them
        let document = match &sent {
            Ok(_document) => record.document(),
            Err(error) => {
                let response = error.raw_response();
                let body = response.and_then(|response| response.body().bytes());
                Bytes::copy_from_slice(body.unwrap_or_default())
            }
        };
        match (sent, RestApiResponse::read(&document)) {
            (Ok(_document), Some(response)) => Ok(response),
            (Ok(_document), None) => Err(RestApiError::Unknown(AwsError::new(
                AwsErrorKind::Unavailable,
                "InvokeRestApi returned no response of Airflow's",
                "something between the gateway and AWS changes the responses; check endpoint_url \
                 and proxies",
            ))),
            (Err(error), Some(response)) if is_airflow_error(&error) => Ok(response),
            (Err(error), _) => Err(self.convert_rest_api_error(&call, &error).await),
        }
    }

    async fn convert_rest_api_error(
        &self,
        call: &Call<'_>,
        error: &SdkError<InvokeRestApiError, HttpResponse>,
    ) -> RestApiError {
        if let Some(service) = error.as_service_error()
            && service.is_validation_exception()
        {
            let words = service.message().unwrap_or("ValidationException");
            return RestApiError::Invalid(truncate_message(words));
        }
        if is_too_long(error) {
            return RestApiError::LongResponse;
        }

        // with a client error AWS has not asked Airflow
        let is_refused = error.raw_response().map_or_else(
            || !call.record.was_sent() || is_unsent(error),
            |response| response.status().is_client_error(),
        );
        let error = self.convert_error(call, error).await;
        if is_refused {
            RestApiError::Refused(error)
        } else {
            RestApiError::Unknown(error)
        }
    }

    /// Returns the error of a failed call, and drops the client if its credentials were the
    /// cause.
    ///
    /// The SDK reads a profile only once, and keeps keys without an end for ever. The next
    /// client finds what a person has put there since.
    pub(super) async fn convert_error<E>(
        &self,
        call: &Call<'_>,
        error: &SdkError<E, HttpResponse>,
    ) -> AwsError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if call.record.is_from_gateway() {
            return new_gateway_error(call);
        }

        let region = call.client.region.as_str();
        // the files are read again for each failure: the hint is about what they say now
        let context = CallContext {
            operation: call.operation,
            environment: call.environment,
            region,
            route: self
                .settings
                .connector
                .find_aws_route(call.environment, region),
            origin: &self.credential_origin(call.environment).await,
            was_sent: call.record.was_sent(),
            limit: self.settings.call_timeout,
            clock_offset: clock_offset(call.record.date()),
        };
        let error = AwsError::from_sdk(error, &context);

        if matches!(
            error.kind,
            AwsErrorKind::Credentials | AwsErrorKind::LoginNeeded
        ) {
            tracing::debug!(environment = %call.environment.local, "AWS client dropped: the next call loads the credentials again");
            // only this one: another call may have created a new client already
            self.lock().retain(|_, cell| {
                cell.get()
                    .is_none_or(|other| !Arc::ptr_eq(other, &call.client))
            });
        }
        error
    }

    /// Returns where the keys of these calls come from.
    async fn credential_origin(&self, environment: &Environment) -> CredentialOrigin {
        if self.settings.static_key.is_some() {
            return CredentialSource::Given.into();
        }

        // the configured role comes after those of the profile
        let mut origin = CredentialOrigin::find(environment.profile.as_deref()).await;
        origin
            .roles
            .extend(environment.role_arn.as_deref().map(str::to_owned));
        origin
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SdkClientKey, SharedCell>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MwaaApi for AwsClient {
    fn create_cli_token<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> ApiFuture<'a, MintedCliToken> {
        Box::pin(async move {
            let call = self.call("CreateCliToken", environment).await?;
            let request = call
                .client
                .mwaa
                .create_cli_token()
                .name(environment.name.as_ref())
                .customize()
                .interceptor(call.record.clone());
            let response = self.send(&call, request.send()).await?;

            match (response.cli_token, response.web_server_hostname) {
                // an empty token would be sent as a header that says nothing
                (Some(token), Some(host)) if !token.is_empty() => Ok(MintedCliToken {
                    life: read_stated_life(&token, call.record.date()),
                    clock_offset: clock_offset(call.record.date()),
                    token: Secret::new(token),
                    host,
                    region: call.client.region.clone(),
                }),
                _ => Err(new_incomplete_error(&call)),
            }
        })
    }

    fn create_web_login_token<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> ApiFuture<'a, MintedWebToken> {
        Box::pin(async move {
            let call = self.call("CreateWebLoginToken", environment).await?;
            let request = call
                .client
                .mwaa
                .create_web_login_token()
                .name(environment.name.as_ref())
                .customize()
                .interceptor(call.record.clone());
            let response = self.send(&call, request.send()).await?;

            match (response.web_token, response.web_server_hostname) {
                (Some(token), Some(host)) if !token.is_empty() => Ok(MintedWebToken {
                    token: Secret::new(token),
                    host,
                    region: call.client.region.clone(),
                    iam_identity: response.iam_identity,
                    airflow_identity: response.airflow_identity,
                }),
                _ => Err(new_incomplete_error(&call)),
            }
        })
    }

    fn list_environments<'a>(&'a self, any: &'a Environment) -> ApiFuture<'a, Vec<String>> {
        Box::pin(async move {
            let mut names = Vec::new();
            let mut next = None;
            loop {
                // a call of its own for each page: its record keeps the first date only
                let call = self.call("ListEnvironments", any).await?;
                let request = call
                    .client
                    .mwaa
                    .list_environments()
                    .set_next_token(next.clone())
                    .customize()
                    .interceptor(call.record.clone());
                let page = self.send(&call, request.send()).await?;

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

    fn get_environment<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> ApiFuture<'a, EnvironmentInfo> {
        Box::pin(async move {
            let (response, document) = self.call_get_environment(environment).await?;
            let found = response.environment.as_ref();
            // the SDK does not know these members yet
            let raw: Value = serde_json::from_slice(&document).unwrap_or_default();
            let center = raw.pointer("/Environment/IdentityCenterConfiguration/StartUrl");
            let teams = raw.pointer("/Environment/Teams").and_then(Value::as_object);
            Ok(EnvironmentInfo {
                airflow_version: found.and_then(|e| e.airflow_version()?.parse().ok()),
                status: found
                    .and_then(|e| e.status())
                    .map_or_else(|| "UNKNOWN".to_owned(), |status| status.as_str().to_owned()),
                access_mode: found
                    .and_then(|e| e.webserver_access_mode())
                    .map(|mode| mode.as_str().to_owned()),
                // it may come with or without its scheme
                webserver_host: found.and_then(|e| e.webserver_url()).map(|url| {
                    url.trim_start_matches("https://")
                        .trim_end_matches('/')
                        .to_owned()
                }),
                identity_center: center.and_then(Value::as_str).map(str::to_owned),
                teams: teams
                    .map(|teams| teams.keys().cloned().collect())
                    .unwrap_or_default(),
            })
        })
    }

    fn describe_environment<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> ApiFuture<'a, Bytes> {
        Box::pin(async move { Ok(self.call_get_environment(environment).await?.1) })
    }

    fn invoke_rest_api<'a>(
        &'a self,
        environment: &'a Environment,
        request: &'a RestApiRequest,
    ) -> RestApiFuture<'a> {
        Box::pin(self.call_rest_api(environment, request))
    }

    fn region<'a>(&'a self, environment: &'a Environment) -> ApiFuture<'a, String> {
        Box::pin(async move { Ok(self.sdk_client(environment).await?.region.clone()) })
    }
}

/// Returns true if the error may carry a response of Airflow's: it is AWS's form of an error of Airflow,
/// or a success that the SDK cannot read.
fn is_airflow_error(error: &SdkError<InvokeRestApiError, HttpResponse>) -> bool {
    let is_form = error.as_service_error().is_some_and(|error| {
        error.is_rest_api_client_exception() || error.is_rest_api_server_exception()
    });
    let response = error.raw_response();
    is_form || response.is_some_and(|response| response.status().is_success())
}

/// Returns the life that the token states, on AWS's own clock: from the response's date to the
/// `exp` claim. The token stays opaque otherwise; `None` for one that is not a JWT.
fn read_stated_life(token: &str, date: Option<SystemTime>) -> Option<Duration> {
    let issued = date?.duration_since(UNIX_EPOCH).ok()?;
    parse_jwt_expiry(token)?.checked_sub(issued)
}

/// Returns the error of a call that reached a gateway, perhaps this one.
fn new_gateway_error(call: &Call<'_>) -> AwsError {
    AwsError::new(
        AwsErrorKind::Unavailable,
        &format!("{} was answered by a gateway, not by AWS", call.operation),
        "unset AWS_ENDPOINT_URL_MWAA where the gateway starts, or correct endpoint_url",
    )
}

/// Returns the error of a response that lacks what the call is made for.
fn new_incomplete_error(call: &Call<'_>) -> AwsError {
    AwsError::new(
        AwsErrorKind::Unavailable,
        &format!(
            "{} for {:?} returned no token or no host",
            call.operation, call.environment.name
        ),
        "something between the gateway and AWS changes the responses; check endpoint_url and \
         proxies",
    )
}
