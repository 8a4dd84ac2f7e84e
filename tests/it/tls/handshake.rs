//! Handshakes: versions, protocols, plain HTTP, slowness, and the end.

use super::{Secured, shake};
use crate::support::{Client, soon};
use mwaa_app::ShutdownStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// The gateway's own URLs begin with `https`, and commands run with each version of TLS.
#[tokio::test]
async fn commands_run_over_tls() {
    let secured = Secured::configured("[environments.demo]\nlisten = \"127.0.0.1:0\"\n").await;
    let harness = &secured.harness;
    assert!(
        harness
            .urls()
            .iter()
            .all(|url| url.starts_with("https://127.0.0.1:")),
        "{:?}",
        harness.urls()
    );
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(secured.authority.roots())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = shake(harness.address(), config).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(version.version));
        assert_eq!(session.alpn_protocol(), Some(b"http/1.1".as_slice()));
        let mut client = Client::over(stream);
        for _ in 0..2 {
            let reply = client.exchange(harness.request("version")).await;
            assert_eq!(reply.status, 200, "{reply}");
        }
    }
    let own = harness.urls()[1].strip_prefix("https://").unwrap();
    let stream = shake(own.parse().unwrap(), secured.authority.client(None)).await;
    let request = harness.request("version");
    let request = request.replace(&harness.address().to_string(), own);
    let reply = Client::over(stream.unwrap()).exchange(request).await;
    assert_eq!(reply.status, 200, "{reply}");
}

/// There is no HTTP/2: the handshake of a client that offers nothing else fails with an alert.
#[tokio::test]
async fn only_http_1_1_is_negotiated() {
    let secured = Secured::new().await;
    let mut config = secured.authority.client(None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let error = shake(secured.harness.address(), config).await.unwrap_err();
    assert!(
        error.to_string().contains("NoApplicationProtocol"),
        "{error}"
    );
}

#[tokio::test]
async fn plain_http_gets_a_hint_to_use_tls() {
    let secured = Secured::new().await;
    let mut client = Client::tcp(secured.harness.address()).await;
    let reply = client.exchange(secured.harness.request("version")).await;
    assert_eq!(reply.status, 400, "{reply}");
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(reply.fault(), Some("request.malformed"), "{reply}");
    assert!(reply.complaint().contains("https://"), "{reply}");
    assert!(reply.header("mwaa-gateway-request-id").is_some(), "{reply}");
    assert_eq!(client.rest().await, b"");
    assert_eq!(secured.harness.mints(), 0);
}

/// A client that says nothing, or half a greeting, is let go; meanwhile it counts.
#[tokio::test]
async fn slow_handshakes_are_cut_off_and_count_as_connections() {
    let limits = "[limits]\nhead_timeout = \"300ms\"\nconnections = 1\nthreads = 1\n";
    let secured = Secured::configured(limits).await;
    for start in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut slow = Client::tcp(secured.harness.address()).await;
        slow.send(start).await;
        let request = secured.harness.request("version");
        let reply = secured.connect().await.exchange(request).await;
        assert_eq!(reply.status, 200, "{reply}");
        // there was no place for it before the end of the slow one
        let ended = tokio::time::timeout(Duration::ZERO, slow.rest()).await;
        assert_eq!(ended.expect("it has ended already"), b"");
    }
}

/// A handshake that has not come to its end is nothing to wait for.
#[tokio::test]
async fn the_drain_does_not_wait_for_a_handshake() {
    let limits = "[limits]\nhead_timeout = \"5m\"\ndrain = \"5m\"\nthreads = 1\n";
    let mut secured = Secured::configured(limits).await;
    let mut slow = tokio::net::TcpSocket::new_v4()
        .unwrap()
        .connect(secured.harness.address())
        .await
        .unwrap();
    slow.write_all(b"\x16").await.unwrap();
    // served: so the silent one has been accepted as well, or never will be
    let request = secured.harness.request("version");
    let reply = secured.connect().await.exchange(request).await;
    assert_eq!(reply.status, 200, "{reply}");
    secured.harness.stop();
    let outcome = soon("the end", secured.harness.stopped()).await;
    assert_eq!(outcome, ShutdownStatus::Drained);
}
