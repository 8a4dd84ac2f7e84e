//! Logins to ElastiCache with the AWS identity: the password is a signed request that is never sent.

use super::client::AwsClient;
use super::dynamodb::in_background;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::error::{BoxError, SdkError};
use aws_sdk_mwaa::operation::get_environment::GetEnvironmentError;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use mwaa_fleet::{Call, PasswordSource, StoreError};
use mwaa_model::{Environment, Secret};
use mwaa_runtime::{BackgroundTasks, Timestamp, boot_clock};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The passwords of a user of a cache. Needs `elasticache:Connect` on the replication group and on
/// the user.
pub struct ElastiCacheLogin {
    login: Arc<Login>,
    background: BackgroundTasks,
}

struct Login {
    aws: Arc<AwsClient>,
    /// The cache's name, in place of an environment's, with region and identity.
    cache: Environment,
    user: String,
    /// The last password, and the boot clock when it was made.
    last: Mutex<Option<(Secret<String>, Duration)>>,
}

impl fmt::Debug for ElastiCacheLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ElastiCacheLogin({})", self.login.cache.name)
    }
}

impl ElastiCacheLogin {
    /// Creates the login of a user to the cache that `cache` names, with the identity and region of
    /// `cache`. A password whose credentials take too long for the caller is made as a task of
    /// `background`, and the next call has it.
    pub fn new(
        aws: Arc<AwsClient>,
        cache: Environment,
        user: &str,
        background: BackgroundTasks,
    ) -> Self {
        let login = Arc::new(Login {
            aws,
            cache,
            user: user.to_owned(),
            last: Mutex::default(),
        });
        Self { login, background }
    }
}

impl PasswordSource for ElastiCacheLogin {
    fn password(&self) -> Call<'_, Secret<String>> {
        let login = Arc::clone(&self.login);
        let made = async move { login.password().await };
        Box::pin(in_background(&self.background, made))
    }
}

impl Login {
    async fn password(&self) -> Result<Secret<String>, StoreError> {
        if let Some((last, made)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && boot_clock().saturating_sub(*made) < USE
        {
            return Ok(Secret::concat(&[last.reveal()]));
        }

        let call = self.aws.call("Connect", &self.cache).await?;
        let made = boot_clock();
        let credentials = match call.client.credentials() {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded("no source of credentials")),
        };
        let signed = credentials.map_err(BoxError::from).and_then(|credentials| {
            let region = &call.client.region;
            let now = UNIX_EPOCH + Timestamp::now().wall();
            sign_connect(&self.cache.name, &self.user, region, &credentials, now)
        });
        let password = match signed {
            Ok(password) => password,
            Err(error) => {
                type Failure = SdkError<GetEnvironmentError, HttpResponse>;
                let error = Failure::construction_failure(error);
                return Err(self.aws.convert_error(&call, &error).await.into());
            }
        };

        let copy = Secret::concat(&[password.reveal()]);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((copy, made));
        Ok(password)
    }
}

/// Returns the password of a user (ElastiCache User Guide, "Authenticating with IAM"): a presigned
/// request to the cache's name, without its scheme.
fn sign_connect(
    cache: &str,
    user: &str,
    region: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<Secret<String>, BoxError> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "connect")
        .append_pair("User", user)
        .finish();
    let mut request = http::Request::get(format!("http://{cache}/?{query}")).body(())?;

    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFE);
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("elasticache")
        .time(now)
        .settings(settings)
        .build()?;
    let uri = request.uri().to_string();
    let signable =
        SignableRequest::new("GET", uri, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (instructions, _signature) = sign(signable, &params.into())?.into_parts();

    instructions.apply_to_request_http1x(&mut request);
    let signed = request.uri().to_string();
    Ok(Secret::new(signed.trim_start_matches("http://").to_owned()))
}

/// A password is valid for this time, the longest that ElastiCache takes.
const LIFE: Duration = Duration::from_mins(15);
/// It is used for this time.
const USE: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_what_botocore_signs() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let token = Some("session/token+1==".to_owned());
        let credentials = Credentials::new("AKIDEXAMPLE", secret, token, None, "test");
        // 2026-11-27T07:30:00Z
        let now = UNIX_EPOCH + Duration::from_mins(29_929_410);
        let password = sign_connect("my-cache", "gate-1", "eu-west-1", &credentials, now);
        let password = password.unwrap();
        let (place, query) = password.reveal().split_once('?').unwrap();
        assert_eq!(place, "my-cache/");

        // botocore 1.44.8: SigV4QueryAuth(credentials, "elasticache", "eu-west-1", expires=900)
        let expected = "Action=connect&User=gate-1&X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIDEXAMPLE%2F20261127%2Feu-west-1%2Felasticache%2Faws4_request\
            &X-Amz-Date=20261127T073000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
            &X-Amz-Security-Token=session%2Ftoken%2B1%3D%3D\
            &X-Amz-Signature=56cc669baf5692c3cfd4bc5fd31f312faa37689790a5a8fdce1c2ced07eba328";
        let sorted = |query: &str| {
            let mut fields: Vec<_> = query.split('&').map(str::to_owned).collect();
            fields.sort();
            fields
        };
        assert_eq!(sorted(query), sorted(expected));
    }
}
