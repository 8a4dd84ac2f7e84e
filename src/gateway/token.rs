//! `/auth/token` of an Airflow 3 environment: a client logs in, and gets a token that is worth
//! nothing. The gateway signs in by itself, so nothing that the client sends is looked at.

use super::{BodyError, Corridor, Refused, boxed, whole_body};
use crate::reply::{self, Reply};
use crate::route::{RouteError, Routed};
use crate::runtime::Moment;

/// Answers the login. The body, which holds a password, is read to its end so that the
/// connection can be used again, and never kept. Airflow 2 has no such route: clients tell the
/// two apart by its 404.
pub(super) async fn answer(corridor: &Corridor, mut routed: Routed) -> Result<Reply, Refused> {
    let (limits, id) = (&corridor.shared.limits, routed.id());
    let version = corridor.shared.versions.of(routed.entry()).await;
    let major = version.map_err(boxed)?.major;
    let admitted = routed.admitted_mut();
    if major < 3 {
        return Err(boxed(RouteError::NoLogin {
            path: admitted.target().path().to_owned(),
        }));
    }
    let body = admitted.body_mut();
    whole_body::discard(body, LONGEST_LOGIN, limits.body, &corridor.sweeper)
        .await
        .map_err(|error| match error {
            BodyError::TooLarge { limit } => boxed(BodyError::LongLogin { limit }),
            error => boxed(error),
        })?;
    let now = Moment::now().wall();
    Ok(reply::token(admitted.method(), now, id))
}

/// Any form with a name and a password, in bytes.
const LONGEST_LOGIN: usize = 64 * 1024;
