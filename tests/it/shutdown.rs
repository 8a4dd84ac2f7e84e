//! The end: what runs is finished, what cannot be is answered, nothing new begins.

use crate::support::airflow::{DAG, JSON};
use crate::support::{Client, HELD, Harness, Puppet, Response, all, eventually, soon};
use crate::telemetry::Served;
use crate::tree;
use mwaa_app::{AFTER_DRAIN, ShutdownStatus};
use mwaa_emulator::{Settings, WebFault};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

/// One thread: where two have a socket each, a connection is refused as soon as the first is closed.
const GRACE: &str = "limits.drain = \"20s\"\nlimits.threads = 1";
/// Waiting commands get slots in the first half of it.
const SHORT: &str = "limits.drain = \"600ms\"\nlimits.threads = 1";
const EVENTS: &str = "Accept: application/vnd.mwaa-gateway.cli-events+ndjson\r\n";

/// Waits until the listener is closed.
async fn closes(harness: &Harness) {
    let refused = async || Client::try_tcp(harness.address()).await.err();
    eventually("the listener's end", refused).await;
}

/// Fails unless the response says that nothing was done, and that this was its connection's last.
#[track_caller]
fn assert_stopping(reply: &Response) {
    assert_eq!(
        (reply.status, reply.fault()),
        (503, Some("gateway.stopping")),
        "{reply}"
    );
    assert_eq!(reply.header("connection"), Some("close"), "{reply}");
    assert_eq!(reply.header("retry-after"), Some("5"), "{reply}");
}

#[tokio::test]
async fn running_and_queued_commands_are_finished() {
    let extra = format!("{GRACE}\nenvironments.demo.cli_concurrency = 4");
    let mut harness = Harness::configured(&extra).await;
    harness.script().command_delay.always(HELD);
    let commands = harness.at_once((0..12).map(|_| harness.request("version")));
    harness
        .seen("four commands", |journal| journal.running_commands() == 4)
        .await;
    harness.queued(8).await;
    harness.stop();
    closes(&harness).await;
    harness.script().command_delay.off();
    for reply in all(commands).await {
        assert_eq!(reply.status, 200, "{reply}");
        assert_eq!(reply.header("connection"), Some("close"), "{reply}");
    }
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
    assert_eq!(harness.journal().commands().len(), 12);
}

#[tokio::test]
async fn no_connection_is_accepted_during_the_drain() {
    let mut harness = Harness::configured(GRACE).await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut running = harness.connect().await;
    running.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    assert_eq!(harness.manage("/readyz").await.status, 200);
    harness.stop();
    closes(&harness).await;
    let unready = harness.manage("/readyz").await;
    assert_eq!(unready.status, 503, "{unready}");
    assert!(unready.text().contains("stopping"), "{unready}");
    assert_eq!(harness.manage("/livez").await.status, 200);
    harness.script().cut_web_connections();
    assert_eq!(running.response().await.fault(), Some("upstream.broken"));
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
}

/// Commands that get no slot in time are not sent, and those that run are not waited for any longer.
#[tokio::test]
async fn what_cannot_be_finished_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.log");
    let extra = format!(
        "{SHORT}\naudit.file = {:?}\nenvironments.demo.cli_concurrency = 2",
        audit.display().to_string()
    );
    let mut harness = Harness::configured(&extra).await;
    harness.script().web_fault.always(WebFault::Hang);
    let mut running = [harness.connect().await, harness.connect().await];
    running[0].send(harness.request("version")).await;
    running[1]
        .send(harness.request_with(EVENTS, "version"))
        .await;
    harness
        .seen("two commands", |journal| journal.web_count() == 2)
        .await;
    let mut waiting = [harness.connect().await, harness.connect().await];
    waiting[0].send(harness.request("version")).await;
    waiting[1]
        .send(harness.request_with(EVENTS, "version"))
        .await;
    harness.queued(2).await;
    let mut slow = harness.connect().await;
    slow.send("POST /aws_mwaa/cli HTTP/1.1\r\nHost: ").await;
    let mut upload = harness.connect().await;
    let request = harness.request("version");
    upload.send(request.strip_suffix("ion").unwrap()).await;

    harness.stop();
    let reply = waiting[0].response().await;
    assert_stopping(&reply);
    assert!(reply.text().contains("nothing was sent"), "{reply}");
    let event = last_event(&waiting[1].response().await);
    assert_eq!(event["problem"]["code"], "gateway.stopping", "{event}");
    assert_eq!(event["retry_after"], 5, "{event}");

    let reply = running[0].response().await;
    assert_eq!(
        (reply.status, reply.fault()),
        (504, Some("gateway.interrupted")),
        "{reply}"
    );
    assert_eq!(reply.header("retry-after"), None, "{reply}");
    assert!(reply.text().contains("outcome: unknown"), "{reply}");
    let event = last_event(&running[1].response().await);
    assert_eq!(event["problem"]["code"], "gateway.interrupted", "{event}");
    assert_stopping(&slow.response().await);
    assert_stopping(&upload.response().await);

    assert_eq!(harness.stopped().await, ShutdownStatus::TimedOut);
    assert_eq!(harness.journal().web_count(), 2, "a command was sent late");
    let outcomes = audited(&audit);
    let of = |outcome: &str| outcomes.iter().filter(|one| **one == outcome).count();
    // the upload was not read to its end, so it was no command yet
    assert_eq!((of("unknown"), of("not_sent"), of("refused")), (2, 2, 1));
}

fn last_event(reply: &Response) -> Value {
    let text = reply.text();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn audited(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: Value| line["outcome"].as_str().unwrap().to_owned())
        .collect()
}

/// A request of the REST API is answered too, and a response that has begun is broken off.
#[tokio::test]
async fn requests_beyond_the_drain_time_are_answered_or_visibly_broken() {
    let mut puppet = Puppet::start().await;
    let extra = format!("{}limits.drain = \"600ms\"", puppet.config());
    let mut harness = Harness::airflow_with(Settings::default(), "2.10.3", &extra).await;
    let mut reading = harness.connect().await;
    reading.send(harness.asking("GET", "/api/v1/x", "")).await;
    puppet.signs_in("session=x").await;
    let mut server = puppet.next().await;
    server.head().await;
    server
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    let head = reading.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(reading.chunk().await, b"abc");

    let mut safe = harness.connect().await;
    safe.send(harness.asking("GET", "/api/v1/dags", "")).await;
    let mut of_safe = puppet.next().await;
    of_safe.head().await;
    let target = format!("/api/v1/dags/{DAG}");
    let mut change = harness.connect().await;
    change
        .send(harness.sending("PATCH", &target, JSON, "{}"))
        .await;
    let mut of_change = puppet.next().await;
    of_change.head().await;

    harness.stop();
    assert_stopping(&safe.response().await);
    let reply = change.response().await;
    assert_eq!(
        (reply.status, reply.fault()),
        (504, Some("gateway.interrupted")),
        "{reply}"
    );
    assert_eq!(reading.rest().await, b"", "the last chunk of a response");
    assert_eq!(harness.stopped().await, ShutdownStatus::TimedOut);
}

/// A request that is on its way while its connection is closed has an answer before it.
#[tokio::test]
async fn an_idle_connection_ends_with_an_answer() {
    let mut harness = Harness::configured(GRACE).await;
    let request = harness.request("version");
    let mut used = harness.connect().await;
    assert_eq!(used.exchange(&request).await.status, 200);
    let mut fresh = harness.connect().await;
    harness.stop();
    for client in [&mut used, &mut fresh] {
        assert_stopping(&client.response().await);
        // too late, and no reset for it
        client.send(&request).await;
        assert_eq!(client.rest().await, b"");
    }
    // it would be cut if it were waited for
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
    assert_eq!(harness.journal().commands().len(), 1);
}

/// The kernel has accepted more connections than there are places.
#[tokio::test]
async fn clients_that_wait_for_a_place_are_answered() {
    let extra = format!("{SHORT}\nlimits.connections = 1");
    let mut harness = Harness::configured(&extra).await;
    harness.script().web_fault.always(WebFault::Hang);
    let mut running = harness.connect().await;
    running.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut client = harness.connect().await;
        client.send(harness.request("version")).await;
        waiting.push(client);
    }
    harness.stop();
    for mut client in waiting {
        assert_stopping(&client.response().await);
    }
    let reply = running.response().await;
    assert_eq!(reply.fault(), Some("gateway.interrupted"), "{reply}");
    assert_eq!(harness.stopped().await, ShutdownStatus::TimedOut);
}

#[tokio::test]
async fn clients_are_served_during_the_shutdown_delay() {
    let extra = format!("{GRACE}\nlimits.shutdown_delay = \"3s\"");
    let mut harness = Harness::configured(&extra).await;
    let mut kept = harness.connect().await;
    let reply = kept.exchange(harness.request("version")).await;
    assert_eq!(reply.header("connection"), None, "{reply}");
    harness.stop();
    let stopping = async || {
        let ready = harness.manage("/readyz").await;
        (ready.status == 503).then_some(())
    };
    eventually("readiness to end", stopping).await;
    for client in [&mut kept, &mut harness.connect().await] {
        let reply = client.exchange(harness.request("version")).await;
        assert_eq!(reply.status, 200, "{reply}");
        assert_eq!(reply.header("connection"), Some("close"), "{reply}");
    }
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
}

fn ask_version(http: &str, address: SocketAddr, headers: &str) -> String {
    format!(
        "POST /aws_mwaa/cli {http}\r\nHost: {address}\r\nContent-Type: text/plain\r\n\
         {headers}Content-Length: 7\r\n\r\nversion"
    )
}

/// A client of HTTP/1.0 takes an orderly close for the end of its response.
#[tokio::test]
async fn a_forced_end_resets_the_responses_to_http_1_0() {
    for signal in [Signal::TERM, Signal::KILL] {
        let served = Served::start(&[], "", &[]).await;
        let (mut gateway, address) = (served.gateway, served.address);
        served.emulator.script().command_delay.always(HELD);
        let socket = TcpSocket::new_v4().unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let request = ask_version("HTTP/1.0", address, EVENTS);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"}\n") {
            soon("an event", stream.read_buf(&mut got)).await.unwrap();
        }

        if signal == Signal::TERM {
            let id = Pid::from_raw(i32::try_from(gateway.id()).unwrap()).unwrap();
            kill_process(id, signal).unwrap();
            gateway.logged("waiting for running requests").await;
        }
        let ended = gateway.end_by(signal).await;
        assert!(matches!(ended.code, Some(143) | None), "{}", ended.stderr);
        let end = soon("the end", stream.read_to_end(&mut got)).await;
        let got = String::from_utf8_lossy(&got);
        // a thread may have cut it before
        let is_cut = signal == Signal::TERM && got.contains("gateway.interrupted");
        assert!(end.is_err() || is_cut, "{signal:?}: {got}");
    }
}

/// SIGQUIT drains like SIGTERM, and other signals do nothing.
#[tokio::test]
async fn no_signal_cuts_a_command() {
    let served = Served::start(&[], "", &[]).await;
    let (emulator, gateway) = (&served.emulator, served.gateway);
    let address = served.address;
    emulator.script().command_delay.always(HELD);
    let mut client = Client::tcp(address).await;
    client.send(ask_version("HTTP/1.1", address, "")).await;
    emulator
        .journal()
        .wait_for(|journal| journal.running_commands() == 1)
        .await;
    let id = Pid::from_raw(i32::try_from(gateway.id()).unwrap()).unwrap();
    for signal in [Signal::USR1, Signal::USR2, Signal::PIPE] {
        kill_process(id, signal).unwrap();
    }
    let (ended, ()) = tokio::join!(gateway.end_by(Signal::QUIT), async {
        let refused = async || Client::try_tcp(address).await.err();
        eventually("the listener's end", refused).await;
        emulator.script().command_delay.off();
        let reply = client.response().await;
        assert_eq!(reply.status, 200, "{reply}");
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn the_drain_waits_for_a_command_whose_client_left() {
    let mut harness = Harness::configured(GRACE).await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut leaving = harness.connect().await;
    leaving.send(harness.request("version")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    drop(leaving);
    harness.stop();
    closes(&harness).await;
    assert_eq!(
        harness.manage("/livez").await.status,
        200,
        "it is still there"
    );
    harness.script().cut_web_connections();
    assert_eq!(harness.stopped().await, ShutdownStatus::Drained);
}

/// A supervisor kills the program only after the time in which the program ends on its own.
#[test]
fn supervisors_wait_longer_than_a_shutdown_takes() {
    assert!(tree::read("config.toml").contains("\ndrain = \"25s\"\n"));
    let drain = Duration::from_secs(25) + AFTER_DRAIN;
    let helm = Duration::from_secs(5);
    for (file, before, delay) in [
        (
            "deploy/ecs/task-definition.json",
            "\"stopTimeout\": ",
            Duration::ZERO,
        ),
        (
            "deploy/helm/example-job/templates/job.yaml",
            GRACE_PERIOD,
            Duration::ZERO,
        ),
        ("deploy/helm/mwaa-gateway/values.yaml", GRACE_PERIOD, helm),
        (
            "deploy/kubernetes/sidecar.yaml",
            GRACE_PERIOD,
            Duration::ZERO,
        ),
        (
            "deploy/launchd/mwaa-gateway.plist",
            "<key>ExitTimeOut</key>\n  <integer>",
            Duration::ZERO,
        ),
        (
            "deploy/systemd/system/mwaa-gateway.service",
            "TimeoutStopSec=",
            Duration::ZERO,
        ),
        (
            "deploy/systemd/user/mwaa-gateway.service",
            "TimeoutStopSec=",
            Duration::ZERO,
        ),
        (
            "docs/operations/container.md",
            "stop_grace_period: ",
            Duration::ZERO,
        ),
    ] {
        let text = tree::read(file);
        let (_, rest) = text.split_once(before).expect(file);
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        let limit = Duration::from_secs(digits.parse().expect(file));
        assert!(limit >= delay + drain, "{file}: {limit:?}");
    }
    let chart = tree::read("deploy/helm/mwaa-gateway/templates/_config.tpl");
    assert!(chart.contains("\"shutdown_delay\" \"5s\""), "{chart}");
}

const GRACE_PERIOD: &str = "terminationGracePeriodSeconds: ";
