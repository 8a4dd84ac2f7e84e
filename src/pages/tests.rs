//! What the pages say, that nothing breaks out of its place, and that they ask nobody else.

use super::*;
use crate::names::{AirflowVersion, Browser, Policy, code};
use bytes::Bytes;
use std::time::Duration;

/// One tag a line, so that a change can be read.
fn lines(page: &Bytes) -> String {
    text(page).replace("><", ">\n<")
}

fn text(page: &Bytes) -> String {
    String::from_utf8(page.to_vec()).unwrap()
}

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn card(local: &str) -> Card {
    Card {
        local: local.to_owned(),
        name: format!("analytics-{local}"),
        airflow: Some(AirflowVersion::new(3, 0, 6)),
        region: Some("eu-west-1".to_owned()),
        profile: None,
        role: None,
        is_default: false,
        status: None,
        trouble: None,
        identity: None,
        token: TokenState::None,
        session: None,
        running: 0,
        waiting: 0,
        browser: Browser::Proxy,
        policy: Policy::Supported,
        url: format!("http://{local}.localhost:8080"),
        base: format!("http://{local}.localhost:8080"),
    }
}

fn full(local: &str) -> Card {
    Card {
        airflow: Some(AirflowVersion::new(2, 10, 3)),
        profile: Some("data".to_owned()),
        role: Some("arn:aws:iam::123456789012:role/airflow".to_owned()),
        is_default: true,
        status: Some(Status {
            word: "UPDATING".to_owned(),
            meaning: Some("AWS is updating it; the web server may go away.".to_owned()),
        }),
        trouble: Some("aws.denied: no".to_owned()),
        identity: Some(Identity {
            iam: Some("assumed-role/airflow/me".to_owned()),
            airflow: Some("assumed-role/airflow (Op)".to_owned()),
        }),
        token: TokenState::Failing {
            why: "aws.denied: no".to_owned(),
        },
        session: Some(SessionState::Live {
            age: s(120),
            left: Some(s(42_900)),
        }),
        running: 1,
        waiting: 3,
        browser: Browser::Redirect,
        policy: Policy::ReadOnly,
        base: "http://127.0.0.1:8081".to_owned(),
        ..card(local)
    }
}

fn row() -> RefusalRow {
    RefusalRow {
        age: s(12),
        code: "guard.foreign_origin",
        environment: None,
        method: "POST".to_owned(),
        path: "/aws_mwaa/cli".to_owned(),
        detail: "the CLI route is closed to browsers".to_owned(),
        request_id: "0123456789abcdef-7".to_owned(),
    }
}

fn two() -> Overview {
    Overview {
        version: "1.2.3",
        addresses: vec!["http://127.0.0.1:8080".to_owned()],
        cards: vec![full("prod"), card("lab")],
        discovery: None,
        refusals: vec![row()],
        scoped: false,
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
    insta::assert_snapshot!("overview", lines(&overview(&two())));
}

#[test]
fn one_environment_on_its_own_host() {
    let shown = Overview {
        cards: vec![Card {
            airflow: None,
            token: TokenState::Live { age: s(3) },
            session: Some(SessionState::SigningIn),
            ..card("lab")
        }],
        refusals: Vec::new(),
        scoped: true,
        ..two()
    };
    insta::assert_snapshot!("scoped", lines(&overview(&shown)));
}

#[test]
fn no_environment_yet() {
    let shown = Overview {
        cards: Vec::new(),
        discovery: Some("aws.credentials: there are none; sign in".to_owned()),
        refusals: Vec::new(),
        ..two()
    };
    insta::assert_snapshot!("empty", lines(&overview(&shown)));
}

#[test]
fn a_fault() {
    let links = ["http://prod.localhost:8080".to_owned()];
    let page = fault(&fault_page("there is no environment \"x\"", &links));
    insta::assert_snapshot!("fault", lines(&page));
}

#[test]
fn signing_in_and_out() {
    insta::assert_snapshot!("handover", lines(&handover("prod")));
    insta::assert_snapshot!("signed-out", lines(&signed_out("prod")));
}

/// Airflow 1 and 3 and an unknown version are asked in their own ways.
#[test]
fn recipes_speak_the_environment_s_dialect() {
    for (version, has, lacks) in [
        (None, "-d 'version'", "/api/"),
        (
            Some(AirflowVersion::new(1, 10, 12)),
            "-d 'list_dags'",
            "/api/",
        ),
        (
            Some(AirflowVersion::new(2, 10, 5)),
            ":8080/api/v1/dags?limit=10",
            "/api/v2",
        ),
        (
            Some(AirflowVersion::new(3, 3, 2)),
            ":8080/api/v2/dags?limit=10",
            "/api/v1",
        ),
    ] {
        let cards = vec![Card {
            airflow: version,
            ..card("lab")
        }];
        let page = text(&overview(&Overview { cards, ..two() }));
        assert!(
            page.contains(has) && !page.contains(lacks),
            "{version:?}: {page}"
        );
    }
}

/// Names and details come from AWS, from clients and from web servers.
#[test]
fn nothing_breaks_out_of_its_place() {
    const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;";
    let bad = || HOSTILE.to_owned();
    let hostile = Card {
        local: bad(),
        name: bad(),
        region: Some(bad()),
        profile: Some(bad()),
        role: Some(bad()),
        status: Some(Status {
            word: bad(),
            meaning: Some(bad()),
        }),
        trouble: Some(bad()),
        identity: Some(Identity {
            iam: Some(bad()),
            airflow: Some(bad()),
        }),
        token: TokenState::Failing { why: bad() },
        session: Some(SessionState::Failing { why: bad() }),
        url: bad(),
        base: bad(),
        ..full("x")
    };
    let refusal = RefusalRow {
        environment: Some(bad()),
        method: bad(),
        path: bad(),
        detail: bad(),
        request_id: bad(),
        ..row()
    };
    let shown = Overview {
        addresses: vec![bad()],
        cards: vec![hostile],
        discovery: Some(bad()),
        refusals: vec![refusal],
        ..two()
    };
    let links = [bad()];
    let fault = fault(&FaultPage {
        hint: HOSTILE,
        request_id: HOSTILE,
        home: Some(HOSTILE),
        ..fault_page(HOSTILE, &links)
    });
    let pages = [
        overview(&shown),
        fault,
        handover(HOSTILE),
        signed_out(HOSTILE),
    ];
    for page in &pages {
        let page = text(page);
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        assert!(
            !page.contains("<script>") && !page.contains("<img"),
            "{page}"
        );
        // in an attribute too: the quote that would end it is escaped
        assert!(!page.contains("\"'>"), "{page}");
    }
}

/// No address of anybody else, no script or style within the page: what the policy forbids.
#[test]
fn pages_ask_nobody_else() {
    let links = ["http://prod.localhost:8080".to_owned()];
    let pages = [
        overview(&two()),
        overview(&Overview::default()),
        fault(&fault_page("x", &links)),
        handover("prod"),
        signed_out("prod"),
    ];
    for page in &pages {
        let page = text(page);
        let mut seen = 0;
        for attribute in [" href=\"", " src=\"", " action=\""] {
            for rest in page.split(attribute).skip(1) {
                let url = rest.split('"').next().unwrap();
                let ours = url.starts_with('/') || url.starts_with('#');
                let host = url.strip_prefix("http://").unwrap_or_default();
                let host = host.split([':', '/']).next().unwrap();
                let local = host == "localhost" || host.ends_with(".localhost");
                assert!(ours && !url.starts_with("//") || local, "{url}");
                seen += 1;
            }
        }
        assert!(seen >= 5, "{page}");
        for forbidden in [" style=", "<style", " onclick", "javascript:", "<script>"] {
            assert!(!page.contains(forbidden), "{forbidden}: {page}");
        }
        assert!(
            page.starts_with("<!DOCTYPE html><html lang=\"en\">"),
            "{page}"
        );
        assert_eq!(page.matches("<h1>").count(), 1, "{page}");
    }
    for asset in [style(), script()] {
        assert!(
            !asset.text.contains("http") && !asset.text.contains("url("),
            "{}",
            asset.text
        );
        assert!(!asset.text.contains("@import"));
    }
    assert!(
        icon()
            .text
            .starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")
    );
}
