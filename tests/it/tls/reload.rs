//! A certificate that is renewed while the gateway runs.

use super::{Secured, shake};
use crate::program::{Running, command};
use crate::reload::assert_reloaded;
use crate::support::{Client, Pair, eventually, make_pipe};
use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::Path;
use std::sync::Arc;

const NAMES: &[&str] = &["localhost", "127.0.0.1"];

fn der(pair: &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()
}

/// The certificate that a new connection gets.
async fn served(secured: &Secured) -> CertificateDer<'static> {
    let client = secured.authority.client(None);
    let stream = shake(secured.harness.address(), client).await.unwrap();
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].clone()
}

#[tokio::test]
async fn a_renewed_certificate_is_used_for_new_connections() {
    let secured = Secured::configured("[limits]\nthreads = 1\n").await;
    let mut old = secured.connect().await;
    let request = secured.harness.request("version");
    assert_eq!(old.exchange(&request).await.status, 200);
    let before = served(&secured).await;

    for _ in 0..2 {
        let renewed = secured.authority.pair(NAMES);
        renewed.write(secured.folder.path());
        assert_ne!(before, der(&renewed));
        secured.harness.reload().await;
        assert_eq!(served(&secured).await, der(&renewed));
    }
    assert_eq!(old.exchange(&request).await.status, 200, "it goes on");
}

#[tokio::test]
async fn sessions_are_resumed_until_the_certificate_changes() {
    let secured = Secured::configured("[limits]\nthreads = 1\n").await;
    let client = Arc::new(secured.authority.client(None));
    let mut kinds = Vec::new();
    for renews in [false, false, true, false] {
        if renews {
            let renewed = secured.authority.pair(NAMES);
            renewed.write(secured.folder.path());
            secured.harness.reload().await;
        }
        let stream = shake(secured.harness.address(), (*client).clone())
            .await
            .unwrap();
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        // the tickets of TLS 1.3 come with the response
        let request = secured.harness.request("version");
        let reply = Client::over(stream).exchange(request).await;
        assert_eq!(reply.status, 200, "{reply}");
    }
    use HandshakeKind::{Full, Resumed};
    assert_eq!(kinds, [Full, Resumed, Full, Resumed]);
}

/// Certificates of clients are checked when a session begins, so it must not outlast the authority
/// that signed them.
#[tokio::test]
async fn a_client_that_is_trusted_no_longer_cannot_resume() {
    let secured = Secured::configured("client_ca = \"CLIENTS\"\n[limits]\nthreads = 1\n").await;
    let shown = secured.authority.pair(&["ann"]);
    let client = secured.authority.client(Some(&shown));
    let run = async || {
        let stream = shake(secured.harness.address(), client.clone())
            .await
            .ok()?;
        let request = secured.harness.request("version");
        let mut client = Client::over(stream);
        client.send(request).await;
        Some(client.try_response().await.ok()?.status)
    };
    assert_eq!(run().await, Some(200));
    let others = crate::support::Authority::new();
    std::fs::write(secured.folder.path().join("clients.pem"), others.pem()).unwrap();
    secured.harness.reload().await;
    assert_eq!(run().await, None);
}

/// A client that is no longer trusted is no longer served, not even on an open connection.
#[tokio::test]
async fn a_client_that_is_trusted_no_longer_loses_its_connection() {
    let secured = Secured::configured("client_ca = \"CLIENTS\"\n").await;
    let shown = secured.authority.pair(&["ann"]);
    let config = secured.authority.client(Some(&shown));
    let stream = shake(secured.harness.address(), config).await.unwrap();
    let mut client = Client::over(stream);
    let request = secured.harness.request("version");
    assert_eq!(client.exchange(&request).await.status, 200);

    // the same authority in another file: nothing has changed for clients
    std::fs::write(
        secured.folder.path().join("clients.pem"),
        secured.authority.pem() + "\n",
    )
    .unwrap();
    secured.harness.reload().await;
    assert_eq!(client.exchange(&request).await.status, 200);

    let others = crate::support::Authority::new();
    std::fs::write(secured.folder.path().join("clients.pem"), others.pem()).unwrap();
    secured.harness.reload().await;
    assert_reloaded(&mut client, &request).await;
}

/// The gateway notices a new certificate on its own, even while its configuration is invalid.
#[tokio::test]
async fn a_mistake_in_the_configuration_does_not_hold_up_a_certificate() {
    let secured = Secured::new().await;
    secured.harness.spoil("no TOML").await;
    let renewed = secured.authority.pair(NAMES);
    renewed.write(secured.folder.path());
    eventually("the certificate", async || {
        (served(&secured).await == der(&renewed)).then_some(())
    })
    .await;
    let status = secured.harness.configuration().await;
    assert!(status["failure"].is_string(), "{status}");
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_old_certificate() {
    let secured = Secured::configured("[limits]\nthreads = 1\n").await;
    let before = served(&secured).await;
    let (one, other) = (secured.authority.pair(NAMES), secured.authority.pair(NAMES));
    let folder = secured.folder.path();
    let file = |name: &str| folder.join(name);
    let mixed = Pair {
        certificate: one.certificate.clone(),
        key: other.key,
    };
    let breaks: [&dyn Fn(); 5] = [
        &|| drop(mixed.write(folder)),
        &|| std::fs::remove_file(file("gateway.key")).unwrap(),
        // without a writer, it would block the thread that opens it
        &|| make_pipe(&file("gateway.key")),
        &|| std::fs::write(file("gateway.pem"), "no PEM").unwrap(),
        &|| std::fs::remove_file(file("gateway.pem")).unwrap(),
    ];
    for spoil in breaks {
        spoil();
        secured.harness.reload().await;
        assert_eq!(served(&secured).await, before);
    }
    std::fs::remove_file(file("gateway.key")).unwrap();
    one.write(folder);
    secured.harness.reload().await;
    assert_eq!(served(&secured).await, der(&one));
}

/// Starts the program with the files in a folder.
async fn start(folder: &Path, tls: &str) -> (Running, std::net::SocketAddr) {
    let config = folder.join("c.toml");
    let rest = "[listener]\naddress = \"127.0.0.1:0\"\n[management]\naddress = \"127.0.0.1:0\"\n\
                [environments.prod]\n";
    std::fs::write(&config, format!("{rest}{tls}")).unwrap();
    let flag = format!("--config={}", config.display());
    let mut running = Running::start(command(&["serve", &flag]));
    let address = running.told("listening on https://").await;
    (running, address.trim().parse().unwrap())
}

#[tokio::test]
async fn the_log_says_once_why_new_files_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let authority = crate::support::Authority::new();
    let tls = authority.pair(NAMES).write(folder.path());
    let (running, address) = start(folder.path(), &tls).await;

    let renewed = authority.pair(NAMES);
    std::fs::write(folder.path().join("gateway.pem"), &renewed.certificate).unwrap();
    let connect = async || shake(address, authority.client(None)).await.unwrap();
    let shows = async |text: &str| {
        eventually(text, async || running.stderr().contains(text).then_some(())).await;
    };
    shows("it does not match the first certificate").await;
    drop(connect().await);
    renewed.write(folder.path());
    shows("was loaded again").await;
    let ended = running.stop().await;
    let warnings = ended.stderr.matches("cannot be used").count();
    assert_eq!(warnings, 1, "{}", ended.stderr);
}
