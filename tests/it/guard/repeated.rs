//! A request that comes again and again is judged each time as the first time, although its head and
//! its command are recognised.

use super::callers::secret_file;
use super::{ask, bare, cli, with_hosts};
use crate::support::Harness;

#[tokio::test]
async fn each_time_has_the_same_result() {
    let harness = Harness::new().await;
    let trigger = cli("").replace("7\r\n\r\nversion", "18\r\n\r\ndags trigger hello");
    let users = cli("").replace("7\r\n\r\nversion", "10\r\n\r\nusers list");
    let requests = [
        cli(""),
        users,
        trigger,
        bare("GET", "/api/v1/dags", ""),
        bare(
            "GET",
            "/api/v1/dags",
            "Connection: keep-alive, Accept\r\nAccept: a/b\r\n",
        ),
        bare("GET", "/aws_mwaa/cli", ""),
        bare("GET", "/nothing/../here", ""),
        bare("OPTIONS", "/api/v1/dags", "Origin: http://a\r\n"),
        with_hosts("Host: evil.example\r\n"),
        with_hosts(""),
    ];

    let mut first = Vec::new();
    for round in 0..4 {
        let mut results = Vec::new();
        for request in &requests {
            let reply = ask(&harness, request).await;
            let fault = reply.header("mwaa-gateway-fault").map(str::to_owned);
            results.push((reply.status, fault));
        }
        if round == 0 {
            assert_eq!(results[0], (200, None));
            assert_eq!(results[1].0, 403);
            first = results;
        } else {
            assert_eq!(results, first, "round {round}");
        }
    }
    let commands = harness.journal().web_requests();
    let sent = commands
        .iter()
        .filter(|seen| seen.target == "/aws_mwaa/cli");
    assert_eq!(sent.count(), 8, "two of the commands, four times each");
}

/// The secret is checked each time, even if a similar head was accepted before.
#[tokio::test]
async fn the_secret_is_asked_for_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = secret_file(&folder, "s3cret");
    let harness = Harness::configured(&format!("listener.secret_file = {file:?}")).await;
    for _ in 0..3 {
        for (fields, status) in [
            ("", 401),
            ("Mwaa-Gateway-Secret: s3cret\r\n", 200),
            ("Mwaa-Gateway-Secret: s3creT\r\n", 401),
        ] {
            let request = bare("GET", "/api/v1/dags", fields);
            assert_eq!(ask(&harness, &request).await.status, status, "{fields}");
        }
    }
}
