//! Certificates that must not be believed, and names that must be asked for.

use crate::support::{CLOSED, Harness};
use mwaa_emulator::{CertificateForm, HandshakeFault, Settings};

async fn refused(certificate: CertificateForm, cause: &str) {
    let settings = Settings {
        certificate,
        ..Settings::default()
    };
    let harness = Harness::with(settings, "").await;
    let reply = harness.command("version").await;
    assert_eq!(
        reply.fault(),
        Some("upstream.tls"),
        "{certificate:?}: {reply}"
    );
    let complaint = reply.complaint();
    assert!(complaint.contains(cause), "{certificate:?}: {complaint}");
    let host = harness.emulator().host("demo").unwrap();
    assert!(complaint.contains(&host), "{certificate:?}: {complaint}");
    let journal = harness.journal();
    assert_eq!(journal.web_connections(), 1, "{certificate:?}");
    assert_eq!(journal.web_count(), 0, "{certificate:?}");
    // not even a byte inside TLS: the token has not left
    assert_eq!(journal.received(1), b"", "{certificate:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    refused(CertificateForm::Expired, "has expired").await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused() {
    refused(CertificateForm::NotYetValid, "not valid yet").await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    refused(CertificateForm::WrongName, "for another name").await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    refused(CertificateForm::UnknownCa, "authority").await;
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    refused(CertificateForm::SelfSigned, "unknown authority").await;
}

#[tokio::test]
async fn connect_to_changes_the_address_and_not_the_host() {
    let harness = Harness::new().await;
    assert_eq!(harness.command("version").await.status, 200);
    let host = harness.emulator().host("demo").unwrap();
    assert!(host.ends_with(".airflow.amazonaws.com"), "{host}");
    assert_eq!(harness.journal().server_names(), [Some(host.clone())]);
    let requests = harness.journal().web_requests();
    assert_eq!(requests[0].header("host"), Some(host.as_str()));
}

#[tokio::test]
async fn a_failed_handshake_is_reported_and_not_pooled() {
    let extra = r#"limits.upstream_tls = "300ms""#;
    let harness = Harness::configured(extra).await;
    for (fault, cause) in [
        (HandshakeFault::Close, ""),
        (HandshakeFault::Hang, "took too long"),
    ] {
        harness.script().handshake_fault.next(1, fault);
        let reply = harness.command("version").await;
        assert_eq!(reply.fault(), Some("upstream.tls"), "{fault:?}: {reply}");
        assert!(reply.complaint().contains(cause), "{fault:?}: {reply}");
        assert_eq!(harness.journal().web_count(), 0);
    }
    assert_eq!(harness.command("version").await.status, 200);
    assert_eq!(harness.mints(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_reported_with_the_address() {
    let extra = format!("environments.demo.connect_to = \"{CLOSED}\"");
    let harness = Harness::configured(&extra).await;
    let reply = harness.command("version").await;
    assert_eq!(reply.fault(), Some("upstream.unreachable"), "{reply}");
    assert!(reply.complaint().contains(CLOSED), "{reply}");
}
