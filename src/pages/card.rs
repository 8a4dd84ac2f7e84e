//! One environment on the overview: what it is, how it is, and the ways in.

use super::queue::{QueueState, commands};
use super::recipes::recipes;
use super::words::{ago, sentence, span};
use crate::names::{AirflowVersion, Browser, Policy};
use maud::{Markup, html};
use std::net::IpAddr;
use std::time::Duration;

/// One environment.
#[derive(Debug, Clone)]
pub struct Card {
    /// The local name.
    pub local: String,
    /// MWAA's name.
    pub name: String,
    /// Its Airflow, once known.
    pub airflow: Option<AirflowVersion>,
    /// Its region, where one is configured or found.
    pub region: Option<String>,
    /// The AWS profile that reaches it.
    pub profile: Option<String>,
    /// The role that is assumed for it.
    pub role: Option<String>,
    /// Whether it serves requests that name none.
    pub is_default: bool,
    /// What AWS says of it, once known.
    pub status: Option<Status>,
    /// Why it could not serve a request now.
    pub trouble: Option<Trouble>,
    /// Who we are to it, once known.
    pub identity: Option<Identity>,
    /// The CLI token.
    pub token: TokenState,
    /// The session of UI and REST API, once there is something to tell.
    pub session: Option<SessionState>,
    /// The commands that run and wait.
    pub queue: QueueState,
    /// What browsers get.
    pub browser: Browser,
    /// The policy of the environment.
    pub policy: Policy,
    /// What the listener in use lets pass of it, if that may be less.
    pub listener_rules: Option<String>,
    /// Whether a browser may be handed over to the environment's own host.
    pub may_leave: bool,
    /// Where a browser reaches it: an origin, without a slash at the end.
    pub url: String,
    /// Where tools reach it: likewise.
    pub base: String,
    /// Its name, where this machine's resolver does not find it.
    pub unknown_name: Option<UnknownName>,
}

/// A name that Chrome, Firefox and curl find by themselves, and other programs do not.
#[derive(Debug, Clone)]
pub struct UnknownName {
    /// `NAME.localhost`.
    pub name: String,
    /// Where it should lead.
    pub address: IpAddr,
    /// The environment's own listener, which needs no name.
    pub own_listener: Option<String>,
}

/// Why an environment could not serve a request now.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The fault's code; `None` while it is only not ready yet.
    pub code: Option<&'static str>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// An environment's status as `GetEnvironment` tells it.
#[derive(Debug, Clone)]
pub struct Status {
    /// AWS's word, for example `AVAILABLE`.
    pub word: String,
    /// What that means for the people here, where it is not `AVAILABLE`.
    pub meaning: Option<String>,
}

/// Who we are.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// To AWS.
    pub iam: Option<String>,
    /// To Airflow.
    pub airflow: Option<String>,
}

/// What is known of a CLI token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    /// There is none: nobody asked, and an idle gateway asks AWS nothing.
    None,
    /// One serves.
    Live {
        /// The time since it was asked for.
        age: Duration,
    },
    /// One is being made.
    Minting,
    /// AWS gives none.
    Failing {
        /// Why, for people.
        why: String,
    },
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionState {
    /// There is none: nobody asked.
    None,
    /// One serves.
    Live {
        /// The time since the login.
        age: Duration,
        /// The time until it ends, where that is known.
        left: Option<Duration>,
    },
    /// A login is under way.
    SigningIn,
    /// No login works.
    Failing {
        /// Why, for people.
        why: String,
    },
}

/// How something is, as a colour and never as a colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Good,
    Idle,
    Warn,
    Bad,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "badge good",
            Self::Idle => "badge idle",
            Self::Warn => "badge warn",
            Self::Bad => "badge bad",
        }
    }
}

/// The card, as one article of the overview.
pub(super) fn card(card: &Card) -> Markup {
    let title = format!("environment-{}", card.local);
    html! {
        article.card aria-labelledby=(title) {
            div.top {
                h2 id=(title) { (card.local) }
                div.badges {
                    (health(card))
                    @if let Some(status) = &card.status {
                        (badge(status_tone(&status.word), &status.word))
                    }
                    @if card.is_default { (badge(Tone::Idle, "default")) }
                }
            }
            @if let Some(meaning) = card.status.as_ref().and_then(|status| status.meaning.as_ref()) {
                p.note { (meaning) }
            }
            @if let Some(trouble) = &card.trouble { (why(trouble)) }
            @if let Some(unknown) = &card.unknown_name { (elsewhere(card, unknown)) }
            p.doors {
                a.button.main href={ (card.url) "/" } { "Open Airflow" }
                @if card.may_leave {
                    a.button href={ (card.url) "/aws_mwaa/aws-console-sso?handover=1" } {
                        "Open on AWS"
                    }
                }
            }
            (facts(card))
            (recipes(card))
        }
    }
}

fn facts(card: &Card) -> Markup {
    let identity = card.identity.clone().unwrap_or_default();
    html! {
        dl.facts {
            (fact("Address", &html! { code { (card.url) } }))
            (fact("On MWAA", &html! {
                (card.name) @if let Some(region) = &card.region { " in " (region) }
            }))
            (fact("Airflow", &html! {
                @match card.airflow {
                    Some(version) => (version),
                    None => span.dim { "not known yet" },
                }
            }))
            @if let Some(profile) = &card.profile { (fact("AWS profile", &html! { (profile) })) }
            @if let Some(role) = &card.role { (fact("Role", &html! { code { (role) } })) }
            @if let Some(iam) = &identity.iam { (fact("To AWS we are", &html! { code { (iam) } })) }
            @if let Some(airflow) = &identity.airflow { (fact("To Airflow", &html! { (airflow) })) }
            (fact("CLI token", &token(&card.token)))
            @if let Some(state) = &card.session { (fact("Session", &session(state))) }
            (fact("Commands", &commands(&card.queue)))
            (fact("Policy", &html! {
                (policy(card.policy))
                @if let Some(rules) = &card.listener_rules { "; at this address: " (rules) }
            }))
            (fact("Browsers get", &html! {
                @match card.browser {
                    Browser::Proxy => "the UI through the gateway",
                    Browser::Redirect => "sent on to AWS, signed in",
                }
            }))
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn badge(tone: Tone, word: &str) -> Markup {
    html! { span class=(tone.class()) { (word) } }
}

fn health(card: &Card) -> Markup {
    match &card.trouble {
        None => badge(Tone::Good, "ready"),
        Some(Trouble { code: None, .. }) => badge(Tone::Warn, "not ready yet"),
        Some(Trouble { code: Some(_), .. }) => badge(Tone::Bad, "not ready"),
    }
}

fn why(trouble: &Trouble) -> Markup {
    html! {
        div.note.bad[trouble.code.is_some()] {
            @if let Some(code) = trouble.code { p { code { (code) } } }
            p { (sentence(&trouble.what)) }
            @if let Some(hint) = &trouble.hint { p { (sentence(hint)) } }
        }
    }
}

fn elsewhere(card: &Card, unknown: &UnknownName) -> Markup {
    html! {
        p.note {
            "This machine does not resolve " code { (unknown.name) } ". Chrome, Firefox and curl find it by "
            "themselves. For Safari and other programs "
            @match &unknown.own_listener {
                Some(url) => { "use " code { (url) } },
                None => {
                    "give it a listener of its own (" code { "environments." (card.local) ".listen" } ")"
                }
            }
            ", or add this line to " code { "/etc/hosts" } ": " code { (unknown.address) " " (unknown.name) }
        }
    }
}

fn status_tone(word: &str) -> Tone {
    match word {
        "AVAILABLE" => Tone::Good,
        "CREATE_FAILED" | "DELETED" | "DELETING" | "UNAVAILABLE" | "UPDATE_FAILED" => Tone::Bad,
        _ => Tone::Warn,
    }
}

fn token(state: &TokenState) -> Markup {
    html! {
        @match state {
            TokenState::None => { (badge(Tone::Idle, "none")) " made when it is needed" }
            TokenState::Live { age } => { (badge(Tone::Good, "live")) " asked for " (ago(*age)) }
            TokenState::Minting => { (badge(Tone::Warn, "minting")) " AWS is being asked" }
            TokenState::Failing { why } => { (badge(Tone::Bad, "failing")) " " (why) }
        }
    }
}

fn session(state: &SessionState) -> Markup {
    html! {
        @match state {
            SessionState::None => { (badge(Tone::Idle, "none")) " signed in at the next visit" }
            SessionState::Live { age, left } => {
                (badge(Tone::Good, "live")) " signed in " (ago(*age))
                @if let Some(left) = left { ", " (span(*left)) " left" }
            }
            SessionState::SigningIn => { (badge(Tone::Warn, "signing in")) }
            SessionState::Failing { why } => { (badge(Tone::Bad, "failing")) " " (why) }
        }
    }
}

const fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::All => "all: the web server decides",
        Policy::Operator => "operator: reads, runs and pauses",
        Policy::ReadOnly => "read-only: no changes, no secrets",
        Policy::Supported => "supported: all that MWAA runs",
    }
}
