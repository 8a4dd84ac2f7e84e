//! Pages about signing in and out: the hand-over's button, and the end of a session.

use super::layout::page;
use bytes::Bytes;
use maud::html;

/// The page for a navigation from another site that asks for the hand-over to AWS: nobody is
/// handed over without a click of their own. The form goes to the environment's own origin.
pub fn handover(environment: &str) -> Bytes {
    let content = html! {
        div.sheet {
            p.eyebrow { "Leaving the gateway" }
            h1 { "Open " (environment) " on AWS" }
            p {
                "A link led here, on the gateway's overview or on any other page. It asks to open the "
                "environment's real address in this browser, signed in as the gateway's identity."
            }
            p { "If you meant to do that, go on. If not, close this page: nothing has happened." }
            form.doors method="post" action="/aws_mwaa/aws-console-sso?handover=1" {
                button.button.main type="submit" { "Open " (environment) " on AWS" }
                a.button href="/" { "Stay on the gateway" }
            }
        }
    };
    page(&format!("Open {environment} on AWS"), Some("/-/"), &content)
}

/// The page after a logout.
pub fn signed_out(environment: &str) -> Bytes {
    let content = html! {
        div.sheet {
            p.eyebrow { "Signed out" }
            h1 { "You are signed out of " (environment) }
            p { "The gateway has dropped its session. It signs in again at your next visit." }
            p.doors {
                a.button.main href="/" { "Sign in again" }
                a.button href="/-/" { "Gateway overview" }
            }
        }
    };
    page("Signed out", Some("/-/"), &content)
}
