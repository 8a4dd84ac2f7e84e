//! A signal at each stage: what it leaves behind, and what it says of that.

use super::{Stand, airflow, listener, nobody, through};
use crate::program::Running;
use crate::support::{Harness, soon};
use mwaa_emulator::{Settings, WebFault};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn an_interrupted_queued_command_was_not_sent() {
    let harness = Harness::new().await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let first = Running::start(through(&harness, &["version"]));
    harness
        .seen("the first one", |journal| journal.web_count() == 1)
        .await;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let second = Running::start(through(&harness, &["dags", "trigger", "lab_hello"]));
        harness.queued(1).await;
        let ended = second.end_by(signal).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(code), ""),
            "{ended:?}"
        );
        assert_eq!(ended.stderr, "interrupted: dags trigger was not sent\n");
        harness.queued(0).await;
    }
    harness.script().cut_web_connections();
    let _first = first.end_by(Signal::INT).await;
    let last = crate::program::end(through(&harness, &["version"])).await;
    assert_eq!(last.code, Some(0), "{last:?}");
    assert_eq!(
        harness.journal().web_count(),
        2,
        "the first and the last one"
    );
}

#[tokio::test]
async fn an_interrupted_sent_command_continues() {
    let harness = Harness::new().await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let arguments = [
        "-e",
        "demo",
        "--",
        "dags",
        "trigger",
        "lab_hello",
        "--run-id=secret",
    ];
    let program = Running::start(through(&harness, &arguments));
    harness
        .seen("the command", |journal| journal.web_count() == 1)
        .await;
    let ended = program.end_by(Signal::INT).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(130), ""),
        "{ended:?}"
    );
    for text in [
        "interrupted: dags trigger is still running in demo (request ",
        "MWAA runs it to the end",
        "It holds its slot until then",
        "/-/",
        "`dags list-runs`",
    ] {
        assert!(ended.stderr.contains(text), "{text}: {ended:?}");
    }
    assert!(!ended.stderr.contains("secret"), "{ended:?}");
    harness
        .status_says("/environments/0/queue/running", 1)
        .await;
    harness.script().cut_web_connections();
    harness
        .status_says("/environments/0/queue/running", 0)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_gateway_the_interrupt_warns_about_the_slot() {
    let stand = Stand::new(Settings::default(), &nobody()).await;
    stand.emulator.script().web_fault.next(1, WebFault::Hang);
    let program = Running::start(stand.command(&["dags", "list"]));
    let sent = stand
        .emulator
        .journal()
        .wait_for(|journal| journal.web_count() == 1);
    soon("the command", sent).await;
    let ended = program.end_by(Signal::INT).await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    for text in [
        "dags list is still running",
        "No running gateway holds its slot",
    ] {
        assert!(ended.stderr.contains(text), "{text}: {ended:?}");
    }
    let left: Vec<_> = std::fs::read_dir(stand.temporary()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_before_an_answer_reports_that_nothing_was_sent() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let stand = Stand::new(Settings::default(), &listener(&address)).await;
    let program = Running::start(stand.command(&["version"]));
    let (_held, _) = soon("the program", silent.accept()).await.unwrap();
    let ended = program.end_by(Signal::INT).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(130), "interrupted: nothing was sent\n")
    );
}

/// Reads a request's head, and as much of its body as came with it.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        let mut buffer = [0; 4096];
        let count = soon("a request", stream.read(&mut buffer)).await.unwrap();
        assert_ne!(count, 0, "{text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

/// A gateway that hangs does not report whether it has sent the command, so the program says that
/// it may have been sent.
#[tokio::test]
async fn an_interrupt_with_a_hung_gateway_says_may_have_been_sent() {
    let hung = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = hung.local_addr().unwrap().to_string();
    let program = Running::start(airflow(&address, "127.0.0.1:1", &["dags", "list"]));
    let (mut stream, _) = soon("the program", hung.accept()).await.unwrap();
    let question = request(&mut stream).await;
    assert!(question.starts_with("HEAD "), "{question}");
    let hello = "HTTP/1.1 200 OK\r\nMwaa-Gateway-Request-Id: a-1\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(hello.as_bytes()).await.unwrap();
    let command = request(&mut stream).await;
    assert!(command.ends_with("\r\n\r\ndags list"), "{command}");
    let ended = program.end_by(Signal::INT).await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(
        ended
            .stderr
            .starts_with("interrupted: dags list may have been sent"),
        "{ended:?}"
    );
}
