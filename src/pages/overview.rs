//! The overview: the last hour, every environment with its state and its addresses, then the last
//! refused requests. A script replaces these parts while the page is open.

use super::activity::{ActivityMinute, render_activity};
use super::card::{EnvironmentCard, render_card};
use super::fleet::{FleetInfo, render_fleet};
use super::format::{format_age, format_sentence};
use super::layout::render_page;
use bytes::Bytes;
use maud::{Markup, html};
use std::time::Duration;

/// The content of the overview.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// The gateway's version.
    pub version: &'static str,
    /// The addresses that the gateway listens on.
    pub addresses: Vec<Address>,
    /// The environments.
    pub cards: Vec<EnvironmentCard>,
    /// The reason why there are none, or not all, for people.
    pub discovery: Option<String>,
    /// The reason why the configuration in its file is not the one in use, for people.
    pub configuration: Option<String>,
    /// The last refused requests, newest first.
    pub refusals: Vec<RefusedRequestInfo>,
    /// The fleet, if the gateway is in one.
    pub fleet: Option<FleetInfo>,
    /// True if the page is on the host of one environment. It then shows no other.
    pub scoped: bool,
    /// The minutes of the last hour, the oldest first.
    pub activity: Vec<ActivityMinute>,
    /// The address of the page's events, with its ticket.
    pub events: String,
}

/// A part of the overview that changes while the page is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePart {
    /// The id of the element that it is in.
    pub id: &'static str,
    /// The content of that element, as HTML.
    pub html: String,
}

/// One address that the gateway listens on.
#[derive(Debug, Clone)]
pub struct Address {
    /// The address as a URL.
    pub url: String,
    /// Its restrictions: the only environment that it serves, its rules.
    pub about: Option<String>,
}

/// One request that the gateway answered with a fault of its own.
#[derive(Debug, Clone)]
pub struct RefusedRequestInfo {
    /// The time since then.
    pub age: Duration,
    /// The fault's code.
    pub code: &'static str,
    /// The environment that it was for, if known.
    pub environment: Option<String>,
    /// The request method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// A description of the fault.
    pub detail: String,
    /// The id of the request.
    pub request_id: String,
}

/// Renders the overview.
pub fn render_overview(overview: &Overview) -> Bytes {
    // On the host of one environment the page is about this one.
    let title = match overview.cards.as_slice() {
        [only] if overview.scoped => only.local.as_str(),
        _ => "Environments",
    };
    let content = html! {
        div.head {
            h1 { (title) }
            p.dim {
                "mwaa-gateway " (overview.version)
                @for (index, address) in overview.addresses.iter().enumerate() {
                    @if index == 0 { " on " } @else { ", " }
                    code { (address.url) }
                    @if let Some(about) = &address.about { " (" (about) ")" }
                }
                " · "
                span #live data-events=(overview.events) {
                    a href="/-/" { "refresh" }
                    span.now { "live" }
                }
            }
        }

        section.activity aria-labelledby="activity-title" {
            h2.unseen #activity-title { "The last hour" }
            div #(ACTIVITY) { (render_activity(&overview.activity)) }
        }
        div #(ENVIRONMENTS) { (render_environments(overview)) }
        @if let Some(fleet) = &overview.fleet {
            section.fleet aria-labelledby="fleet-title" {
                h2 #fleet-title { "Fleet" }
                div #(FLEET) { (render_fleet(fleet)) }
            }
        }
        section.refusals aria-labelledby="refusals-title" {
            h2 #refusals-title { "Last refusals" }
            div #(REFUSALS) { (render_refusals(&overview.refusals, overview.scoped)) }
        }
        script src="/-/live.js" defer {}
    };
    render_page(title, Some("/-/"), &content)
}

/// Renders the parts of the overview that change.
pub fn render_live_parts(overview: &Overview) -> Vec<LivePart> {
    let refusals = render_refusals(&overview.refusals, overview.scoped);
    let mut parts = vec![
        (ACTIVITY, render_activity(&overview.activity)),
        (ENVIRONMENTS, render_environments(overview)),
        (REFUSALS, refusals),
    ];
    if let Some(fleet) = &overview.fleet {
        parts.push((FLEET, render_fleet(fleet)));
    }
    let parts = parts.into_iter().map(|(id, markup)| LivePart {
        id,
        html: markup.into_string(),
    });
    parts.collect()
}

fn render_environments(overview: &Overview) -> Markup {
    html! {
        @if overview.cards.is_empty() {
            (render_no_environments(overview.discovery.as_deref()))
        } @else {
            @if let Some(trouble) = &overview.configuration {
                p.note { "The configuration file has changed and cannot be used: " (trouble) }
            }
            // With some environments at hand a failed discovery is worth a note only.
            @if let Some(trouble) = &overview.discovery { p.note { (format_sentence(trouble)) } }
            div.cards { @for card in &overview.cards { (render_card(card)) } }
        }
    }
}

/// Renders the steps that help to find environments.
fn render_no_environments(trouble: Option<&str>) -> Markup {
    html! {
        section.empty {
            h2 { "No environments yet" }
            @if let Some(trouble) = trouble { p.note { (format_sentence(trouble)) } }
            p { "The gateway keeps asking AWS and shows new environments here. If this page \
                 stays empty:" }
            ol {
                li { "Run " code { "mwaa-gateway check" } ": it shows your AWS identity and its permissions." }
                li { "Sign in, if your profile needs it: " code { "aws sso login" } "." }
                li { "Check the region and the profile: " code { "serve --region REGION --profile PROFILE" } ", or " code { "[aws]" } " in the configuration." }
                li { "Or name an environment: " code { "serve --environment NAME" } "." }
            }
            p { a.button href="/-/" { "Reload" } }
        }
    }
}

/// Renders the table of refused requests, the first place to look when something does not work.
fn render_refusals(refusals: &[RefusedRequestInfo], scoped: bool) -> Markup {
    html! {
        @if refusals.is_empty() {
            p.dim { "None so far. Requests that the gateway refuses or cannot serve are \
                     listed here." }
        } @else {
            table {
                thead {
                    tr {
                        th scope="col" { "When" }
                        th scope="col" { "Code" }
                        // On the host of one environment all rows are about this one.
                        @if !scoped { th scope="col" { "Environment" } }
                        th scope="col" { "Request" }
                        th scope="col" { "What was wrong" }
                    }
                }

                tbody { @for refusal in refusals { (render_refusal(refusal, scoped)) } }
            }
        }
    }
}

fn render_refusal(refusal: &RefusedRequestInfo, scoped: bool) -> Markup {
    html! {
        tr {
            td.when { (format_age(refusal.age)) }
            td.code { code { (refusal.code) } }
            @if !scoped {
                td {
                    @match &refusal.environment {
                        Some(environment) => (environment),
                        None => span.dim { "none" },
                    }
                }
            }

            td { code.path { (refusal.method) " " (refusal.path) } }
            td.why { (refusal.detail) small.id { "request " (refusal.request_id) } }
        }
    }
}

/// The ids of the parts that change.
const ACTIVITY: &str = "activity";
const ENVIRONMENTS: &str = "environments";
const REFUSALS: &str = "refusals";
const FLEET: &str = "fleet";
