//! Pages with one message: a fault, the question before a hand-over, the end of a session.

use super::format::{format_duration, format_sentence, with_capital};
use super::layout::render_page;
use bytes::Bytes;
use maud::html;
use mwaa_model::{Blame, Code};
use std::time::Duration;

/// The content of a fault's page.
#[derive(Debug, Clone)]
pub struct FaultPage<'a> {
    /// The fault's code.
    pub code: &'static Code,
    /// A description of what happened.
    pub detail: &'a str,
    /// Advice, shown if there are no links.
    pub hint: &'a str,
    /// The id of the request.
    pub request_id: &'a str,
    /// The time after which a further request may succeed.
    pub retry_after: Option<Duration>,
    /// URLs of environments that the person may have meant.
    pub links: &'a [String],
    /// The address of the overview, if it can be reached from the host of the page.
    pub home: Option<&'a str>,
}

/// Renders the page of a fault: what happened, what to do next, and who caused it.
pub fn render_fault(fault: &FaultPage<'_>) -> Bytes {
    let code = fault.code;
    let content = html! {
        div.sheet {
            p.eyebrow { "Error " (code.status.as_u16()) }
            h1 { (with_capital(code.title)) }

            h2 { "What happened" }
            p { (format_sentence(fault.detail)) }

            h2 { "What to do" }
            @if fault.links.is_empty() {
                p { (format_sentence(fault.hint)) }
            } @else {
                p { "Open one of the environments that the gateway knows:" }
                ul.links { @for url in fault.links { li { a href={ (url) "/" } { (url) } } } }
            }
            @if let Some(after) = fault.retry_after {
                // Shown in full seconds: "in 0 s" would be no advice.
                p { "Try again in " (format_duration(after.max(Duration::from_secs(1)))) "." }
            }
            @if let Some(home) = fault.home {
                p.doors { a.button.main href=(home) { "Gateway overview" } }
            }

            // For a report: the id finds the request in the gateway's log.
            dl.facts {
                div { dt { "Caused by" } dd { (format_blame(code.blame)) } }
                div { dt { "Code" } dd { code { (code.text) } } }
                div { dt { "Request" } dd { code { (fault.request_id) } } }
            }
        }
    };
    render_page(&with_capital(code.title), fault.home, &content)
}

const fn format_blame(blame: Blame) -> &'static str {
    match blame {
        Blame::Aws => "AWS, or the AWS credentials",
        Blame::Caller => "the request",
        Blame::Gateway => "the gateway, or its configuration",
        Blame::Upstream => "the environment's web server, or the connection to it",
    }
}

/// Renders the question for a navigation from another site that asks for the hand-over to AWS.
///
/// Without a click on this page no one is handed over, because a link on any page could ask for
/// it. The form is sent to the environment's own origin.
pub fn render_handover(environment: &str) -> Bytes {
    let content = html! {
        div.sheet {
            p.eyebrow { "Leaving the gateway" }
            h1 { "Open " (environment) " on AWS" }
            p {
                "You followed a link, on the gateway's overview or on another page. It opens \
                 the "
                "environment's real address in this browser, signed in as the gateway's identity."
            }
            p { "If you want that, continue. If not, close this page: nothing has happened." }

            // A POST is no navigation that a mere link can cause.
            form.doors method="post" action="/aws_mwaa/aws-console-sso?handover=1" {
                button.button.main type="submit" { "Open " (environment) " on AWS" }
                a.button href="/" { "Stay on the gateway" }
            }
        }
    };
    render_page(&format!("Open {environment} on AWS"), Some("/-/"), &content)
}

/// Renders the page after a logout.
pub fn render_signed_out(environment: &str) -> Bytes {
    let content = html! {
        div.sheet {
            p.eyebrow { "Signed out" }
            h1 { "You are signed out of " (environment) }
            p { "The gateway has dropped its session. It logs in again at your next visit." }
            p.doors {
                a.button.main href="/" { "Sign in again" }
                a.button href="/-/" { "Gateway overview" }
            }
        }
    };
    render_page("Signed out", Some("/-/"), &content)
}

/// Renders the page at which the URL of MWAA's console ends: its script logs in with the local web
/// token in the URL's fragment, which no browser sends.
pub fn render_console_login() -> Bytes {
    let content = html! {
        div.sheet {
            p.eyebrow { "Signing in" }
            div #waiting {
                h1 { "Opening Airflow" }
                noscript { p { "This page needs JavaScript: only a script can read the token in the URL." } }
            }

            // The script shows this if the gateway does not take the token.
            div #refused hidden {
                h2 { "The token is not valid here" }
                p {
                    "A token of this gateway is valid for 60 s, and only at the address that issued it. "
                    "Request a new one, or open an environment without a token."
                }
            }
            p.doors { a.button.main href="/-/" { "Gateway overview" } }
            script src="/-/login.js" defer {}
        }
    };
    render_page("Signing in", Some("/-/"), &content)
}
