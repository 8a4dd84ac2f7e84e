//! The program in bad surroundings: full disks, dead and stalled pipes, silent ports, endpoints
//! that would carry tokens in the clear.

use crate::program::{command, end, run};
use crate::support::{Client, eventually};
use mwaa_emulator::{Emulator, Settings};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// More than anything here takes on a machine under load.
const PATIENCE: Duration = Duration::from_mins(1);

fn request(body: &str) -> String {
    format!(
        "POST /aws_mwaa/cli HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn client(socket: &Path) -> Client {
    // its log cannot be read to see when it listens
    let connect = async || std::os::unix::net::UnixStream::connect(socket).ok();
    eventually("the gateway to listen", connect).await;
    Client::unix(socket).await
}

/// Whether or not the log can be written, requests are answered, and SIGTERM ends the gateway
/// with status 0.
async fn serves_with_log_to(log: impl Into<Stdio>) {
    let emulator = Emulator::start(Settings::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, emulator.ca_pem()).unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, emulator.config_toml(&ca_file)).unwrap();
    let socket = folder.path().join("gateway.sock");
    let listen = format!("--listen=unix:{}", socket.display());
    let mut command = command(&["serve", "--management=127.0.0.1:0", &listen, "--config"]);
    command
        .arg(&file)
        .env("AWS_ACCESS_KEY_ID", emulator.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", emulator.secret_access_key())
        .stderr(log);
    let mut gateway = command.spawn().unwrap();
    for _ in 0..100 {
        let refused = client(&socket).await.exchange(request("users list")).await;
        assert_eq!(refused.fault(), Some("policy.unsupported_command"));
    }
    let answered = client(&socket).await.exchange(request("version")).await;
    assert_eq!(answered.status, 200, "{answered}");
    let id = i32::try_from(gateway.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, gateway.wait()).await;
    let code = ended.expect("it stops").unwrap().code();
    assert_eq!(code, Some(0));
}

/// A file whose writes fail because the disk is full; only Linux has one.
#[cfg(target_os = "linux")]
fn full_disk() -> std::fs::File {
    let mut open = std::fs::File::options();
    open.write(true).open("/dev/full").unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_on_a_full_disk_does_not_stop_the_gateway() {
    serves_with_log_to(full_disk()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_log_pipe_does_not_stop_the_gateway() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    serves_with_log_to(writer).await;
}

#[cfg(target_os = "linux")] // the size of a pipe
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_pipe_does_not_stop_the_gateway() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // room for the first words and then for nothing (pipe(7): a pipe holds 64 KiB)
    writer.write_all(&vec![b' '; 62 * 1024]).unwrap();
    serves_with_log_to(writer).await;
    drop(reader);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn data_that_can_not_be_written_is_a_failure() {
    for arguments in [&["commands"][..], &["man"], &["--version"]] {
        let mut command = command(arguments);
        command.stdout(full_disk());
        let ended = end(command).await;
        assert_eq!(ended.code, Some(1), "{arguments:?}");
        assert!(
            ended.stderr.contains("cannot write to stdout"),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn a_temporary_folder_that_is_missing_is_named() {
    for arguments in [
        &["demo", "--listen=127.0.0.1:0", "--management=127.0.0.1:0"][..],
        &["emulator", "--aws=127.0.0.1:0", "--web=127.0.0.1:0"],
    ] {
        let mut command = command(arguments);
        command.env("TMPDIR", "/nonexistent");
        let ended = end(command).await;
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("/nonexistent; set TMPDIR"),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn wait_times_out_on_silent_and_slow_ports() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let dripping = TcpListener::bind("127.0.0.1:0").unwrap();
    let flag =
        |listener: &TcpListener| format!("--management={}", listener.local_addr().unwrap());
    let (of_silent, of_dripping) = (flag(&silent), flag(&dripping));
    std::thread::spawn(move || {
        for mut stream in dripping.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                // what is no HTTP at all is not waited for
                let mut next: &[u8] = b"HTTP/1.1 200 OK\r\nX: ";
                while stream.write_all(next).is_ok() {
                    next = b"x";
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            });
        }
    });
    for flag in [of_silent, of_dripping] {
        // neither port ever ends its response
        let ended = run(&["wait", "--timeout=300ms", &flag]).await;
        assert_eq!(ended.code, Some(1), "{flag}");
        assert!(ended.stderr.contains("no response"), "{}", ended.stderr);
    }
}

/// RFC 5737's address for documentation: nothing is sent there, so nothing waits for it.
#[tokio::test]
async fn no_variable_allows_unencrypted_endpoints() {
    for variable in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_MWAA",
        "AWS_ENDPOINT_URL_STS",
    ] {
        let mut command = command(&["check", "--environment=x", "--region=eu-west-1"]);
        command
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "example")
            .env(variable, "http://192.0.2.1");
        let ended = end(command).await;
        assert_eq!(ended.code, Some(69), "{variable}: {}", ended.stdout);
        let refused = ended.stdout.matches("neither https nor http on loopback");
        assert_eq!(refused.count(), 3, "{variable}: {}", ended.stdout);
        assert!(ended.stdout.contains(variable), "{}", ended.stdout);
    }
}
