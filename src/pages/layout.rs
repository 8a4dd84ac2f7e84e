//! The parts that all pages have in common: the head, the bar at the top, the place for the
//! content, and the files that a page refers to.

use bytes::Bytes;
use maud::{DOCTYPE, Markup, html};

/// A file that pages refer to. It is compiled into the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticFile {
    /// The media type, for `Content-Type`.
    pub media: &'static str,
    /// The content.
    pub text: &'static str,
}

/// The style sheet, at `/-/style.css`.
pub const STYLE_SHEET: StaticFile = StaticFile {
    media: "text/css; charset=utf-8",
    text: include_str!("assets/style.css"),
};

/// The icon, at `/-/icon.svg`.
pub const ICON: StaticFile = StaticFile {
    media: "image/svg+xml",
    text: include_str!("assets/icon.svg"),
};

/// The script of the copy buttons, at `/-/copy.js`. The pages work without it.
pub const COPY_SCRIPT: StaticFile = StaticFile {
    media: "text/javascript; charset=utf-8",
    text: include_str!("assets/copy.js"),
};

/// The script that keeps the overview current, at `/-/live.js`. The page works without it.
pub const LIVE_SCRIPT: StaticFile = StaticFile {
    media: "text/javascript; charset=utf-8",
    text: include_str!("assets/live.js"),
};

/// The script of the login with a web token, at `/-/login.js`.
pub const LOGIN_SCRIPT: StaticFile = StaticFile {
    media: "text/javascript; charset=utf-8",
    text: include_str!("assets/login.js"),
};

/// Renders a page around its content. `home` is the address of the overview, if it can be reached
/// from the host of the page.
pub(super) fn render_page(title: &str, home: Option<&str>, content: &Markup) -> Bytes {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            // Every address is a path of the gateway: a page must not ask any other host.
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Before the style sheet has loaded, so that a dark page does not flash white.
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
                        Some(home) => a.brand href=(home) { (render_brand()) },
                        None => span.brand { (render_brand()) },
                    }
                }
                main #content tabindex="-1" { (content) }
                // The script writes here what screen readers are to announce.
                p #said .unseen role="status" {}
            }
        }
    };
    Bytes::from(page.into_string())
}

/// Renders the logo and the name.
fn render_brand() -> Markup {
    html! {
        // Drawn in the page, with a size of its own: under a host name that the gateway does not
        // serve, a page gets neither the icon nor the style sheet.
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
