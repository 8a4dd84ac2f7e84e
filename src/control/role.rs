//! What a person can do about a role that is not given.

use super::AwsErrorKind;
use super::answer::Answer;
use super::denial::Denial;
use super::error::Call;
use super::giver::{Giver, Step};

/// The hint for what STS answered; `None` if the keys that asked it are to blame, or what gave them.
pub(super) fn hint(giver: &Giver, answer: &Answer, call: &Call<'_>) -> Option<String> {
    let (code, message) = (answer.code(), answer.message());
    let origin = call.origin;
    if code.contains("RegionDisabled") {
        return Some(format!(
            "activate STS in {} in the role's account (IAM, account settings), or set another region",
            call.region
        ));
    }
    let denial = Denial::read(message);
    let is_denied = giver.step == Step::Role && answer.kind() == AwsErrorKind::Denied;
    if let Some(profile) = &origin.second_factor
        && (is_denied || denial.is_some())
        && !denial.as_ref().is_some_and(Denial::is_organization_s)
    {
        return Some(format!(
            "profile {profile:?} wants a second factor (mfa_serial), which the AWS SDK never sends: use a \
             profile with `credential_process = aws configure export-credentials --profile {profile}`"
        ));
    }
    let role = match &origin.roles[..] {
        [role] => role,
        _ => "the role",
    };
    if let Some(denial) = denial {
        return Some(denial.advice(role));
    }
    if giver.step != Step::Role || giver.refused_keys().is_some() {
        return None;
    }
    Some(if is_denied {
        format!(
            "allow sts:AssumeRole on {role} for the identity that assumes it, and name that identity in the role's \
             trust policy"
        )
    } else if ["MaxSessionDuration", "DurationSeconds"]
        .iter()
        .any(|word| message.contains(word))
    {
        format!(
            "raise MaxSessionDuration of {role} to an hour or more, which is how long it is assumed"
        )
    } else {
        format!("AWS STS does not give {role}: correct role_arn by what its message says")
    })
}
