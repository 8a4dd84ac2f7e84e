//! `POST /aws_mwaa/login` and `POST /pluginsv2/aws_mwaa/login`: a web token becomes a session.

use http::{HeaderValue, header};

use super::identity::Holder;
use super::settings::LoginForm;
use super::web::{Reply, Visit};

/// Answers the login route of the built-in Airflow.
pub(crate) async fn answer(visit: Visit<'_>) -> Reply {
    let holder = match admit(visit).await {
        Ok(holder) => holder,
        Err(refusal) => return refusal,
    };
    let (environment, shared) = (visit.environment, visit.shared);
    let life = shared.settings.session_life;
    let cookies = environment
        .sessions
        .begin(&holder, visit.dialect(), life, &shared.script);
    welcome(visit, cookies)
}

/// Returns the user that the posted token logs in, or the answer that refuses it. A web server in front
/// of a real Airflow asks the same and makes its session another way.
pub(crate) async fn admit(visit: Visit<'_>) -> Result<Holder, Reply> {
    let shared = visit.shared;
    if visit.method() != "POST" {
        return Err(Reply::page(405, "method not allowed")
            .with(header::ALLOW, HeaderValue::from_static("POST")));
    }
    shared.script.login_delay.pause().await;
    let token = visit.field("token");
    let (name, once) = (
        &visit.environment.seed.name,
        shared.settings.single_use_web_tokens,
    );
    shared
        .tokens
        .redeem(token.as_deref(), name, once, &shared.script)
        .map_err(|refusal| Reply::page(403, refusal))
}

/// The answer that carries the cookies of a new session, in the form the settings ask for.
pub(crate) fn welcome(visit: Visit<'_>, cookies: Vec<HeaderValue>) -> Reply {
    let script = &visit.shared.script;
    let form = script.login_form.take();
    let mut reply = match form.unwrap_or(visit.shared.settings.login_form) {
        LoginForm::Direct => Reply::html(200, "<!doctype html>\n<title>Signed in</title>\n"),
        LoginForm::Redirect => Reply::redirect(302, &visit.absolute(visit.dialect().home())),
    };
    visit.shared.journal.signed_in();
    if script.login_without_cookie.take().is_none() {
        for cookie in cookies {
            reply = reply.with(header::SET_COOKIE, cookie);
        }
    }
    reply.with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
