//! Recognises a response by which Airflow refuses a dead session: by the text of a few responses,
//! or by a redirect to a page where a person would log in.

use crate::response::is_login_redirect;
use crate::upstream::{UpstreamError, UpstreamResponse};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{Method, StatusCode};
use mwaa_auth::Session;
use mwaa_http1::name::CONTENT_ENCODING;
use mwaa_policy::WebPermit;
use serde::Deserialize;
use std::io::Read as _;

/// The refusal of a session.
#[derive(Debug)]
pub(crate) struct SessionRefusal {
    /// The reason in words.
    pub(crate) reason: String,
    /// True for a redirect to a login page. Flask-AppBuilder's pages redirect a user without the
    /// right to see them too.
    pub(crate) redirected: bool,
}

impl SessionRefusal {
    fn new(reason: String) -> Self {
        Self {
            reason,
            redirected: false,
        }
    }
}

/// Returns true for a status with which Airflow may refuse a dead session.
pub(crate) fn may_be_refusal(status: StatusCode) -> bool {
    let is_error = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    is_error || status.is_redirection()
}

/// Returns the refusal if the response means that the session is dead. Fails if the response
/// breaks off.
///
/// The status alone means nothing: a 403 is mostly about rights, and a plugin of Airflow may answer
/// 401 for reasons of its own. Such a response is for the client, and its request may have acted.
/// Airflow's own refusals have known texts.
pub(crate) async fn find_refusal(
    permit: &WebPermit,
    is_rest: bool,
    session: &Session,
    response: &mut UpstreamResponse,
) -> Result<Option<SessionRefusal>, UpstreamError> {
    match response.status() {
        // Airflow 2 answers a dead session with 401 or a redirect
        StatusCode::FORBIDDEN if session.bearer().is_none() => Ok(None),
        // a response to HEAD has no text; it is safe to send a HEAD again
        StatusCode::UNAUTHORIZED if is_rest && *permit.method() == Method::HEAD => {
            Ok(Some(SessionRefusal::new("401 to HEAD".to_owned())))
        }

        // only Airflow's own texts count
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let body = decoded_start(response, session.host()).await?;
            let text = match session.bearer() {
                Some(_) => airflow_3_refusal(&body),
                None => airflow_2_refusal(&body),
            };
            Ok(text.map(|text| SessionRefusal::new(format!("{} {text}", status.as_u16()))))
        }

        status if status.is_redirection() => {
            let redirected = is_login_redirect(response.headers(), session.host());
            Ok(redirected.then(|| SessionRefusal {
                reason: format!("{} to a login page", status.as_u16()),
                redirected,
            }))
        }
        _ => Ok(None),
    }
}

/// Airflow 3 (`api_fastapi/core_api/security.py`): `{"detail": "…"}` with one of its texts about
/// the token, and nothing else.
fn airflow_3_refusal(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        detail: &'a str,
    }
    let refusal: Refusal<'_> = serde_json::from_slice(body).ok()?;
    TOKEN_TEXTS
        .iter()
        .find(|text| **text == refusal.detail)
        .copied()
}

/// Airflow 2 (`api_connexion/exceptions.py`): a problem whose type is a page of Airflow's own
/// documentation. Its Content-Type is no help: Airflow sends a second one, from the
/// authentication backend.
fn airflow_2_refusal(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        r#type: &'a str,
    }
    let refusal: Refusal<'_> = serde_json::from_slice(body).ok()?;
    let airflows = refusal.r#type.ends_with(UNAUTHENTICATED);
    airflows.then_some("Unauthenticated")
}

/// Returns the start of the body, decompressed: Airflow 3 compresses even a sentence for every
/// client that accepts gzip, as browsers do (RFC 9110 section 8.4.1.3).
async fn decoded_start(
    response: &mut UpstreamResponse,
    host: &str,
) -> Result<Bytes, UpstreamError> {
    let coding = response.headers().get(CONTENT_ENCODING);
    let is_gzip = coding.is_some_and(|coding| coding.eq_ignore_ascii_case(b"gzip"));
    let body = response.peek(host).await?;
    if !is_gzip {
        return Ok(body);
    }

    let mut text = Vec::new();
    // the text before an error, or before the end that is still to come, is enough
    let _incomplete = GzDecoder::new(&body[..])
        .take(MAX_TEXT)
        .read_to_end(&mut text);
    Ok(text.into())
}

/// More than the longest of Airflow's refusals, in bytes.
const MAX_TEXT: u64 = 4096;
/// Airflow 3's texts for a token that it does not accept.
const TOKEN_TEXTS: &[&str] = &["Invalid JWT token", "Not authenticated", "Token Expired"];
/// The end of the problem type with which Airflow 2 refuses a request without a session.
const UNAUTHENTICATED: &str = "/stable-rest-api-ref.html#section/Errors/Unauthenticated";
