//! `status` and `wait`, which ask a running gateway, and whatever else answers in its place.

use crate::program::{command, run};
use crate::support::{Harness, OnTerminal};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Something that answers each connection once, and has then closed it.
fn foreign(answer: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            answer(stream.unwrap());
        }
    });
    address
}

/// A server that answers every request with a 503 and this body.
fn unready(body: &str) -> SocketAddr {
    let reply = format!(
        "HTTP/1.1 503 No\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    foreign(move |mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        stream.write_all(reply.as_bytes()).unwrap();
    })
}

#[tokio::test]
async fn text_of_another_program_is_sanitized_and_truncated() {
    let body = format!("\u{1b}]0;pwn\u{7}{}", "x".repeat(3000));
    let flag = format!("--management={}", unready(&body));
    let arguments = ["wait", "--timeout=1ms", &flag];
    let piped = run(&arguments).await;
    assert_eq!(piped.code, Some(1), "{piped:?}");
    let program = OnTerminal::start(command(&arguments), true);
    let (_, _, shown) = program.end().await;
    for said in [piped.stderr, shown.replace("\u{1b}[", "")] {
        assert!(said.contains("^[]0;pwn^G"), "{said:?}");
        assert!(
            !said.contains("\u{1b}]") && !said.contains('\u{7}'),
            "{said:?}"
        );
        assert!(said.matches('x').count() < 1100, "{said:?}");
    }
}

#[tokio::test]
async fn the_configuration_gives_the_management_address() {
    let harness = Harness::new().await;
    assert_eq!(harness.command("version").await.status, 200);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let text = format!("management.address = \"{}\"\n", harness.management());
    std::fs::write(&file, text).unwrap();
    let config = format!("--config={}", file.display());
    for command in ["wait", "status"] {
        let ended = run(&[command, &config]).await;
        assert_eq!(ended.code, Some(0), "{command}: {ended:?}");
    }
}

/// An address on the command line is used, even if the configuration would refuse it.
#[tokio::test]
async fn a_wrong_management_address_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let harness = Harness::new().await;
    let text = format!("listener.address = \"{}\"\n", harness.address());
    std::fs::write(&file, text).unwrap();
    let config = format!("--config={}", file.display());
    let closing = foreign(|stream| {
        // with the question unread, the other side's connection is reset
        stream.peek(&mut [0]).unwrap();
    });
    let wrong = "is not a gateway's management address";
    for address in [harness.address(), closing] {
        let flag = format!("--management={address}");
        let ended = run(&["status", &config, &flag]).await;
        assert_eq!(ended.code, Some(69), "{ended:?}");
        assert!(ended.stderr.contains(wrong), "{ended:?}");
    }
    let flag = format!("--management={closing}");
    let ended = run(&["wait", "--timeout=1ms", &flag]).await;
    assert!(
        ended.stderr.contains("the response is not from a gateway"),
        "{ended:?}"
    );
    for command in ["status", "wait"] {
        let ended = run(&[command, "--management=here"]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended.stderr.starts_with("error: --management: here"),
            "{ended:?}"
        );
    }
}
