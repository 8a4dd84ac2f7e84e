//! No secret leaves: every flow is run with canaries through the real program at trace level,
//! then all of its output is searched for them, in the encodings that they may have.

use crate::program::{Running, command};
use crate::support::{Client, IS_LINUX, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mwaa_emulator::{
    ControlFault, Credential, Emulator, HandshakeFault, Seed, Settings, WebFault,
};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

const SECRET_KEY: &str = "canary/Secret+Key/0123456789/abcdefghijk";
const SESSION: &str = "canary//SessionToken+of=the/caller";
/// The value of a variable, a password, a header: whatever a client may send.
const VALUE: &str = "canary value: päss/w+rd?";
const CALLER: &str = "canary-caller-secret-of-the-file";

/// The first serves requests that name no environment. Each of the others gets one failing mint,
/// whose failure is kept for some seconds.
const ENVIRONMENTS: [&str; 10] = ["demo", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// A gateway process, its emulator, and all that clients got from it.
struct Stand {
    emulator: Emulator,
    gateway: Running,
    address: SocketAddr,
    management: SocketAddr,
    /// Heads of every reply, and bodies of those that the gateway made itself.
    said: String,
}

impl Stand {
    async fn start(folder: &std::path::Path, log: &[&str]) -> Self {
        let emulator = Emulator::start(Settings {
            credentials: vec![Credential {
                access_key_id: "ASIACANARY0123456789".to_owned(),
                secret_access_key: SECRET_KEY.to_owned(),
                session_token: Some(SESSION.to_owned()),
                ..Credential::default()
            }],
            environments: ENVIRONMENTS.map(|name| Seed::new(name, "2.10.3")).to_vec(),
            ..Settings::default()
        })
        .await
        .unwrap();
        let ca_file = folder.join("ca.pem");
        std::fs::write(&ca_file, emulator.ca_pem()).unwrap();
        let secret_file = folder.join("gateway.secret");
        std::fs::write(&secret_file, CALLER).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret_file, private).unwrap();
        let file = folder.join("gateway.toml");
        let config = format!(
            "[listener]\naddress = \"127.0.0.1:0\"\nsecret_file = \"{}\"\n\
             [management]\naddress = \"127.0.0.1:0\"\n[limits]\nmint_total = \"5s\"\n\
             body_idle = \"200ms\"\ncli_first_byte = \"1s\"\n\
             [audit]\nfile = \"audit.log\"\n{}",
            secret_file.display(),
            emulator.config_toml(&ca_file)
        );
        std::fs::write(&file, config).unwrap();
        let mut serve = command(&["serve", "--config", file.to_str().unwrap()]);
        serve
            .args(log)
            .env("AWS_ACCESS_KEY_ID", emulator.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_SESSION_TOKEN", SESSION);
        let mut gateway = Running::start(serve);
        let url = gateway.told("listening on http://").await;
        let management = gateway.told("management on http://").await;
        Self {
            emulator,
            gateway,
            address: url.parse().unwrap(),
            management: management.parse().unwrap(),
            said: String::new(),
        }
    }

    /// A command with every header field that could carry a secret.
    fn request(&self, headers: &str, command: &str) -> String {
        format!(
            "POST /aws_mwaa/cli?canary=canary%20query HTTP/1.1\r\nHost: {}\r\n\
             Content-Type: text/plain\r\nMwaa-Gateway-Secret: {CALLER}\r\n\
             Authorization: Bearer canary-header\r\nCookie: session=canary-header\r\n\
             X-Amz-Security-Token: canary-header\r\n{headers}Content-Length: {}\r\n\r\n{command}",
            self.address,
            command.len()
        )
    }

    async fn exchange(&mut self, request: &str) -> Option<Response> {
        let mut client = Client::tcp(self.address).await;
        client.send(request).await;
        let reply = client.try_response().await.ok()?;
        self.note(&reply);
        Some(reply)
    }

    fn note(&mut self, reply: &Response) {
        writeln!(self.said, "{:?}", reply.headers).unwrap();
        // what a command printed is the client's own
        if reply.header("mwaa-gateway-fault").is_some() {
            self.said.push_str(&reply.text());
        }
    }

    /// Runs a command in the three forms, and returns the fault codes.
    async fn run(&mut self, command: &str) -> BTreeSet<String> {
        let mut codes = BTreeSet::new();
        for accept in [
            "",
            "Accept: text/plain\r\n",
            "Accept: application/vnd.mwaa-gateway.cli+json\r\n",
        ] {
            let request = self.request(accept, command);
            if let Some(reply) = self.exchange(&request).await {
                codes.extend(reply.fault().map(str::to_owned));
            }
        }
        codes
    }

    async fn manage(&mut self) {
        for path in ["/metrics", "/status", "/readyz", "/log"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.management);
            let reply = Client::tcp(self.management).await.exchange(request).await;
            writeln!(self.said, "{path} {:?}\n{}", reply.headers, reply.text()).unwrap();
        }
    }

    /// Every kind of ending a request can have.
    async fn every_flow(&mut self) -> BTreeSet<String> {
        let mut codes = BTreeSet::new();
        for command in [
            format!("variables set key '{VALUE}'"),
            "variables get key".to_owned(),
            format!("variables get '{VALUE}'"),
            format!("connections add c --conn-uri '{VALUE}'"),
            format!("users create --password '{VALUE}'"),
            format!("variables set key '{VALUE}"),
            format!("variables set key '{VALUE}'\nversion"),
            format!("dags trigger x --conf '{VALUE}' --subdir '{VALUE}'"),
            format!("'{VALUE}' '{VALUE}'"),
            format!("KEY='{VALUE}' dags list"),
            format!("variables set key '{}'", "canary".repeat(12_000)),
        ] {
            codes.extend(self.run(&command).await);
        }
        let good = self.request("", "version");
        for request in [
            good.replace(CALLER, "canary-wrong-secret"),
            good.replace("text/plain", "text/canary-header"),
            good.replace("POST /aws_mwaa/cli", "POST /aws_mwaa/elsewhere"),
            good.replace("POST", "PUT"),
            good.replace("Cookie:", "Coo_kie:"),
            good.replace("Cookie:", "Origin: http://canary-header\r\nCookie:"),
            good.replace("Content-Length: 7", "Content-Length: 70"),
        ] {
            if let Some(reply) = self.exchange(&request).await {
                codes.extend(reply.fault().map(str::to_owned));
            }
        }
        for fault in [
            WebFault::BadBase64,
            WebFault::CutBody,
            WebFault::Drop,
            WebFault::Hang,
            WebFault::NotJson,
            WebFault::Reset,
            WebFault::ResetAfterExecution,
            WebFault::garbage_head(),
            WebFault::html(502),
        ] {
            self.emulator.script().web_fault.always(fault);
            codes.extend(self.run(&format!("variables set key '{VALUE}'")).await);
        }
        self.emulator.script().web_fault.off();
        self.emulator.script().cut_web_connections();
        self.emulator
            .script()
            .handshake_fault
            .next(3, HandshakeFault::Close);
        codes.extend(self.run("version").await);
        self.emulator.script().handshake_fault.off();
        self.manage().await;
        let mut names = ENVIRONMENTS.into_iter().skip(1);
        for fault in [
            ControlFault::AccessDenied,
            ControlFault::EmptyToken,
            ControlFault::ExpiredToken,
            ControlFault::ForeignHost("evil.example".to_owned()),
            ControlFault::GarbageJson,
            ControlFault::HostileToken,
            ControlFault::HugeError(100_000),
            ControlFault::NotFound,
            ControlFault::Throttling,
        ] {
            let name = names.next().unwrap();
            let host = format!("Host: {name}.localhost:{}", self.address.port());
            let request = self.request("", "version");
            let request = request.replace(&format!("Host: {}", self.address), &host);
            self.emulator.script().mint_fault.always(fault.clone());
            let reply = self.exchange(&request).await.unwrap();
            codes.extend(reply.fault().map(str::to_owned));
            assert!(
                reply.fault().is_some_and(|code| code.starts_with("aws.")),
                "{fault:?}: {reply}"
            );
            self.manage().await;
        }
        self.emulator.script().mint_fault.off();
        codes
    }
}

/// A secret in the forms that it may appear in.
fn forms(secret: &str) -> Vec<String> {
    let (mut percent, mut hex) = (String::new(), String::new());
    for byte in secret.bytes() {
        write!(hex, "{byte:02x}").unwrap();
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            percent.push(char::from(byte));
        } else {
            write!(percent, "%{byte:02X}").unwrap();
        }
    }
    vec![
        secret.to_owned(),
        secret.escape_debug().to_string(),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        percent,
        hex,
    ]
}

fn tokens(emulator: &Emulator) -> BTreeSet<String> {
    let requests = emulator.journal().web_requests();
    let bearers = requests.iter().filter_map(|request| {
        let bearer = request.header("authorization")?.strip_prefix("Bearer ")?;
        Some(bearer.to_owned())
    });
    bearers.collect()
}

fn children(of: u32) -> Vec<String> {
    if !IS_LINUX {
        let mut found = ps(&["-A", "-o", "ppid=,command="]);
        found.retain(|line| line.starts_with(&format!("{of} ")));
        return found;
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // a process may end while we look
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // the name is in parentheses and may contain any character (proc_pid_stat(5))
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        if rest.split(' ').nth(1) == Some(&of.to_string()) {
            found.push(stat);
        }
    }
    found
}

fn command_line(id: u32) -> String {
    if IS_LINUX {
        std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap()
    } else {
        ps(&["-o", "command=", "-p", &id.to_string()]).join("\n")
    }
}

/// What ps(1) prints: where there is no `/proc`.
fn ps(arguments: &[&str]) -> Vec<String> {
    let printed = std::process::Command::new("ps")
        .arg("-ww")
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_or_response_contains_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::start(folder.path(), &["--log", "trace"]).await;
    search_everything(stand, folder.path()).await;
}

/// The libraries print headers with tokens at trace level, so the running log does not take their names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_filter_of_a_running_log_shows_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::start(folder.path(), &[]).await;
    for (filter, status) in [
        ("hyper=trace", 400),
        ("trace,hyper=trace", 400),
        ("mwaa_gateway=trace,aws_smithy_runtime=trace", 400),
        ("info,rustls=trace,h2=trace", 400),
        ("trace", 200),
    ] {
        let request = format!(
            "PUT /log HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{filter}",
            stand.management,
            filter.len()
        );
        let reply = Client::tcp(stand.management).await.exchange(request).await;
        assert_eq!(reply.status, status, "{filter}: {reply}");
    }
    search_everything(stand, folder.path()).await;
}

/// Runs every flow, at trace level, and searches all that the gateway has said.
async fn search_everything(mut stand: Stand, folder: &std::path::Path) {
    let codes = stand.every_flow().await;
    // the flows are what they claim to be
    for code in [
        "aws.credentials",
        "aws.denied",
        "aws.not_found",
        "aws.throttled",
        "aws.unavailable",
        "aws.untrusted_host",
        "guard.content_type",
        "guard.foreign_origin",
        "guard.secret",
        "policy.forbidden_option",
        "policy.unreadable_command",
        "policy.unsupported_command",
        "request.malformed",
        "request.method",
        "request.too_large",
        "route.unknown_path",
        "upstream.broken",
        "upstream.timeout",
    ] {
        assert!(codes.contains(code), "{code} did not happen: {codes:?}");
    }
    let id = stand.gateway.id();
    let command_line = command_line(id);
    assert!(command_line.contains("serve"), "{command_line}");
    assert_eq!(
        children(id),
        Vec::<String>::new(),
        "the gateway starts nobody"
    );

    let tokens = tokens(&stand.emulator);
    assert!(!tokens.is_empty(), "only {} tokens seen", tokens.len());
    let ended = stand.gateway.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("DEBUG") && ended.stderr.lines().count() > 50,
        "too little was logged: {}",
        ended.stderr
    );

    let mut secrets: Vec<String> = [SECRET_KEY, SESSION, VALUE, CALLER, "canary"]
        .into_iter()
        .flat_map(forms)
        .collect();
    for token in &tokens {
        secrets.push(token.clone());
        // also the parts on their own: a claim set is as secret as the token
        secrets.extend(token.split('.').skip(1).map(str::to_owned));
    }
    let on_record = std::fs::read_to_string(folder.join("audit.log")).unwrap();
    assert!(on_record.lines().count() > 20, "{on_record}");
    for (place, text) in [
        ("audit log", &on_record),
        ("stdout", &ended.stdout),
        ("stderr", &ended.stderr),
        ("replies", &stand.said),
        ("command line", &command_line),
    ] {
        for secret in &secrets {
            let secret = secret.to_lowercase();
            let line = text
                .lines()
                .find(|line| line.to_lowercase().contains(&secret));
            assert_eq!(line, None, "{place} holds {secret:?}");
        }
    }
}

/// H-10: whatever the text, an event is one line, printable and of a bounded length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_cannot_be_forged() {
    for format in ["json", "text"] {
        let folder = tempfile::tempdir().unwrap();
        let log = ["--log", "trace", "--log-format", format];
        let mut stand = Stand::start(folder.path(), &log).await;
        let hostile = "x\r\n2026-01-01T00:00:00Z  INFO forged\u{1b}[31m\u{2028}\u{202e}";
        let long = "y".repeat(7000);
        for command in [
            format!("dags trigger '{hostile}'"),
            format!("'{hostile}' list"),
            format!("'{long}' list"),
            format!("{long} {long}"),
            "list\u{2028}forged x".to_owned(),
        ] {
            stand.run(&command).await;
        }
        let good = stand.request("", "version");
        for path in [
            format!("/{long}"),
            "/%1b%5b31m".to_owned(),
            "/x%0aforged".to_owned(),
        ] {
            let request = good.replace("/aws_mwaa/cli", &path);
            stand.exchange(&request).await;
        }
        let foreign = good.replace(
            &format!("Host: {}", stand.address),
            &format!("Host: {}", "z".repeat(250)),
        );
        stand.exchange(&foreign).await;
        stand
            .emulator
            .script()
            .mint_fault
            .always(ControlFault::HugeError(100_000));
        let other = good.replace(
            &format!("Host: {}", stand.address),
            &format!("Host: b.localhost:{}", stand.address.port()),
        );
        let reply = stand.exchange(&other).await.unwrap();
        assert_eq!(reply.fault(), Some("aws.unavailable"), "{reply}");
        let ended = stand.gateway.stop().await;
        assert!(ended.stderr.lines().count() > 10, "{}", ended.stderr);
        for line in ended.stderr.lines() {
            let begins = if format == "json" { '{' } else { '2' };
            let announced =
                line.starts_with("listening on ") || line.starts_with("management on ");
            assert!(
                line.starts_with(begins) || announced,
                "{format}: a forged line: {line:?}"
            );
            if format == "json" && !announced {
                assert!(
                    serde_json::from_str::<serde_json::Value>(line).is_ok(),
                    "{line}"
                );
            }
            let hidden = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
            assert!(!line.contains(hidden), "{format}: {line:?}");
            assert!(
                !line.contains(&long),
                "{format}: {} bytes in one line",
                line.len()
            );
        }
    }
}
