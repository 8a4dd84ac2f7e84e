//! Pages that the role may not see, and what a read-only environment refuses.

use crate::support::{Client, Harness, Puppet};
use mwaa_emulator::Settings;

const PAGE: &str = "Accept: text/html\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n\
                    Sec-Fetch-Dest: document\r\n";

async fn leads_to_login(server: &mut Client) {
    server.head().await;
    server
        .send("HTTP/1.1 302 Found\r\nLocation: /login/?next=x\r\nContent-Length: 0\r\n\r\n")
        .await;
}

/// Flask-AppBuilder redirects a user who lacks a right to the login page, as if there were no
/// login, and gives the reason on the first page.
#[tokio::test]
async fn a_page_without_the_right_redirects_to_the_first_page() {
    let mut puppet = Puppet::start().await;
    let harness = Harness::airflow_with(Settings::default(), "2.10.3", puppet.config()).await;
    let mut client = harness.connect().await;
    client
        .send(harness.asking("GET", "/users/list/", PAGE))
        .await;
    puppet.signs_in("session=first").await;
    let mut server = puppet.next().await;
    leads_to_login(&mut server).await;
    puppet.signs_in("session=second").await;
    leads_to_login(&mut server).await;
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some("/")),
        "{reply}"
    );
    // the same at once for the next page: there is no third session within ten seconds
    client
        .send(harness.asking("GET", "/roles/list/", PAGE))
        .await;
    leads_to_login(&mut server).await;
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some("/")),
        "{reply}"
    );
    // the first page itself redirects to the login too: that is a loop
    client.send(harness.asking("GET", "/home", PAGE)).await;
    leads_to_login(&mut server).await;
    let reply = client.response().await;
    assert_eq!(reply.fault(), Some("session.login_loop"), "{reply}");
}

#[tokio::test]
async fn a_read_only_environment_refuses_handover() {
    for extra in ["", "environments.demo.browser = \"redirect\"\n"] {
        let extra = format!("environments.demo.policy = \"read-only\"\n{extra}");
        let harness = Harness::airflow_with(Settings::default(), "2.10.3", &extra).await;
        let mut client = harness.connect().await;
        let path = "/aws_mwaa/aws-console-sso?handover=1";
        let reply = client.exchange(harness.asking("GET", path, "")).await;
        assert_eq!(reply.fault(), Some("policy.read_only"), "{reply}");
        assert_eq!(
            harness.journal().calls("CreateWebLoginToken"),
            0,
            "no token was made"
        );
        let reply = client.exchange(harness.asking("GET", "/home", PAGE)).await;
        assert_eq!(reply.status, 200, "it can be looked at here: {reply}");
    }
}
