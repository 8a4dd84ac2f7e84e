//! The audit log, from outside: one line for each command, whatever becomes of it, and nothing
//! in it that a client wrote.

use crate::support::{Client, Harness, IS_LINUX, Puppet, Response, all, soon};
use mwaa_emulator::{Settings, WebFault};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// A gateway with an audit log in a folder of its own.
struct Audited {
    harness: Harness,
    folder: TempDir,
}

impl Audited {
    async fn new(extra: &str) -> Self {
        Self::with(Settings::default(), extra).await
    }

    async fn with(settings: Settings, extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.log");
        let audit = format!("audit.file = {:?}\n{extra}", file.display().to_string());
        let harness = Harness::with(settings, &audit).await;
        Self { harness, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// Waits until the log has so many lines, and returns them.
    async fn lines(&self, count: usize) -> Vec<Value> {
        let polling = async {
            loop {
                let lines = lines(&self.file());
                if lines.len() >= count {
                    return lines;
                }
                self.harness.manage("/livez").await;
            }
        };
        let lines = soon(&format!("{count} lines in the audit log"), polling).await;
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }

    async fn asks(&self, command: &str, accept: &str) -> Response {
        let request = self
            .harness
            .request_with(&format!("Accept: {accept}\r\n"), command);
        self.harness.connect().await.exchange(request).await
    }

    /// The only line after this command.
    async fn line_of(&self, command: &str, accept: &str) -> (Response, Value) {
        let before = lines(&self.file()).len();
        let reply = self.asks(command, accept).await;
        let line = self.lines(before + 1).await.remove(before);
        assert_eq!(
            line["request_id"],
            json!(reply.header("mwaa-gateway-request-id"))
        );
        (reply, line)
    }
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}")))
        .collect()
}

/// The user of this process, on systems that can look up the user of a TCP client.
fn tcp_user() -> Value {
    let user = IS_LINUX.then(|| rustix::process::geteuid().as_raw());
    user.into()
}

const JSON: &str = "application/vnd.mwaa-gateway.cli+json";
const EVENTS: &str = "application/vnd.mwaa-gateway.cli-events+ndjson";

#[tokio::test]
async fn a_line_names_client_time_environment_command_and_outcome() {
    let audited = Audited::new("").await;
    let (reply, line) = audited
        .line_of(
            "dags trigger example_etl -c '{\"k\": 1}' --run-id=hunter2",
            JSON,
        )
        .await;
    assert_eq!(reply.status, 200, "{reply}");
    let expected = json!({
        "event": "ended", "uid": tcp_user(), "listener": "listener", "environment": "demo",
        "command": "dags trigger",
        "options": ["--conf", "--run-id"], "outcome": "succeeded", "status": 200,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&line[field], value, "{field} in {line}");
    }
    for (field, beginning) in [("peer", "127.0.0.1:"), ("time", "20"), ("region", "")] {
        let value = line[field].as_str().unwrap();
        assert!(value.starts_with(beginning), "{line}");
    }
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    assert!(
        line["duration_ms"].is_u64()
            && line["queued_ms"].is_u64()
            && line["mwaa_name"].is_string(),
        "{line}"
    );
    assert!(
        line.get("client_left").is_none() && line.get("fault").is_none(),
        "{line}"
    );
    let mode = fs::metadata(audited.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn each_outcome_has_its_own_word() {
    let audited = Audited::new("").await;
    let cases = [
        ("version", JSON, json!("version"), "succeeded", Value::Null),
        (
            "version",
            EVENTS,
            json!("version"),
            "succeeded",
            Value::Null,
        ),
        ("version", "*/*", json!("version"), "answered", Value::Null),
        (
            "variables get nosuch",
            JSON,
            json!("variables get"),
            "failed",
            Value::Null,
        ),
        (
            "variables get nosuch",
            EVENTS,
            json!("variables get"),
            "failed",
            Value::Null,
        ),
        (
            "users list",
            "*/*",
            json!("users list"),
            "refused",
            json!("policy.unsupported_command"),
        ),
        (
            "hunter2 x",
            "*/*",
            json!("other"),
            "refused",
            json!("policy.unsupported_command"),
        ),
        (
            "dags trigger hunter2 -S /x",
            "*/*",
            json!("dags trigger"),
            "refused",
            json!("policy.forbidden_option"),
        ),
        (
            "dags list 'hunter2",
            "*/*",
            Value::Null,
            "refused",
            json!("policy.unreadable_command"),
        ),
    ];
    for (command, accept, name, outcome, fault) in cases {
        let (reply, line) = audited.line_of(command, accept).await;
        assert_eq!(line["command"], name, "{command}: {line}");
        assert_eq!(line["outcome"], outcome, "{command}: {line}");
        assert_eq!(line["fault"], fault, "{command}: {line}");
        assert_eq!(line["environment"], "demo", "{command}: {line}");
        assert!(line.get("client_left").is_none(), "{command}: {line}");
        if outcome == "refused" {
            assert_eq!(json!(reply.fault()), fault, "{reply}");
            assert!(line.get("status").is_none(), "{line}");
        } else if accept != EVENTS {
            assert_eq!(line["status"], reply.status, "{line}");
        }
    }
    // the guard refuses a request before its command is known
    let request = audited
        .harness
        .request_with("Origin: https://evil.example\r\n", "hunter2");
    assert_eq!(
        audited
            .harness
            .connect()
            .await
            .exchange(request)
            .await
            .status,
        403
    );
    let line = audited.lines(cases_and(1)).await.pop().unwrap();
    assert_eq!(
        (&line["outcome"], &line["fault"]),
        (&json!("refused"), &json!("guard.foreign_origin"))
    );
    // other requests are not commands
    let get = format!(
        "GET /home HTTP/1.1\r\nHost: {}\r\n\r\n",
        audited.harness.address()
    );
    audited.harness.connect().await.exchange(get).await;
    audited.line_of("version", "*/*").await;
    let text = fs::read_to_string(audited.file()).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
}

/// The lines of the cases above, and some more.
const fn cases_and(more: usize) -> usize {
    9 + more
}

#[tokio::test]
async fn arguments_are_written_only_if_configured() {
    let secret = "hunter2";
    let asked = format!("variables set key '{secret} \u{202e}é'");
    for arguments in [false, true] {
        let audited = Audited::new(&format!("audit.arguments = {arguments}")).await;
        let (_, line) = audited.line_of(&asked, JSON).await;
        let (_, refused) = audited
            .line_of(&format!("users create {secret}"), JSON)
            .await;
        let text = fs::read_to_string(audited.file()).unwrap();
        assert!(text.is_ascii(), "{text}");
        assert_eq!(text.contains(secret), arguments, "{text}");
        if arguments {
            assert_eq!(line["arguments"], "variables set key \"hunter2 \u{202e}é\"");
            assert_eq!(refused["arguments"], "users create hunter2");
        }
    }
}

/// A command that the web server has read and does not answer until its connections are cut.
async fn blocked(audited: &Audited) -> Client {
    let harness = &audited.harness;
    harness.script().web_fault.next(1, WebFault::Hang);
    let mut client = harness.connect().await;
    client.send(harness.request("dags list")).await;
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    client
}

#[tokio::test]
async fn a_command_whose_client_left_is_recorded() {
    let audited = Audited::new("limits.queue_wait = \"300ms\"").await;
    let harness = &audited.harness;
    let first = blocked(&audited).await;
    let mut second = harness.connect().await;
    second.send(harness.request("version")).await;
    harness.queued(1).await;
    drop(second);
    let line = audited.lines(1).await.pop().unwrap();
    assert_eq!(
        (&line["outcome"], &line["client_left"]),
        (&json!("not_sent"), &json!(true)),
        "{line}"
    );
    assert_eq!(line["command"], "version");
    let (reply, line) = audited.line_of("cheat-sheet", JSON).await;
    assert_eq!(reply.fault(), Some("queue.timeout"));
    assert_eq!(
        (&line["outcome"], &line["fault"]),
        (&json!("not_sent"), &json!("queue.timeout")),
        "{line}"
    );
    assert!(line["queued_ms"].as_u64() >= Some(300), "{line}");
    drop(first);
    // otherwise the end of the web server's connection may be seen first
    harness
        .status_says("/environments/0/queue/commands/0/client_left", true)
        .await;
    harness.script().cut_web_connections();
    let line = audited.lines(3).await.pop().unwrap();
    assert_eq!(line["command"], "dags list");
    assert_eq!(
        (&line["outcome"], &line["client_left"]),
        (&json!("unknown"), &json!(true)),
        "{line}"
    );
    assert_eq!(line["fault"], "upstream.broken", "{line}");
}

/// A load balancer's error leaves the outcome unknown, also if the client has left.
#[tokio::test]
async fn an_error_of_a_load_balancer_has_an_unknown_outcome() {
    let settings = Settings {
        command_timeout: Duration::from_secs(2),
        ..Settings::default()
    };
    let audited = Audited::with(settings, "").await;
    let (harness, mut codes) = (&audited.harness, Vec::new());
    for status in [502, 503, 504] {
        for accept in ["*/*", "text/plain", JSON, EVENTS] {
            harness.script().web_fault.next(1, WebFault::html(status));
            let (_, line) = audited.line_of("dags list", accept).await;
            assert_eq!(
                (&line["outcome"], &line["status"]),
                (&json!("unknown"), &json!(status)),
                "{accept}: {line}"
            );
            assert!(line.get("client_left").is_none(), "{line}");
            codes.push(line["fault"].as_str().unwrap().to_owned());
        }
    }
    codes.dedup();
    let all = [
        "upstream.broken",
        "upstream.unavailable",
        "upstream.timeout",
    ];
    assert_eq!(codes, all);
    let before = lines(&audited.file()).len();
    harness
        .script()
        .command_delay
        .next(1, Duration::from_mins(1));
    let mut leaving = harness.connect().await;
    leaving.send(harness.request("dags list")).await;
    harness
        .seen("the command", |journal| journal.web_count() == before + 1)
        .await;
    drop(leaving);
    let line = audited.lines(before + 1).await.pop().unwrap();
    assert_eq!(
        [&line["outcome"], &line["status"], &line["client_left"]],
        [&json!("unknown"), &json!(504), &json!(true)],
        "{line}"
    );
}

/// A head with 200 says nothing about a reply that did not come whole, whichever side broke it off.
#[tokio::test]
async fn an_incomplete_raw_response_has_an_unknown_outcome() {
    let mut puppet = Puppet::start().await;
    let audited = Audited::new(puppet.config()).await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let reply = format!("{head}Content-Length: 30\r\n\r\n{{\"stdout\": ");
    for client_left in [false, true] {
        let mut client = audited.harness.connect().await;
        client.send(audited.harness.request("version")).await;
        let mut server = puppet.next().await;
        server.head().await;
        server.send(&reply).await;
        client.head().await;
        if client_left {
            drop(client);
        } else {
            drop(server);
            client.rest().await;
        }
        let line = audited
            .lines(1 + usize::from(client_left))
            .await
            .pop()
            .unwrap();
        let fault = (!client_left).then_some("upstream.broken");
        assert_eq!(line["outcome"], "unknown", "{line}");
        assert_eq!(line["status"], 200, "{line}");
        assert_eq!(line["fault"], json!(fault), "{line}");
        assert_eq!(
            line.get("client_left"),
            client_left.then_some(&json!(true)),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_command_cut_off_by_the_shutdown_is_recorded() {
    let mut audited = Audited::new("").await;
    let _client = blocked(&audited).await;
    audited.harness.stop();
    audited.harness.stopped().await;
    let lines = lines(&audited.file());
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["outcome"], "unknown", "{lines:?}");
}

#[tokio::test]
async fn a_hundred_concurrent_commands_write_a_hundred_complete_lines() {
    let audited =
        Audited::new("audit.arguments = true\nenvironments.demo.cli_concurrency = 4").await;
    let harness = &audited.harness;
    let value = "v".repeat(5_000);
    let requests = (0..100).map(|n| harness.request(&format!("variables set k{n} {value}")));
    let mut ids: Vec<_> = all(harness.at_once(requests))
        .await
        .iter()
        .map(|reply| reply.header("mwaa-gateway-request-id").unwrap().to_owned())
        .collect();
    let mut told: Vec<_> = audited
        .lines(100)
        .await
        .iter()
        .map(|line| line["request_id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    told.sort();
    assert_eq!(told, ids);
}

#[tokio::test]
async fn the_log_is_reopened_after_a_rotation() {
    let audited = Audited::new("").await;
    audited.line_of("version", JSON).await;
    let old = audited.folder.path().join("audit.log.1");
    fs::rename(audited.file(), &old).unwrap();
    audited.harness.command("cheat-sheet").await;
    soon("the new file", async {
        while !audited.file().exists() {
            audited.harness.manage("/livez").await;
        }
    })
    .await;
    assert_eq!(audited.lines(1).await[0]["command"], "cheat-sheet");
    assert_eq!(lines(&old).len(), 1);
}

async fn lost(audited: &Audited) -> u64 {
    let metrics = audited.harness.manage("/metrics").await.text();
    let line = metrics
        .lines()
        .find_map(|l| l.strip_prefix("mwaa_gateway_audit_lines_lost_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn commands_run_without_the_log_unless_it_is_required() {
    let audited = Audited::new("").await;
    fs::remove_file(audited.file()).unwrap();
    fs::create_dir(audited.file()).unwrap();
    assert_eq!(audited.harness.command("version").await.status, 200);
    soon("a count", async { while lost(&audited).await == 0 {} }).await;

    let audited = Audited::new("audit.required = true").await;
    let harness = &audited.harness;
    assert_eq!(harness.command("version").await.status, 200);
    let lines = audited.lines(2).await;
    assert_eq!(
        (&lines[0]["event"], &lines[1]["event"]),
        (&json!("accepted"), &json!("ended"))
    );
    assert_eq!(lines[0]["request_id"], lines[1]["request_id"]);
    let sent = harness.journal().commands().len();
    fs::rename(audited.file(), audited.folder.path().join("old")).unwrap();
    fs::create_dir(audited.file()).unwrap();
    let reply = harness.command("version").await;
    assert_eq!(
        (reply.status, reply.fault()),
        (503, Some("gateway.off_record")),
        "{reply}"
    );
    assert_eq!(harness.journal().commands().len(), sent, "nothing was sent");
    soon("both lines", async { while lost(&audited).await < 2 {} }).await;
    fs::remove_dir(audited.file()).unwrap();
    assert_eq!(harness.command("version").await.status, 200);
    let lines = audited.lines(3).await;
    assert_eq!(lines[0]["event"], "lost", "{lines:?}");
    assert_eq!(lines[0]["lines"], 2, "{lines:?}");
}

#[tokio::test]
async fn a_unix_client_has_a_user_and_a_process() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("gateway.sock");
    let address = format!(
        "listener.address = {:?}",
        format!("unix:{}", socket.display())
    );
    let audited = Audited::new(&address).await;
    let request = "POST /aws_mwaa/cli HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\nversion";
    assert_eq!(
        Client::unix(&socket).await.exchange(request).await.status,
        200
    );
    let line = audited.lines(1).await.pop().unwrap();
    assert_eq!(line["peer"], "unix");
    assert_eq!(line["uid"], rustix::process::geteuid().as_raw());
    assert_eq!(line["pid"], std::process::id());
}

/// The kernel reports user 0 for a connection that its client has closed: that is not root. The
/// body is cut short, so that the request has begun before its end is seen.
#[tokio::test]
async fn a_client_that_closes_before_it_is_accepted_has_no_user() {
    let audited = Audited::new("limits.threads = 1\nlimits.connections = 1").await;
    let harness = &audited.harness;
    // one connection is busy and one is accepted, so that a third waits in the kernel
    let first = blocked(&audited).await;
    let second = harness.connect().await;
    let request = harness.request("users list");
    let mut third = harness.connect().await;
    third.send(request.strip_suffix("t").unwrap()).await;
    drop(third);
    harness.script().cut_web_connections();
    let _ended = audited.lines(1).await;
    drop((first, second));

    let lines = audited.lines(2).await;
    assert_eq!(lines[0]["uid"], tcp_user());
    assert_eq!(lines[1].get("uid"), None, "{}", lines[1]);
    assert_eq!(lines[1]["fault"], "request.malformed");
}
