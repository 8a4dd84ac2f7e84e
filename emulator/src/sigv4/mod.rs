//! AWS Signature Version 4, verified by signing the request again.
//!
//! Source: AWS, "Signature Version 4 signing process".

mod authorization;

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::request::Parts;
use subtle::ConstantTimeEq;

use authorization::{Authorization, instant, parse};

use super::identity::Credential;

/// Why a signature does not count: AWS's error code and a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// The access key a request claims, verified or not.
pub(crate) fn claimed_key(head: &Parts) -> Option<&str> {
    let value = head
        .headers
        .get(http::header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    parse(value).map(|authorization| authorization.access_key_id)
}

/// Verifies a request's signature against the keys, region and time of the emulator.
pub(crate) fn verify(
    head: &Parts,
    body: &[u8],
    credentials: &[Credential],
    region: &str,
    now: SystemTime,
) -> Result<(), Rejection> {
    let reject = |code, message: &str| Rejection {
        code,
        message: message.to_owned(),
    };
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let value = text("authorization").ok_or_else(|| {
        reject(
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        )
    })?;
    let claim = parse(value).ok_or_else(|| {
        reject(
            "IncompleteSignatureException",
            "Authorization header is not a complete SigV4 signature.",
        )
    })?;
    let credential = credentials
        .iter()
        .find(|credential| credential.access_key_id == claim.access_key_id)
        .filter(|credential| {
            credential.session_token.as_deref() == text("x-amz-security-token")
        })
        .ok_or_else(|| {
            reject(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            )
        })?;
    let timestamp = text("x-amz-date").unwrap_or_default();
    let signed_at = instant(timestamp).ok_or_else(|| {
        reject(
            "IncompleteSignatureException",
            "X-Amz-Date must be there, as in 20261122T093000Z.",
        )
    })?;
    scope(&claim, region, timestamp)?;
    check_skew(signed_at, timestamp, now)?;
    if !claim.signed_headers.contains(&"host") {
        return Err(reject(
            "SignatureDoesNotMatch",
            "The 'Host' header must be signed.",
        ));
    }
    let expected = signature(head, body, &claim, credential, signed_at).ok_or_else(|| {
        reject(
            "SignatureDoesNotMatch",
            "The request can't be canonicalised.",
        )
    })?;
    if bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes())) {
        return Ok(());
    }
    Err(reject(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details.",
    ))
}

/// Checks date, region, service and terminator of the credential scope.
fn scope(claim: &Authorization<'_>, region: &str, timestamp: &str) -> Result<(), Rejection> {
    let reject = |message: String| Rejection {
        code: "SignatureDoesNotMatch",
        message,
    };
    if claim.service != SERVICE {
        return Err(reject(format!(
            "Credential should be scoped to correct service: '{SERVICE}'."
        )));
    }
    if claim.region != region {
        return Err(reject(format!(
            "Credential should be scoped to a valid region, not '{}'.",
            claim.region
        )));
    }
    if claim.terminator != "aws4_request" {
        return Err(reject(
            "Credential should end with 'aws4_request'.".to_owned(),
        ));
    }
    if timestamp.split('T').next() != Some(claim.date) {
        return Err(reject(
            "Date in Credential scope does not match YYYYMMDD from X-Amz-Date.".to_owned(),
        ));
    }
    Ok(())
}

fn check_skew(
    signed_at: SystemTime,
    timestamp: &str,
    now: SystemTime,
) -> Result<(), Rejection> {
    let reject = |message| Rejection {
        code: "RequestExpired",
        message,
    };
    let stamp = |time| {
        let text = DateTime::from(time)
            .fmt(Format::DateTime)
            .unwrap_or_default();
        text.split('.')
            .next()
            .unwrap_or_default()
            .replace(['-', ':', 'Z'], "")
            + "Z"
    };
    if signed_at + SKEW < now {
        let (limit, now) = (stamp(now - SKEW), stamp(now));
        return Err(reject(format!(
            "Signature expired: {timestamp} is now earlier than {limit} ({now} - 15 min.)"
        )));
    }
    if signed_at > now + SKEW {
        let (limit, now) = (stamp(now + SKEW), stamp(now));
        return Err(reject(format!(
            "Signature not yet current: {timestamp} is still later than {limit} ({now} + 15 min.)"
        )));
    }
    Ok(())
}

/// Signs the request as it arrived, with exactly the headers the client says it signed.
fn signature(
    head: &Parts,
    body: &[u8],
    claim: &Authorization<'_>,
    credential: &Credential,
    signed_at: SystemTime,
) -> Option<String> {
    let mut headers = Vec::new();
    for &name in claim
        .signed_headers
        .iter()
        .filter(|name| **name != "x-amz-date")
    {
        for value in head.headers.get_all(name) {
            headers.push((name, value.to_str().ok()?));
        }
    }
    let host = head.headers.get(http::header::HOST)?.to_str().ok()?;
    let target = head.uri.path_and_query()?.as_str();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Double;
    settings.excluded_headers = None;
    let identity = Credentials::new(
        &credential.access_key_id,
        &credential.secret_access_key,
        None,
        None,
        "emulator",
    )
    .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(claim.region)
        .name(claim.service)
        .time(signed_at)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let request = SignableRequest::new(
        head.method.as_str(),
        format!("http://{host}{target}"),
        headers.into_iter(),
        SignableBody::Bytes(body),
    )
    .ok()?;
    let (_, signature) = sign(request, &params).ok()?.into_parts();
    Some(signature)
}

const SERVICE: &str = "airflow";
/// How far a signature's date may be off.
const SKEW: Duration = Duration::from_mins(15);
