//! The ways out, against proxies whose every byte a test decides. `tests/real/test_networks.py`
//! has the programs that people use.

use crate::program::{Running, command};
use crate::support::{CLOSED, Client, Harness, Puppet, Response, soon};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mwaa_emulator::{Emulator, Seed, Settings};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

const PASSWORD: &str = "hunter2/päss:word";

/// What a proxy does once it has read the head of a `CONNECT`.
#[derive(Clone, Copy)]
enum Act {
    /// Connects to the web server, whatever it was asked for.
    Lead(SocketAddr),
    /// Answers so and closes.
    Answer(&'static [u8]),
    /// Sends this forever.
    Flood(&'static [u8]),
    /// Says nothing.
    Wait,
}

/// An HTTP proxy that notes the heads it was sent.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                serving.spawn(serve(stream, act, Arc::clone(&noted)));
            }
        });
        Self {
            address,
            heads,
            _accepting: accepting,
        }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(mut stream: TcpStream, act: Act, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_closed) => return,
        }
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    match act {
        Act::Lead(to) => {
            let mut far = TcpSocket::new_v4().unwrap().connect(to).await.unwrap();
            let established = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
            stream.write_all(established).await.unwrap();
            let _ended = copy_bidirectional(&mut stream, &mut far).await;
        }
        Act::Answer(bytes) => {
            stream.write_all(bytes).await.unwrap();
            // closing with unread bytes would reset what was just written
            let _rest = stream.shutdown().await;
            let _end = stream.read_to_end(&mut Vec::new()).await;
        }
        Act::Flood(bytes) => while stream.write_all(bytes).await.is_ok() {},
        Act::Wait => {
            let _end = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}

/// The real program with a proxy in its variables, and an environment that is reachable only
/// through the proxy.
struct World {
    emulator: Emulator,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        Self {
            emulator: Emulator::start(Settings {
                environments: vec![Seed::new("demo", "2.10.3")],
                ..Settings::default()
            })
            .await
            .unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The emulator's configuration without the address of its web server.
    fn config(&self, extra: &str) -> String {
        let ca_file = self.folder.path().join("ca.pem");
        std::fs::write(&ca_file, self.emulator.ca_pem()).unwrap();
        let snippet = self.emulator.config_toml(&ca_file);
        let lines = snippet.lines();
        let kept: Vec<_> = lines
            .filter(|line| !line.starts_with("connect_to"))
            .collect();
        let file = self.folder.path().join("gateway.toml");
        let config = format!(
            "listener.address = \"127.0.0.1:0\"\nmanagement.address = \"127.0.0.1:0\"\n{}\n{extra}",
            kept.join("\n")
        );
        std::fs::write(&file, config).unwrap();
        file.to_str().unwrap().to_owned()
    }

    fn secret_file(&self, content: &str) -> String {
        let file = self.folder.path().join("proxy.user");
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        file.to_str().unwrap().to_owned()
    }

    async fn serve(&self, extra: &str, variables: &[(&str, &str)]) -> Serving {
        let config = self.config(extra);
        let mut serve = command(&["serve", "--config", &config, "--log", "trace"]);
        serve
            .env("AWS_ACCESS_KEY_ID", self.emulator.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", self.emulator.secret_access_key())
            .envs(variables.iter().copied());
        let mut running = Running::start(serve);
        let address = running.told("listening on http://").await.parse().unwrap();
        let management = running.told("management on http://").await.parse().unwrap();
        Serving {
            address,
            management,
            running,
        }
    }
}

struct Serving {
    address: SocketAddr,
    management: SocketAddr,
    running: Running,
}

impl Serving {
    async fn command(&self) -> Response {
        let request = format!(
            "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\n\
             Content-Length: 7\r\n\r\nversion",
            self.address
        );
        Client::tcp(self.address).await.exchange(request).await
    }

    async fn status(&self) -> serde_json::Value {
        let address = self.management;
        let request = format!("GET /status HTTP/1.1\r\nHost: {address}\r\n\r\n");
        Client::tcp(address).await.exchange(request).await.json()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_from_a_variable_is_used_and_its_password_is_hidden() {
    let world = World::new().await;
    let proxy = Proxy::start(Act::Lead(world.emulator.web_addr())).await;
    let with_user = format!("http://me:hunter2%2Fp%C3%A4ss%3Aword@{}", proxy.address);
    let serving = world.serve("", &[("HTTPS_PROXY", &with_user)]).await;
    let reply = serving.command().await;
    assert_eq!(reply.status, 200, "{reply}");
    let shown = serving.status().await;
    assert_eq!(
        shown["environments"][0]["way"],
        format!("through {}", proxy.url())
    );

    let heads = proxy.heads();
    let [head] = heads.as_slice() else {
        panic!("one connection: {heads:?}")
    };
    let host = shown["environments"][0]["cli_token"]["web_server"].as_str();
    let host = host.unwrap();
    assert!(host.ends_with(".amazonaws.com"), "{host}");
    assert!(
        head.starts_with(&format!("CONNECT {host}:443 HTTP/1.1\r\n")),
        "{head}"
    );
    let basic = STANDARD.encode(format!("me:{PASSWORD}"));
    assert!(
        head.contains(&format!("Proxy-Authorization: Basic {basic}\r\n")),
        "{head}"
    );

    let ended = serving.running.stop().await;
    let all = format!("{}{}{shown}", ended.stdout, ended.stderr);
    for secret in ["hunter2", basic.as_str(), "p%C3%A4ss"] {
        assert!(!all.contains(secret), "{secret} is shown");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configured_proxy_overrides_variables_and_uses_user_file() {
    let world = World::new().await;
    let web = Act::Lead(world.emulator.web_addr());
    let (configured, variable) = (Proxy::start(web).await, Proxy::start(web).await);
    let user_file = world.secret_file(&format!("me:{PASSWORD}\n"));
    let extra = format!(
        "[proxy]\nurl = \"{}\"\nuser_file = \"{user_file}\"",
        configured.url()
    );
    let from_variable = variable.url();
    let serving = world
        .serve(&extra, &[("HTTPS_PROXY", &from_variable)])
        .await;
    assert_eq!(serving.command().await.status, 200);
    let basic = STANDARD.encode(format!("me:{PASSWORD}"));
    assert!(configured.heads()[0].contains(&basic));
    assert!(variable.heads().is_empty());

    // and an environment's own beats both; it has no user
    let own = Proxy::start(web).await;
    let extra = format!("proxy = \"{}\"\n{extra}", own.url());
    let serving = world
        .serve(&extra, &[("HTTPS_PROXY", &from_variable)])
        .await;
    assert_eq!(serving.command().await.status, 200);
    assert!(!own.heads()[0].contains("Proxy-Authorization"));
    assert_eq!((configured.heads().len(), variable.heads().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_proxy_variable_exits_with_78() {
    let world = World::new().await;
    let config = world.config("");
    for (variable, value) in [
        ("HTTPS_PROXY", "socks4://me:hunter2@127.0.0.1:1"),
        ("all_proxy", "hunter2://127.0.0.1:1"),
        ("ALL_PROXY", "http://me:hunter2@127.0.0.1:x"),
    ] {
        for arguments in [
            ["serve", "--config", &config],
            ["check", "--config", &config],
        ] {
            let mut command = command(&arguments);
            command.env(variable, value);
            let ended = crate::program::end(command).await;
            assert_eq!(ended.code, Some(78), "{variable}: {ended:?}");
            assert!(ended.stderr.contains(variable), "{ended:?}");
            assert!(!format!("{ended:?}").contains("hunter2"), "{ended:?}");
        }
    }
}

/// The configuration that makes the harness's environment use a proxy.
fn through(proxy: &Proxy, more: &str) -> String {
    format!("environments.demo.proxy = \"{}\"\n{more}", proxy.url())
}

#[tokio::test]
async fn the_fault_quotes_the_response_of_a_proxy() {
    for (act, words) in [
        (
            Act::Answer(b"HTTP/1.1 403 Blocked by policy\r\nContent-Length: 5\r\n\r\nsorry"),
            &["returned \"403 Blocked by policy\"", "must allow this host"][..],
        ),
        (
            Act::Answer(b"HTTP/1.0 407 Auth\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM, Digest realm=\"x\", nonce=y\r\n\r\n"),
            &["returned \"407 Auth\"", "it requires Negotiate or NTLM or Digest", "cntlm"],
        ),
        (
            Act::Answer(b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n"),
            &["it requires a user and a password", "user_file"],
        ),
        (
            // to a terminal or a log these would be more than text
            Act::Answer(b"HTTP/1.1 503 \x1b[31mred\x07\r\n\r\n"),
            &["returned \"503  [31mred \""],
        ),
        (Act::Answer(b"SSH-2.0-OpenSSH_9.2\r\n"), &["is not HTTP", "scheme and port"]),
        (Act::Answer(b""), &["closed the connection without a response"]),
        (Act::Answer(b"HTTP/1.1 200 OK\r\nnever"), &["its response is incomplete"]),
        (Act::Flood(b"HTTP/1.1 200 OK\r\nX: y\r\n"), &["is too long or invalid"]),
        (Act::Flood(b"\xff"), &["is not HTTP"]),
    ] {
        let proxy = Proxy::start(act).await;
        let harness = Harness::configured(&through(&proxy, "")).await;
        let reply = harness.command("version").await;
        assert_eq!((reply.status, reply.fault()), (502, Some("upstream.proxy")), "{reply}");
        let said = reply.complaint();
        assert!(said.contains(&format!("the proxy {}", proxy.url())), "{said}");
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said}");
        }
        assert!(said.chars().all(|c| !c.is_control()), "{said}");
        assert!(harness.journal().web_requests().is_empty());
    }
}

#[tokio::test]
async fn a_silent_or_missing_proxy_is_reported_in_time() {
    let limit = "limits.upstream_connect = \"300ms\"";
    let silent = Proxy::start(Act::Wait).await;
    let harness = Harness::configured(&through(&silent, limit)).await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("upstream.proxy"), "{reply}");
    assert!(reply.complaint().contains("within 300ms"), "{reply}");

    for scheme in ["http", "https", "socks5", "socks5h"] {
        let config = format!("environments.demo.proxy = \"{scheme}://{CLOSED}\"");
        let harness = Harness::configured(&config).await;
        let reply = harness.command("version").await;
        assert_eq!(reply.fault(), Some("upstream.proxy"), "{reply}");
        let words = format!("cannot connect to the proxy {scheme}://{CLOSED}");
        assert!(reply.complaint().contains(&words), "{reply}");
    }
}

#[tokio::test]
async fn the_fault_explains_the_response_of_socks() {
    for (bytes, words) in [
        (&b"\x05\xff"[..], "requires a user and a password"),
        (b"\x05\x02", "requires a user and a password"),
        (b"\x05\x00\x05\x00", "during the handshake"),
        (
            b"\x05\x00\x05\x02\x00\x01\0\0\0\0\0\0",
            "connection not allowed",
        ),
        (
            b"\x05\x00\x05\x05\x00\x01\0\0\0\0\0\0",
            "connection refused",
        ),
        (
            b"\x05\x00\x05\x2a\x00\x01\0\0\0\0\0\0",
            "its response is invalid",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is not SOCKS 5"),
        (b"", "without a response"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut greeting = [0; 3];
                stream.read_exact(&mut greeting).await.unwrap();
                stream.write_all(bytes).await.unwrap();
                stream.shutdown().await.unwrap();
                let _end = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        let config = format!("environments.demo.proxy = \"socks5h://{address}\"");
        let harness = Harness::configured(&config).await;
        let reply = harness.command("version").await;
        assert_eq!(reply.fault(), Some("upstream.proxy"), "{reply}");
        assert!(
            reply.complaint().contains(words),
            "{words:?}: {}",
            reply.complaint()
        );
    }
}

/// SOCKS 5 as a client may see it in single bytes: nothing of the web server's is lost.
#[tokio::test]
async fn a_socks_answer_may_come_in_pieces() {
    let web = Arc::new(Mutex::new(None::<SocketAddr>));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (leads_to, noted) = (Arc::clone(&web), Arc::clone(&asked));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).await.unwrap();
            for byte in [5, 0] {
                stream.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut head = [0; 4];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(head, [5, 1, 0, 1], "an IPv4 address is asked for");
            let mut rest = [0; 6];
            stream.read_exact(&mut rest).await.unwrap();
            noted.lock().unwrap().push(rest);
            let to = leads_to.lock().unwrap().unwrap();
            let mut far = TcpSocket::new_v4().unwrap().connect(to).await.unwrap();
            for byte in [5, 0, 0, 1, 0, 0, 0, 0, 0, 0] {
                stream.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            let _ended = copy_bidirectional(&mut stream, &mut far).await;
        }
    });
    let config = format!("environments.demo.proxy = \"socks5h://{address}\"");
    let harness = Harness::configured(&config).await;
    let to = harness.emulator().web_addr();
    *web.lock().unwrap() = Some(to);
    let reply = harness.command("version").await;
    assert_eq!(reply.status, 200, "{reply}");
    let port = to.port().to_be_bytes();
    assert_eq!(*asked.lock().unwrap(), [[127, 0, 0, 1, port[0], port[1]]]);
}

#[tokio::test]
async fn a_refused_request_opens_no_connection_to_a_proxy() {
    let proxy = Proxy::start(Act::Wait).await;
    let config = through(&proxy, "environments.demo.policy = \"read-only\"");
    let harness = Harness::configured(&config).await;
    for refused in ["users list", "dags trigger x", "'"] {
        assert!(harness.command(refused).await.status < 500);
    }
    assert!(proxy.heads().is_empty());
    assert_eq!(harness.mints(), 0);
}

#[tokio::test]
async fn the_fault_of_a_broken_response_names_the_route() {
    let mut web = Puppet::start().await;
    let line = web.config().lines().next().unwrap().to_owned();
    let web_address = line.split('"').nth(1).unwrap().parse().unwrap();
    let proxy = Proxy::start(Act::Lead(web_address)).await;
    let harness = Harness::configured(&through(&proxy, web.config())).await;
    let request = harness.request("version");
    let mut client = harness.connect().await;
    client.send(request).await;
    let mut connection = web.next().await;
    connection.head().await;
    drop(connection);
    let reply = soon("a reply", client.response()).await;
    assert_eq!(reply.fault(), Some("upstream.broken"), "{reply}");
    let way = format!(".amazonaws.com through {}", proxy.url());
    assert!(reply.complaint().contains(&way), "{reply}");
}

/// A shell that is the connection, as `ssh -W` would be.
fn shell_to(web: SocketAddr) -> String {
    let port = web.port();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; : {{host}}; cat <&3 & cat >&3; kill $!; wait"
    );
    format!("tunnel = [\"bash\", \"-c\", {script:?}]")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_s_pipes_can_be_the_connection() {
    let world = World::new().await;
    let serving = world.serve(&shell_to(world.emulator.web_addr()), &[]).await;
    for _ in 0..3 {
        let reply = serving.command().await;
        assert_eq!(reply.status, 200, "{reply}");
    }
    let status = serving.status().await;
    let environment = &status["environments"][0];
    assert_eq!(environment["way"], "through the tunnel `bash`");
    assert_eq!(environment["tunnel"], "one program for each connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fault_of_a_failed_tunnel_quotes_its_output() {
    let world = World::new().await;
    for (words, told) in [
        (
            r#"["sh", "-c", "printf 'no way \\033[31mthere\\n' >&2; exit 3 # {local_port}"]"#,
            &["the tunnel `sh` ended with exit status 3; its output: no way  [31mthere"][..],
        ),
        (
            r#"["sh", "-c", "echo no way there >&2; exit 3 # {host}"]"#,
            &[
                "the tunnel `sh` did not connect",
                "its output: no way there",
            ],
        ),
        (
            r#"["/no/such/program", "{host}", "{local_port}"]"#,
            &["cannot start: No such file", "install `/no/such/program`"],
        ),
        (
            r#"["/no/such/program", "{host}"]"#,
            &["cannot start: No such file", "install `/no/such/program`"],
        ),
        (
            r#"["sh", "-c", "true # {local_port}"]"#,
            &[
                "ended immediately without an error",
                "run in the foreground",
            ],
        ),
        (
            r##"["sleep", "60", "# {local_port}"]"##,
            &["the tunnel `sleep` ended with exit status 1"],
        ),
    ] {
        let serving = world.serve(&format!("tunnel = {words}"), &[]).await;
        let reply = serving.command().await;
        let fault = (reply.status, reply.fault());
        assert_eq!(fault, (502, Some("upstream.tunnel")), "{reply}");
        for word in told {
            let said = reply.complaint();
            assert!(said.contains(word), "{word:?} is not in {said}");
        }
    }
}

/// The program is started again after a pause that grows, and no request waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_tunnel_is_not_started_for_each_request() {
    let world = World::new().await;
    let count = world.folder.path().join("starts");
    let words = format!(
        "tunnel = [\"sh\", \"-c\", \"echo x >> {} # {{local_port}}\"]",
        count.display()
    );
    let serving = world.serve(&words, &[]).await;
    for _ in 0..20 {
        let reply = serving.command().await;
        assert_eq!(reply.fault(), Some("upstream.tunnel"), "{reply}");
    }
    let reply = serving.command().await;
    assert!(reply.header("retry-after").is_some(), "{reply}");
    let starts = std::fs::read_to_string(&count).unwrap().lines().count();
    assert!(starts < 10, "{starts} starts for 21 requests");
}
