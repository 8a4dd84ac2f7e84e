//! How Airflow says that a session is dead: by status, by the text of a few replies, or by
//! leading to a page where a person would sign in.

use crate::credential::SignedIn;
use crate::reply::leads_to_sign_in;
use crate::upstream::Answered;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
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
/// A 403 is mostly about rights, and then a new session would get the same; only Airflow 3's
/// texts about its token count (`api_fastapi/core_api/security.py`).
pub(super) async fn cause_of_death(
    signed: &SignedIn,
    answered: &mut Answered,
) -> Option<Death> {
    let said = |cause: String| Death {
        cause,
        led_away: false,
    };
    match answered.status() {
        // a wrong password is no dead session
        StatusCode::UNAUTHORIZED if is_password_route(signed.passage().target().path()) => None,
        StatusCode::UNAUTHORIZED => Some(said("401 Unauthorized".to_owned())),
        StatusCode::FORBIDDEN if signed.session().bearer().is_some() && is_json(answered) => {
            let body = unpacked(answered).await;
            let text = TOKEN_TEXTS
                .iter()
                .find(|text| memchr::memmem::find(&body, text.as_bytes()).is_some())?;
            Some(said(format!("403 {text}")))
        }
        status if status.is_redirection() => {
            let host = signed.session().host();
            leads_to_sign_in(answered.headers(), host).then(|| Death {
                cause: format!("{} to a sign-in page", status.as_u16()),
                led_away: true,
            })
        }
        _ => None,
    }
}

/// The beginning of the body. Airflow 3 compresses even a sentence, for all who take gzip, as
/// every browser does (RFC 9110 section 8.4.1.3).
async fn unpacked(answered: &mut Answered) -> Bytes {
    let coding = answered.headers().get(CONTENT_ENCODING);
    let packed = coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    let body = answered.peek().await;
    if !packed {
        return body;
    }
    let mut text = Vec::new();
    // what comes out before an error, or before the end that is still on its way, is enough
    let _cut = GzDecoder::new(&body[..])
        .take(LONGEST_TEXT)
        .read_to_end(&mut text);
    text.into()
}

fn is_json(answered: &Answered) -> bool {
    let media = answered.headers().get(CONTENT_TYPE);
    media.is_some_and(|media| media.as_bytes().starts_with(b"application/json"))
}

/// Where Airflow 3 takes user names and passwords.
fn is_password_route(path: &str) -> bool {
    path == "/auth/token" || path.starts_with("/auth/token/")
}

/// More than Airflow 3 says of a token, in bytes.
const LONGEST_TEXT: u64 = 4096;
/// What Airflow 3 says of a token that it does not take.
const TOKEN_TEXTS: &[&str] = &["Invalid JWT token", "Token Expired"];
