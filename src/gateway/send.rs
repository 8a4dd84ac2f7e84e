//! What is written to the web server for one command: once, and again only where that can't run
//! it twice.

use super::Corridor;
use super::course::Course;
use crate::credential::Keyed;
use crate::upstream::{Answered, Unanswered, UpstreamError};
use http::StatusCode;
use std::sync::Arc;

/// Sends. If the client has asked for it, and the command lends itself to it, it is written
/// once more when nobody knows what became of the first time.
pub(super) async fn send(
    corridor: &Corridor,
    keyed: Keyed,
    course: &Course,
) -> Result<Answered, UpstreamError> {
    let may_repeat = keyed.seated().permitted().may_repeat();
    let run = Arc::clone(keyed.seated().run());
    let first = corridor.upstream.send(keyed).await;
    let first = after_refusal(corridor, first).await;
    // nobody is told of a second time whose client has gone
    if !may_repeat || run.is_abandoned() {
        return first.map_err(|lost| lost.into_error());
    }
    // a token first: without one there is no second time, and the first one's end stands
    let broker = &corridor.shared.broker;
    let (seen, keyed) = match first {
        Err(lost) if lost.error().is_outcome_unknown() => {
            match broker.current(lost.keyed()).await {
                Some(renewal) => (lost.error().to_string(), lost.replay(renewal)),
                None => return Err(lost.into_error()),
            }
        }
        Ok(answered) if is_outcome_unknown(answered.status()) => {
            let renewal = match answered.keyed() {
                Some(keyed) => broker.current(keyed).await,
                None => None,
            };
            let Some(renewal) = renewal else {
                return Ok(answered);
            };
            let seen = format!("the web server answered {}", answered.status().as_u16());
            match answered.replay(renewal) {
                Ok(keyed) => (seen, keyed),
                Err(answered) => return Ok(*answered),
            }
        }
        known => return known.map_err(|lost| lost.into_error()),
    };
    course.repeat();
    let second = corridor.upstream.send_again(keyed).await;
    let second = after_refusal(corridor, second).await;
    // also if nothing was written the second time, the first one may have run
    second.map_err(|lost| UpstreamError::Twice {
        first: seen,
        second: Box::new(lost.into_error()),
    })
}

/// After a 401 or 403, which come before execution, the same once more with a new token.
async fn after_refusal(
    corridor: &Corridor,
    sent: Result<Answered, Box<Unanswered>>,
) -> Result<Answered, Box<Unanswered>> {
    let answered = sent?;
    if !matches!(
        answered.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    ) {
        return Ok(answered);
    }
    let Some(keyed) = answered.keyed() else {
        return Ok(answered);
    };
    match corridor.shared.broker.renew(keyed).await {
        Some(renewal) => match answered.replay(renewal) {
            Ok(keyed) => corridor.upstream.send(keyed).await,
            Err(answered) => Ok(*answered),
        },
        None => Ok(answered),
    }
}

/// The load balancer's word that it gave up on the web server, which may run the command still.
fn is_outcome_unknown(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
    )
}
