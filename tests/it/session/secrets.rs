//! H-01 and H-12 for sessions: cookies, tokens of Airflow and web tokens of AWS stand in nothing
//! that the gateway says, at trace level, whatever happens to them.

use crate::program::{Running, command};
use crate::support::{Client, Response};
use mwaa_emulator::{DeadForm, Emulator, Seed, Settings, WebFault};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// A gateway process with one environment of each dialect, and all that clients got from it.
struct Stand {
    emulator: Emulator,
    gateway: Running,
    address: SocketAddr,
    management: SocketAddr,
    said: String,
    /// The tokens that browsers were handed on purpose.
    handed: Vec<String>,
}

const NAMES: [&str; 3] = ["two", "old-three", "three"];

impl Stand {
    async fn start(folder: &Path) -> Self {
        let versions = ["2.10.3", "3.0.6", "3.3.1"];
        let seeds = NAMES
            .iter()
            .zip(versions)
            .map(|(name, version)| Seed::new(name, version));
        let settings = Settings {
            environments: seeds.collect(),
            ..Settings::default()
        };
        let emulator = Emulator::start(settings).await.unwrap();
        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, emulator.ca_pem()).unwrap();
        let file = folder.join("gateway.toml");
        // programs are still served, and may ask for a hand-over
        let mut environments = emulator.config_toml(&ca_file);
        for name in NAMES {
            let table = format!("[environments.{name}]\n");
            environments =
                environments.replace(&table, &format!("{table}browser = \"redirect\"\n"));
        }
        let config = format!(
            "[listener]\naddress = \"127.0.0.1:0\"\n[management]\naddress = \"127.0.0.1:0\"\n\
             [limits]\nupstream_first_byte = \"1s\"\nmint_total = \"6s\"\n{environments}"
        );
        std::fs::write(&file, config).unwrap();
        let mut serve = command(&[
            "serve",
            "--log",
            "trace",
            "--config",
            file.to_str().unwrap(),
        ]);
        serve
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
            said: String::new(),
            handed: Vec::new(),
        }
    }

    async fn ask(&mut self, name: &str, line: &str, headers: &str) -> Option<Response> {
        let port = self.address.port();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {name}.localhost:{port}\r\n\
             Authorization: Bearer canary-client\r\nCookie: session=canary-client\r\n{headers}\r\n"
        );
        let mut client = Client::tcp(self.address).await;
        client.send(request).await;
        let mut reply = client.try_response().await.ok()?;
        for (field, value) in &mut reply.headers {
            if field == "location"
                && let Some((rest, token)) = value.clone().split_once("?login=true#")
            {
                self.handed.push(token.to_owned());
                rest.clone_into(value);
            }
        }
        writeln!(self.said, "{:?}\n{}", reply.headers, reply.text()).unwrap();
        Some(reply)
    }

    /// Every kind of life and death that a session can have.
    async fn every_flow(&mut self) -> BTreeSet<String> {
        let mut codes = BTreeSet::new();
        let post = "Content-Type: application/json\r\nContent-Length: 0\r\n";
        let chunked =
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
        let turns: [fn(&Emulator); 9] = [
            |_| {},
            |e| e.script().reissue_token.next(1, ()),
            |e| e.script().kill_sessions(),
            |e| e.script().dead_form.next(1, DeadForm::LoginPage),
            |e| e.script().dead_form.next(1, DeadForm::AwsSignIn),
            |e| e.script().web_fault.next(1, WebFault::CutBody),
            |e| e.script().web_fault.next(1, WebFault::Drop),
            |e| e.script().web_fault.next(1, WebFault::Hang),
            |e| e.script().refuse_sessions.next(3, ()),
        ];
        for name in NAMES {
            for turn in turns {
                turn(&self.emulator);
                for (line, headers) in [
                    // first, so that a dead session meets it
                    ("POST /api/v2/dags/x/dagRuns", chunked),
                    ("GET /home", ""),
                    ("GET /api/v1/dags", ""),
                    ("GET /api/v2/dags?x=1", ""),
                    ("POST /api/v2/dags/x/dagRuns", post),
                ] {
                    if let Some(reply) = self.ask(name, line, headers).await {
                        codes.extend(reply.fault().map(str::to_owned));
                    }
                }
            }
            let handover = "GET /aws_mwaa/aws-console-sso?handover=1";
            assert_eq!(self.ask(name, handover, "").await.unwrap().status, 303);
            for line in [
                "GET /logout/",
                "GET /login/?next=/home",
                "POST /aws_mwaa/login",
            ] {
                let reply = self.ask(name, line, "").await.unwrap();
                codes.extend(reply.fault().map(str::to_owned));
            }
            self.manage().await;
        }
        self.emulator
            .script()
            .login_fault
            .always(WebFault::html(403));
        self.emulator.script().kill_sessions();
        for name in NAMES {
            let reply = self.ask(name, "GET /api/v2/dags", "").await.unwrap();
            codes.extend(reply.fault().map(str::to_owned));
        }
        self.manage().await;
        codes
    }

    async fn manage(&mut self) {
        for path in ["/metrics", "/status", "/readyz"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.management);
            let reply = Client::tcp(self.management).await.exchange(request).await;
            writeln!(self.said, "{path} {:?}\n{}", reply.headers, reply.text()).unwrap();
        }
        let request = format!("GET /-/ HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        let reply = Client::tcp(self.address).await.exchange(request).await;
        self.said.push_str(&reply.text());
    }

    /// What the web servers were shown.
    fn secrets(&self) -> BTreeSet<String> {
        let mut secrets: BTreeSet<_> = self.handed.iter().cloned().collect();
        for request in self.emulator.journal().web_requests() {
            assert!(!request.token_in_url, "{request:?}");
            let cookies = request.header("cookie").into_iter();
            for pair in cookies.flat_map(|value| value.split("; ")) {
                secrets.extend(pair.split_once('=').map(|(_, value)| value.to_owned()));
            }
            let form = String::from_utf8_lossy(&request.body).into_owned();
            secrets.extend(form.strip_prefix("token=").map(str::to_owned));
        }
        secrets
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_or_response_contains_a_session_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand = Stand::start(folder.path()).await;
    let codes = stand.every_flow().await;
    for code in [
        "guard.local_token",
        "session.expired",
        "session.login_failed",
        "session.login_loop",
        "upstream.broken",
        "upstream.timeout",
    ] {
        assert!(codes.contains(code), "{code} did not happen: {codes:?}");
    }
    assert_eq!(stand.handed.len(), NAMES.len());
    let secrets = stand.secrets();
    // of each environment: a web token for each login and hand-over, cookies, tokens
    assert!(secrets.len() > 20, "only {} secrets seen", secrets.len());
    let ended = stand.gateway.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.lines().count() > 100, "{}", ended.stderr);
    let mut pieces: Vec<&str> = vec!["canary-client"];
    for secret in &secrets {
        pieces.push(secret);
        // claims and signature on their own are as good; the header says nothing
        pieces.extend(secret.split('.').skip(1));
    }
    for (place, text) in [
        ("stdout", &ended.stdout),
        ("stderr", &ended.stderr),
        ("replies", &stand.said),
    ] {
        for piece in &pieces {
            assert!(piece.len() > 8, "{piece:?} is no secret");
            let line = text.lines().find(|line| line.contains(piece));
            assert_eq!(line, None, "{place} holds {piece:?}");
        }
    }
}
