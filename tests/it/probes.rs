//! The probes' address: what kubelet and Prometheus need, by any name, and nothing more.

use crate::program::{command, run};
use crate::support::{Client, Harness, Response, soon};
use crate::tree;
use mwaa_emulator::{ControlFault, Settings};
use std::net::SocketAddr;

const PROBES: &str = "[management]\nprobes = \"0.0.0.0:0\"\n";

/// The address, as the status names it, reached over loopback.
async fn address(harness: &Harness) -> SocketAddr {
    let status = harness.manage("/status").await.json();
    let url = status["probes"].as_str().unwrap();
    let address: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
    assert!(
        address.ip().is_unspecified() && address.port() != 0,
        "{url}"
    );
    ([127, 0, 0, 1], address.port()).into()
}

async fn ask(address: SocketAddr, head: &str) -> Response {
    let request = format!("{}\r\n\r\n", head.replace('\n', "\r\n"));
    Client::tcp(address).await.exchange(request).await
}

#[tokio::test]
async fn the_probes_address_serves_probes_and_metrics_for_any_host() {
    let harness = Harness::configured(PROBES).await;
    let address = address(&harness).await;
    for host in ["10.42.0.7:9181", "gateway.svc", "localhost"] {
        for (path, begins) in [
            ("/livez", "ok\n"),
            ("/startupz", "ok\n"),
            ("/metrics", "# HELP"),
        ] {
            let reply = ask(address, &format!("GET {path} HTTP/1.1\nHost: {host}")).await;
            assert_eq!(reply.status, 200, "{host} {path}: {reply}");
            assert!(reply.text().starts_with(begins), "{path}: {reply}");
        }
    }
    let mut client = Client::tcp(address).await;
    client
        .send("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let head = String::from_utf8(client.rest().await).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn the_kubernetes_example_probes_the_configured_address() {
    let config: toml::Table = tree::read("deploy/kubernetes/config.toml").parse().unwrap();
    let configured = config["management"]["probes"].as_str().unwrap();
    let pod = tree::read("deploy/kubernetes/sidecar.yaml");
    let values = |key: &str| -> Vec<String> {
        let lines = pod.lines().map(str::trim);
        let found = lines.filter_map(|line| line.strip_prefix(key));
        found.map(str::to_owned).collect()
    };
    assert_eq!(values("- name: probes").len(), 1);
    let port = values("containerPort: ").pop().unwrap();
    assert!(
        configured.ends_with(&format!(":{port}")),
        "{configured} {port}"
    );
    assert_eq!(values("port: "), ["probes"; 3]);

    let harness = Harness::configured(PROBES).await;
    let address = address(&harness).await;
    harness.status_says("/environments/0/ready", true).await;
    let paths = values("path: ");
    assert_eq!(paths.len(), 3);
    for path in paths {
        let reply = ask(
            address,
            &format!("GET {path} HTTP/1.1\nHost: 10.42.0.7:{port}"),
        )
        .await;
        assert_eq!(reply.status, 200, "{path}: {reply}");
    }
}

#[tokio::test]
async fn the_probes_address_serves_nothing_else() {
    let harness = Harness::configured(PROBES).await;
    let address = address(&harness).await;
    for path in ["/status", "/", "/-/", "/aws_mwaa/cli", "/readyz/", "/log"] {
        let reply = ask(address, &format!("GET {path} HTTP/1.1\nHost: x")).await;
        assert_eq!(reply.status, 404, "{path}: {reply}");
        assert!(!reply.text().contains("/status"), "{reply}");
    }
    for method in ["POST", "PUT", "OPTIONS"] {
        let length = "Content-Length: 1000000";
        let head = format!("{method} /livez HTTP/1.1\nHost: x\n{length}");
        let reply = ask(address, &head).await;
        assert_eq!(reply.status, 405, "the body is not waited for: {reply}");
    }
    let page = "GET /metrics HTTP/1.1\nHost: x\nSec-Fetch-Site: cross-site\n\
                Sec-Fetch-Mode: no-cors\nSec-Fetch-Dest: script";
    assert_eq!(ask(address, page).await.status, 403);
    let long = format!("GET /livez HTTP/1.1\nHost: x\nLong: {}", "x".repeat(20_000));
    assert_eq!(ask(address, &long).await.status, 431);
    // the management address stays as strict as it was
    let reply = ask(harness.management(), "GET /livez HTTP/1.1\nHost: 10.42.0.7").await;
    assert_eq!(reply.status, 421);
}

/// The reason may name an account, a role or a host: it is for the people of this machine.
#[tokio::test]
async fn readiness_is_reported_without_its_reason() {
    let harness = Harness::scripted(Settings::default(), PROBES, |script| {
        script.describe_fault.always(ControlFault::AccessDenied);
    })
    .await;
    let address = address(&harness).await;
    let ready = "GET /readyz HTTP/1.1\nHost: 10.42.0.7:9181";
    let details = format!("GET /readyz HTTP/1.1\nHost: {}", harness.management());
    soon("the reason", async {
        while !ask(harness.management(), &details)
            .await
            .text()
            .contains("aws.denied")
        {}
    })
    .await;
    let reply = ask(address, ready).await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (503, "not ready: 1 environment unavailable\n")
    );
    harness.script().describe_fault.off();
    let reply = soon("readiness", async {
        loop {
            let reply = ask(address, ready).await;
            if reply.status == 200 {
                return reply;
            }
        }
    })
    .await;
    assert_eq!(reply.text(), "ready\n");
}

#[tokio::test]
async fn serve_prints_the_probes_address_and_reports_a_used_port() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mwaa-gateway.toml");
    let write = |probes: &str| {
        let text = format!(
            "[listener]\naddress = \"127.0.0.1:0\"\n[management]\naddress = \"127.0.0.1:0\"\n\
             probes = \"{probes}\"\n[environments.demo]\nregion = \"eu-west-1\"\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    let path = file.to_str().unwrap();
    write("127.0.0.1:0");
    let mut gateway = crate::program::Running::start(command(&["serve", "--config", path]));
    let taken = gateway.told("probes on http://").await;
    assert_eq!(
        ask(taken.parse().unwrap(), "GET /livez HTTP/1.1\nHost: x")
            .await
            .status,
        200
    );
    write(&taken);
    let ended = run(&["serve", "--config", path]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for text in [
        format!("cannot listen on {taken} for probes"),
        "management.probes".to_owned(),
    ] {
        assert!(ended.stderr.contains(&text), "{text}: {}", ended.stderr);
    }
    gateway.stop().await;
}
