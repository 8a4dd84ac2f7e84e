//! Many environments in one gateway: each has its own session, connections and policy.

use crate::support::airflow::JSON;
use crate::support::{Client, Harness};
use mwaa_emulator::{Seed, Settings, WebRequest};
use std::collections::HashMap;
use std::time::Duration;

/// The left one serves what names none; the right one has a listener of its own.
async fn two(extra: &str) -> Harness {
    let settings = Settings {
        environments: vec![Seed::new("left", "2.10.3"), Seed::new("right", "3.3.1")],
        ..Settings::default()
    };
    let extra = format!(
        "[environments.left]\nairflow_version = \"2.10.3\"\n\
         [environments.right]\nairflow_version = \"3.3.1\"\nlisten = \"127.0.0.1:0\"\n{extra}"
    );
    Harness::with(settings, &extra).await
}

/// H-06: interleaved on the same connections, by name, by listener and by default.
#[tokio::test]
async fn no_request_has_the_session_of_another_environment() {
    let harness =
        two("[limits]\nsession_use = \"100s\"\nkeep_alive = \"5m\"\nthreads = 2").await;
    let (shared, port) = (harness.address(), harness.address().port());
    let door = harness.door(1);
    let routes = [
        (
            "left",
            shared,
            format!("left.localhost:{port}"),
            "/api/v1/dags",
        ),
        (
            "right",
            shared,
            format!("right.localhost:{port}"),
            "/api/v2/dags",
        ),
        ("left", shared, shared.to_string(), "/home"),
        ("right", door, door.to_string(), "/ui/dags"),
        (
            "right",
            shared,
            format!("right.localhost:{port}"),
            "/auth/users/list/",
        ),
    ];
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push((Client::tcp(shared).await, Client::tcp(door).await));
    }
    for round in 0..500 {
        if round % 100 == 99 {
            harness.advance(Duration::from_secs(101));
        }
        let mut asked = Vec::new();
        for (number, (by_name, by_door)) in clients.iter_mut().enumerate() {
            let (wanted, address, host, path) = &routes[(round * 3 + number) % routes.len()];
            let client = if *address == door { by_door } else { by_name };
            let request =
                format!("GET {path}?wanted={wanted} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            client.send(request).await;
            asked.push(client);
        }
        for client in asked {
            let reply = client.response().await;
            assert!(reply.fault().is_none() && reply.status < 500, "{reply}");
        }
    }
    let requests = harness.reached();
    assert!(requests.len() >= 2000, "{}", requests.len());
    belong_together(&harness, &requests);
    assert_eq!(harness.logins().len(), 12, "the sessions never changed");
}

fn belong_together(harness: &Harness, requests: &[WebRequest]) {
    let mut owners: HashMap<String, &str> = HashMap::new();
    for request in requests {
        let environment = request.environment.as_deref().unwrap();
        assert!(request.target.ends_with(environment), "{request:?}");
        let host = harness.emulator().host(environment);
        assert_eq!(request.header("host"), host.as_deref());
        let secrets = [request.header("cookie"), request.header("authorization")];
        let connection = format!("connection {}", request.connection);
        let held = secrets
            .into_iter()
            .flatten()
            .flat_map(|held| held.split("; "));
        for held in held.map(str::to_owned).chain([connection]) {
            let owner = owners.entry(held.clone()).or_insert(environment);
            assert_eq!(*owner, environment, "{held} in two environments");
        }
        assert!(request.header("cookie").is_some(), "{request:?}");
    }
}

#[tokio::test]
async fn the_end_of_one_session_does_not_affect_the_other() {
    let harness = two("").await;
    let port = harness.address().port();
    let ask = async |name: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {name}.localhost:{port}\r\n\r\n");
        harness.connect().await.exchange(request).await
    };
    assert_eq!(ask("left", "/api/v1/dags").await.status, 200);
    assert_eq!(ask("right", "/api/v2/dags").await.status, 200);
    // one login for each, and none for the other when one signs out
    assert_eq!(harness.logins().len(), 2);
    assert_eq!(ask("right", "/api/v2/auth/logout").await.status, 303);
    assert_eq!(ask("left", "/api/v1/dags").await.status, 200);
    assert_eq!(harness.logins().len(), 2);
    assert_eq!(ask("right", "/api/v2/dags").await.status, 200);
    let names: Vec<_> = harness
        .logins()
        .into_iter()
        .map(|l| l.environment.unwrap())
        .collect();
    assert_eq!(names, ["left", "right", "right"]);
}

#[tokio::test]
async fn an_unknown_name_gets_the_known_ones_as_a_hint() {
    let harness = two("").await;
    let port = harness.address().port();
    let request = format!("GET /home HTTP/1.1\r\nHost: nosuch.localhost:{port}\r\n\r\n");
    let reply = harness.connect().await.exchange(request).await;
    assert_eq!(
        (reply.status, reply.fault()),
        (404, Some("route.unknown_environment")),
        "{reply}"
    );
    for name in ["left", "right"] {
        let url = format!("http://{name}.localhost:{port}");
        assert!(reply.complaint().contains(&url), "{reply}");
    }
    let journal = harness.journal();
    assert_eq!((journal.control_count(), journal.web_connections()), (0, 0));
}

#[tokio::test]
async fn a_read_only_environment_refuses_changes() {
    for version in ["2.10.3", "3.3.1"] {
        let extra = "environments.demo.policy = \"read-only\"";
        let harness = Harness::airflow_with(Settings::default(), version, extra).await;
        let mut writes = Vec::new();
        for method in ["POST", "PATCH", "PUT", "DELETE"] {
            for target in [
                "/api/v1/dags/x",
                "/api/v2/dags/x/dagRuns",
                "/dags/x/trigger",
                "/ui/x",
            ] {
                writes.push((method, target));
            }
        }
        writes.extend([
            ("POST", "/paused?is_paused=true&dag_id=x"),
            ("DELETE", "/task_stats"),
        ]);
        for (method, target) in writes {
            let request = match method {
                "DELETE" => harness.asking(method, target, ""),
                _ => harness.sending(method, target, JSON, "{}"),
            };
            let reply = harness.connect().await.exchange(request).await;
            let what = format!("{version} {method} {target}");
            assert_eq!(
                (reply.status, reply.fault()),
                (403, Some("policy.read_only")),
                "{what}: {reply}"
            );
        }
        let journal = harness.journal();
        assert_eq!(
            (journal.control_count(), journal.web_connections()),
            (0, 0),
            "{version}"
        );
        for (method, target) in [
            ("GET", "/home"),
            ("GET", "/api/v2/dags"),
            ("POST", "/task_stats"),
        ] {
            let request = harness.sending(method, target, "", "");
            let reply = harness.connect().await.exchange(request).await;
            assert_eq!(reply.fault(), None, "{version} {method} {target}: {reply}");
            assert_eq!(harness.reached().pop().unwrap().target, target);
        }
    }
}
