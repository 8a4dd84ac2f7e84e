//! The UI of Airflow 2: pages from the server, forms with a CSRF token, data that scripts poll.

mod data;
mod forms;
mod pages;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::percent_decode_str;

use super::super::session::Session;
use super::super::web::{Reply, Visit};
use super::rest::Outcome;
use super::rights::{Right, demand};
use super::{Guest, assets, csrf};

/// Answers everything that is neither REST nor sign-in.
pub(super) fn answer(guest: Guest<'_>) -> Reply {
    route(guest).unwrap_or_else(|refusal| refusal)
}

fn route(guest: Guest<'_>) -> Outcome {
    let visit = guest.visit;
    let path = visit.path();
    let parts: Vec<String> = path
        .trim_matches('/')
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let form = matches!(
        parts.as_slice(),
        ["dag_stats" | "paused"] | ["dags", _, "trigger"]
    );
    // the token is looked at before anybody's rights are
    if form && visit.method() == "POST" {
        csrf::check(guest)?;
    }
    match (visit.method(), parts.as_slice()) {
        ("GET", ["home"]) => Ok(pages::home(visit, demand(guest, Right::Look)?)),
        ("GET", ["dags", id, "grid"]) => pages::grid(visit, demand(guest, Right::Look)?, id),
        ("GET", ["log"]) => pages::log(visit, demand(guest, Right::Look)?),
        ("GET", ["users", "list"]) => {
            Ok(pages::users(visit, demand(guest, Right::Administer)?))
        }
        ("GET", ["object", "grid_data"]) => {
            demand(guest, Right::Look)?;
            data::grid(visit)
        }
        ("GET", ["get_logs_with_metadata"]) => {
            demand(guest, Right::Look)?;
            data::log(visit)
        }
        ("POST", ["dag_stats"]) => {
            demand(guest, Right::Look)?;
            Ok(data::stats(visit))
        }
        ("POST", ["paused"]) => {
            demand(guest, Right::Run)?;
            forms::paused(visit)
        }
        ("POST", ["dags", id, "trigger"]) => {
            demand(guest, Right::Run)?;
            forms::trigger(visit, id)
        }
        (_, ["home" | "log" | "paused" | "dag_stats"] | ["dags", _, "grid" | "trigger"]) => {
            Err(Reply::page(405, "method not allowed"))
        }
        _ => Err(Reply::page(404, "not found")),
    }
}

/// A page: head, bar, and what is on it.
fn page(visit: Visit<'_>, session: &Session, title: &str, content: &Markup) -> Reply {
    let seed = &visit.environment.seed;
    let here = |path: &str| visit.path().starts_with(path).then_some("page");
    let users = Right::Administer.is_given_to(session.holder.role);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="csrf-token" content=(session.csrf);
                title { (title) " · Airflow emulator" }
                link rel="icon" href="/static/emulator/favicon.svg";
                link rel="stylesheet" href="/static/emulator/style.css";
                script type="module" src="/static/emulator/two.js" {}
            }
            body {
                header.bar {
                    // absolute, as `base_url` makes some of Airflow's links
                    a.brand href=(visit.absolute("/home")) {
                        (PreEscaped(assets::MARK)) "Airflow emulator"
                    }
                    nav aria-label="Main" {
                        a href="/home" aria-current=[here("/users").is_none().then_some("page")] { "DAGs" }
                        @if users {
                            a href="/users/list/" aria-current=[here("/users")] { "Users" }
                        }
                    }
                    div.who {
                        span.sub { (seed.name) " · " (seed.airflow_version) }
                        span {
                            strong { (session.holder.identity) } " "
                            span.tag { (session.holder.role.name()) }
                        }
                        form.inline method="post" action="/logout/" {
                            (csrf_field(session))
                            button type="submit" { "Sign out" }
                        }
                    }
                }
                main { (content) }
                div #said role="status" {}
            }
        }
    };
    Reply::html(200, page.into_string())
}

/// What every form must carry.
fn csrf_field(session: &Session) -> Markup {
    html! { input type="hidden" name="csrf_token" value=(session.csrf); }
}
