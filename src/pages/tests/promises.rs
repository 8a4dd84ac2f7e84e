//! The promises of every page: no value breaks out of its place, and no other host is asked.

use super::*;

/// Airflow 1, 2 and 3 and an unknown version have examples of their own.
#[test]
fn examples_are_for_the_environment_s_version() {
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
        let cards = vec![EnvironmentCard {
            airflow: version,
            ..card("lab")
        }];
        let page = text(&render_overview(&Overview { cards, ..two() }));
        assert!(
            page.contains(has) && !page.contains(lacks),
            "{version:?}: {page}"
        );
    }
}

/// Names and details come from AWS, from clients and from web servers.
#[test]
fn hostile_text_is_escaped() {
    const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;";
    let bad = || HOSTILE.to_owned();
    let hostile = EnvironmentCard {
        local: bad(),
        name: bad(),
        region: Some(bad()),
        profile: Some(bad()),
        role: Some(bad()),
        status: Some(Status {
            word: bad(),
            meaning: Some(bad()),
        }),
        not_ready: Some(NotReadyReason {
            code: Some("x.y"),
            detail: bad(),
            hint: Some(bad()),
        }),
        identity: Some(Identity {
            iam: Some(bad()),
            airflow: Some(bad()),
        }),
        token: TokenState::Failing { reason: bad() },
        session: Some(SessionState::Failing { reason: bad() }),
        url: bad(),
        base: bad(),
        ..full("x")
    };
    let refusal = RefusedRequestInfo {
        environment: Some(bad()),
        method: bad(),
        path: bad(),
        detail: bad(),
        request_id: bad(),
        ..row()
    };
    let shown = Overview {
        addresses: vec![Address {
            url: bad(),
            about: Some(bad()),
        }],
        cards: vec![hostile],
        discovery: Some(bad()),
        configuration: Some(bad()),
        refusals: vec![refusal],
        ..two()
    };
    let links = [bad()];
    let fault = render_fault(&FaultPage {
        hint: HOSTILE,
        request_id: HOSTILE,
        home: Some(HOSTILE),
        ..fault_page(HOSTILE, &links)
    });
    let pages = [
        render_overview(&shown),
        fault,
        render_handover(HOSTILE),
        render_signed_out(HOSTILE),
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

/// The page has no address on another host, and no script or style within it: the content
/// security policy forbids them.
#[test]
fn pages_load_nothing_from_other_hosts() {
    let links = ["http://prod.localhost:8080".to_owned()];
    let pages = [
        render_overview(&two()),
        render_overview(&Overview::default()),
        render_fault(&fault_page("x", &links)),
        render_handover("prod"),
        render_signed_out("prod"),
        render_console_login(),
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
    for asset in [STYLE_SHEET, COPY_SCRIPT, LIVE_SCRIPT, LOGIN_SCRIPT] {
        assert!(
            !asset.text.contains("http") && !asset.text.contains("url("),
            "{}",
            asset.text
        );
        assert!(!asset.text.contains("@import"));
    }
    assert!(
        ICON.text
            .starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")
    );
}
