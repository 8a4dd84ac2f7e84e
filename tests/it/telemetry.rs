//! The log of the real program: one line for each request, and a level that changes while it runs.

use crate::program::{Ended, Running, command};
use crate::support::{Client, Response};
use mwaa_emulator::{Emulator, Settings, WebFault};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::task::JoinSet;

/// A gateway process and its emulator.
pub(crate) struct Served {
    pub(crate) emulator: Emulator,
    pub(crate) gateway: Running,
    pub(crate) address: SocketAddr,
    management: SocketAddr,
    folder: tempfile::TempDir,
}

impl Served {
    /// Starts both, with these arguments, and with this table of the configuration.
    pub(crate) async fn start(
        arguments: &[&str],
        table: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(Settings::default()).await.unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, emulator.ca_pem()).unwrap();
        let file = folder.path().join("gateway.toml");
        let config = format!(
            "[listener]\naddress = \"127.0.0.1:0\"\n[management]\naddress = \"127.0.0.1:0\"\n\
             {table}\n{}",
            emulator.config_toml(&ca_file)
        );
        std::fs::write(&file, config).unwrap();
        let mut serve = command(&["serve", "--config", file.to_str().unwrap()]);
        serve
            .args(arguments)
            .envs(variables.iter().copied())
            .env("AWS_ACCESS_KEY_ID", emulator.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", emulator.secret_access_key());
        let mut gateway = Running::start(serve);
        let address = gateway.told("listening on http://").await.parse().unwrap();
        let management = gateway.told("management on http://").await.parse().unwrap();
        Self {
            emulator,
            gateway,
            address,
            management,
            folder,
        }
    }

    pub(crate) async fn get(&self, path: &str, headers: &str) -> Response {
        let address = self.address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
        Client::tcp(address).await.exchange(request).await
    }

    pub(crate) async fn command(&self, line: &str) -> Response {
        let request = self.request(line);
        Client::tcp(self.address).await.exchange(request).await
    }

    fn request(&self, line: &str) -> String {
        format!(
            "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{line}",
            self.address,
            line.len()
        )
    }

    async fn manage(&self, request: &str, headers: &str, body: &str) -> Response {
        let request = format!(
            "{request} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.management,
            body.len()
        );
        Client::tcp(self.management).await.exchange(request).await
    }

    async fn stop(self) -> Ended {
        self.gateway.stop().await
    }
}

/// Returns the access lines among the lines of a JSON log.
fn access_lines(log: &str) -> Vec<Value> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == "request").collect()
}

#[tokio::test]
async fn each_request_has_one_line_with_its_end() {
    let served = Served::start(&["--log-format", "json"], "[limits]\nthreads = 1", &[]).await;
    served
        .get("/api/v1/dags?token=hunter2", "User-Agent: x\"y\\z\r\n")
        .await;
    served.command("variables set key hunter2").await;
    served.command("users create hunter2").await;
    served.get("/aws_mwaa/elsewhere", "").await;
    let mut client = Client::tcp(served.address).await;
    client.send("BROKEN\r\n\r\n").await;
    client.response().await;
    let body_cut = WebFault::CutBody;
    served.emulator.script().web_fault.next(1, body_cut);
    let mut client = Client::tcp(served.address).await;
    client.send(served.request("version")).await;
    client.rest().await;

    let log = served.stop().await.stderr;
    let lines = access_lines(&log);
    let facts: Vec<_> = lines
        .iter()
        .map(|line| {
            let code = line["code"].as_str().unwrap_or("ok");
            let status = &line["http.response.status_code"];
            format!("{status} {} {code}", line["url.path"])
        })
        .collect();
    assert_eq!(
        facts,
        [
            "200 \"/api/v1/dags\" ok",
            "200 \"/aws_mwaa/cli\" ok",
            "403 \"/aws_mwaa/cli\" policy.unsupported_command",
            "404 \"/aws_mwaa/elsewhere\" route.unknown_path",
            "400 null request.malformed",
            "200 \"/aws_mwaa/cli\" upstream.broken",
        ],
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
    assert!(!log.contains("refused"), "{log}");

    let [first, second, third, .., broken] = lines.as_slice() else {
        panic!("{log}");
    };
    assert_eq!(first["environment"], "demo");
    assert_eq!(first["kind"], "rest");
    assert_eq!(first["http.request.method"], "GET");
    assert_eq!(first["client.address"], "127.0.0.1");
    assert_eq!(first["listener"], "listener");
    assert_eq!(first["user_agent.original"], "x\"y\\z");
    assert!(
        first["http.response.body.size"].as_u64() > Some(10),
        "{first}"
    );
    assert!(first["upstream_ms"].as_f64() <= first["duration_ms"].as_f64());
    assert_eq!(second["command"], "variables set");
    assert_eq!(second["http.request.body.size"], 25);
    assert!(second["queued_ms"].is_number() && second["upstream_ms"].is_number());
    assert_eq!(third["command"], "users create");
    assert!(third["detail"].as_str().unwrap().contains("users create"));
    assert_eq!(broken["cut"], true, "{broken}");
}

#[tokio::test]
async fn calls_of_the_aws_api_and_pages_name_their_environment() {
    let served = Served::start(&["--log-format", "json"], "", &[]).await;
    let call = r#"{"Path": "/dags", "Method": "GET"}"#;
    for (request, body) in [
        ("POST /restapi/demo", call),
        ("POST /clitoken/demo", ""),
        ("GET /environments/demo", ""),
        ("GET /environments", ""),
    ] {
        let request = format!(
            "{request} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            served.address,
            body.len()
        );
        let reply = Client::tcp(served.address).await.exchange(request).await;
        assert_eq!(reply.status, 200, "{reply}");
    }
    let page = format!(
        "GET /-/ HTTP/1.1\r\nHost: demo.localhost:{}\r\n\r\n",
        served.address.port()
    );
    let reply = Client::tcp(served.address).await.exchange(page).await;
    assert_eq!(reply.status, 200, "{reply}");

    let log = served.stop().await.stderr;
    let mut facts: Vec<_> = access_lines(&log)
        .iter()
        .map(|line| {
            let environment = line["environment"].as_str().unwrap_or("none");
            let kind = line["kind"].as_str().unwrap();
            format!(
                "{} {kind} {environment}",
                line["url.path"].as_str().unwrap()
            )
        })
        .collect();
    // each thread has lines of its own
    facts.sort();
    assert_eq!(
        facts,
        [
            "/-/ own demo",
            "/clitoken/demo aws demo",
            "/environments aws none",
            "/environments/demo aws demo",
            "/restapi/demo aws demo",
        ],
        "{log}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_has_a_line_without_a_status() {
    let mut served = Served::start(&[], "", &[]).await;
    served.emulator.script().web_fault.always(WebFault::Hang);
    let mut client = Client::tcp(served.address).await;
    client.send(served.request("version")).await;
    crate::support::eventually("the request at the web server", async || {
        let journal = served.emulator.journal();
        let requests = journal.web_requests();
        requests
            .iter()
            .any(|seen| seen.target.contains("/cli"))
            .then_some(())
    })
    .await;
    drop(client);
    let line = served.gateway.logged(" --- ").await;
    assert!(
        line.contains("POST    /aws_mwaa/cli environment=demo kind=cli command=\"version\""),
        "{line}"
    );
    assert!(line.contains(" cut=true "), "{line}");
}

#[tokio::test]
async fn the_lines_can_be_left_out() {
    for (arguments, table) in [
        (vec![], "[telemetry]\naccess_log = false"),
        (vec!["--log", "warn"], ""),
        (vec!["--log", "info,mwaa_gateway::access=off"], ""),
    ] {
        let served = Served::start(&arguments, table, &[]).await;
        served.get("/api/v1/dags", "").await;
        served.get("/aws_mwaa/elsewhere", "").await;
        let log = served.stop().await.stderr;
        assert!(!log.contains("/api/v1/dags"), "{log}");
        // a refusal is a line of its own then
        let refused = log.contains("route.unknown_path");
        assert_eq!(refused, !arguments.contains(&"warn"), "{log}");
    }
}

#[tokio::test]
async fn the_level_of_the_log_changes_while_the_gateway_runs() {
    let served = Served::start(&[], "", &[]).await;
    let shown = served.manage("GET /log", "", "").await;
    assert_eq!((shown.status, shown.text().as_str()), (200, "info\n"));

    // not by a page, a rebound name, or to the levels of libraries, which would print headers
    for (status, headers, filter) in [
        (403, "Origin: http://evil.example\r\n", "trace"),
        (403, "Sec-Fetch-Site: cross-site\r\n", "trace"),
        (400, "", "hyper=trace"),
        (400, "", "info,aws_config=trace"),
        (400, "", "x=y=z"),
        (413, "", &"x".repeat(2000)),
    ] {
        let reply = served.manage("PUT /log", headers, filter).await;
        assert_eq!(reply.status, status, "{filter}: {reply}");
    }
    let rebound = "PUT /log HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 5\r\n\r\ntrace";
    let reply = Client::tcp(served.management).await.exchange(rebound).await;
    assert_eq!(reply.status, 421);
    let reply = served.manage("POST /log", "", "trace").await;
    assert_eq!(reply.header("allow"), Some("GET, HEAD, PUT"));
    served.command("version").await;
    assert!(!served.gateway.stderr().contains("DEBUG"));

    let reply = served.manage("PUT /log", "", "mwaa_gateway=debug\n").await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (200, "mwaa_gateway=debug\n")
    );
    served.command("version").await;
    let reply = served.manage("PUT /log", "", "warn").await;
    assert_eq!(reply.text(), "warn\n");
    served.command("dags list").await;
    let log = served.stop().await.stderr;
    assert!(
        log.contains("DEBUG") && log.contains("command permitted"),
        "{log}"
    );
    assert!(!log.contains("dags list"), "{log}");
}

#[tokio::test]
async fn a_reload_changes_the_access_log_but_not_the_collector() {
    let off = "[telemetry]\naccess_log = false\n";
    let on = "[telemetry]\notlp_endpoint = \"http://127.0.0.1:9\"\n";
    let mut served = Served::start(&[], off, &[]).await;
    served.get("/api/v1/pools", "").await;
    let file = served.folder.path().join("gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();

    std::fs::write(&file, text.replace(off, on)).unwrap();
    let warning = "telemetry.otlp_endpoint has changed, which takes effect at the next start";
    served.gateway.logged(warning).await;
    crate::support::eventually("an access line", async || {
        served.get("/api/v1/dags", "").await;
        let log = served.gateway.stderr();
        log.contains(" GET     /api/v1/dags ").then_some(())
    })
    .await;

    let ended = served.stop().await;
    assert!(!ended.stderr.contains("/api/v1/pools"), "{}", ended.stderr);
    // nothing was sent to it
    assert!(!ended.stderr.contains("traces"), "{}", ended.stderr);
}

/// A collector over HTTP: takes messages and answers that all is well.
struct Collector {
    address: SocketAddr,
    messages: tokio::sync::mpsc::UnboundedReceiver<(String, Vec<u8>)>,
    _accepting: JoinSet<()>,
}

impl Collector {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, messages) = tokio::sync::mpsc::unbounded_channel();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut exporter = Client::over(stream);
                let head = exporter.head().await;
                let size = head.to_lowercase();
                let (_, size) = size.split_once("content-length: ").unwrap();
                let size = size.lines().next().unwrap().parse().unwrap();
                let body = exporter.bytes(size).await;
                exporter
                    .send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .await;
                sender.send((head, body)).unwrap();
            }
        });
        Self {
            address,
            messages,
            _accepting: accepting,
        }
    }

    async fn message(&mut self) -> (String, Vec<u8>) {
        let next = crate::support::soon("a message", self.messages.recv());
        next.await.unwrap()
    }
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn trace_headers(served: &Served) -> Vec<(Option<String>, Option<String>)> {
    let journal = served.emulator.journal();
    let requests = journal.web_requests();
    let fields = requests.iter().filter(|seen| seen.target.contains("/api/"));
    let fields = fields.map(|seen| {
        let field = |name| seen.header(name).map(str::to_owned);
        (field("traceparent"), field("tracestate"))
    });
    fields.collect()
}

fn trace_of(traceparent: &str) -> &str {
    traceparent.split('-').nth(1).unwrap()
}

fn span_of(traceparent: &str) -> &str {
    traceparent.split('-').nth(2).unwrap()
}

fn contains(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let bytes =
        digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap());
    bytes.collect()
}

#[tokio::test]
async fn a_request_is_a_part_of_its_caller_s_trace() {
    let mut collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.address);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2"),
        ("OTEL_SERVICE_NAME", "gateway-of-the-test"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let served = Served::start(&["--log", "trace"], "", &variables).await;
    let caller = format!("traceparent: {CALLER}\r\ntracestate: vendor=1\r\n");
    served.get("/api/v1/dags?token=canary", &caller).await;
    let (head, message) = collector.message().await;
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("api-key: hunter2\r\n"), "{head}");
    for part in [
        "gateway-of-the-test",
        "GET rest",
        "admission",
        "routing",
        "policy",
        "auth",
        "upstream",
        "response",
        "http.response.status_code",
    ] {
        assert!(contains(&message, part.as_bytes()), "{part}");
    }
    assert!(!contains(&message, b"canary"), "the query");

    let passed_on = trace_headers(&served);
    let (parent, state) = &passed_on[0];
    let parent = parent.as_deref().unwrap();
    assert!(
        trace_of(parent) == trace_of(CALLER) && parent.ends_with("-01"),
        "{parent}"
    );
    assert_ne!(parent, CALLER);
    assert_eq!(state.as_deref(), Some("vendor=1"));
    // the span of the call to the web server, within the trace of the caller, below its span
    for id in [span_of(parent), trace_of(CALLER), span_of(CALLER)] {
        assert!(contains(&message, &bytes(id)), "{id}");
    }

    // a trace that is not sampled is not exported, and its field is passed on unchanged
    let unsampled = CALLER.replace("-01", "-00");
    served
        .get("/api/v1/dags", &format!("traceparent: {unsampled}\r\n"))
        .await;
    // an invalid field starts a new trace, and its state is dropped
    served
        .get(
            "/api/v1/dags",
            "traceparent: 00-1-2-03\r\ntracestate: vendor=1\r\n",
        )
        .await;
    let (_, message) = collector.message().await;
    let passed_on = trace_headers(&served);
    assert_eq!(passed_on[1], (Some(unsampled), None));
    let (parent, state) = &passed_on[2];
    assert!(contains(
        &message,
        &bytes(trace_of(parent.as_deref().unwrap()))
    ));
    assert_eq!(*state, None);

    let log = served.stop().await.stderr;
    assert!(!log.contains("hunter2"), "{log}");
    assert!(
        log.contains(&format!(" trace={}", trace_of(CALLER))),
        "{log}"
    );
}

#[tokio::test]
async fn without_a_collector_the_fields_of_a_trace_are_passed_on_as_they_are() {
    let served = Served::start(&[], "", &[("OTEL_SDK_DISABLED", "true")]).await;
    for value in [CALLER, "00-1-2-03"] {
        let headers = format!("traceparent: {value}\r\ntracestate: x=1\r\nbaggage: a=1\r\n");
        served.get("/api/v1/dags", &headers).await;
    }
    let expected = [CALLER, "00-1-2-03"];
    let expected = expected.map(|value| (Some(value.to_owned()), Some("x=1".to_owned())));
    assert_eq!(trace_headers(&served), expected);
    let log = served.stop().await.stderr;
    assert_eq!(log.matches(" trace=").count(), 1, "{log}");
}

#[tokio::test]
async fn a_dead_collector_costs_no_request() {
    let table = "[telemetry]\notlp_endpoint = \"http://127.0.0.1:9\"";
    let variables = [
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "20"),
    ];
    let served = Served::start(&[], table, &variables).await;
    for _ in 0..20 {
        assert_eq!(served.get("/api/v1/dags", "").await.status, 200);
    }
    let metrics = served.manage("GET /metrics", "", "").await.text();
    let dropped = metrics
        .lines()
        .find_map(|line| line.strip_prefix("mwaa_gateway_spans_dropped_total "));
    assert!(dropped.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
    let ended = served.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("spans are dropped"),
        "{}",
        ended.stderr
    );

    let variables = [("OTEL_TRACES_SAMPLER", "sometimes")];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(
        &file,
        format!("{table}\n[environments.demo]\nregion = \"eu-west-1\"\n"),
    )
    .unwrap();
    let mut serve = command(&["serve", "--listen=127.0.0.1:0", "--management=127.0.0.1:0"]);
    serve.arg("--config").arg(&file).envs(variables);
    let ended = crate::program::end(serve).await;
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("OTEL_TRACES_SAMPLER cannot be used"),
        "{}",
        ended.stderr
    );
}
