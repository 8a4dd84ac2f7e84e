//! What all pages have in common: the head, the bar at the top, the place for the content.

use bytes::Bytes;
use maud::{DOCTYPE, Markup, html};

/// A page around its content. `home` is the address of the overview, if it can be reached from
/// where the page will stand.
pub(super) fn page(title: &str, home: Option<&str>, content: &Markup) -> Bytes {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · MWAA gateway" }
                link rel="icon" type="image/svg+xml" href="/-/icon.svg";
                link rel="stylesheet" href="/-/style.css";
                script src="/-/copy.js" defer {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.bar {
                    @match home {
                        Some(home) => a.brand href=(home) { (brand()) },
                        None => span.brand { (brand()) },
                    }
                }
                main #content tabindex="-1" { (content) }
                p #said .unseen role="status" {}
            }
        }
    };
    Bytes::from(page.into_string())
}

/// The sign and the name. Drawn in the page, with a size of its own: a page on a host that is
/// not ours gets neither the icon nor the style sheet.
fn brand() -> Markup {
    html! {
        svg width="28" height="28" viewBox="0 0 32 32" aria-hidden="true" focusable="false" {
            rect width="32" height="32" rx="8" fill="#0b5cad" {}
            path d="M8 24.5V15a8 8 0 0 1 16 0v9.5" fill="none" stroke="#fff" stroke-width="3"
                stroke-linecap="round" {}
            path d="M11.5 20h8m-3-3.2 3.2 3.2-3.2 3.2" fill="none" stroke="#fff"
                stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" {}
        }
        span { "MWAA gateway" }
    }
}
