//! How Airflow says that a session is dead: by the text of a few replies, or by a redirect to a
//! page where a person would sign in.

use crate::credential::SignedIn;
use crate::reply::leads_to_sign_in;
use crate::route::Kind;
use crate::upstream::{Answered, UpstreamError};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::CONTENT_ENCODING;
use http::{Method, StatusCode};
use serde::Deserialize;
use std::io::Read as _;

/// Why a reply means that the session is dead.
#[derive(Debug)]
pub(super) struct Death {
    /// In words.
    pub(super) cause: String,
    /// Whether the reply leads to a sign-in page. Flask-AppBuilder's pages do that too with
    /// somebody who is signed in and lacks the right to see them.
    pub(super) led_away: bool,
}

/// Whether the reply means that the session is dead, and why.
///
/// A status alone says nothing: a 403 is mostly about rights, and a plugin of Airflow may answer
/// 401 for reasons of its own. Such a reply is the client's, and its request may have acted.
/// Airflow's own refusals have a text of their own.
pub(super) async fn cause_of_death(
    signed: &SignedIn,
    answered: &mut Answered,
) -> Result<Option<Death>, UpstreamError> {
    let session = signed.session();
    match answered.status() {
        StatusCode::FORBIDDEN if session.bearer().is_none() => Ok(None),
        // a reply to HEAD has no words; asking again is safe, and tells
        StatusCode::UNAUTHORIZED if is_wordless(signed) => Ok(Some(Death {
            cause: "401 to HEAD".to_owned(),
            led_away: false,
        })),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let body = unpacked(answered, session.host()).await?;
            let text = match session.bearer() {
                Some(_) => refusal_of_3(&body),
                None => refusal_of_2(&body),
            };
            Ok(text.map(|text| Death {
                cause: format!("{} {text}", status.as_u16()),
                led_away: false,
            }))
        }
        status if status.is_redirection() => {
            let away = leads_to_sign_in(answered.headers(), session.host());
            Ok(away.then(|| Death {
                cause: format!("{} to a sign-in page", status.as_u16()),
                led_away: true,
            }))
        }
        _ => Ok(None),
    }
}

/// Whether it is a HEAD for the REST API.
fn is_wordless(signed: &SignedIn) -> bool {
    let passage = signed.passage();
    *passage.method() == Method::HEAD && passage.kind() == Kind::Rest
}

/// Airflow 3 (`api_fastapi/core_api/security.py`): `{"detail": "…"}` with one of its texts about
/// the token, and nothing else.
fn refusal_of_3(body: &[u8]) -> Option<&'static str> {
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
/// documentation. Its Content-Type is no help: Airflow sends a second one, of the
/// authentication backend's reply.
fn refusal_of_2(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        r#type: &'a str,
    }
    let refusal: Refusal<'_> = serde_json::from_slice(body).ok()?;
    let airflows = refusal.r#type.ends_with(UNAUTHENTICATED);
    airflows.then_some("Unauthenticated")
}

/// The beginning of the body. Airflow 3 compresses even a sentence, for all who take gzip, as
/// every browser does (RFC 9110 section 8.4.1.3).
async fn unpacked(answered: &mut Answered, host: &str) -> Result<Bytes, UpstreamError> {
    let coding = answered.headers().get(CONTENT_ENCODING);
    let packed = coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    let body = answered.peek(host).await?;
    if !packed {
        return Ok(body);
    }
    let mut text = Vec::new();
    // what comes out before an error, or before the end that is still on its way, is enough
    let _cut = GzDecoder::new(&body[..])
        .take(LONGEST_TEXT)
        .read_to_end(&mut text);
    Ok(text.into())
}

/// More than Airflow says of a session, in bytes.
const LONGEST_TEXT: u64 = 4096;
/// What Airflow 3 says of a token that it does not take.
const TOKEN_TEXTS: &[&str] = &["Invalid JWT token", "Not authenticated", "Token Expired"];
/// The end of the problem type with which Airflow 2 refuses a request without a session.
const UNAUTHENTICATED: &str = "/stable-rest-api-ref.html#section/Errors/Unauthenticated";
