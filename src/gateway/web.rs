//! The corridor of the REST API and the UI: policy, session, wire, and one more try when the
//! session has died.

use super::dead_session::{Death, cause_of_death};
use super::whole_body::{self, BodyError};
use super::{Corridor, Refused, boxed};
use crate::credential::{SignedIn, login_loop};
use crate::guard::{Body, wants_page};
use crate::names::{Code, Fault, code};
use crate::policy::{self, Passage};
use crate::reply::{self, Reply};
use crate::route::{Kind, Routed};
use crate::upstream::{Answered, Payload, Upload};
use http::{HeaderValue, Method};
use http_body::Body as _;
use std::fmt;
use std::time::Duration;

/// Sends a request to Airflow within the environment's session.
pub(super) async fn web(corridor: &Corridor, routed: Routed) -> Result<Reply, Refused> {
    let shared = &corridor.shared;
    let (passage, body) = policy::pass(routed).map_err(boxed)?;
    // the version says how Airflow recognises a session
    shared.versions.of(passage.entry()).await.map_err(boxed)?;
    let payload = payload(corridor, body).await.map_err(boxed)?;
    let signed = shared.broker.sign_in(passage).await.map_err(boxed)?;
    let (id, may_lack_rights) = (signed.passage().id(), is_inner_page(signed.passage()));
    match exchange(corridor, signed, payload).await {
        Ok((signed, answered)) => Ok(reply::forward(answered, &signed)),
        // Airflow tells on its first page that access is denied
        Err(Lost { led_away: true, .. }) if may_lack_rights => {
            Ok(reply::redirect(HeaderValue::from_static("/"), id))
        }
        Err(lost) => Err(lost.refused),
    }
}

/// An exchange that led to no reply for the client.
struct Lost {
    refused: Refused,
    /// Whether a session that has just been opened was led to a sign-in page.
    led_away: bool,
}

impl From<Refused> for Lost {
    fn from(refused: Refused) -> Self {
        Self {
            refused,
            led_away: false,
        }
    }
}

/// Whether a person looks at a page of the UI that is not its first.
fn is_inner_page(passage: &Passage) -> bool {
    passage.kind() == Kind::Ui
        && *passage.method() == Method::GET
        && wants_page(passage.method(), passage.headers())
        && !matches!(passage.target().path(), "/" | "/home")
}

/// Sends; if the session turns out to be dead, once more with a new one, which comes before
/// Airflow has done anything.
async fn exchange(
    corridor: &Corridor,
    signed: SignedIn,
    payload: Payload,
) -> Result<(SignedIn, Answered), Lost> {
    let (broker, again) = (&corridor.shared.broker, payload.again());
    let mut answered = forward(corridor, &signed, payload).await?;
    let Some(death) = dead(&signed, &mut answered).await? else {
        return Ok((signed, answered));
    };
    drop(answered);
    let lost = |refused: Refused, death: Death| Lost {
        led_away: death.led_away && refused.code() == &code::LOGIN_LOOP,
        refused,
    };
    let signed = match broker.sign_in_again(signed, &death.cause).await {
        Ok(signed) => signed,
        Err(error) => return Err(lost(boxed(error), death)),
    };
    let again = again.ok_or_else(|| boxed(SessionExpired))?;
    let mut answered = forward(corridor, &signed, again).await?;
    match dead(&signed, &mut answered).await? {
        None => Ok((signed, answered)),
        Some(death) => Err(lost(boxed(login_loop(&death.cause)), death)),
    }
}

async fn dead(signed: &SignedIn, answered: &mut Answered) -> Result<Option<Death>, Refused> {
    cause_of_death(signed, answered).await.map_err(boxed)
}

async fn forward(
    corridor: &Corridor,
    signed: &SignedIn,
    payload: Payload,
) -> Result<Answered, Refused> {
    let answered = corridor
        .upstream
        .forward(signed, payload)
        .await
        .map_err(boxed)?;
    corridor.shared.broker.reissued(signed, answered.headers());
    Ok(answered)
}

/// A short body is read before anything is sent, so that it can be sent twice; a longer one is
/// passed on as it comes.
pub(super) async fn payload(corridor: &Corridor, mut body: Body) -> Result<Payload, BodyError> {
    let (limits, sweeper) = (&corridor.shared.limits, &corridor.sweeper);
    let idle = limits.body_idle;
    if body.is_end_stream() {
        return Ok(Payload::Whole(bytes::Bytes::new()));
    }
    let hint = body.size_hint();
    if hint.upper().is_some_and(|upper| upper <= SHORT as u64) {
        return whole_body::read(&mut body, SHORT, idle, sweeper)
            .await
            .map(Payload::Whole);
    }
    if hint.lower() > limits.request_body as u64 {
        return Err(BodyError::TooLarge {
            limit: limits.request_body,
        });
    }
    let limit = limits.request_body as u64;
    Ok(Payload::Stream(Upload::new(body, limit, idle, sweeper)))
}

/// The session died under a request whose body is not there any more.
#[derive(Debug)]
struct SessionExpired;

impl fmt::Display for SessionExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Airflow had ended the session when the request came; nothing was done")
    }
}

impl std::error::Error for SessionExpired {}

impl Fault for SessionExpired {
    fn code(&self) -> &'static Code {
        &code::SESSION_EXPIRED
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn ends_connection(&self) -> bool {
        true
    }
}

/// Bodies of forms and of most REST calls.
const SHORT: usize = 64 * 1024;
