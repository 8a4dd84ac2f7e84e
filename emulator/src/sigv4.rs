//! AWS Signature Version 4, verified by signing the request again.
//!
//! Source: AWS, "Signature Version 4 signing process".

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

use super::identity::Credential;

/// Why a signature does not count: AWS's error code and a sentence.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// The parts of an `Authorization` header.
struct Claim<'a> {
    access_key_id: &'a str,
    /// Date, region, service and `aws4_request`.
    scope: [&'a str; 4],
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    /// Reads the header's value, with or without spaces behind the commas.
    fn parse(value: &'a str) -> Option<Self> {
        let fields = value.strip_prefix("AWS4-HMAC-SHA256")?;
        let field = |name: &str| {
            let mut fields = fields
                .split(',')
                .filter_map(|field| field.trim().split_once('='));
            fields
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value)
        };
        let (access_key_id, scope) = field("Credential")?.split_once('/')?;
        let scope: Vec<&str> = scope.split('/').collect();
        Some(Self {
            access_key_id,
            scope: scope.try_into().ok()?,
            signed_headers: field("SignedHeaders")?.split(';').collect(),
            signature: field("Signature")?,
        })
    }
}

/// The access key a request claims, verified or not.
pub(crate) fn claimed_key(head: &Parts) -> Option<&str> {
    let value = head.headers.get(http::header::AUTHORIZATION)?;
    Claim::parse(value.to_str().ok()?).map(|claim| claim.access_key_id)
}

/// Verifies a request's signature against the keys, region and time of the emulator.
pub(crate) fn verify(
    head: &Parts,
    body: &[u8],
    credentials: &[Credential],
    region: &str,
    now: SystemTime,
) -> Result<(), Rejection> {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let (missing, incomplete) = (
        "MissingAuthenticationTokenException",
        "IncompleteSignatureException",
    );
    let value =
        text("authorization").ok_or_else(|| reject(missing, "Missing Authentication Token"))?;
    let claim = Claim::parse(value).ok_or_else(|| {
        reject(
            incomplete,
            "Authorization header is not a complete SigV4 signature.",
        )
    })?;
    let session_token = text("x-amz-security-token");
    let mut credentials = credentials.iter();
    let credential = credentials
        .find(|known| known.access_key_id == claim.access_key_id)
        .filter(|known| known.session_token.as_deref() == session_token)
        .ok_or_else(|| {
            let text = "The security token included in the request is invalid.";
            reject("UnrecognizedClientException", text)
        })?;
    let timestamp = text("x-amz-date").unwrap_or_default();
    let signed_at = instant(timestamp).ok_or_else(|| {
        reject(
            incomplete,
            "X-Amz-Date must be there, as in 20261122T093000Z.",
        )
    })?;
    check_scope(&claim, region, timestamp).map_err(|text| reject(MISMATCH, &text))?;
    check_skew(signed_at, timestamp, now).map_err(|text| reject("RequestExpired", &text))?;

    let expected = signature(head, body, &claim, credential, signed_at)
        .ok_or_else(|| reject(MISMATCH, "The request can't be canonicalised."))?;
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

fn reject(code: &'static str, message: &str) -> Rejection {
    Rejection {
        code,
        message: message.to_owned(),
    }
}

/// Checks what was signed, and the credential scope. Fails with what is wrong.
fn check_scope(claim: &Claim<'_>, region: &str, timestamp: &str) -> Result<(), String> {
    let [date, claimed_region, service, terminator] = claim.scope;
    Err(if service != SERVICE {
        format!("Credential should be scoped to correct service: '{SERVICE}'.")
    } else if claimed_region != region {
        format!("Credential should be scoped to a valid region, not '{claimed_region}'.")
    } else if terminator != "aws4_request" {
        "Credential should end with 'aws4_request'.".to_owned()
    } else if timestamp.split('T').next() != Some(date) {
        "Date in Credential scope does not match YYYYMMDD from X-Amz-Date.".to_owned()
    } else if !claim.signed_headers.contains(&"host") {
        "The 'Host' header must be signed.".to_owned()
    } else {
        return Ok(());
    })
}

/// Checks that the request was signed within 15 minutes of now. Fails with what is wrong.
fn check_skew(signed_at: SystemTime, timestamp: &str, now: SystemTime) -> Result<(), String> {
    let stamp = |time| {
        let text = DateTime::from(time)
            .fmt(Format::DateTime)
            .unwrap_or_default();
        let text = text.split(['.', 'Z']).next().unwrap_or_default();
        text.replace(['-', ':'], "") + "Z"
    };
    if signed_at + SKEW < now {
        let (limit, now) = (stamp(now - SKEW), stamp(now));
        return Err(format!(
            "Signature expired: {timestamp} is now earlier than {limit} ({now} - 15 min.)"
        ));
    }
    if signed_at > now + SKEW {
        let (limit, now) = (stamp(now + SKEW), stamp(now));
        return Err(format!(
            "Signature not yet current: {timestamp} is still later than {limit} ({now} + 15 min.)"
        ));
    }
    Ok(())
}

/// Reads the basic ISO 8601 form, `20261122T093000Z`.
fn instant(timestamp: &str) -> Option<SystemTime> {
    let (date, time) = timestamp.strip_suffix('Z')?.split_once('T')?;
    let (year, rest) = date.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    let (hour, rest) = time.split_at_checked(2)?;
    let (minute, second) = rest.split_at_checked(2)?;
    let extended = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    SystemTime::try_from(DateTime::from_str(&extended, Format::DateTime).ok()?).ok()
}

/// Signs the request as it arrived, with exactly the headers the client says it signed.
fn signature(
    head: &Parts,
    body: &[u8],
    claim: &Claim<'_>,
    credential: &Credential,
    signed_at: SystemTime,
) -> Option<String> {
    let mut headers = Vec::new();
    let signed = claim.signed_headers.iter();
    for &name in signed.filter(|name| **name != "x-amz-date") {
        for value in head.headers.get_all(name) {
            headers.push((name, value.to_str().ok()?));
        }
    }
    let host = head.headers.get(http::header::HOST)?.to_str().ok()?;
    let url = format!("http://{host}{}", head.uri.path_and_query()?);
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Double;
    settings.excluded_headers = None;
    let (key, secret) = (&credential.access_key_id, &credential.secret_access_key);
    let identity = Credentials::new(key, secret, None, None, "emulator").into();
    let [_, region, service, _] = claim.scope;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(signed_at)
        .settings(settings)
        .build()
        .ok()?
        .into();
    let method = head.method.as_str();
    let body = SignableBody::Bytes(body);
    let request = SignableRequest::new(method, url, headers.into_iter(), body).ok()?;
    let (_, signature) = sign(request, &params).ok()?.into_parts();
    Some(signature)
}

const SERVICE: &str = "airflow";
const MISMATCH: &str = "SignatureDoesNotMatch";
/// How far a signature's date may be off.
const SKEW: Duration = Duration::from_mins(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorization_header_is_read_in_each_client_s_spacing() {
        let spaced = "AWS4-HMAC-SHA256 Credential=AK/20261122/eu-west-1/airflow/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00ff";
        for text in [spaced, &spaced.replace(", ", ",")] {
            let claim = Claim::parse(text).unwrap();
            assert_eq!(claim.access_key_id, "AK");
            assert_eq!(claim.signed_headers, ["host", "x-amz-date"]);
        }
        for bad in [
            "AWS4-HMAC-SHA256 Credential=AK/20261122/eu-west-1",
            "Bearer x",
        ] {
            assert!(Claim::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_date_is_read_or_refused() {
        let epoch = instant("19700102T000001Z").unwrap();
        assert_eq!(epoch, SystemTime::UNIX_EPOCH + Duration::from_secs(86_401));
        for bad in ["", "2026-11-22T09:30:00Z", "20261322T093000Z", "ααααTαααZ"] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
