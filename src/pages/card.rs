//! The card of one environment on the overview: its state, its settings, its queue and the ways to
//! use it.

use super::format::{format_age, format_duration, format_sentence};
use maud::{Markup, html};
use mwaa_model::{AirflowVersion, BrowserMode, Policy};
use std::net::IpAddr;
use std::time::Duration;

/// One environment.
#[derive(Debug, Clone)]
pub struct EnvironmentCard {
    /// The local name.
    pub local: String,
    /// MWAA's name.
    pub name: String,
    /// The Airflow version, once known.
    pub airflow: Option<AirflowVersion>,
    /// The region, if one is configured or found.
    pub region: Option<String>,
    /// The AWS profile that is used for it.
    pub profile: Option<String>,
    /// The role that is assumed for it.
    pub role: Option<String>,
    /// True if it serves requests that name no environment.
    pub is_default: bool,
    /// Its status on AWS, once known.
    pub status: Option<Status>,
    /// Differences from most environments: its users' login, a version that the gateway does not know.
    pub notes: Vec<String>,
    /// The reason why it could not serve a request now.
    pub not_ready: Option<NotReadyReason>,
    /// The gateway's identity there, once known.
    pub identity: Option<Identity>,
    /// The CLI token.
    pub token: TokenState,
    /// The session of UI and REST API, if there is anything to say about it.
    pub session: Option<SessionState>,
    /// The commands that run and wait.
    pub queue: QueueState,
    /// The setting for browsers.
    pub browser: BrowserMode,
    /// The policy of the environment.
    pub policy: Policy,
    /// The rules of the listener that the page is served by, if they may allow less.
    pub listener_rules: Option<String>,
    /// True if a browser may be handed over to the environment's own host.
    pub allows_handover: bool,
    /// The origin at which a browser reaches it, without a slash at the end.
    pub url: String,
    /// The origin at which tools reach it, without a slash at the end.
    pub base: String,
    /// Its name, if this machine's resolver does not find it.
    pub unresolved_name: Option<UnresolvedName>,
}

/// A name that Chrome, Firefox and curl find by themselves, and other programs do not.
#[derive(Debug, Clone)]
pub struct UnresolvedName {
    /// `NAME.localhost`.
    pub name: String,
    /// The address that it should have.
    pub address: IpAddr,
    /// The environment's own listener, which needs no name.
    pub own_listener: Option<String>,
}

/// The reason why an environment could not serve a request now.
#[derive(Debug, Clone)]
pub struct NotReadyReason {
    /// The fault's code; `None` while the environment is only not ready yet.
    pub code: Option<&'static str>,
    /// A description.
    pub detail: String,
    /// Advice.
    pub hint: Option<String>,
}

/// An environment's status, from `GetEnvironment`.
#[derive(Debug, Clone)]
pub struct Status {
    /// AWS's word, for example `AVAILABLE`.
    pub word: String,
    /// Its meaning for the gateway's users, unless it is `AVAILABLE`.
    pub meaning: Option<String>,
}

/// The gateway's identity.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The IAM identity.
    pub iam: Option<String>,
    /// The Airflow user.
    pub airflow: Option<String>,
}

/// The state of an environment's CLI token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    /// There is none: no request needed one, and an idle gateway requests nothing of AWS.
    None,
    /// There is one.
    Ready {
        /// The time since it was requested.
        age: Duration,
    },
    /// AWS was asked for one.
    Minting,
    /// AWS returns none.
    Failing {
        /// The reason, for people.
        reason: String,
    },
}

/// The state of an environment's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionState {
    /// There is none: no request needed one.
    None,
    /// There is one.
    Ready {
        /// The time since the login.
        age: Duration,
        /// The time until it ends, if known.
        left: Option<Duration>,
    },
    /// A login has begun.
    LoggingIn,
    /// Logins fail.
    Failing {
        /// The reason, for people.
        reason: String,
    },
}

/// The state of an environment's queue.
#[derive(Debug, Clone, Default)]
pub struct QueueState {
    /// The commands that have a slot, oldest first.
    pub running: Vec<RunningCommand>,
    /// The number of commands that wait for one.
    pub waiting: usize,
    /// The longest time that one of these has waited.
    pub longest_wait: Option<Duration>,
}

/// A command that has a slot.
#[derive(Debug, Clone)]
pub struct RunningCommand {
    /// Its name without its arguments, which are never shown.
    pub name: &'static str,
    /// The time since it got its slot.
    pub age: Duration,
    /// The id of the request.
    pub request_id: String,
    /// True if its client has closed the connection.
    pub client_left: bool,
}

/// Renders the card as one article of the overview.
pub(super) fn render_card(card: &EnvironmentCard) -> Markup {
    // A local name is a DNS label, so it may be part of an id.
    let title = format!("environment-{}", card.local);
    html! {
        article.card aria-labelledby=(title) {
            div.top {
                h2 id=(title) { (card.local) }
                div.badges {
                    (render_readiness(card))
                    @if let Some(status) = &card.status {
                        (render_badge(BadgeStyle::from_status(&status.word), &status.word))
                    }
                    @if card.is_default { (render_badge(BadgeStyle::Idle, "default")) }
                }
            }

            // Problems first, before the buttons that they may keep from working.
            @if let Some(meaning) = card.status.as_ref().and_then(|status| status.meaning.as_ref()) {
                p.note { (meaning) }
            }
            @for note in &card.notes { p.note { (format_sentence(note)) } }
            @if let Some(reason) = &card.not_ready { (render_reason(reason)) }
            @if let Some(name) = &card.unresolved_name { (render_unresolved_name(card, name)) }

            p.doors {
                a.button.main href={ (card.url) "/" } { "Open Airflow" }
                @if card.allows_handover {
                    a.button href={ (card.url) "/aws_mwaa/aws-console-sso?handover=1" } {
                        "Open on AWS"
                    }
                }
            }
            (render_facts(card))
            (render_examples(card))
        }
    }
}

/// The style of a badge. Its text says the same, so no information is in the colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BadgeStyle {
    Good,
    Idle,
    Warn,
    Bad,
}

impl BadgeStyle {
    /// Returns the style for a status of `GetEnvironment`.
    fn from_status(word: &str) -> Self {
        match word {
            "AVAILABLE" => Self::Good,
            "CREATE_FAILED" | "DELETED" | "DELETING" | "UNAVAILABLE" | "UPDATE_FAILED" => {
                Self::Bad
            }
            // AWS is at work, or has added a status.
            _ => Self::Warn,
        }
    }

    const fn as_class(self) -> &'static str {
        match self {
            Self::Good => "badge good",
            Self::Idle => "badge idle",
            Self::Warn => "badge warn",
            Self::Bad => "badge bad",
        }
    }
}

fn render_badge(style: BadgeStyle, text: &str) -> Markup {
    html! { span class=(style.as_class()) { (text) } }
}

fn render_readiness(card: &EnvironmentCard) -> Markup {
    match &card.not_ready {
        None => render_badge(BadgeStyle::Good, "ready"),
        Some(NotReadyReason { code: None, .. }) => {
            render_badge(BadgeStyle::Warn, "not ready yet")
        }
        Some(NotReadyReason { code: Some(_), .. }) => {
            render_badge(BadgeStyle::Bad, "not ready")
        }
    }
}

fn render_reason(reason: &NotReadyReason) -> Markup {
    html! {
        // Without a code it is no error: the environment will be ready soon.
        div.note.bad[reason.code.is_some()] {
            @if let Some(code) = reason.code { p { code { (code) } } }
            p { (format_sentence(&reason.detail)) }
            @if let Some(hint) = &reason.hint { p { (format_sentence(hint)) } }
        }
    }
}

/// Renders the ways to reach an environment whose name this machine does not resolve.
fn render_unresolved_name(card: &EnvironmentCard, unresolved: &UnresolvedName) -> Markup {
    html! {
        p.note {
            "This machine does not resolve " code { (unresolved.name) } ". Chrome, Firefox and curl resolve it "
            "themselves. For Safari and other programs "
            @match &unresolved.own_listener {
                Some(url) => { "use " code { (url) } },
                None => {
                    "give it its own listener (" code { "environments." (card.local) ".listen" } ")"
                }
            }
            ", or add this line to " code { "/etc/hosts" } ": " code { (unresolved.address) " " (unresolved.name) }
        }
    }
}

fn render_facts(card: &EnvironmentCard) -> Markup {
    let identity = card.identity.clone().unwrap_or_default();
    html! {
        dl.facts {
            (render_fact("Address", &html! { code { (card.url) } }))
            (render_fact("Name in MWAA", &html! {
                (card.name) @if let Some(region) = &card.region { " in " (region) }
            }))
            (render_fact("Airflow", &html! {
                @match card.airflow {
                    Some(version) => (version),
                    None => span.dim { "not known yet" },
                }
            }))

            // The identity: the setting, then what AWS and Airflow made of it.
            @if let Some(profile) = &card.profile { (render_fact("AWS profile", &html! { (profile) })) }
            @if let Some(role) = &card.role { (render_fact("Role", &html! { code { (role) } })) }
            @if let Some(iam) = &identity.iam { (render_fact("AWS identity", &html! { code { (iam) } })) }
            @if let Some(airflow) = &identity.airflow { (render_fact("Airflow user", &html! { (airflow) })) }

            // The state that changes while the gateway runs.
            (render_fact("CLI token", &render_token(&card.token)))
            @if let Some(state) = &card.session { (render_fact("Session", &render_session(state))) }
            (render_fact("Commands", &render_queue(&card.queue)))

            (render_fact("Policy", &html! {
                (format_policy(card.policy))
                @if let Some(rules) = &card.listener_rules { "; at this address: " (rules) }
            }))
            (render_fact("Browsers get", &html! {
                @match card.browser {
                    BrowserMode::Proxy => "the UI through the gateway",
                    BrowserMode::Redirect => "a redirect to AWS, signed in",
                }
            }))
        }
    }
}

fn render_fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn render_token(state: &TokenState) -> Markup {
    html! {
        @match state {
            TokenState::None => { (render_badge(BadgeStyle::Idle, "none")) " minted when needed" }
            TokenState::Ready { age } => {
                (render_badge(BadgeStyle::Good, "live")) " minted " (format_age(*age))
            }
            TokenState::Minting => {
                (render_badge(BadgeStyle::Warn, "minting")) " waiting for AWS"
            }
            TokenState::Failing { reason } => {
                (render_badge(BadgeStyle::Bad, "failing")) " " (reason)
            }
        }
    }
}

fn render_session(state: &SessionState) -> Markup {
    html! {
        @match state {
            SessionState::None => {
                (render_badge(BadgeStyle::Idle, "none")) " logs in at the next request"
            }
            SessionState::Ready { age, left } => {
                (render_badge(BadgeStyle::Good, "live")) " logged in " (format_age(*age))
                @if let Some(left) = left { ", " (format_duration(*left)) " left" }
            }

            SessionState::LoggingIn => { (render_badge(BadgeStyle::Warn, "logging in")) }
            SessionState::Failing { reason } => {
                (render_badge(BadgeStyle::Bad, "failing")) " " (reason)
            }
        }
    }
}

fn render_queue(queue: &QueueState) -> Markup {
    html! {
        (queue.running.len()) " running, " (queue.waiting) " waiting"
        @if let Some(longest) = queue.longest_wait {
            " (the longest for " (format_duration(longest)) ")"
        }
        // The id finds the request in the gateway's log.
        @for run in &queue.running {
            br;
            code { (run.name) } " began " (format_age(run.age)) ", request " code { (run.request_id) }
            @if run.client_left { "; its client left" }
        }
    }
}

const fn format_policy(policy: Policy) -> &'static str {
    match policy {
        Policy::All => "all: the web server decides",
        Policy::Operator => "operator: reads, runs and pauses",
        Policy::ReadOnly => "read-only: no changes, no secrets",
        Policy::Supported => "supported: the commands that MWAA supports",
    }
}

/// Renders the lines to copy, for tools that use the environment. They are folded until needed.
fn render_examples(card: &EnvironmentCard) -> Markup {
    html! {
        details.recipes {
            summary { "Use it from a script" }
            @for example in &create_examples(card) {
                div.recipe {
                    div.over {
                        h3 { (example.title) }
                        // Not shown unless the script can copy.
                        button type="button" data-copy=(example.id)
                            aria-label={ "Copy: " (example.title) ", " (card.local) } { "Copy" }
                    }
                    pre tabindex="0" { code id=(example.id) { (example.text) } }
                }
            }
        }
    }
}

/// Lines of code to copy.
struct CodeExample {
    id: String,
    title: &'static str,
    text: String,
}

/// Returns the examples for an environment's Airflow version.
fn create_examples(card: &EnvironmentCard) -> Vec<CodeExample> {
    let base = &card.base;
    // Airflow 2 has `/api/v1`, Airflow 3 `/api/v2`. Airflow 1 has no REST API on MWAA.
    let (command, api) = match card.airflow.map(|version| version.major) {
        Some(1) => ("list_dags", None),
        Some(2) => ("dags list", Some("/api/v1")),
        Some(_) => ("dags list", Some("/api/v2")),
        None => ("version", None),
    };
    let example = |tag: &str, title, text| CodeExample {
        id: format!("recipe-{}-{tag}", card.local),
        title,
        text,
    };

    // The CLI route accepts `text/plain` only. With this `Accept` the output is plain text too.
    let cli = format!(
        "curl -sS {base}/aws_mwaa/cli \\\n  -H 'Content-Type: text/plain' -H 'Accept: text/plain' \\\n  \
         -d '{command}'"
    );
    let mut python = format!(
        "import requests\n\nplain = {{\"Content-Type\": \"text/plain\", \"Accept\": \"text/plain\"}}\n\
         cli = \"{base}/aws_mwaa/cli\"\n\
         print(requests.post(cli, headers=plain, data=\"{command}\").text)"
    );
    let mut examples = vec![example("cli", "An Airflow command, with curl", cli)];

    // The second call shows that one script may use both.
    if let Some(api) = api {
        let rest = format!("curl -sS '{base}{api}/dags?limit=10'");
        examples.push(example("rest", "The REST API, with curl", rest));
        let call = format!(
            "\n\ndags = \"{base}{api}/dags\"\nprint(requests.get(dags, params={{\"limit\": 10}}).json())"
        );
        python.push_str(&call);
    }
    examples.push(example("python", "The same in Python", python));
    examples
}
