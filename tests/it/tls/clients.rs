//! Who may come in over TLS: client certificates, secrets, names, origins.

use super::{Secured, shake};
use crate::support::{Authority, Client, Harness};

const MUTUAL: &str = "client_ca = \"CLIENTS\"\n";

/// In TLS 1.3 the server's refusal comes after the client has finished its part: the client
/// may believe in the connection for a moment, but no request is answered.
async fn is_served(secured: &Secured, config: rustls::ClientConfig) -> bool {
    let Ok(stream) = shake(secured.harness.address(), config).await else {
        return false;
    };
    let mut client = Client::over(stream);
    client.send(secured.harness.request("version")).await;
    match client.try_response().await {
        Ok(reply) => reply.status == 200,
        Err(_) => false,
    }
}

#[tokio::test]
async fn client_certificates_are_required() {
    let secured = Secured::configured(MUTUAL).await;
    let ours = secured.authority.pair(&["ann"]);
    let stale = secured.authority.pair_for_years(&["ann"], 2020, 2021);
    let strangers = Authority::new().pair(&["ann"]);
    let client = |pair| secured.authority.client(pair);
    assert!(is_served(&secured, client(Some(&ours))).await);
    let mints = secured.harness.mints();
    assert!(!is_served(&secured, client(None)).await, "none");
    assert!(
        !is_served(&secured, client(Some(&strangers))).await,
        "stranger's"
    );
    assert!(!is_served(&secured, client(Some(&stale))).await, "expired");
    assert_eq!(secured.harness.mints(), mints);
    assert!(is_served(&secured, client(Some(&ours))).await, "still");
}

/// A wide bind needs no other leave than TLS with client certificates. Loopback is among what
/// it reaches.
#[tokio::test]
async fn client_certificates_allow_a_non_loopback_listener() {
    let wide = format!("{MUTUAL}[listener]\naddress = \"0.0.0.0:0\"\n");
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let clients = folder.path().join("clients.pem");
    std::fs::write(&clients, authority.pem()).unwrap();
    let tls = authority.pair(&["localhost"]).write(folder.path());
    let wide = wide.replace("CLIENTS", clients.to_str().unwrap());
    let harness = Harness::configured(&format!("{tls}{wide}")).await;
    let port = harness.address().port();
    let ours = authority.pair(&["ann"]);
    let stream = shake(([127, 0, 0, 1], port).into(), authority.client(Some(&ours))).await;
    let request = harness.request("version");
    let request = request.replace("0.0.0.0:", "localhost:");
    let reply = Client::over(stream.unwrap()).exchange(request).await;
    assert_eq!(reply.status, 200, "{reply}");
}

/// RFC 9110 section 4.2.2: without a port, a Host means 443 here.
#[tokio::test]
async fn a_host_without_a_port_means_443() {
    let hosts = "[listener]\nhosts = [\"a.example:443\", \"b.example:80\"]\n";
    let secured = Secured::configured(hosts).await;
    let plain = Harness::configured(hosts).await;
    let address = secured.harness.address().to_string();
    for (host, over_tls, in_clear) in [("a.example", 200, 421), ("b.example", 421, 200)] {
        let request = secured.harness.request("version").replace(&address, host);
        let reply = secured.connect().await.exchange(&request).await;
        assert_eq!(reply.status, over_tls, "{host}: {reply}");
        let reply = plain.connect().await.exchange(&request).await;
        assert_eq!(reply.status, in_clear, "{host}: {reply}");
    }
}

/// A page of the same host over plain HTTP is another origin. URLs in messages begin with `https`.
#[tokio::test]
async fn origins_and_urls_have_the_scheme() {
    let secured = Secured::new().await;
    let harness = &secured.harness;
    let address = harness.address();
    let mut client = secured.connect().await;
    for (scheme, foreign) in [("https", false), ("http", true)] {
        let reply = client
            .exchange(format!(
                "POST /-/x HTTP/1.1\r\nHost: {address}\r\nOrigin: {scheme}://{address}\r\n\
                 Content-Length: 0\r\n\r\n"
            ))
            .await;
        assert_eq!(
            reply.fault() == Some("guard.foreign_origin"),
            foreign,
            "{reply}"
        );
    }
    let reply = client
        .exchange(harness.request_for("nobody", "version"))
        .await;
    assert_eq!(reply.fault(), Some("route.unknown_environment"));
    let url = format!("https://demo.localhost:{}", address.port());
    assert!(reply.complaint().contains(&url), "{reply}");
}
