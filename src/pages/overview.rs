//! The overview: every environment with its state and the ways in, then the last refusals.

use super::card::{Card, card};
use super::layout::page;
use super::refusals::{RefusalRow, refusals};
use super::words::sentence;
use bytes::Bytes;
use maud::{Markup, html};

/// What the overview shows.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// The gateway's version.
    pub version: &'static str,
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// The environments.
    pub cards: Vec<Card>,
    /// Why there are none, or not all, for people.
    pub discovery: Option<String>,
    /// The last refusals, newest first.
    pub refusals: Vec<RefusalRow>,
    /// Whether the page stands on the host of one environment and tells about no other.
    pub scoped: bool,
}

/// One address that the gateway listens on.
#[derive(Debug, Clone)]
pub struct Address {
    /// As a URL.
    pub url: String,
    /// What is special about it: the only environment that it serves, what it lets pass.
    pub about: Option<String>,
}

/// The page.
pub fn overview(shown: &Overview) -> Bytes {
    let title = match shown.cards.as_slice() {
        [only] if shown.scoped => only.local.as_str(),
        _ => "Environments",
    };
    let content = html! {
        div.head {
            h1 { (title) }
            p.dim {
                "mwaa-gateway " (shown.version)
                @for (index, address) in shown.addresses.iter().enumerate() {
                    @if index == 0 { " on " } @else { ", " }
                    code { (address.url) }
                    @if let Some(about) = &address.about { " (" (about) ")" }
                }
                " · " a href="/-/" { "refresh" }
            }
        }
        @if shown.cards.is_empty() {
            (nothing(shown.discovery.as_deref()))
        } @else {
            @if let Some(trouble) = &shown.discovery { p.note { (sentence(trouble)) } }
            div.cards { @for one in &shown.cards { (card(one)) } }
        }
        (refusals(&shown.refusals, shown.scoped))
    };
    page(title, Some("/-/"), &content)
}

fn nothing(trouble: Option<&str>) -> Markup {
    html! {
        section.empty {
            h2 { "No environments yet" }
            @if let Some(trouble) = trouble { p.note { (sentence(trouble)) } }
            p { "The gateway goes on asking AWS and shows here what it finds. If that stays empty:" }
            ol {
                li { "Run " code { "mwaa-gateway check" } ": it says who AWS thinks you are and what that identity may do." }
                li { "Sign in, if your profile needs it: " code { "aws sso login" } "." }
                li { "Look at the region and the profile: " code { "serve --region REGION --profile PROFILE" } ", or " code { "[aws]" } " in the configuration." }
                li { "Or name an environment yourself: " code { "serve --environment NAME" } "." }
            }
            p { a.button href="/-/" { "Look again" } }
        }
    }
}
