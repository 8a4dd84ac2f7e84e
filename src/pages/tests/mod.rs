//! The content of the pages, as snapshots.

mod promises;

use super::*;
use bytes::Bytes;
use mwaa_model::{AirflowVersion, BrowserMode, Policy, code};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Returns the page with one tag a line, so that a change can be read.
fn lines(page: &Bytes) -> String {
    text(page).replace("><", ">\n<")
}

fn text(page: &Bytes) -> String {
    String::from_utf8(page.to_vec()).unwrap()
}

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn card(local: &str) -> EnvironmentCard {
    EnvironmentCard {
        local: local.to_owned(),
        name: format!("analytics-{local}"),
        airflow: Some(AirflowVersion::new(3, 0, 6)),
        region: Some("eu-west-1".to_owned()),
        profile: None,
        role: None,
        is_default: false,
        status: None,
        notes: Vec::new(),
        not_ready: None,
        identity: None,
        token: TokenState::None,
        session: None,
        queue: QueueState::default(),
        browser: BrowserMode::Proxy,
        policy: Policy::Supported,
        listener_rules: None,
        allows_handover: true,
        url: format!("http://{local}.localhost:8080"),
        base: format!("http://{local}.localhost:8080"),
        unresolved_name: None,
    }
}

fn full(local: &str) -> EnvironmentCard {
    EnvironmentCard {
        airflow: Some(AirflowVersion::new(2, 10, 3)),
        profile: Some("data".to_owned()),
        role: Some("arn:aws:iam::123456789012:role/airflow".to_owned()),
        is_default: true,
        status: Some(Status {
            word: "UPDATING".to_owned(),
            meaning: Some("AWS is updating it; the web server may go away.".to_owned()),
        }),
        not_ready: Some(NotReadyReason {
            code: Some("aws.denied"),
            detail: "no".to_owned(),
            hint: Some("ask for it".to_owned()),
        }),
        identity: Some(Identity {
            iam: Some("assumed-role/airflow/me".to_owned()),
            airflow: Some("assumed-role/airflow (Op)".to_owned()),
        }),
        token: TokenState::Failing {
            reason: "aws.denied: no".to_owned(),
        },
        session: Some(SessionState::Ready {
            age: s(120),
            left: Some(s(42_900)),
        }),
        queue: QueueState {
            running: vec![RunningCommand {
                name: "dags trigger",
                age: Duration::from_secs(75),
                request_id: "8d0c3f6a1b2e4f70".to_owned(),
                client_left: true,
            }],
            waiting: 3,
            longest_wait: Some(Duration::from_secs(12)),
        },
        browser: BrowserMode::Redirect,
        policy: Policy::ReadOnly,
        listener_rules: Some("policy read-only, deny 1".to_owned()),
        allows_handover: false,
        base: "http://127.0.0.1:8081".to_owned(),
        ..card(local)
    }
}

fn row() -> RefusedRequestInfo {
    RefusedRequestInfo {
        age: s(12),
        code: "guard.foreign_origin",
        environment: None,
        method: "POST".to_owned(),
        path: "/aws_mwaa/cli".to_owned(),
        detail: "the CLI route is closed to browsers".to_owned(),
        request_id: "0123456789abcdef-7".to_owned(),
    }
}

/// An hour with one busy minute, and one before it.
fn hour() -> Vec<ActivityMinute> {
    let mut minutes = vec![ActivityMinute::default(); 60];
    minutes[40].requests = 200;
    minutes[57] = ActivityMinute {
        requests: 3,
        faults: 1,
        waiting: 2,
        mints: 1,
    };
    minutes
}

fn two() -> Overview {
    Overview {
        version: "1.2.3",
        addresses: vec![
            Address {
                url: "http://127.0.0.1:8080".to_owned(),
                about: None,
            },
            Address {
                url: "unix:/run/agents.sock".to_owned(),
                about: Some("only prod, policy read-only".to_owned()),
            },
        ],
        cards: vec![full("prod"), card("lab")],
        discovery: None,
        configuration: None,
        refusals: vec![row()],
        fleet: None,
        scoped: false,
        activity: hour(),
        events: "/-/events?ticket=x".to_owned(),
    }
}

fn fault_page<'a>(detail: &'a str, links: &'a [String]) -> FaultPage<'a> {
    FaultPage {
        code: &code::UNKNOWN_ENVIRONMENT,
        detail,
        hint: "use one of these",
        request_id: "0123456789abcdef-7",
        retry_after: Some(s(5)),
        links,
        home: Some("http://localhost:8080/-/"),
    }
}

#[test]
fn the_overview() {
    insta::assert_snapshot!("overview", lines(&render_overview(&two())));
}

#[test]
fn a_name_that_the_machine_does_not_resolve() {
    let shown = |own_listener: Option<&str>| {
        let unknown = UnresolvedName {
            name: "lab.localhost".to_owned(),
            address: Ipv4Addr::LOCALHOST.into(),
            own_listener: own_listener.map(str::to_owned),
        };
        let cards = vec![EnvironmentCard {
            unresolved_name: Some(unknown),
            ..card("lab")
        }];
        lines(&render_overview(&Overview { cards, ..two() }))
    };
    let line = "<code>127.0.0.1 lab.localhost</code>";
    let without = shown(None);
    assert!(without.contains(line), "{without}");
    assert!(without.contains("<code>environments.lab.listen</code>"));
    let with = shown(Some("http://127.0.0.1:8081"));
    assert!(with.contains(line) && with.contains("<code>http://127.0.0.1:8081</code>"));
    assert!(!with.contains("environments.lab.listen"));
}

#[test]
fn one_environment_on_its_own_host() {
    let shown = Overview {
        cards: vec![EnvironmentCard {
            airflow: None,
            token: TokenState::Ready { age: s(3) },
            session: Some(SessionState::LoggingIn),
            ..card("lab")
        }],
        refusals: Vec::new(),
        scoped: true,
        ..two()
    };
    insta::assert_snapshot!("scoped", lines(&render_overview(&shown)));
}

#[test]
fn no_environment_yet() {
    let shown = Overview {
        cards: Vec::new(),
        configuration: None,
        discovery: Some("aws.credentials: there are none; sign in".to_owned()),
        refusals: Vec::new(),
        ..two()
    };
    insta::assert_snapshot!("empty", lines(&render_overview(&shown)));
}

#[test]
fn a_fleet() {
    let fleet = FleetInfo {
        me: "0a1b2c".to_owned(),
        replicas: vec!["0a1b2c".to_owned(), "3d4e5f".to_owned()],
        trouble: Some("the store did not respond in time".to_owned()),
        slots: vec![
            SharedSlots {
                environment: "prod".to_owned(),
                held_by: vec!["3d4e5f".to_owned(), "3d4e5f".to_owned()],
                is_alone: false,
            },
            SharedSlots {
                environment: "lab".to_owned(),
                held_by: Vec::new(),
                is_alone: true,
            },
        ],
        shared: 12,
        calls: 300,
        errors: 1,
        mean: Some(Duration::from_micros(740)),
    };
    let overview = Overview {
        fleet: Some(fleet),
        ..two()
    };
    let parts = render_live_parts(&overview);
    for part in &parts {
        let name = format!("\"{}\"", part.id);
        assert!(LIVE_SCRIPT.text.contains(&name), "{name}");
    }
    let part = parts.iter().find(|part| part.id == "fleet").unwrap();
    assert!(text(&render_overview(&overview)).contains(&part.html));
    insta::assert_snapshot!("fleet", part.html.replace("><", ">\n<"));
}

#[test]
fn a_fault() {
    let links = ["http://prod.localhost:8080".to_owned()];
    let page = render_fault(&fault_page("there is no environment \"x\"", &links));
    insta::assert_snapshot!("fault", lines(&page));
}

#[test]
fn signing_in_and_out() {
    insta::assert_snapshot!("handover", lines(&render_handover("prod")));
    insta::assert_snapshot!("console-login", lines(&render_console_login()));
    insta::assert_snapshot!("signed-out", lines(&render_signed_out("prod")));
}
