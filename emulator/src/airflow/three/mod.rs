//! The UI of Airflow 3: one page for nearly any path, the data it asks for, the framed pages.

mod data;

use http::{HeaderValue, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::session::Dialect;
use super::super::web::{Reply, Visit};
use super::rights::{Right, demand};
use super::{Guest, assets, users};

/// Answers everything that is neither REST nor sign-in.
pub(super) fn answer(guest: Guest<'_>) -> Reply {
    let visit = guest.visit;
    let path = visit.path();
    if let Some(rest) = path.strip_prefix("/ui/") {
        return data::answer(guest, rest).unwrap_or_else(|refusal| refusal);
    }
    if visit.head.method != "GET" {
        return Reply::json(r#"{"detail":"Method Not Allowed"}"#)
            .with_status(405)
            .with(header::ALLOW, HeaderValue::from_static("GET"));
    }
    if path.starts_with("/auth/") {
        return framed(guest);
    }
    // a 200 proves nothing in Airflow 3: the page is the same for everybody, and nearly everywhere
    Reply::html(200, index(visit).into_string())
}

/// The page itself. `base` is absolute, as MWAA's `base_url` makes it.
fn index(visit: Visit<'_>) -> Markup {
    let environment = visit.environment;
    let token = match visit.dialect() {
        Dialect::ThreeZero => "script",
        Dialect::Two | Dialect::Three => "cookie",
    };
    html! {
        (DOCTYPE)
        html lang="en" data-token=(token) {
            head {
                meta charset="utf-8";
                base href=(visit.absolute("/"));
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Airflow emulator · " (environment.seed.name) }
                link rel="icon" href="./static/emulator/favicon.svg";
                link rel="stylesheet" href="./static/emulator/style.css";
                script type="module" src="./static/emulator/three.js" {}
            }
            body {
                header.bar {
                    a.brand href="dags" { (PreEscaped(assets::MARK)) "Airflow emulator" }
                    nav aria-label="Main" {
                        a href="dags" data-part="dags" { "DAGs" }
                        a href="security/users" data-part="security" { "Users" }
                    }
                    div.who {
                        span.sub { (environment.seed.name) " · " (environment.seed.airflow_version) }
                        span { strong #who { "…" } " " span.tag #role { } }
                        a.button href="api/v2/auth/logout" data-plain { "Sign out" }
                    }
                }
                main { noscript { "This page needs JavaScript." } }
                div #said role="status" {}
            }
        }
    }
}

/// A page of Flask AppBuilder, which is recognised by its own cookie.
fn framed(guest: Guest<'_>) -> Reply {
    let visit = guest.visit;
    if visit.path() != "/auth/users/list/" {
        return Reply::page(404, "not found");
    }
    if let Err(refusal) = demand(guest, Right::Administer) {
        return refusal;
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "Users" }
                link rel="stylesheet" href=(visit.absolute("/static/emulator/style.css"));
            }
            body.framed { main { (users::table(visit)) } }
        }
    };
    Reply::html(200, page.into_string())
}
