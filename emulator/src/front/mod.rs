//! A real Airflow behind an environment's web server: requests pass through, a login makes a
//! genuine session.
//!
//! The emulator is then what MWAA's own security manager is: it says who somebody is, and
//! Airflow believes it (FAB's remote-user authentication, with a shared secret).

mod forward;
mod headers;
mod sign_in;
mod url;

use std::sync::Arc;

use http::request::Parts;
use http_body_util::Full;
use hyper::body::Incoming;

use super::Shared;
use super::airflow;
use super::environment::Environment;
use super::web::{Reply, Visit};
pub(crate) use sign_in::answer as login;
pub use url::{AirflowUrl, RealAirflow};

/// The real Airflow that a request goes to as it comes, its body unread.
pub(crate) fn of<'a>(
    environment: Option<&'a Environment>,
    head: &Parts,
) -> Option<&'a RealAirflow> {
    let environment = environment?;
    let path = head.uri.path();
    let ours = is_mwaa_s(path) || path == sign_in::page(environment.dialect);
    let airflow = environment.seed.airflow.as_ref()?;
    (!ours).then_some(airflow)
}

/// Passes a request on and its answer back, both as they come.
pub(crate) async fn pass(
    airflow: &RealAirflow,
    head: &Parts,
    body: Incoming,
    shared: &Arc<Shared>,
) -> Reply {
    forward::reply(airflow, headers::forwarded(head).map(|()| body), shared).await
}

/// Answers a request that has been read to its end.
pub(crate) async fn answer(visit: Visit<'_>, airflow: &RealAirflow) -> Reply {
    let path = visit.path();
    if is_mwaa_s(path) {
        return airflow::sso_page(visit).unwrap_or_else(|| Reply::page(404, "not found"));
    }
    let mut request = headers::forwarded(visit.head).map(|()| Full::new(visit.body.clone()));
    if path != sign_in::page(visit.dialect()) {
        return forward::reply(airflow, request, visit.shared).await;
    }
    // Airflow knows whether the cookies sign somebody in. It sends those home; the others it asks
    // for the secret, which is not there, instead of sending them round in circles.
    headers::claim(&mut request, "nobody", None, None);
    let reply = forward::reply(airflow, request, visit.shared).await;
    if reply.status == 403 {
        return airflow::to_aws(visit);
    }
    reply
}

/// What MWAA adds to Airflow and answers itself.
fn is_mwaa_s(path: &str) -> bool {
    path.starts_with("/aws_mwaa/") || path.starts_with("/pluginsv2/aws_mwaa/")
}
