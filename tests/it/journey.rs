//! One command, there and back, over every kind of socket.

use crate::support::{Client, Harness};
use std::path::Path;

#[tokio::test]
async fn a_command_is_run_decoded_and_counted() {
    let harness = Harness::new().await;
    let reply = harness.command("version").await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(reply.stdout().trim(), "2.10.3");
    assert_eq!(reply.fault(), None);
    let text = harness.request_with("Accept: text/plain\r\n", "airflow version");
    let mut client = harness.connect().await;
    for _ in 0..2 {
        let reply = client.exchange(&text).await;
        assert_eq!(reply.text().trim(), "2.10.3", "{reply}");
    }
    assert_eq!(harness.mints(), 1);
    assert_eq!(harness.journal().commands(), ["version"; 3]);
    let ready = harness.manage("/readyz").await;
    assert_eq!(ready.status, 200, "{ready}");
    let refused = harness.command("users list").await;
    assert_eq!(
        refused.fault(),
        Some("policy.unsupported_command"),
        "{refused}"
    );
    assert!(refused.complaint().contains("users list"), "{refused}");
}

#[tokio::test]
async fn a_unix_socket_and_an_environment_s_listener_serve_commands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let extra = format!(
        "[listener]\naddress = \"unix:{}\"\n[environments.demo]\nlisten = \"127.0.0.1:0\"\n",
        path.display()
    );
    let harness = Harness::configured(&extra).await;
    assert_eq!(harness.urls()[0], format!("unix:{}", path.display()));
    let own = harness.urls()[1].strip_prefix("http://").unwrap();
    let request = |host: &str| {
        format!(
            "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\n\
             Content-Length: 7\r\nConnection: close\r\n\r\nversion"
        )
    };
    let mut unix = Client::unix(Path::new(&path)).await;
    let reply = unix.exchange(request("localhost")).await;
    assert_eq!(reply.status, 200, "{reply}");
    let mut tcp = Client::tcp(own.parse().unwrap()).await;
    let reply = tcp.exchange(request(own)).await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(tcp.rest().await, b"");
}

#[tokio::test]
async fn a_truncated_command_is_not_sent() {
    let harness = Harness::new().await;
    let whole = harness.request("variables delete key_of_the_other_team");
    let cut = whole.strip_suffix("_of_the_other_team").unwrap();
    let mut client = harness.connect().await;
    client.send(cut).await;
    client.finish().await;
    let said = String::from_utf8_lossy(&client.rest().await).into_owned();
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 400 "),
        "{said}"
    );
    assert_eq!((harness.mints(), harness.journal().web_count()), (0, 0));
}
