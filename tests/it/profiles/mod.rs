//! Profiles: what passes by the rules of the environment and of the listener, at each door.

mod listeners;
mod screened;

use crate::support::{Client, Harness};
use mwaa_emulator::{Seed, Settings};
use std::net::SocketAddr;

const POLICIES: [&str; 4] = ["supported", "operator", "read-only", "all"];

const FORBIDDEN: &str = "policy.forbidden_command";
const READ_ONLY: &str = "policy.read_only";

/// What a request does, and by which door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Read,
    Run,
    Write,
    Secret,
}

/// A request: what it does and the request line, or the command.
const REQUESTS: [(Does, &str); 25] = [
    (Does::Read, "dags list"),
    (Does::Read, "version"),
    (Does::Run, "dags pause example_etl"),
    (Does::Run, "tasks clear example_etl -y"),
    (Does::Write, "variables set k v"),
    (Does::Write, "dags delete x -y"),
    (Does::Secret, "variables get k"),
    (Does::Secret, "variables list"),
    (Does::Secret, "tasks render a b 2024-01-01"),
    (Does::Read, "GET /api/v1/dags"),
    (Does::Read, "GET /api/v1/eventLogs"),
    (Does::Read, "GET /api/v1/dags/example_etl/dagRuns"),
    (Does::Read, "POST /api/v1/dags/~/dagRuns/list"),
    (Does::Write, "POST /api/v1/dags/x/dagRuns"),
    (Does::Write, "PATCH /api/v1/dags/example_etl"),
    (Does::Secret, "GET /api/v1/variables"),
    (Does::Secret, "GET /api/v1/connections/x"),
    (Does::Secret, "GET /api/v1/config"),
    (Does::Read, "GET /home"),
    (Does::Read, "GET /dags/example_etl/grid"),
    (Does::Write, "POST /paused"),
    (Does::Write, "GET /dagrun/delete/1"),
    (Does::Secret, "GET /variable/list/"),
    (Does::Secret, "GET /configuration"),
    (Does::Secret, "GET /rendered-templates?dag_id=x"),
];

/// Whether a policy lets it pass: as docs/guide/policies.md says.
fn passes(policy: &str, does: Does, is_command: bool) -> bool {
    match (policy, does) {
        ("supported" | "all", _) | (_, Does::Read) => true,
        // the other policies but read-only are about commands
        ("operator", _) if !is_command => true,
        ("operator", Does::Run | Does::Secret) => true,
        _ => false,
    }
}

fn bytes(host: &str, request: &str) -> String {
    let Some((method, target)) = request.split_once(" /") else {
        let length = request.len();
        return format!(
            "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\n\
             Content-Length: {length}\r\n\r\n{request}"
        );
    };
    let body = match method {
        "GET" | "DELETE" => "",
        _ => "Content-Type: application/json\r\nContent-Length: 2\r\n",
    };
    let content = if body.is_empty() { "" } else { "{}" };
    format!("{method} /{target} HTTP/1.1\r\nHost: {host}\r\n{body}\r\n{content}")
}

fn named(environment: &str, address: SocketAddr) -> String {
    format!("{environment}.localhost:{}", address.port())
}

/// Four environments and a listener for each policy besides the first, which takes nothing away.
async fn all_policies() -> Harness {
    let settings = Settings {
        environments: POLICIES.map(|name| Seed::new(name, "2.10.3")).to_vec(),
        ..Settings::default()
    };
    let mut extra = String::new();
    for policy in POLICIES {
        let table = format!(
            "[environments.{policy}]\npolicy = \"{policy}\"\nairflow_version = \"2.10.3\"\n\
             [listeners.{policy}]\naddress = \"127.0.0.1:0\"\npolicy = \"{policy}\"\n"
        );
        extra.push_str(&table);
    }
    Harness::with(settings, &extra).await
}

#[tokio::test]
async fn a_request_must_pass_the_rules_of_environment_and_listener() {
    let harness = all_policies().await;
    // the tables come in the order of the alphabet from the test's TOML
    let mut listeners = POLICIES;
    listeners.sort_unstable();
    let doors: Vec<_> = std::iter::once(("none", harness.address()))
        .chain(
            listeners
                .into_iter()
                .zip(1..)
                .map(|(policy, n)| (policy, harness.door(n))),
        )
        .collect();
    let (mut passed, mut refused) = (0, 0);
    for (listener, address) in doors {
        let mut client = Client::tcp(address).await;
        for environment in POLICIES {
            for (does, request) in REQUESTS {
                let is_command = !request.contains(" /");
                let what = format!("{request} to {environment} at listener {listener}");
                let by_listener = listener == "none" || passes(listener, does, is_command);
                let by_environment = passes(environment, does, is_command);
                let before = harness.journal().web_count();
                let reply = client
                    .exchange(bytes(&named(environment, address), request))
                    .await;
                let sent = harness.journal().web_count() - before;
                if by_listener && by_environment {
                    passed += 1;
                    assert_eq!(reply.fault(), None, "{what}: {reply}");
                    assert!(sent > 0, "{what}: not sent");
                    continue;
                }
                refused += 1;
                let code = if is_command { FORBIDDEN } else { READ_ONLY };
                assert_eq!(reply.fault(), Some(code), "{what}: {reply}");
                assert_eq!(sent, 0, "{what}: sent all the same");
                let complaint = reply.complaint();
                let table = format!("[listeners.{listener}]");
                // the environment is asked first
                assert_eq!(
                    complaint.contains(&table),
                    by_environment,
                    "{what}: {complaint}"
                );
                if !is_command {
                    let word = match does {
                        Does::Secret => "reads secrets",
                        _ => "changes something",
                    };
                    assert!(complaint.contains(word), "{what}: {complaint}");
                }
            }
        }
    }
    assert!(
        passed > 300 && refused > 140,
        "{passed} passed, {refused} refused"
    );
}

/// F-29 of the threats: the same at the REST API and in the UI of Airflow 3.
#[tokio::test]
async fn read_only_rules_apply_to_airflow_3_too() {
    let extra = "environments.demo.policy = \"read-only\"\n";
    let harness = Harness::airflow_with(Settings::default(), "3.0.6", extra).await;
    // no other listener or policy would help, so that is not what the fault says
    let token = harness.get("/ui/auth/token").await;
    assert_eq!(token.fault(), Some("policy.forbidden_path"), "{token}");
    let mut client = harness.connect().await;
    for (request, word) in [
        ("GET /api/v2/variables", "reads secrets"),
        ("GET /api/v2/variables/a%2Fb", "reads secrets"),
        ("GET /api/v2/connections", "reads secrets"),
        (
            "GET /api/v2/config/section/core/option/fernet_key",
            "reads secrets",
        ),
        ("GET /variables", "reads secrets"),
        ("GET /configs", "reads secrets"),
        ("GET /execution/variables/x", "reads secrets"),
        ("POST /api/v2/dags/x/dagRuns", "changes something"),
        ("PATCH /api/v2/dags/x", "changes something"),
        ("PUT /api/v2/backfills/1/pause", "changes something"),
        ("DELETE /api/v2/dags/x", "changes something"),
        ("POST /ui/dags", "changes something"),
        (
            "GET /ui/something-new",
            "this path is not known to be read-only",
        ),
        (
            "GET /my-plugin/page",
            "this path is not known to be read-only",
        ),
        (
            "GET /api/v2/something-new",
            "this path is not known to be read-only",
        ),
    ] {
        let reply = client
            .exchange(bytes(&harness.address().to_string(), request))
            .await;
        assert_eq!(reply.fault(), Some(READ_ONLY), "{request}: {reply}");
        assert!(reply.complaint().contains(word), "{request}: {reply}");
    }
    assert_eq!((harness.journal().web_count(), harness.web_mints()), (0, 0));
    for request in ["GET /api/v2/dags", "GET /", "GET /ui/config"] {
        let reply = client
            .exchange(bytes(&harness.address().to_string(), request))
            .await;
        assert_eq!(reply.fault(), None, "{request}: {reply}");
    }
}

/// How a lenient server may read a path: decoded to the end, without regard to case, empty
/// segments and parameters.
fn lenient(path: &str) -> String {
    let mut text = path.split('?').next().unwrap_or_default().to_owned();
    loop {
        let decoded = percent_encoding::percent_decode_str(&text)
            .decode_utf8_lossy()
            .into_owned();
        if decoded == text {
            break;
        }
        text = decoded;
    }
    let text = text.to_lowercase().replace('\\', "/");
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    segments.join("/")
}

const SECRET_ROOTS: [&str; 12] = [
    "variable",
    "connection",
    "configuration",
    "rendered-templates",
    "object/rendered-k8s",
    "api/v1/variables",
    "api/v1/connections",
    "api/v1/config",
    "api/v2/variables",
    "api/v2/connections",
    "api/v2/config",
    "execution/variables",
];

/// Where names are opaque, a path of which any reading is no read does not pass.
#[tokio::test]
async fn an_ambiguous_path_is_not_a_read() {
    let extra = "environments.demo.policy = \"read-only\"\n";
    let harness = Harness::airflow_with(Settings::default(), "3.3.1", extra).await;
    for path in [
        "/api/v2//variables/x",
        "/api/v2/%2Fvariables/x",
        "/api/v2/%252Fvariables/x",
        "/api/v2/variables%2Fx",
        "/api/v2/variables%252Fx",
        "/api/v2/variables%5Cx",
        "/api/v2/variables%255Cx",
        "/api/v2/%76ariables/x",
        "/api/v2/%2576ariables/x",
        "/api/v2//%252576ariables/x",
        "/api/v2/dags//x",
        "/api/v2/config;x/section",
        "/api/v2/variables;x/y",
        "/api/v2/assets/s3://bucket/x",
        "/api/v2/x%5Cy",
        "/ui//config",
        "/ui/config%2Fx",
        "/ui/grid/x%2F..x",
        "/ui//auth/token",
        "/api/v3/dags",
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "POST"] {
            let mut client = harness.connect().await;
            client.send(harness.asking(method, path, "")).await;
            let head = client.head().await.to_lowercase();
            assert!(head.starts_with("http/1.1 403 "), "{method} {path}: {head}");
            assert!(
                head.contains("\r\nmwaa-gateway-fault: policy."),
                "{method} {path}: {head}"
            );
        }
    }
    assert_eq!((harness.journal().web_count(), harness.web_mints()), (0, 0));
    // names that are understood pass
    for path in [
        "/api/v2/dags/a%20b",
        "/api/v2/pools/a%2Fb",
        "/api/v2/dags/aws_mwaa",
    ] {
        let reply = harness.get(path).await;
        assert_eq!(reply.fault(), None, "{path}: {reply}");
    }
}

/// Whatever a path is dressed up as: what reaches the web server of a read-only environment is no
/// secret to the most lenient one.
#[tokio::test]
async fn a_disguised_path_does_not_reach_secrets() {
    const PIECES: [&str; 22] = [
        "/",
        "//",
        "/.",
        "/..",
        "%2f",
        "%2F",
        "%2e",
        ";x",
        "%3b",
        "%20",
        "%25",
        "?",
        "\\",
        "%5c",
        "x",
        "/static/..",
        "%252f",
        "%255C",
        "%252e%252e/",
        "%25252e%25252e%25252f",
        "/api/v2/pools/",
        "/api/v2/dags/x/",
    ];
    let extra = "environments.demo.policy = \"read-only\"\n";
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", extra).await;
    let mut random = fastrand::Rng::with_seed(7);
    let mut refused = 0;
    for _ in 0..3_000 {
        let root = *random.choice(&SECRET_ROOTS).unwrap();
        let before = *random
            .choice(&["", "", "/api/v2/pools/x", "/api/v2", "/ui"])
            .unwrap();
        let mut path = format!("{before}/{root}/list");
        for _ in 0..random.usize(0..4) {
            let at = random.usize(1..=path.len());
            match random.u8(0..3) {
                0 => path.insert_str(at, PIECES[random.usize(0..PIECES.len())]),
                1 if at < path.len() => {
                    let byte = path.as_bytes()[at];
                    path.replace_range(at..=at, &format!("%{byte:02x}"));
                }
                _ if at < path.len() => {
                    let upper = path.split_off(at);
                    path.push_str(&upper.to_uppercase());
                }
                _ => {}
            }
        }
        let request = bytes(&harness.address().to_string(), &format!("GET {path}"));
        let reply = harness.connect().await.exchange(request).await;
        refused += usize::from(reply.fault().is_some());
    }
    for request in harness.reached() {
        let meant = lenient(&request.target);
        let secret = SECRET_ROOTS.iter().any(|root| {
            meant
                .strip_prefix(root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        assert!(!secret, "{} is {meant}", request.target);
    }
    assert!(refused > 2_300, "{refused}");
}
