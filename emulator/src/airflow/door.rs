//! The session of a request, what its role may do, and the refusals.

use serde_json::json;

use super::super::fault::DeadForm;
use super::super::identity::Role;
use super::super::session::{Dead, Dialect, Session};
use super::super::web::{Reply, Visit};
use super::{Guest, sign_in};

/// The parts of an Airflow that recognise a session in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    /// `/api/…` for programs, and in Airflow 3 `/ui/…` for its own pages.
    Rest,
    /// The pages of Flask AppBuilder in Airflow 3, `/auth/…`.
    Auth,
    /// Everything else.
    Page,
}

impl Area {
    pub(super) fn of(visit: Visit<'_>) -> Self {
        let path = visit.path();
        let three = visit.dialect() != Dialect::Two;
        if path.starts_with("/api/") || (three && path.starts_with("/ui/")) {
            Self::Rest
        } else if three && path.starts_with("/auth/") {
            Self::Auth
        } else {
            Self::Page
        }
    }
}

/// Returns the session if its role is at least this one, else the answer that refuses the request.
///
/// Viewers see DAGs, runs and logs, Users pause and trigger, Ops see connections and variables,
/// Admins see users: measured on Airflow 2.10.5, 3.0.6 and 3.3.2, with the same outcome.
pub(super) fn demand(guest: Guest<'_>, lowest: Role) -> Result<&Session, Reply> {
    let session = signed_in(guest)?;
    // the most powerful comes first
    if session.holder.role <= lowest {
        Ok(session)
    } else {
        Err(in_form(guest, DeadForm::Forbidden, Dead::Absent))
    }
}

/// The session of a request, found as the version finds it.
pub(super) fn session(visit: Visit<'_>, area: Area) -> Result<Session, Dead> {
    let (sessions, script) = (&visit.environment.sessions, &visit.shared.script);
    let by_token = |token: Option<&str>| {
        let token = token.ok_or(Dead::Absent)?;
        sessions.by_token(token, script)
    };
    match (visit.dialect(), area) {
        (Dialect::Two, _) | (_, Area::Auth) => {
            sessions.by_cookie(visit.cookies("session"), script)
        }
        (Dialect::ThreeZero, _) => by_token(visit.bearer()),
        (Dialect::Three, _) => {
            by_token(visit.bearer().or_else(|| visit.cookies("_token").next()))
        }
    }
}

/// Returns the session of a request, or the answer to a request without one.
pub(super) fn signed_in(guest: Guest<'_>) -> Result<&Session, Reply> {
    guest.session.map_err(|dead| {
        let scripted = guest.visit.shared.script.dead_form.take();
        match scripted {
            Some(form) => in_form(guest, form, dead),
            None => as_airflow_does(guest, dead),
        }
    })
}

fn as_airflow_does(guest: Guest<'_>, dead: Dead) -> Reply {
    let Guest { visit, area, .. } = guest;
    match (visit.dialect(), area, dead) {
        (Dialect::Two, Area::Rest, _) => in_form(guest, DeadForm::Unauthorized, dead),
        (_, Area::Rest, Dead::Invalid) => detail(403, "Invalid JWT token"),
        (_, Area::Rest, _) => in_form(guest, DeadForm::Unauthorized, dead),
        (_, Area::Page | Area::Auth, _) => in_form(guest, DeadForm::LoginPage, dead),
    }
}

fn in_form(guest: Guest<'_>, form: DeadForm, dead: Dead) -> Reply {
    let Guest { visit, area, .. } = guest;
    let two = visit.dialect() == Dialect::Two;
    match form {
        DeadForm::Unauthorized if two => problem(visit, 401, "Unauthorized", None),
        DeadForm::Unauthorized if dead == Dead::Expired => detail(401, "Token Expired"),
        DeadForm::Unauthorized => detail(401, "Not authenticated"),
        DeadForm::Forbidden if area != Area::Rest => Reply::page(
            403,
            "You don't have the permission to access the requested resource.",
        ),
        DeadForm::Forbidden if two => problem(visit, 403, "Forbidden", None),
        DeadForm::Forbidden => detail(403, "Forbidden"),
        DeadForm::LoginPage => sign_in::to_login_page(visit),
        DeadForm::AwsSignIn => sign_in::to_aws(visit),
    }
}

/// An error of Airflow 3's REST API.
pub(super) fn detail(status: u16, detail: &str) -> Reply {
    Reply::json(json!({ "detail": detail }).to_string()).with_status(status)
}

/// An error of Airflow 2's REST API (RFC 7807).
///
/// Source: airflow 2.10.5 `api_connexion/exceptions.py`.
pub(super) fn problem(
    visit: Visit<'_>,
    status: u16,
    title: &str,
    detail: Option<&str>,
) -> Reply {
    let section = match status {
        400 => "BadRequest",
        401 => "Unauthenticated",
        403 => "PermissionDenied",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "AlreadyExists",
        _ => "Unknown",
    };
    let version = &visit.environment.seed.airflow_version;
    let body = json!({
        "detail": detail,
        "status": status,
        "title": title,
        "type": format!(
            "https://airflow.apache.org/docs/apache-airflow/{version}/\
             stable-rest-api-ref.html#section/Errors/{section}"
        ),
    });
    Reply::of(status, "application/problem+json", format!("{body}\n"))
}
