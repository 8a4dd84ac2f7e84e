//! A service manager, played by the test: it passes listening sockets and reads the program's
//! messages, as sd_listen_fds(3) and sd_notify(3) describe.

use crate::program::{Ended, Running, command, end, shell};
use crate::support::{Client, soon};
use rustix::process::Signal;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::Command;

/// A folder with a configuration: a free port for all that it does not set.
fn configured(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "management.address = \"127.0.0.1:0\"\n{config}\n\
         [environments.x]\nregion = \"eu-west-1\"\nairflow_version = \"2.10.3\"\n"
    );
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    folder
}

const SERVE: &[&str] = &["serve", "--config", "gateway.toml"];

/// Returns `serve` with one socket, as descriptor 3 and under this name.
fn passing(folder: &TempDir, socket: impl Into<OwnedFd>, name: &str) -> Command {
    // the shell becomes the program, so its process id is the program's
    let script = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ exec "$@""#;
    let mut command = shell(script, SERVE);
    command
        .current_dir(folder.path())
        .stdin(socket.into())
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", name);
    command
}

/// Returns a command that the policy refuses, so that no AWS is needed for the answer.
fn refused(host: &impl std::fmt::Display) -> String {
    format!(
        "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\n\
         Content-Length: 10\r\n\r\nusers list"
    )
}

async fn is_answered(client: &mut Client) {
    let response = client.response().await;
    assert_eq!(response.fault(), Some("policy.unsupported_command"));
}

#[tokio::test]
async fn a_client_that_comes_before_the_gateway_is_served() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // the manager keeps its own descriptor
    let passed = socket.try_clone().unwrap();
    let mut early = Client::tcp(address).await;
    early.send(refused(&address)).await;

    let folder = configured(&format!("listener.address = \"{address}\""));
    let mut gateway = Running::start(passing(&folder, passed, "mwaa-gateway.socket"));
    let url = gateway.told("listening on ").await;
    assert_eq!(url, format!("http://{address}"));
    is_answered(&mut early).await;
    let ended = gateway.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let mut next = Client::tcp(address).await;
    next.send(refused(&address)).await;
    let folder = configured(&format!("listener.address = \"{address}\""));
    let _again = Running::start(passing(&folder, socket, ""));
    is_answered(&mut next).await;
}

#[tokio::test]
async fn a_socket_is_found_by_its_name() {
    let folder = configured(
        "listener.address = \"127.0.0.1:0\"\nlisteners.team.address = \"unix:configured.sock\"",
    );
    let path = folder.path().join("passed.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let mut gateway = Running::start(passing(&folder, socket, "listeners.team"));
    gateway.told("management on ").await;
    let passed = format!("unix:{}", path.display());
    assert!(gateway.stderr().contains(&passed), "{}", gateway.stderr());

    let mut client = Client::unix(&path).await;
    client.send(refused(&"localhost")).await;
    is_answered(&mut client).await;
    gateway.stop().await;
    assert!(path.exists(), "it is the manager's");
    assert!(!folder.path().join("configured.sock").exists());
}

#[tokio::test]
async fn the_management_address_can_be_passed_too() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let folder = configured("listener.address = \"127.0.0.1:0\"");
    let mut gateway = Running::start(passing(&folder, socket, "management"));
    assert_eq!(
        gateway.told("management on ").await,
        format!("http://{address}")
    );
    let request = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let response = Client::tcp(address).await.exchange(request).await;
    assert_eq!(response.status, 200, "{response}");
}

async fn refusal(command: Command) -> Ended {
    let ended = end(command).await;
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
    ended
}

#[tokio::test]
async fn a_socket_that_no_listener_takes_is_an_error() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let folder = configured("listener.address = \"127.0.0.1:0\"");
    let ended = refusal(passing(&folder, socket, "gateway")).await;
    for text in [&address.to_string(), "gateway", "FileDescriptorName="] {
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_connection_in_the_place_of_a_listening_socket_is_an_error() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(socket.local_addr().unwrap()).unwrap();
    let folder = configured("listener.address = \"127.0.0.1:0\"");
    let ended = refusal(passing(&folder, client, "listener")).await;
    assert!(ended.stderr.contains("Accept=no"), "{}", ended.stderr);
}

/// A service manager sets it for its child alone, but the child's children inherit it.
#[tokio::test]
async fn sockets_of_another_process_are_ignored() {
    let folder = configured("listener.address = \"127.0.0.1:0\"");
    let mut command = command(SERVE);
    command.current_dir(folder.path());
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let mut gateway = Running::start(command);
    gateway.told("listening on ").await;
}

/// The messages of the program.
struct Messages(UnixDatagram);

impl Messages {
    /// Returns the next message, as its lines.
    async fn next(&self) -> Vec<String> {
        let mut bytes = vec![0; 4096];
        let count = soon("a message", self.0.recv(&mut bytes)).await.unwrap();
        let text = String::from_utf8(bytes[..count].to_vec()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn the_service_manager_is_notified_of_start_life_and_end() {
    let folder = configured("listener.address = \"127.0.0.1:0\"");
    let path = folder.path().join("notify");
    let messages = Messages(UnixDatagram::bind(&path).unwrap());
    let mut command = command(SERVE);
    command
        .current_dir(folder.path())
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "20000");
    let mut gateway = Running::start(command);

    let listener = gateway.told("listening on ").await;
    let management = gateway.told("management on ").await;
    let ready = messages.next().await;
    let status = format!("STATUS=listening on {listener}; management on {management}");
    assert_eq!(ready, ["READY=1", &status]);
    let address: SocketAddr = listener.trim_start_matches("http://").parse().unwrap();
    let mut client = Client::tcp(address).await;
    client.send(refused(&address)).await;
    is_answered(&mut client).await;

    for _ in 0..3 {
        assert_eq!(messages.next().await, ["WATCHDOG=1"]);
    }
    let ended = gateway.end_by(Signal::TERM).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let stopping = loop {
        let message = messages.next().await;
        if message != ["WATCHDOG=1"] {
            break message;
        }
    };
    assert_eq!(stopping[0], "STOPPING=1");
}

/// `exec` has a gateway too, but is not the service.
#[tokio::test]
async fn only_serve_notifies_the_service_manager() {
    let folder = configured("listener.address = \"127.0.0.1:0\"");
    let path = folder.path().join("notify");
    let messages = Messages(UnixDatagram::bind(&path).unwrap());
    let mut command = command(&["exec", "--config", "gateway.toml", "--", "true"]);
    command
        .current_dir(folder.path())
        .env("PATH", "/usr/bin:/bin")
        .env("NOTIFY_SOCKET", &path);
    let ended = end(command).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let error = messages.0.try_recv(&mut [0; 64]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}
