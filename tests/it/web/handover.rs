//! Handing a browser over to the environment's own host: a fresh web token in a fragment, for a
//! visitor who asks here, but not for one who was sent by another site.

use crate::support::airflow::{FROM_ELSEWHERE, OWN, TYPED, VERSIONS};
use crate::support::{Client, Harness, Response, client_that_trusts};
use mwaa_emulator::Settings;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

const SSO: &str = "/aws_mwaa/aws-console-sso";

/// The token that a reply hands out.
fn token(harness: &Harness, reply: &Response) -> String {
    assert_eq!(reply.status, 303, "{reply}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply}");
    assert_eq!(
        reply.header("referrer-policy"),
        Some("no-referrer"),
        "{reply}"
    );
    assert_eq!(reply.body, b"", "{reply}");
    let host = harness.emulator().host("demo").unwrap();
    let address = format!("https://{host}/aws_mwaa/aws-console-sso?login=true#");
    let token = reply.header("location").unwrap().strip_prefix(&address);
    token.unwrap_or_else(|| panic!("{reply}")).to_owned()
}

/// What the web server itself says to a login with this token, past the gateway.
async fn login(harness: &Harness, version: &str, token: &str) -> Response {
    let host = harness.emulator().host("demo").unwrap();
    let ca = CertificateDer::from_pem_slice(harness.emulator().ca_pem().as_bytes()).unwrap();
    let config = client_that_trusts(ca);
    let stream = TcpSocket::new_v4()
        .unwrap()
        .connect(harness.emulator().web_addr())
        .await
        .unwrap();
    let name = ServerName::try_from(host.clone()).unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let path = if version == "2.10.3" {
        "/aws_mwaa/login"
    } else {
        "/pluginsv2/aws_mwaa/login"
    };
    let body = format!("token={token}");
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    );
    Client::over(stream).exchange(request).await
}

async fn redirecting(version: &str) -> Harness {
    let extra = "environments.demo.browser = \"redirect\"";
    Harness::airflow_with(Settings::default(), version, extra).await
}

#[tokio::test]
async fn redirect_mode_redirects_each_visitor_with_its_own_token() {
    for version in VERSIONS {
        let harness = redirecting(version).await;
        let mut tokens = Vec::new();
        for (target, headers) in [
            ("/", TYPED),
            ("/home", OWN),
            (SSO, TYPED),
            ("/dags/x/grid", TYPED),
        ] {
            let reply = harness.get_with(target, headers).await;
            tokens.push(token(&harness, &reply));
        }
        assert_eq!(harness.web_mints(), 4, "{version}");
        assert_eq!(
            harness.journal().web_count(),
            0,
            "{version}: it was used already"
        );
        for token in &tokens {
            let reply = login(&harness, version, token).await;
            assert_eq!(reply.status, 200, "{version}: {reply}");
        }
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 4, "{version}: a token twice");
        // programs are still served with the gateway's own session
        let reply = harness.get("/health").await;
        assert!(
            reply.fault().is_none() && reply.header("location").is_none(),
            "{reply}"
        );
        assert!(
            harness
                .journal()
                .web_requests()
                .iter()
                .all(|request| !request.token_in_url)
        );
    }
}

#[tokio::test]
async fn a_link_from_another_site_gets_a_page_with_a_button() {
    let harness = redirecting("3.3.1").await;
    for target in ["/", SSO] {
        let page = harness.get_with(target, FROM_ELSEWHERE).await;
        assert_eq!(
            (page.status, page.header("location")),
            (200, None),
            "{page}"
        );
        let text = page.text();
        assert!(
            text.contains("method=\"post\"") && text.contains(SSO),
            "{text}"
        );
    }
    assert_eq!(
        harness.journal().control_count(),
        0,
        "a token was made for a mere link"
    );
    // the button
    let ours = format!("http://{}", harness.address());
    let form =
        format!("Content-Type: application/x-www-form-urlencoded\r\nOrigin: {ours}\r\n{OWN}");
    let request = harness.sending("POST", SSO, &form, "");
    let reply = harness.connect().await.exchange(request).await;
    let token = token(&harness, &reply);
    assert_eq!(login(&harness, "3.3.1", &token).await.status, 200);
    // a page of another origin cannot press it
    for headers in [
        FROM_ELSEWHERE,
        "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
        "Origin: null\r\n",
        "Origin: http://evil.example\r\n",
    ] {
        let request = harness.sending("POST", SSO, headers, "");
        let reply = harness.connect().await.exchange(request).await;
        assert_eq!(
            reply.fault(),
            Some("guard.foreign_origin"),
            "{headers}: {reply}"
        );
    }
    assert_eq!(harness.web_mints(), 1);
}

#[tokio::test]
async fn proxy_mode_has_no_handover() {
    for version in VERSIONS {
        let harness = Harness::airflow(version).await;
        for target in [
            SSO.to_owned(),
            format!("{SSO}?login=true"),
            format!("/pluginsv2{SSO}"),
            format!("{SSO}?handover=0"),
        ] {
            let reply = harness.get_with(&target, TYPED).await;
            assert_eq!(
                (reply.status, reply.header("location")),
                (302, Some("/")),
                "{reply}"
            );
        }
        // neither a person nor a local program gets a token
        for headers in [TYPED, OWN, FROM_ELSEWHERE, ""] {
            let asked = harness.asking("GET", &format!("{SSO}?handover=1"), headers);
            for request in [asked, harness.sending("POST", SSO, "", "")] {
                let mut client = harness.connect().await;
                client.send(request).await;
                let reply = client.response().await;
                let refused = (reply.status, reply.fault());
                assert_eq!(refused, (403, Some("policy.handover_off")), "{reply}");
                assert_eq!(reply.header("location"), None, "{reply}");
            }
        }
        assert_eq!(harness.journal().control_count(), 0, "{version}");
        let page = harness.get_with("/-/", TYPED).await.text();
        assert!(!page.contains("Open on AWS"), "it is offered: {page}");
    }
}

/// Each costs a token of AWS's, and none of them is for a frame or a script.
#[tokio::test]
async fn a_script_of_an_environment_s_page_gets_no_handover() {
    let harness = redirecting("3.3.1").await;
    for (mode, dest) in [
        ("cors", "empty"),
        ("no-cors", "empty"),
        ("navigate", "iframe"),
    ] {
        let headers = format!(
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n"
        );
        let reply = harness
            .get_with(&format!("{SSO}?handover=1"), &headers)
            .await;
        let refused = (reply.status, reply.fault());
        assert_eq!(refused, (403, Some("guard.foreign_origin")), "{reply}");
        assert_eq!(reply.header("location"), None, "{reply}");
    }
    assert_eq!(harness.journal().control_count(), 0);
}

#[tokio::test]
async fn a_failed_web_token_is_shown_as_a_fault_page() {
    let harness = redirecting("3.3.1").await;
    harness.script().web_login_denied.always(());
    let reply = harness.get_with("/", TYPED).await;
    assert_eq!(
        (reply.status, reply.fault()),
        (502, Some("aws.denied")),
        "{reply}"
    );
    assert!(reply.text().starts_with("<!DOCTYPE html>"), "{reply}");
    harness.script().web_login_denied.off();
    harness
        .script()
        .mint_fault
        .always(mwaa_emulator::ControlFault::ForeignHost(
            "evil.example".to_owned(),
        ));
    let reply = harness.get_with("/", TYPED).await;
    assert_eq!(reply.fault(), Some("aws.untrusted_host"), "{reply}");
    assert_eq!(reply.header("location"), None, "{reply}");
}
