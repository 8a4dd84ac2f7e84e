//! `serve` without a file and without names: every environment of the account and region.

use crate::program::{Running, command, end};
use crate::support::{Client, Response, eventually};
use mwaa_emulator::{ControlFault, Emulator, Seed, Settings};
use std::net::SocketAddr;

/// More than one page of `ListEnvironments`, which holds 25 at the most.
const COUNT: usize = 30;

async fn emulator() -> Emulator {
    let names = (0..COUNT).map(|number| format!("Env_{number:02}"));
    let environments = names.map(|name| Seed::new(&name, "2.10.3")).collect();
    Emulator::start(Settings {
        environments,
        ..Settings::default()
    })
    .await
    .unwrap()
}

fn program(emulator: &Emulator, arguments: &[&str]) -> tokio::process::Command {
    let mut program = command(arguments);
    program
        .env("AWS_REGION", emulator.region())
        .env("AWS_ACCESS_KEY_ID", emulator.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", emulator.secret_access_key())
        .env("AWS_ENDPOINT_URL_MWAA", emulator.endpoint_url());
    program
}

async fn ask(address: SocketAddr, request: &str) -> Response {
    let request = request.replace("HOST", &address.to_string());
    Client::tcp(address).await.exchange(request).await
}

#[tokio::test]
async fn every_environment_is_found_and_failures_are_reported() {
    let emulator = emulator().await;
    emulator
        .script()
        .describe_fault
        .always(ControlFault::AccessDenied);
    let serve = ["serve", "--listen=127.0.0.1:0", "--management=127.0.0.1:0"];
    let mut gateway = Running::start(program(&emulator, &serve));
    let listener: SocketAddr = gateway.told("listening on http://").await.parse().unwrap();
    let management: SocketAddr = gateway.told("management on http://").await.parse().unwrap();
    let ready = "GET /readyz HTTP/1.1\r\nHost: HOST\r\n\r\n";
    let version = "POST /aws_mwaa/cli HTTP/1.1\r\nHost: HOST\r\nContent-Type: text/plain\r\n\
                   Content-Length: 7\r\n\r\nversion";

    emulator
        .journal()
        .wait_for(|journal| journal.calls("ListEnvironments") > 0)
        .await;
    let told = eventually("the reason", async || {
        let reply = ask(management, ready).await;
        reply.text().contains("aws.denied").then_some(reply)
    })
    .await;
    assert_eq!(told.status, 503, "{told}");
    assert!(
        told.text().contains("airflow:ListEnvironments on *"),
        "{told}"
    );
    let early = ask(listener, version).await;
    assert_eq!(early.fault(), Some("aws.denied"), "{early}");

    emulator.script().describe_fault.off();
    let lines = eventually("every environment to be ready", async || {
        let lines = ask(management, ready).await.text();
        (lines.matches(": ready").count() == COUNT).then_some(lines)
    })
    .await;
    assert!(lines.contains("env-29: ready"), "{lines}");
    // none of many is the default
    let refused = ask(listener, version).await;
    assert_eq!(refused.fault(), Some("route.unknown_environment"));
    let url = format!("http://env-07.localhost:{}", listener.port());
    assert!(refused.complaint().contains(&url), "{refused}");
    assert_eq!(gateway.stop().await.code, Some(0));
}

/// An AWS in each of two regions, each reached by a profile of its own.
struct TwoRegions {
    europe: Emulator,
    america: Emulator,
    folder: tempfile::TempDir,
}

impl TwoRegions {
    async fn new() -> Self {
        let emulator = async |region: &str, names: &[&str]| {
            let environments = names.iter().map(|name| Seed::new(name, "2.10.3")).collect();
            let settings = Settings {
                region: region.to_owned(),
                environments,
                ..Settings::default()
            };
            Emulator::start(settings).await.unwrap()
        };
        let europe = emulator("eu-west-1", &["prod", "mine", "only_here"]).await;
        let america = emulator("us-east-1", &["prod"]).await;
        let folder = tempfile::tempdir().unwrap();
        let profile = |name: &str, emulator: &Emulator| {
            format!(
                "[profile {name}]\naws_access_key_id = {}\naws_secret_access_key = {}\n\
                 endpoint_url = {}\n",
                emulator.access_key_id(),
                emulator.secret_access_key(),
                emulator.endpoint_url()
            )
        };
        let profiles = profile("a", &europe) + &profile("b", &america);
        std::fs::write(folder.path().join("profiles"), profiles).unwrap();
        let config = "[listener]\naddress = \"127.0.0.1:0\"\n\
                      [management]\naddress = \"127.0.0.1:0\"\n\
                      [aws]\ndiscover = true\ndiscover_in = [\"a@eu-west-1\", \"b@us-east-1\"]\n\
                      [environments.my-own]\nname = \"mine\"\nprofile = \"a\"\nregion = \"eu-west-1\"\n\
                      airflow_version = \"2.10.3\"\n";
        std::fs::write(folder.path().join("gateway.toml"), config).unwrap();
        Self {
            europe,
            america,
            folder,
        }
    }

    fn program(&self, name: &str) -> tokio::process::Command {
        let mut program = command(&[name, "--config", "gateway.toml"]);
        program
            .current_dir(self.folder.path())
            .env("AWS_CONFIG_FILE", self.folder.path().join("profiles"));
        program
    }
}

/// Names of both regions, a region that denies at first, and environments of the configuration.
#[tokio::test]
async fn environments_of_several_regions_are_listed_together() {
    let world = TwoRegions::new().await;
    let script = world.america.script();
    script.describe_fault.always(ControlFault::AccessDenied);
    let mut gateway = Running::start(world.program("serve"));
    let listener: SocketAddr = gateway.told("listening on http://").await.parse().unwrap();
    let management: SocketAddr = gateway.told("management on http://").await.parse().unwrap();
    let status = "GET /status HTTP/1.1\r\nHost: HOST\r\n\r\n";
    let told = eventually("the search", async || {
        let reply = ask(management, status).await.json();
        let done =
            reply["discovery"][0]["found"] == 3 && reply["environments"][2]["ready"] == true;
        done.then_some(reply)
    })
    .await;
    let locals: Vec<_> = told["environments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["local"].as_str().unwrap())
        .collect();
    assert_eq!(locals, ["my-own", "only-here", "prod"], "{told}");
    let places = &told["discovery"];
    assert_eq!(places[0]["trouble"], serde_json::Value::Null, "{places}");
    assert_eq!(
        (&places[1]["region"], &places[1]["profile"]),
        (&"us-east-1".into(), &"b".into())
    );
    assert!(
        places[1]["trouble"]
            .as_str()
            .unwrap()
            .contains("aws.denied"),
        "{places}"
    );
    let ready = ask(management, "GET /readyz HTTP/1.1\r\nHost: HOST\r\n\r\n").await;
    assert_eq!(ready.status, 200, "{ready}");
    let first = ready.text().lines().next().unwrap().to_owned();
    assert!(
        first.starts_with("some environments are not known: b@us-east-1: aws.denied"),
        "{first}"
    );

    // unknown names do not make AWS be asked again and again
    script.describe_fault.off();
    for _ in 0..5 {
        let unknown = format!(
            "POST /aws_mwaa/cli HTTP/1.1\r\nHost: nobody.localhost:{}\r\n\
             Content-Type: text/plain\r\nContent-Length: 7\r\n\r\nversion",
            listener.port()
        );
        let reply = ask(listener, &unknown).await;
        assert_eq!(reply.fault(), Some("route.unknown_environment"), "{reply}");
    }
    assert_eq!(world.europe.journal().calls("ListEnvironments"), 1);
    assert_eq!(gateway.stop().await.code, Some(0));
}

/// If both regions answer, a name that exists in both gets its region as a suffix. `check` and
/// `serve` agree on that.
#[tokio::test]
async fn one_name_in_two_regions_gets_the_region_appended() {
    let world = TwoRegions::new().await;
    let ended = end(world.program("check")).await;
    for line in [
        "ok    environments of a@eu-west-1: mine, only_here, prod",
        "ok    environments of b@us-east-1: prod",
        "ok    prod-eu-west-1: AVAILABLE",
        "ok    prod-us-east-1: AVAILABLE",
        "ok    my-own: AVAILABLE",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    assert_eq!(
        ended.stdout.matches(": AVAILABLE").count(),
        4,
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn check_lists_what_serve_would_find() {
    let center = serde_json::json!({ "StartUrl": "https://x.example/start" });
    let mut seed = Seed::new("demo", "3.4.0");
    seed.extra
        .insert("IdentityCenterConfiguration".to_owned(), center);
    let settings = Settings {
        environments: vec![seed],
        ..Settings::default()
    };
    let emulator = Emulator::start(settings).await.unwrap();
    let ended = end(program(&emulator, &["check"])).await;
    // the web server's name does not resolve here: the last line and the exit code show it
    assert_eq!(ended.code, Some(69), "{}", ended.stdout);
    for line in [
        "ok    environments: demo",
        "ok    demo: AVAILABLE, Airflow 3.4.0",
        "ok    demo: its users log in with IAM Identity Center (https://x.example/start)",
        "warn  demo: the gateway has no list of commands for Airflow 3.4.0; it checks them as in 3.3.1",
        "ok    demo: a CLI token for",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.contains("upstream.unreachable"), "{last}");
}
