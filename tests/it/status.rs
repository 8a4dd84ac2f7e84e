//! What AWS says about an environment: kept, shown, and reported if its web server is unreachable.

use crate::program::run;
use crate::support::{CLOSED, Harness};
use mwaa_emulator::{ControlFault, Seed, Settings, WebFault};
use serde_json::json;

fn private() -> Settings {
    Settings {
        environments: vec![Seed {
            status: "UPDATING".to_owned(),
            access_mode: "PRIVATE_ONLY".to_owned(),
            ..Seed::new("demo", "2.10.3")
        }],
        ..Settings::default()
    }
}

#[tokio::test]
async fn the_status_contains_the_response_of_get_environment() {
    let harness = Harness::with(private(), "").await;
    assert_eq!(harness.command("version").await.status, 200);
    let status = harness.manage("/status").await.json();
    let demo = &status["environments"][0];
    assert_eq!(demo["status"], "UPDATING");
    assert!(
        demo["status_meaning"]
            .as_str()
            .unwrap()
            .contains("being updated"),
        "{demo}"
    );
    assert_eq!(demo["access_mode"], "PRIVATE_ONLY");
    assert_eq!(
        demo["webserver_host"],
        harness.emulator().host("demo").unwrap()
    );
    assert!(demo["status_age_seconds"].as_u64().unwrap() < 30, "{demo}");
    assert_eq!(harness.journal().calls("GetEnvironment"), 1);
}

#[tokio::test]
async fn an_available_environment_has_no_status_meaning() {
    let harness = Harness::new().await;
    assert_eq!(harness.command("version").await.status, 200);
    let status = harness.manage("/status").await.json();
    assert_eq!(status["environments"][0]["status"], "AVAILABLE");
    assert!(
        status["environments"][0]["status_meaning"].is_null(),
        "{status}"
    );
}

/// An environment as AWS offers them since 2026, and with a version that is newer than the gateway.
fn with_identity_center() -> Settings {
    let extra = json!({
        "IdentityCenterConfiguration": {
            "StartUrl": "https://d-1.awsapps.example/start",
            "IdentityStoreId": "d-1",
        },
        "Teams": { "web": "s3://bucket/web", "ml": "s3://bucket/ml" },
    });
    Settings {
        environments: vec![Seed {
            extra: extra.as_object().unwrap().clone(),
            ..Seed::new("demo", "3.4.0")
        }],
        ..Settings::default()
    }
}

#[tokio::test]
async fn identity_center_teams_and_an_unknown_version_are_shown() {
    let harness = Harness::with(with_identity_center(), "").await;
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.get("/api/v2/dags").await.status, 200);
    let status = harness.manage("/status").await.json();
    let demo = &status["environments"][0];
    assert_eq!(demo["airflow_version"], "3.4.0");
    assert_eq!(demo["identity_center"], "https://d-1.awsapps.example/start");
    assert_eq!(demo["teams"], json!(["ml", "web"]));
    let notes = [
        "its users log in with IAM Identity Center (https://d-1.awsapps.example/start); its teams \
         are ml, web",
        "the gateway has no list of commands for Airflow 3.4.0; it checks them as in 3.3.1",
    ];
    assert_eq!(demo["notes"], json!(notes));

    let management = format!("--management={}", harness.management());
    let table = run(&["status", &management]).await;
    let page = harness.get("/-/").await.text();
    for note in notes {
        assert!(
            table.stdout.contains(&format!("demo: {note}\n")),
            "{table:?}"
        );
        // there it begins with a capital
        assert!(
            page.to_lowercase().contains(&note.to_lowercase()),
            "{note}: {page}"
        );
    }
}

#[tokio::test]
async fn a_failed_login_mentions_identity_center() {
    type Fault = fn(&mwaa_emulator::Script);
    let causes: [(Fault, &str); 2] = [
        (
            |s| s.login_fault.always(WebFault::html(403)),
            "session.login_failed",
        ),
        (
            |s| s.web_login_fault.always(ControlFault::AccessDenied),
            "aws.denied",
        ),
    ];
    for (cause, code) in causes {
        let harness = Harness::scripted(with_identity_center(), "", cause).await;
        let reply = harness.get("/api/v2/dags").await;
        assert_eq!(reply.fault(), Some(code), "{reply}");
        assert!(reply.complaint().contains("IAM Identity Center"), "{reply}");
    }

    // where nothing was refused, the reason is another
    let harness = Harness::scripted(with_identity_center(), "", |script| {
        script.login_fault.always(WebFault::Drop);
    })
    .await;
    let reply = harness.get("/api/v2/dags").await;
    assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
    assert!(!reply.complaint().contains("Identity Center"), "{reply}");
}

/// With the version configured AWS has not been asked; the fault is the occasion to.
#[tokio::test]
async fn an_unreachable_web_server_is_explained_by_the_status() {
    let extra = format!(
        "[environments.demo]\nairflow_version = \"2.10.3\"\nconnect_to = \"{CLOSED}\"\n"
    );
    let harness = Harness::with(private(), &extra).await;
    for _ in 0..3 {
        let reply = harness.command("version").await;
        assert_eq!(reply.fault(), Some("upstream.unreachable"), "{reply}");
        let complaint = reply.complaint();
        for text in [
            "the environment's status is UPDATING: it is being updated",
            "PRIVATE_ONLY",
            "connect_to",
        ] {
            assert!(complaint.contains(text), "{text}: {complaint}");
        }
        // at most one question in 30 s, although each fault would like news
        assert_eq!(harness.journal().calls("GetEnvironment"), 1);
    }
}

#[tokio::test]
async fn a_failed_status_query_does_not_change_the_fault() {
    let extra = format!(
        "[environments.demo]\nairflow_version = \"2.10.3\"\nconnect_to = \"{CLOSED}\"\n"
    );
    let harness = Harness::scripted(private(), &extra, |script| {
        script.describe_fault.always(ControlFault::Hang);
    })
    .await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("upstream.unreachable"), "{reply}");
    assert!(
        !reply.complaint().contains("the environment's status is"),
        "{reply}"
    );
}

/// The command shows people what the gateway says, and passes it on to programs.
#[tokio::test]
async fn the_command_shows_the_status() {
    let harness = Harness::new().await;
    assert_eq!(harness.command("version").await.status, 200);
    let refused = harness.command("users list").await;
    assert_eq!(refused.fault(), Some("policy.unsupported_command"));
    let management = format!("--management={}", harness.management());
    let table = run(&["status", &management]).await;
    assert_eq!((table.code, table.stderr.as_str()), (Some(0), ""));
    for text in [
        &format!(" at http://localhost:{}\n", harness.address().port()),
        "\nENVIRONMENT  AIRFLOW  STATUS ",
        "\ndemo         2.10.3   AVAILABLE  yes    ",
        "0 running, 0 waiting",
        "policy.unsupported_command",
    ] {
        assert!(table.stdout.contains(text), "{text:?}\n{}", table.stdout);
    }
    let json = run(&["status", "--output", "json", &management]).await;
    let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let status = harness.manage("/status").await.json();
    assert_eq!(told["environments"][0]["local"], "demo");
    let keys = |value: &serde_json::Value| -> Vec<_> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&told), keys(&status));
}

#[tokio::test]
async fn without_a_gateway_the_command_names_the_address() {
    let harness = Harness::new().await;
    // a listener is a gateway too, but not the place to ask
    for (address, said) in [
        (
            "127.0.0.1:1".to_owned(),
            "no gateway is running at 127.0.0.1:1",
        ),
        (
            harness.address().to_string(),
            "is not a gateway's management address",
        ),
    ] {
        let ended = run(&["status", "--management", &address]).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(69), ""),
            "{ended:?}"
        );
        for text in [said, "mwaa-gateway serve", "--management"] {
            assert!(ended.stderr.contains(text), "{text}: {ended:?}");
        }
    }
}
