//! A fault as a page: what happened, whose doing it is, what to do next.

use super::layout::page;
use super::time::span;
use crate::names::{Blame, Code};
use bytes::Bytes;
use maud::{Markup, html};
use std::time::Duration;

/// What a fault's page says.
#[derive(Debug, Clone)]
pub struct FaultPage<'a> {
    /// The fault's code.
    pub code: &'static Code,
    /// What happened.
    pub detail: &'a str,
    /// What to do.
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
            p.eyebrow { (code.status.as_u16()) " · " (whose(code.blame)) }
            h1 { (sentence(code.title)) }
            h2 { "What happened" }
            p { (sentence(fault.detail)) }
            h2 { "What to do" }
            p { (sentence(fault.hint)) }
            @if let Some(after) = fault.retry_after {
                p { "It makes sense to ask again in " (span(after.max(Duration::from_secs(1)))) "." }
            }
            @if !fault.links.is_empty() { (links(fault.links)) }
            @if let Some(home) = fault.home {
                p.doors { a.button.main href=(home) { "Gateway overview" } }
            }
            dl.facts {
                div { dt { "Code" } dd { code { (code.text) } } }
                div { dt { "Request" } dd { code { (fault.request_id) } } }
            }
        }
    };
    page(code.title, fault.home, &content)
}

fn links(urls: &[String]) -> Markup {
    html! {
        h2 { "Environments that the gateway knows" }
        ul.links { @for url in urls { li { a href={ (url) "/" } { (url) } } } }
    }
}

/// Whose doing it is.
const fn whose(blame: Blame) -> &'static str {
    match blame {
        Blame::Aws => "AWS, or the credentials given for it",
        Blame::Caller => "the request",
        Blame::Gateway => "the gateway",
        Blame::Upstream => "the environment's web server",
    }
}

/// Faults are told in lower case and without a period, as log lines are. A first word that is a
/// name (`aws.region`, `<dag>`) stays as it is.
fn sentence(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    let is_word = first
        .trim_end_matches([',', ';', ':'])
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b == b'\'');
    let mut letters = text.chars();
    let mut sentence: String = match letters.next() {
        Some(first) if is_word => first.to_uppercase().chain(letters).collect(),
        Some(_) => text.to_owned(),
        None => return String::new(),
    };
    if !sentence.ends_with(['.', '!', '?', ':']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_become_sentences() {
        for (text, told) in [
            ("no slot became free", "No slot became free."),
            ("don't, and look", "Don't, and look."),
            ("aws.region is not set", "aws.region is not set."),
            ("Ask again!", "Ask again!"),
            ("é", "é."),
            ("", ""),
        ] {
            assert_eq!(sentence(text), told);
        }
    }
}
