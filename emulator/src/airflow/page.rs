//! The one page of both dialects, the form routes of Airflow 2, and the list of users.

use http::{HeaderValue, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::identity::Role;
use super::super::session::{Dialect, Session};
use super::super::web::{Reply, Visit};
use super::door::{self, demand};
use super::{Guest, assets, sign_in};

/// Answers everything that is neither login nor REST nor a static file.
pub(super) fn answer(guest: Guest<'_>) -> Reply {
    let answer = match guest.visit.dialect() {
        Dialect::Two => two(guest),
        Dialect::ThreeZero | Dialect::Three => three(guest),
    };
    answer.unwrap_or_else(|refusal| refusal)
}

/// Airflow 2 shows pages only to people with a session, and checks a CSRF token on each form.
fn two(guest: Guest<'_>) -> Result<Reply, Reply> {
    let visit = guest.visit;
    match (visit.method(), visit.path()) {
        ("GET", "/home") => Ok(page(visit, Some(demand(guest, Role::Viewer)?))),
        ("GET", "/users/list/") => {
            demand(guest, Role::Admin)?;
            Ok(users(visit))
        }
        ("POST", "/paused") => {
            sign_in::check_csrf(guest)?;
            demand(guest, Role::User)?;
            let paused = visit.query("is_paused").as_deref() == Some("true");
            let dag_id = visit.query("dag_id").unwrap_or_default();
            let world = &visit.environment.world;
            if world.now(|state| state.set_paused(&dag_id, paused)) {
                Ok(Reply::text(200, "OK"))
            } else {
                Err(Reply::page(404, "there is no such DAG"))
            }
        }
        (_, "/home" | "/users/list/" | "/paused") => {
            Err(Reply::page(405, "method not allowed"))
        }
        _ => Err(Reply::page(404, "not found")),
    }
}

/// Airflow 3 shows the same page to everybody and on nearly any path: a 200 proves no session.
fn three(guest: Guest<'_>) -> Result<Reply, Reply> {
    let visit = guest.visit;
    let path = visit.path();
    if visit.method() != "GET" {
        let allow = HeaderValue::from_static("GET");
        return Err(door::detail(405, "Method Not Allowed").with(header::ALLOW, allow));
    }
    match path {
        "/ui/config" => {
            door::signed_in(guest)?;
            Ok(Reply::json(r#"{"instance_name":"Airflow emulator"}"#))
        }
        // of Flask AppBuilder, which finds the session by its own cookie
        "/auth/users/list/" => {
            demand(guest, Role::Admin)?;
            Ok(users(visit))
        }
        _ if path.starts_with("/ui/") => Err(door::detail(404, "Not Found")),
        _ if path.starts_with("/auth/") => Err(Reply::page(404, "not found")),
        _ => Ok(page(visit, guest.session.ok())),
    }
}

/// The page. Its script asks the REST API for everything that it shows.
fn page(visit: Visit<'_>, session: Option<&Session>) -> Reply {
    let two = visit.dialect() == Dialect::Two;
    let content = html! {
        header {
            // absolute, as `base_url` makes some of Airflow's links
            a.brand href=(visit.absolute(visit.dialect().home())) {
                (PreEscaped(assets::MARK)) "Airflow emulator"
            }
            span.quiet { (visit.environment.seed.name) " · " (visit.environment.seed.airflow_version) }
            @if let Some(session) = session {
                span.quiet { (session.holder.identity) " · " (session.holder.role.name()) }
            }
            @if two {
                form method="post" action="/logout/" {
                    input type="hidden" name="csrf_token" value=(csrf(session));
                    button type="submit" { "Log out" }
                }
            } @else {
                a.button href="/api/v2/auth/logout" { "Log out" }
            }
        }
        main {
            h1 { "DAGs" }
            table {
                thead { tr { th { "Active" } th { "DAG" } th { "Schedule" } th { "Last runs" } th {} } }
                tbody #dags {}
            }
            section #run hidden {}
            noscript { "This page needs JavaScript." }
        }
        p #problem role="status" {}
        script type="module" src="/static/emulator/page.js" {}
    };
    document(visit, session, &content)
}

/// Everybody who may log in, by their AWS identity.
fn users(visit: Visit<'_>) -> Reply {
    let content = html! {
        main {
            h1 { "Users" }
            table {
                thead { tr { th { "User" } th { "IAM identity" } th { "Role" } } }
                tbody {
                    @for credential in &visit.shared.credentials {
                        tr {
                            td { (credential.airflow_identity()) }
                            td { (credential.iam_identity) }
                            td { (credential.role.map_or("none", |role| role.name())) }
                        }
                    }
                }
            }
        }
    };
    document(visit, None, &content)
}

fn document(visit: Visit<'_>, session: Option<&Session>, content: &Markup) -> Reply {
    let (api, token) = match visit.dialect() {
        Dialect::Two => ("/api/v1", "cookie"),
        Dialect::ThreeZero => ("/api/v2", "script"),
        Dialect::Three => ("/api/v2", "cookie"),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" data-api=(api) data-token=(token) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="csrf-token" content=(csrf(session));
                title { "Airflow emulator · " (visit.environment.seed.name) }
                link rel="icon" href="/static/emulator/favicon.svg";
                link rel="stylesheet" href="/static/emulator/style.css";
            }
            body { (content) }
        }
    };
    Reply::html(200, page.into_string())
}

/// The token that Airflow 2 checks with each form.
fn csrf(session: Option<&Session>) -> &str {
    session.map_or("", |session| &session.csrf)
}
