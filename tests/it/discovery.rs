//! `serve` without a file and without names: every environment of the account and region.

use crate::program::{Running, command, end};
use crate::support::{Client, Response, soon};
use mwaa_gateway::emulator::{ControlFault, Emulator, Seed, Settings};
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
async fn every_environment_is_found_and_trouble_is_told_until_then() {
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
    let told = soon("the reason", async {
        loop {
            let reply = ask(management, ready).await;
            if reply.text().contains("aws.denied") {
                return reply;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(told.status, 503, "{told}");
    assert!(
        told.text().contains("airflow:ListEnvironments on *"),
        "{told}"
    );
    let early = ask(listener, version).await;
    assert_eq!(early.fault(), Some("route.unknown_environment"), "{early}");

    emulator.script().describe_fault.off();
    let lines = soon("every environment to be ready", async {
        loop {
            let reply = ask(management, ready).await;
            if reply.text().matches(": ready").count() == COUNT {
                return reply.text();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
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

#[tokio::test]
async fn check_lists_what_serve_would_find() {
    let emulator = Emulator::start(Settings::default()).await.unwrap();
    let ended = end(program(&emulator, &["check"])).await;
    // the web server's name does not resolve here: the last line says so, and the code
    assert_eq!(ended.code, Some(69), "{}", ended.stdout);
    for line in [
        "ok    environments: demo",
        "ok    demo: AVAILABLE, Airflow 2.10.3",
        "ok    demo: a CLI token for",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    let last = ended.stdout.lines().last().unwrap();
    assert!(last.contains("upstream.unreachable"), "{last}");
}
