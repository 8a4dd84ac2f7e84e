//! Creates SDK clients: region, credentials, endpoint and limits of one identity.

use super::http_client::NoHostPrefix;
use super::{AwsError, AwsErrorKind, CredentialOrigin, CredentialSource};
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_mwaa::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::endpoint_config::AccountIdEndpointMode;
use aws_types::service_config::ServiceConfigKey;
use mwaa_egress::Connector;
use mwaa_model::{Environment, Region, Secret, debug_fields};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Settings of the SDK clients.
#[derive(Clone)]
pub struct Settings {
    /// The limit of one call.
    pub call_timeout: Duration,
    /// The limit of a TLS handshake.
    pub tls_timeout: Duration,
    /// The connector for the routes to AWS.
    pub connector: Connector,
    /// More roots, as PEM (`AWS_CA_BUNDLE`).
    pub ca_bundle: Option<Vec<u8>>,
    /// Keys in place of the AWS chain.
    pub static_key: Option<StaticKey>,
}

debug_fields!(Settings: call_timeout, tls_timeout, connector, static_key);

impl Settings {
    /// Returns true if nothing differs. The keys of one process never do.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.call_timeout == other.call_timeout
            && self.tls_timeout == other.tls_timeout
            && self.connector.is_clone_of(&other.connector)
            && self.ca_bundle == other.ca_bundle
    }
}

/// A pair of keys that is given, not found.
#[derive(Debug, Clone)]
pub struct StaticKey {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: Arc<Secret<String>>,
}

/// The identity of calls to AWS, and their place: the part that all environments of one place
/// have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct AwsIdentity {
    pub(super) region: Option<Region>,
    pub(super) profile: Option<Arc<str>>,
    pub(super) role_arn: Option<Arc<str>>,
    pub(super) endpoint_url: Option<Arc<str>>,
}

impl From<&Environment> for AwsIdentity {
    fn from(environment: &Environment) -> Self {
        Self {
            region: environment.region.clone(),
            profile: environment.profile.clone(),
            role_arn: environment.role_arn.clone(),
            endpoint_url: environment.endpoint_url.clone(),
        }
    }
}

/// The SDK's clients of one identity.
#[derive(Debug)]
pub(super) struct SdkClient {
    pub(super) mwaa: aws_sdk_mwaa::Client,
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) region: String,
    config: SdkConfig,
    /// Created when it is first used: most identities have no table.
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
}

impl SdkClient {
    /// Creates the clients of an identity; region and credentials are found as the AWS CLI finds
    /// them. Fails if nothing names a region, or if an endpoint is not safe.
    pub(super) async fn connect(
        settings: &Settings,
        http: &SharedHttpClient,
        identity: &AwsIdentity,
    ) -> Result<Self, AwsError> {
        let mut base = load_config(settings, http, identity).await;
        let Some(region) = base.region().map(ToString::to_string) else {
            return Err(no_region(identity).await);
        };
        check_endpoints(&base, identity)?;
        if let Some(profile) = &identity.profile
            && settings.static_key.is_none()
        {
            base = with_profile(base, http, profile);
        }

        if let Some(role) = &identity.role_arn {
            let provider = AssumeRoleProvider::builder(role.as_ref())
                // shown in CloudTrail as the session of the role
                .session_name("mwaa-gateway")
                .configure(&base)
                .build()
                .await;
            let provider = SharedCredentialsProvider::new(provider);
            base = base.into_builder().credentials_provider(provider).build();
        }
        let mut mwaa = aws_sdk_mwaa::config::Builder::from(&base)
            // retries are the token cache's: it knows who waits and for how long
            .retry_config(RetryConfig::disabled())
            .interceptor(NoHostPrefix);
        // the endpoint is MWAA's; STS keeps its own
        if let Some(endpoint) = &identity.endpoint_url {
            mwaa = mwaa.endpoint_url(endpoint.as_ref());
        }

        Ok(Self {
            mwaa: aws_sdk_mwaa::Client::from_conf(mwaa.build()),
            sts: aws_sdk_sts::Client::new(&base),
            region,
            config: base,
            dynamodb: OnceLock::new(),
        })
    }

    /// Returns the client of DynamoDB. Fails if its endpoint is not safe.
    pub(super) fn dynamodb(&self) -> Result<&aws_sdk_dynamodb::Client, AwsError> {
        if self.dynamodb.get().is_none() {
            check_endpoint(&self.config, "DynamoDB", "AWS_ENDPOINT_URL_DYNAMODB")?;
        }
        Ok(self.dynamodb.get_or_init(|| {
            let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
                // the fleet's protocol repeats what it needs
                .retry_config(RetryConfig::disabled())
                // one host, which firewalls and NO_PROXY can name
                .account_id_endpoint_mode(AccountIdEndpointMode::Disabled);
            aws_sdk_dynamodb::Client::from_conf(config.build())
        }))
    }

    /// Returns what gives the identity's credentials.
    pub(super) fn credentials(&self) -> Option<SharedCredentialsProvider> {
        self.config.credentials_provider()
    }
}

/// Loads the SDK's configuration from variables and files, with what the settings and the
/// identity say in place of it.
async fn load_config(
    settings: &Settings,
    http: &SharedHttpClient,
    identity: &AwsIdentity,
) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(settings.call_timeout)
        .build();
    // a fixed version: a new one may change the SDK's defaults
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http.clone())
        .timeout_config(timeouts);

    if let Some(key) = &settings.static_key {
        // the SDK wipes its copy too
        let secret = key.secret.reveal().as_str();
        let credentials = Credentials::new(&key.id, secret, None, None, "given");
        loader = loader.credentials_provider(SharedCredentialsProvider::new(credentials));
    }
    if let Some(region) = &identity.region {
        loader = loader.region(aws_config::Region::new(region.to_string()));
    }
    if let Some(profile) = &identity.profile {
        loader = loader.profile_name(profile.as_ref());
    }
    loader.load().await
}

/// Returns the error for a missing region: mostly the profile that would name one does not exist.
async fn no_region(identity: &AwsIdentity) -> AwsError {
    let origin = CredentialOrigin::find(identity.profile.as_deref()).await;
    let hint = match (&origin.source, &identity.profile) {
        (missing @ CredentialSource::NoProfile { .. }, _) => missing.to_string(),
        (_, Some(profile)) => {
            format!("set aws.region, --region or AWS_REGION: profile {profile:?} has no region")
        }
        (_, None) => "set aws.region, --region or AWS_REGION".to_owned(),
    };
    AwsError::new(
        AwsErrorKind::Credentials,
        "no AWS region is configured",
        hint,
    )
}

/// Returns the configuration with credentials of this profile and of nothing else.
///
/// The SDK's chain would look at keys in the environment first, and would use the instance's role
/// if there is no such profile. A profile that is named has to be used, as with the AWS CLI's
/// `--profile`.
fn with_profile(base: SdkConfig, http: &SharedHttpClient, profile: &str) -> SdkConfig {
    let mut config = ProviderConfig::without_region()
        .with_http_client(http.clone())
        .with_region(base.region().cloned())
        .with_use_fips(base.use_fips())
        .with_use_dual_stack(base.use_dual_stack());
    // the provider's own calls, such as those of SSO, keep the limits of the rest
    if let Some(retry) = base.retry_config() {
        config = config.with_retry_config(retry.clone());
    }
    if let Some(timeouts) = base.timeout_config() {
        config = config.with_timeout_config(timeouts.clone());
    }

    let provider = ProfileFileCredentialsProvider::builder()
        .configure(&config)
        .profile_name(profile)
        .build();
    base.into_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        .build()
}

/// Checks the endpoint URLs of the services that this identity calls. The configuration's own
/// endpoint was checked when it was read.
fn check_endpoints(base: &SdkConfig, identity: &AwsIdentity) -> Result<(), AwsError> {
    let has_own_endpoint = identity.endpoint_url.is_some();
    if !has_own_endpoint {
        check_endpoint(base, "MWAA", "AWS_ENDPOINT_URL_MWAA")?;
    }
    if !has_own_endpoint || identity.role_arn.is_some() {
        check_endpoint(base, "STS", "AWS_ENDPOINT_URL_STS")?;
    }
    Ok(())
}

/// Fails if a variable or a profile gives an endpoint URL for the service by which tokens and
/// signed requests would travel unencrypted.
///
/// The URL is found as the SDK's own clients find it: the service's own variable or profile
/// section, else the general one.
fn check_endpoint(
    base: &SdkConfig,
    service: &'static str,
    variable: &'static str,
) -> Result<(), AwsError> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok();
    // a service's own setting wins over the general one, as in the SDK
    let own = base
        .service_config()
        .zip(key)
        .and_then(|(config, key)| config.load_config(key));
    let endpoint = own.or_else(|| base.endpoint_url().map(str::to_owned));

    if endpoint.as_deref().is_none_or(is_safe_endpoint) {
        return Ok(());
    }
    Err(AwsError::new(
        AwsErrorKind::Unavailable,
        &format!("the endpoint URL for {service} is neither https nor http on loopback"),
        format!("change {variable}, AWS_ENDPOINT_URL or the profile's endpoint_url"),
    ))
}

/// Returns true for https, and for http to this machine (the emulator).
fn is_safe_endpoint(url: &str) -> bool {
    url.parse::<http::Uri>()
        .is_ok_and(|uri| match uri.scheme_str() {
            Some("https") => true,
            Some("http") => uri.host().is_some_and(|host| {
                // an IPv6 address is in brackets
                let bare = host.trim_matches(['[', ']']);
                bare == "localhost"
                    || bare
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|ip| ip.is_loopback())
            }),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_https_or_loopback() {
        for good in [
            "https://vpce.example",
            "http://127.0.0.1:4566",
            "http://localhost:1",
            "http://[::1]:1",
        ] {
            assert!(is_safe_endpoint(good), "{good}");
        }
        for bad in [
            "http://10.0.0.1",
            "http://localhost.evil.example",
            "ftp://x",
            "nonsense",
        ] {
            assert!(!is_safe_endpoint(bad), "{bad}");
        }
    }
}
