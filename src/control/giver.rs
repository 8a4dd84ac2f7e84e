//! The services that give keys: which of them was asked, and what it answered.

use super::AwsErrorKind;
use super::answer::Answer;
use super::token_time::clock_offset;
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_signin::operation::create_o_auth2_token::CreateOAuth2TokenError;
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use std::error::Error;
use std::fmt;

/// The step at which the keys were not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The keys of an `aws login`: the first ones.
    Login,
    /// A role, with the first keys.
    Role,
    /// The keys of an SSO sign-in: the first ones.
    Sso,
    /// The keys for a web identity token: the first ones.
    WebIdentity,
}

/// A service that was asked for keys.
#[derive(Debug)]
pub(super) struct Giver {
    pub(super) step: Step,
    /// What it answered; `None` if it could not be asked.
    pub(super) answer: Option<Answer>,
    /// No answer in time.
    pub(super) is_silent: bool,
    /// How far our clock is ahead of its, in seconds.
    pub(super) clock_offset: Option<i64>,
}

impl Giver {
    /// Reads one of a failure's causes: the SDK hides its calls for keys in them.
    pub(super) fn read(cause: &(dyn Error + 'static)) -> Option<Self> {
        called::<AssumeRoleError>(cause, Step::Role)
            .or_else(|| called::<AssumeRoleWithWebIdentityError>(cause, Step::WebIdentity))
            .or_else(|| called::<GetRoleCredentialsError>(cause, Step::Sso))
            .or_else(|| called::<CreateOAuth2TokenError>(cause, Step::Login))
            .or_else(|| login(cause))
    }

    /// Which kind of failure its answer is; `None` if what stands around it tells more.
    pub(super) fn kind(&self, answer: &Answer) -> Option<AwsErrorKind> {
        match answer.kind() {
            AwsErrorKind::Throttled => Some(AwsErrorKind::Throttled),
            AwsErrorKind::Unavailable
                if !answer.is_refusal() || answer.code().contains("IDPCommunication") =>
            {
                Some(AwsErrorKind::Unavailable)
            }
            _ => match self.step {
                Step::Login => None,
                // the portal's own word for a sign-in that is over
                Step::Sso if answer.code().contains("Unauthorized") => {
                    Some(AwsErrorKind::LoginNeeded)
                }
                Step::Role | Step::Sso | Step::WebIdentity => Some(AwsErrorKind::Credentials),
            },
        }
    }

    /// The answer, if it is that the first keys are no good.
    pub(super) fn refused_keys(&self) -> Option<&Answer> {
        let answer = self.answer.as_ref()?;
        let is_so = self.step == Step::Role && answer.kind() == AwsErrorKind::Credentials;
        is_so.then_some(answer)
    }

    /// What people call the service.
    pub(super) fn service(&self) -> &'static str {
        match self.step {
            Step::Login => "AWS Sign-In",
            Step::Role | Step::WebIdentity => "AWS STS",
            Step::Sso => "IAM Identity Center",
        }
    }
}

/// The service, and the call by the name of its API.
impl fmt::Display for Giver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = match self.step {
            Step::Login => "CreateOAuth2Token",
            Step::Role => "AssumeRole",
            Step::Sso => "GetRoleCredentials",
            Step::WebIdentity => "AssumeRoleWithWebIdentity",
        };
        write!(f, "{} ({operation})", self.service())
    }
}

/// A call that failed with this error.
fn called<E>(cause: &(dyn Error + 'static), step: Step) -> Option<Giver>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let error: &SdkError<E, HttpResponse> = cause.downcast_ref()?;
    let date = error
        .raw_response()
        .and_then(|raw| raw.headers().get("date"));
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    Some(Giver {
        step,
        answer: Answer::of(error),
        is_silent: matches!(error, SdkError::TimeoutError(_)),
        clock_offset: clock_offset(date),
    })
}

/// The SDK keeps less of AWS Sign-In's answer: without the status.
fn login(cause: &(dyn Error + 'static)) -> Option<Giver> {
    let error: &CreateOAuth2TokenError = cause.downcast_ref()?;
    // what was no answer is one cause further
    let is_call = |cause: &(dyn Error + 'static)| {
        cause.is::<SdkError<CreateOAuth2TokenError, HttpResponse>>()
    };
    if error.source().is_some_and(is_call) {
        return None;
    }
    Some(Giver {
        step: Step::Login,
        answer: Some(Answer::new(error.meta(), None)),
        is_silent: false,
        clock_offset: None,
    })
}
