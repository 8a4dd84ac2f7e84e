//! A fault as a page: what happened, whose doing it is, what to do next.

use super::layout::page;
use super::words::{capital, sentence, span};
use crate::names::{Blame, Code};
use bytes::Bytes;
use maud::html;
use std::time::Duration;

/// What a fault's page says.
#[derive(Debug, Clone)]
pub struct FaultPage<'a> {
    /// The fault's code.
    pub code: &'static Code,
    /// What happened.
    pub detail: &'a str,
    /// What to do, where there are no links.
    pub hint: &'a str,
    /// The request's name.
    pub request_id: &'a str,
    /// When it makes sense to ask again.
    pub retry_after: Option<Duration>,
    /// Where the person may have wanted to go, as URLs.
    pub links: &'a [String],
    /// The address of the overview, if it can be reached from here.
    pub home: Option<&'a str>,
}

/// The page.
pub fn fault(fault: &FaultPage<'_>) -> Bytes {
    let code = fault.code;
    let content = html! {
        div.sheet {
            p.eyebrow { "Error " (code.status.as_u16()) }
            h1 { (capital(code.title)) }
            h2 { "What happened" }
            p { (sentence(fault.detail)) }
            h2 { "What to do" }
            @if fault.links.is_empty() {
                p { (sentence(fault.hint)) }
            } @else {
                p { "Open one of the environments that the gateway knows:" }
                ul.links { @for url in fault.links { li { a href={ (url) "/" } { (url) } } } }
            }
            @if let Some(after) = fault.retry_after {
                p { "It makes sense to ask again in " (span(after.max(Duration::from_secs(1)))) "." }
            }
            @if let Some(home) = fault.home {
                p.doors { a.button.main href=(home) { "Gateway overview" } }
            }
            dl.facts {
                div { dt { "Caused by" } dd { (whose(code.blame)) } }
                div { dt { "Code" } dd { code { (code.text) } } }
                div { dt { "Request" } dd { code { (fault.request_id) } } }
            }
        }
    };
    page(&capital(code.title), fault.home, &content)
}

/// Whose doing it is.
const fn whose(blame: Blame) -> &'static str {
    match blame {
        Blame::Aws => "AWS, or the credentials given for it",
        Blame::Caller => "the request",
        Blame::Gateway => "the gateway, or its configuration",
        Blame::Upstream => "the environment's web server, or the way to it",
    }
}
