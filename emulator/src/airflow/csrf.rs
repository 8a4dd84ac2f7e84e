//! The token that Airflow 2 wants with every form, and the referrer.

use http::header;

use super::super::web::Reply;
use super::Guest;

/// Checks a form post as Flask-WTF does over https: first the token, then the `Referer`.
///
/// Source: flask-wtf 1.2 `csrf.py`; `WTF_CSRF_SSL_STRICT` is on by default.
pub(super) fn check(guest: Guest<'_>) -> Result<(), Reply> {
    let visit = guest.visit;
    let refuse = |why: &str| Err(Reply::page(400, why));
    let given = visit.field("csrf_token").or_else(|| {
        visit
            .head
            .headers
            .get("x-csrftoken")?
            .to_str()
            .ok()
            .map(str::to_owned)
    });
    let Some(given) = given else {
        return refuse("The CSRF token is missing.");
    };
    let Ok(session) = guest.session else {
        return refuse("The CSRF session token is missing.");
    };
    if given != session.csrf {
        return refuse("The CSRF tokens do not match.");
    }
    let Some(referer) = visit.header(header::REFERER) else {
        return refuse("The referrer header is missing.");
    };
    let own = format!("https://{}", visit.header(header::HOST).unwrap_or_default());
    let rest = referer.strip_prefix(&own);
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
        return refuse("The referrer does not match the host.");
    }
    Ok(())
}
