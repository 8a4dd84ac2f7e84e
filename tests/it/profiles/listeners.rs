//! Listeners of one's own: what they serve, who may connect, and where they are shown.

use super::{READ_ONLY, bytes};
use crate::support::airflow::TYPED;
use crate::support::{Client, Harness};
use mwaa_emulator::{Seed, Settings};
use std::os::unix::fs::PermissionsExt as _;

/// Two environments of Airflow 2, of which neither is the default.
fn two() -> Settings {
    Settings {
        environments: ["prod", "lab"]
            .map(|name| Seed::new(name, "2.10.3"))
            .to_vec(),
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_read_only_socket_works_beside_an_unrestricted_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agents.sock");
    let extra = format!(
        "[listeners.agents]\naddress = \"unix:{}\"\nsocket_mode = \"0660\"\n\
         environment = \"prod\"\npolicy = \"read-only\"\n",
        path.display()
    );
    let harness = Harness::with(two(), &extra).await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let mut agent = Client::unix(&path).await;
    // whatever the Host says, it is this environment
    for host in ["localhost", "lab.localhost"] {
        let reply = agent.exchange(bytes(host, "dags list")).await;
        assert_eq!(reply.fault(), None, "{reply}");
        let reply = agent.exchange(bytes(host, "GET /home")).await;
        assert_eq!(reply.status, 200, "{reply}");
    }
    let seen = harness.journal().web_requests();
    assert!(
        seen.iter()
            .all(|request| request.environment.as_deref() == Some("prod"))
    );
    let reply = agent
        .exchange(bytes("localhost", "variables set k v"))
        .await;
    let said = "`variables set` changes what Airflow stores, which policy \"read-only\" of \
                [listeners.agents] forbids (to allow it, set allow = [\"variables set\"] in \
                [listeners.agents])";
    assert_eq!(reply.complaint(), said);
    let reply = agent.exchange(bytes("localhost", "POST /paused")).await;
    let said = "this POST changes something; [listeners.agents] is read-only \
                (use another listener, or set another policy in [listeners.agents])";
    assert_eq!(reply.complaint(), said);
    // the owner's own address takes the same requests
    let mut owner = harness.connect().await;
    let host = format!("prod.localhost:{}", harness.address().port());
    for request in ["variables set k v", "POST /paused", "GET /variable/list/"] {
        let reply = owner.exchange(bytes(&host, request)).await;
        assert_eq!(reply.fault(), None, "{request}: {reply}");
    }
}

#[tokio::test]
async fn a_read_only_listener_refuses_and_does_not_offer_handover() {
    let extra = "environments.demo.browser = \"redirect\"\n\
                 [listeners.readers]\naddress = \"127.0.0.1:0\"\npolicy = \"read-only\"\n";
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", extra).await;
    let door = harness.door(1);
    let mut reader = Client::tcp(door).await;
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {door}\r\n{TYPED}\r\n");
    let reply = reader
        .exchange(ask("/aws_mwaa/aws-console-sso?handover=1"))
        .await;
    assert_eq!(reply.fault(), Some(READ_ONLY), "{reply}");
    let reply = reader.exchange(ask("/home")).await;
    assert_eq!(reply.status, 200, "it can be looked at here: {reply}");
    assert_eq!(harness.web_mints(), 1, "for the session only");
    let page = reader.exchange(ask("/-/")).await.text();
    assert!(
        !page.contains("Open on AWS") && page.contains("Open Airflow"),
        "{page}"
    );
    assert!(page.contains("at this address: policy read-only"), "{page}");
    let mut owner = harness.connect().await;
    let page = owner
        .exchange(harness.asking("GET", "/-/", TYPED))
        .await
        .text();
    assert!(page.contains("Open on AWS"), "{page}");
    assert!(
        page.contains(&format!("http://{door}</code> (policy read-only)")),
        "{page}"
    );
    let reply = owner.exchange(harness.asking("GET", "/home", TYPED)).await;
    assert!((300..400).contains(&reply.status), "handed over: {reply}");
}

/// Else an environment's own address would be a way around the rules of `[listener]`.
#[tokio::test]
async fn the_listener_of_an_environment_has_the_rules_of_the_first() {
    let extra = "environments.demo.listen = \"127.0.0.1:0\"\n\
                 [listener]\npolicy = \"operator\"\ndeny = [\"dags pause\"]\n\
                 [listeners.other]\naddress = \"127.0.0.1:0\"\n";
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", extra).await;
    for (door, passes) in [(0, false), (1, false), (2, true)] {
        let address = harness.door(door);
        let mut client = Client::tcp(address).await;
        for command in ["variables set k v", "dags pause example_etl"] {
            let reply = client.exchange(bytes(&address.to_string(), command)).await;
            assert_eq!(
                reply.fault().is_none(),
                passes,
                "{door}: {command}: {reply}"
            );
            if !passes {
                assert!(reply.complaint().contains("[listener]"), "{reply}");
            }
        }
        let reply = client
            .exchange(bytes(&address.to_string(), "dags unpause example_etl"))
            .await;
        assert_eq!(reply.fault(), None, "{reply}");
    }
}

/// `allow` adds to a listener's own policy, and never to what the environment lets pass.
#[tokio::test]
async fn a_listener_cannot_allow_more_than_the_environment() {
    let extra = "environments.demo.policy = \"operator\"\nenvironments.demo.allow = [\"pools list\", \"users list\", \
                 \"dags list --subdir\", \"dags show --save\"]\n\
                 [listeners.readers]\naddress = \"127.0.0.1:0\"\npolicy = \"read-only\"\n\
                 allow = [\"dags trigger\", \"variables\", \"pools list\", \"dags list --subdir\", \
                 \"dags report --subdir\"]\n";
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", extra).await;
    let door = harness.door(1);
    let mut client = Client::tcp(door).await;
    for (command, complaint) in [
        ("dags trigger example_etl", None),
        ("variables get k", None),
        ("pools list", None),
        ("dags list -S x", None),
        ("dags show x --save y", Some("but not [listeners.readers]")),
        ("dags report -S x", Some("cannot be used with --subdir")),
        (
            "variables set k v",
            Some(
                "`variables set` changes what Airflow stores, which policy \"operator\" forbids",
            ),
        ),
        (
            "dags pause example_etl",
            Some("policy \"read-only\" of [listeners.readers] forbids"),
        ),
        (
            "users list",
            Some(
                "this environment allows it, but not [listeners.readers] (change policy or allow in",
            ),
        ),
    ] {
        let reply = client.exchange(bytes(&door.to_string(), command)).await;
        match complaint {
            None => assert_eq!(reply.fault(), None, "{command}: {reply}"),
            Some(said) => assert!(reply.complaint().contains(said), "{command}: {reply}"),
        }
    }
}

#[tokio::test]
async fn a_listener_has_its_own_secret_and_networks() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("hunter2-{name}")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let extra = format!(
        "[listener]\nsecret_file = {:?}\n\
         [listeners.a]\naddress = \"127.0.0.1:0\"\nsecret_file = {:?}\n\
         [listeners.b]\naddress = \"127.0.0.1:0\"\n\
         [listeners.c]\naddress = \"127.0.0.1:0\"\nnetworks = [\"192.0.2.0/24\"]\n",
        secret("first"),
        secret("own")
    );
    let harness = Harness::configured(&extra).await;
    for (door, sent, code) in [
        (0, "first", None),
        (0, "own", Some("guard.secret")),
        (1, "own", None),
        (1, "first", Some("guard.secret")),
        (2, "first", None),
        (2, "own", Some("guard.secret")),
        (3, "first", Some("guard.peer")),
    ] {
        let address = harness.door(door);
        let host = format!("{address}\r\nMwaa-Gateway-Secret: hunter2-{sent}");
        let reply = Client::tcp(address)
            .await
            .exchange(bytes(&host, "version"))
            .await;
        assert_eq!(reply.fault(), code, "{door} {sent}: {reply}");
    }
}

#[tokio::test]
async fn the_status_lists_listeners_and_their_rules() {
    let extra = "[environments.demo]\npolicy = \"operator\"\nlisten = \"127.0.0.1:0\"\n\
                 [listeners.readers]\naddress = \"127.0.0.1:0\"\npolicy = \"read-only\"\n\
                 environment = \"demo\"\nallow = [\"dags trigger\"]\ndeny = [\"dags list\", \"tasks\"]\n";
    let harness = Harness::configured(extra).await;
    let status = harness.manage("/status").await.json();
    let listeners = status["listeners"].as_array().unwrap();
    let open = |name: &str, door: usize, environment: Option<&str>| {
        serde_json::json!({
            "name": name, "url": harness.urls()[door], "environment": environment,
            "optional_tls": false, "policy": "all", "allow": [], "deny": [],
        })
    };
    assert_eq!(listeners[0], open("listener", 0, None));
    assert_eq!(listeners[1], open("environments.demo", 1, Some("demo")));
    let readers = serde_json::json!({
        "name": "listeners.readers", "url": harness.urls()[2], "environment": "demo",
        "optional_tls": false, "policy": "read-only", "allow": ["dags trigger"],
        "deny": ["dags list", "tasks"],
    });
    assert_eq!(listeners[2], readers);
    assert_eq!(status["environments"][0]["policy"], "operator");
    // a listener with less is none of the environment's addresses
    let urls = status["environments"][0]["urls"].to_string();
    assert!(!urls.contains(&harness.urls()[2]), "{urls}");
}
