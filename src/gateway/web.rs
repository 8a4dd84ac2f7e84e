//! The corridor of the REST API and the UI: policy, session, wire, and one more try when the
//! session has died.

use super::dead_session::{Death, cause_of_death};
use super::whole_body::{self, BodyError};
use super::{Corridor, Refused, boxed};
use crate::credential::{SignedIn, login_loop};
use crate::guard::Body;
use crate::names::{Code, Fault, code};
use crate::policy::{self, Passage};
use crate::reply::{self, Reply};
use crate::route::{Kind, Routed};
use crate::runtime::uptime;
use crate::upstream::{Answered, Payload, Upload, UpstreamError};
use http::{HeaderValue, Method, StatusCode};
use http_body::Body as _;
use std::fmt;
use std::time::Duration;

/// Sends a request to Airflow within the environment's session.
pub(super) async fn web(corridor: &Corridor, routed: Routed) -> Result<Reply, Refused> {
    let shared = &corridor.shared;
    let (passage, body) = policy::pass(routed).map_err(boxed)?;
    // the version says how Airflow recognises a session
    shared.versions.of(passage.entry()).await.map_err(boxed)?;
    let payload = payload(corridor, passage.method(), body)
        .await
        .map_err(boxed)?;
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
        && passage.agent().wants_page
        && !matches!(passage.target().path(), "/" | "/home")
}

/// Sends, and once more with another session where that is safe: after the session turned out
/// to be dead, which comes before Airflow has done anything, and after its host turned out to
/// be the environment's no more.
async fn exchange(
    corridor: &Corridor,
    signed: SignedIn,
    payload: Payload,
) -> Result<(SignedIn, Answered), Lost> {
    let (broker, again) = (&corridor.shared.broker, payload.again());
    let mut answered = match forward(corridor, &signed, payload).await {
        Ok(answered) => answered,
        // nothing was written, whatever the method
        Err(error) if error.is_unsent() => {
            // rare and large: boxed, so that not every request has room for it
            let elsewhere = Box::pin(broker.sign_in_elsewhere(signed)).await;
            return match (elsewhere, again) {
                (Some(signed), Some(again)) => second(corridor, signed, again).await,
                (Some(_), None) => Err(boxed(SessionExpired).into()),
                (None, _) => Err(boxed(error).into()),
            };
        }
        Err(error) => {
            let again = again.filter(|_| signed.passage().method().is_safe());
            let moved =
                error.is_outcome_unknown() && Box::pin(has_moved(corridor, &signed)).await;
            return match again.filter(|_| moved) {
                Some(again) => {
                    let signed = broker.sign_in(signed.into_passage()).await.map_err(boxed)?;
                    second(corridor, signed, again).await
                }
                None => Err(boxed(error).into()),
            };
        }
    };
    let Some(death) = dead(&signed, &mut answered).await? else {
        let again = again.filter(|_| signed.passage().method().is_safe());
        if is_doubtful(answered.status()) && Box::pin(has_moved(corridor, &signed)).await {
            // a request that may have acted is not repeated; the next one goes to the new host
            let Some(again) = again else {
                return Ok((signed, answered));
            };
            drop(answered);
            let signed = broker.sign_in(signed.into_passage()).await.map_err(boxed)?;
            return second(corridor, signed, again).await;
        }
        accepted(&signed, &answered);
        return Ok((signed, answered));
    };
    drop(answered);
    let signed = match broker
        .sign_in_again(signed, &death.cause, death.led_away)
        .await
    {
        Ok(signed) => signed,
        Err(error) => return Err(death.lost(boxed(error))),
    };
    let again = again.ok_or_else(|| boxed(SessionExpired))?;
    second(corridor, signed, again).await
}

/// Sends once more, with a session that has just been opened.
async fn second(
    corridor: &Corridor,
    signed: SignedIn,
    again: Payload,
) -> Result<(SignedIn, Answered), Lost> {
    let mut answered = forward(corridor, &signed, again).await.map_err(boxed)?;
    match dead(&signed, &mut answered).await? {
        None => {
            accepted(&signed, &answered);
            Ok((signed, answered))
        }
        // it has no words to know the refusal by, so it may be about something else
        Some(_) if *signed.passage().method() == Method::HEAD => Ok((signed, answered)),
        Some(death) => {
            let refused = boxed(login_loop(&death.cause));
            Err(death.lost(refused))
        }
    }
}

/// Notes that the session works, if the reply is Airflow's: a load balancer answers for web
/// servers that it cannot reach.
fn accepted(signed: &SignedIn, answered: &Answered) {
    if !matches!(
        answered.status(),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    ) {
        signed.session().accept();
    }
}

/// Whether a host that is the environment's no more would answer so.
fn is_doubtful(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Whether AWS names another host than the session's. It is asked, but not for every reply of
/// such a status: most are ordinary ones. The client waits for the answer a moment, also with a
/// request that is not repeated: its next one then goes to the new host.
async fn has_moved(corridor: &Corridor, signed: &SignedIn) -> bool {
    let (shared, entry) = (&corridor.shared, signed.passage().entry());
    let (broker, now) = (&shared.broker, uptime());
    if broker.is_outdated(signed) || !broker.may_ask_host(entry) {
        return broker.is_outdated(signed);
    }
    let asking = async {
        shared.versions.refresh(entry).await;
        let confirmed = entry.hosts.still(signed.session().host(), now);
        // it was asked of late, it is not permitted, or it gives another name of the host
        if !confirmed && !broker.is_outdated(signed) {
            broker.ask_host(entry).await;
        }
    };
    let _late = corridor.sweeper.within(PATIENCE, asking).await;
    broker.is_outdated(signed)
}

impl Death {
    fn lost(self, refused: Refused) -> Lost {
        Lost {
            led_away: self.led_away && refused.code() == &code::LOGIN_LOOP,
            refused,
        }
    }
}

async fn dead(signed: &SignedIn, answered: &mut Answered) -> Result<Option<Death>, Refused> {
    cause_of_death(signed, answered).await.map_err(boxed)
}

async fn forward(
    corridor: &Corridor,
    signed: &SignedIn,
    payload: Payload,
) -> Result<Answered, UpstreamError> {
    let answered = corridor.upstream.forward(signed, payload).await?;
    corridor.shared.reach.works(signed.passage().entry());
    corridor.shared.broker.reissued(signed, answered.headers());
    Ok(answered)
}

/// A short body is read before anything is sent, so that it can be sent twice; a longer one is
/// passed on as it comes. Where a body has no meaning it is read and dropped: a web server and
/// what stands before it may disagree about it (RFC 9110 section 9.3.1).
pub(super) async fn payload(
    corridor: &Corridor,
    method: &Method,
    mut body: Body,
) -> Result<Payload, BodyError> {
    let (limits, sweeper) = (&corridor.shared.limits, &corridor.sweeper);
    if body.is_end_stream() {
        return Ok(Payload::Whole(bytes::Bytes::new()));
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        whole_body::discard(&mut body, limits.request_body, limits.body, sweeper).await?;
        return Ok(Payload::Whole(bytes::Bytes::new()));
    }
    let hint = body.size_hint();
    if hint.upper().is_some_and(|upper| upper <= SHORT as u64) {
        return whole_body::read(&mut body, SHORT, limits.body, sweeper)
            .await
            .map(Payload::Whole);
    }
    if hint.lower() > limits.request_body as u64 {
        return Err(BodyError::TooLarge {
            limit: limits.request_body,
        });
    }
    let limit = limits.request_body as u64;
    let upload = Upload::new(body, limit, limits.body, sweeper);
    Ok(Payload::Stream(Box::new(upload)))
}

/// The session died under a request whose body is not there any more.
#[derive(Debug)]
struct SessionExpired;

impl fmt::Display for SessionExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session had ended when the request came; nothing was done")
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

/// The client waits so long for AWS's word.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bodies of forms and of most REST calls.
const SHORT: usize = 64 * 1024;
