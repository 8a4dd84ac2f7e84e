//! Where people would sign in and out, hand-over included. Nobody has to sign in here: the
//! login page leads back, and signing out lets go of the gateway's own session.

use super::{Corridor, Refused, boxed};
use crate::credential::login_loop;
use crate::guard::Admitted;
use crate::names::{Browser, EntryId, Provenance};
use crate::pages;
use crate::policy;
use crate::reply::{self, Reply};
use crate::route::Routed;
use crate::runtime::Moment;
use http::{HeaderValue, Method};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Airflow's login page, asked for: back to where the browser wanted to go. A browser that
/// comes here again and again gets a fault, not an endless redirect. A login form
/// is not read: the password in it must not be sent on either, so what follows is a GET.
pub(super) fn login(corridor: &Corridor, routed: Routed) -> Result<Reply, Refused> {
    let (admitted, entry) = routed.into_parts();
    let posted = *admitted.method() == Method::POST;
    if !posted && corridor.shared.visits.is_loop(entry.id, Moment::now()) {
        return Err(boxed(login_loop(
            "it keeps sending the browser to its login page",
        )));
    }
    let host = corridor.shared.broker.session_host(&entry);
    let back = next(&admitted, host.as_deref()).unwrap_or(HeaderValue::from_static("/"));
    let lead = if posted {
        reply::see_other
    } else {
        reply::redirect
    };
    Ok(lead(back, admitted.id()))
}

/// Signing out: Airflow ends the session, if there is one, and the gateway forgets it.
pub(super) async fn logout(corridor: &Corridor, routed: Routed) -> Result<Reply, Refused> {
    let broker = &corridor.shared.broker;
    let id = routed.id();
    let (passage, body) = policy::pass(routed).map_err(boxed)?;
    let entry = std::sync::Arc::clone(passage.entry());
    if broker.session_state(&entry).age.is_some() {
        let payload = super::web::payload(corridor, passage.method(), body)
            .await
            .map_err(boxed)?;
        let signed = broker.sign_in(passage).await.map_err(boxed)?;
        // whatever Airflow says to it, this session is not used any more
        if let Err(error) = corridor.upstream.forward(&signed, payload).await {
            tracing::debug!(%id, %error, "Airflow was not told of the sign-out");
        }
    }
    broker.sign_out(&entry);
    Ok(reply::see_other(HeaderValue::from_static(SIGNED_OUT), id))
}

/// Whether this is a person's visit to the UI of an environment in redirect mode.
pub(super) fn is_handed_over(routed: &Routed) -> bool {
    let admitted = routed.admitted();
    routed.entry().environment.browser == Browser::Redirect
        // a read-only client stays here
        && policy::may_leave(routed.entry(), &admitted.caller().entrance).is_ok()
        && *admitted.method() == Method::GET
        && admitted.agent().wants_page
}

/// `/aws_mwaa/aws-console-sso`: in redirect mode the browser is handed over to the environment's
/// own host. In proxy mode there is nothing to do, the UI is at `/`; who asks for a hand-over
/// there is told that it is off.
pub(super) async fn handover(corridor: &Corridor, routed: Routed) -> Result<Reply, Refused> {
    let (admitted, entry) = routed.into_parts();
    let wanted = entry.environment.browser == Browser::Redirect
        || *admitted.method() == Method::POST
        || query(&admitted, "handover").is_some_and(|value| value == "1");
    if !wanted {
        return Ok(reply::redirect(
            HeaderValue::from_static("/"),
            admitted.id(),
        ));
    }
    policy::may_leave(&entry, &admitted.caller().entrance).map_err(boxed)?;
    // another page must not be able to hand a session out by a mere link
    if admitted.agent().fetch.provenance() == Provenance::Elsewhere {
        let page = pages::handover(entry.environment.local.as_str());
        return Ok(reply::page(page, admitted.id()));
    }
    let address = corridor
        .shared
        .broker
        .handover(&entry)
        .await
        .map_err(boxed)?;
    Ok(reply::handover(address, admitted.id()))
}

/// `next` of a login page, as a path of ours: nothing that could lead to another host, and not
/// the login page again.
fn next(admitted: &Admitted, host: Option<&str>) -> Option<HeaderValue> {
    let next = query(admitted, "next")?;
    // Airflow writes it as it was called: by us, or by the web server's own name
    let theirs = host.map(|host| format!("https://{host}"));
    let path = next
        .strip_prefix(&admitted.origin())
        .or_else(|| next.strip_prefix(theirs.as_deref()?))
        .unwrap_or(&next);
    let ours = path.starts_with('/')
        && !path
            .get(1..2)
            .is_some_and(|second| matches!(second, "/" | "\\"))
        && !path.contains("/login")
        && path.bytes().all(|b| b.is_ascii_graphic());
    ours.then(|| HeaderValue::from_str(path).ok())?
}

fn query(admitted: &Admitted, name: &str) -> Option<String> {
    let query = admitted.target().query()?;
    form_urlencoded::parse(query.as_bytes())
        .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// How often browsers came to an environment's login page lately.
#[derive(Debug, Default)]
pub struct Visits(Mutex<HashMap<EntryId, (Moment, u32)>>);

impl Visits {
    /// Counts one, and says whether it is one of too many.
    fn is_loop(&self, id: EntryId, now: Moment) -> bool {
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = visits.entry(id).or_insert((now, 0));
        if since.age(now) > LATELY {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count > MOST_VISITS
    }
}

/// Our page that says so.
const SIGNED_OUT: &str = "/-/signed-out";
/// The time in which visits are counted.
const LATELY: Duration = Duration::from_secs(10);
/// Several tabs may come at once.
const MOST_VISITS: u32 = 6;
