//! A real Airflow behind an environment's web server: requests pass through, a login makes a
//! genuine session.
//!
//! The emulator is then what MWAA's own security manager is: it says who somebody is, and
//! Airflow believes it (FAB's remote-user authentication, with a shared secret).

mod forward;
mod sign_in;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use http::request::Parts;
use http_body_util::Full;
use hyper::body::Incoming;

use super::Shared;
use super::airflow;
use super::environment::Environment;
use super::web::{Reply, Visit};
pub(crate) use sign_in::{answer as login, begin};

/// An environment's real Airflow.
#[derive(Clone, PartialEq, Eq)]
pub struct RealAirflow {
    /// Where its web server listens.
    pub url: AirflowUrl,
    /// What it asks for before it believes who somebody is; visible ASCII.
    pub secret: Option<String>,
}

impl fmt::Debug for RealAirflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RealAirflow({})", self.url)
    }
}

/// The address of an Airflow web server: plain HTTP, on a loopback address, without a path.
///
/// Only a loopback address, because requests carry the secret, which must not leave the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AirflowUrl(SocketAddr);

impl fmt::Display for AirflowUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

impl FromStr for AirflowUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write it as http://127.0.0.1:PORT";
        let rest = text.strip_prefix("http://").ok_or(form)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let authority = authority.replace("localhost:", "127.0.0.1:");
        let address: SocketAddr = authority.parse().map_err(|_unclear| form)?;
        if !address.ip().is_loopback() {
            return Err(format!("{} is not on this machine; {form}", address.ip()));
        }
        Ok(Self(address))
    }
}

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
    forward::reply(airflow, forward::forwarded(head).map(|()| body), shared).await
}

/// Answers a request that has been read to its end.
pub(crate) async fn answer(visit: Visit<'_>, airflow: &RealAirflow) -> Reply {
    let path = visit.path();
    if is_mwaa_s(path) {
        return airflow::sso_page(visit).unwrap_or_else(|| Reply::page(404, "not found"));
    }
    let mut request = forward::forwarded(visit.head).map(|()| Full::new(visit.body.clone()));
    if path != sign_in::page(visit.dialect()) {
        return forward::reply(airflow, request, visit.shared).await;
    }
    // Airflow knows whether the cookies sign somebody in. It sends those home; the others it asks
    // for the secret, which is not there, instead of sending them round in circles.
    forward::claim(&mut request, "nobody", None, None);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_loopback_is_taken() {
        for (text, expected) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("http://localhost:8080/", Some("http://127.0.0.1:8080")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("https://127.0.0.1:8080", None),
            ("http://127.0.0.1", None),
            ("http://127.0.0.1:8080/path", None),
            ("http://10.0.0.1:8080", None),
            ("127.0.0.1:8080", None),
        ] {
            let read = text.parse::<AirflowUrl>().ok().map(|url| url.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
