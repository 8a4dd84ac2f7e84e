//! TLS and plain HTTP on one port, and TLS on some ports only.

use super::{Secured, shake};
use crate::support::{Client, Harness, Response, soon};
use mwaa_app::ShutdownStatus;
use std::time::Duration;

const OPTIONAL: &str = "optional = true\n";

/// A connection to this URL's address, over TLS or plain.
async fn connect_to(secured: &Secured, url: &str, tls: bool) -> Client {
    let (_, address) = url.split_once("://").unwrap();
    let address = address.parse().unwrap();
    if !tls {
        return Client::tcp(address).await;
    }
    let client = secured.authority.client(None);
    Client::over(shake(address, client).await.unwrap())
}

/// Both kinds of connections to the shared listener.
async fn both(secured: &Secured) -> [(&'static str, Client); 2] {
    let url = &secured.harness.urls()[0];
    [
        ("http", connect_to(secured, url, false).await),
        ("https", connect_to(secured, url, true).await),
    ]
}

#[tokio::test]
async fn tls_and_plain_http_share_a_port_and_keep_connections_open() {
    let secured = Secured::configured(OPTIONAL).await;
    let harness = &secured.harness;
    assert!(
        harness.urls()[0].starts_with("http://"),
        "{:?}",
        harness.urls()
    );
    for (scheme, mut client) in both(&secured).await {
        for _ in 0..2 {
            let reply = client.exchange(harness.request("version")).await;
            assert_eq!(reply.status, 200, "{scheme}: {reply}");
        }
    }
    harness.status_says("/listeners/0/optional_tls", true).await;
}

/// The page of the same name over the other scheme is another site; URLs in responses have the
/// scheme of the connection.
#[tokio::test]
async fn each_connection_has_its_own_scheme() {
    let secured = Secured::configured(OPTIONAL).await;
    let harness = &secured.harness;
    let address = harness.address();
    for (ours, mut client) in both(&secured).await {
        for scheme in ["http", "https"] {
            let request = format!(
                "POST /-/x HTTP/1.1\r\nHost: {address}\r\nOrigin: {scheme}://{address}\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            let reply = client.exchange(request).await;
            let is_foreign = reply.fault() == Some("guard.foreign_origin");
            assert_eq!(is_foreign, scheme != ours, "{ours}: {reply}");
        }
        let reply = client
            .exchange(harness.request_for("nothing", "version"))
            .await;
        let url = format!("{ours}://demo.localhost:{}", address.port());
        assert!(reply.complaint().contains(&url), "{reply}");
    }
}

/// Neither a silent client nor half a greeting holds its place for long.
#[tokio::test]
async fn slow_clients_of_a_shared_port_are_cut_off() {
    let limits = "optional = true\n[limits]\nhead_timeout = \"300ms\"\nkeep_alive = \"1s\"\n\
                  connections = 1\nthreads = 1\n";
    let secured = Secured::configured(limits).await;
    for start in [
        &b""[..],
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"P",
        b"POST /",
    ] {
        let mut slow = Client::tcp(secured.harness.address()).await;
        slow.send(start).await;
        for tls in [false, true] {
            let url = &secured.harness.urls()[0];
            let mut client = connect_to(&secured, url, tls).await;
            let reply = client.exchange(secured.harness.request("version")).await;
            assert_eq!(reply.status, 200, "{start:?}: {reply}");
        }
        // there was no place for them before the end of the slow one
        let ended = tokio::time::timeout(Duration::ZERO, slow.rest()).await;
        assert_eq!(ended.expect("it has ended already"), b"", "{start:?}");
    }
}

#[tokio::test]
async fn http_2_on_a_shared_port_gets_an_answer() {
    let secured = Secured::configured(OPTIONAL).await;
    let mut client = Client::tcp(secured.harness.address()).await;
    let reply = client.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let plain = Harness::new().await;
    let mut client = Client::tcp(plain.address()).await;
    let same = client.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!((reply.status, reply.fault()), (same.status, same.fault()));
    assert!(reply.complaint().contains("HTTP/2"), "{reply}");
}

#[tokio::test]
async fn the_drain_does_not_wait_for_a_silent_client() {
    let limits =
        "optional = true\n[limits]\nkeep_alive = \"5m\"\ndrain = \"5m\"\nthreads = 1\n";
    let mut secured = Secured::configured(limits).await;
    let _silent = Client::tcp(secured.harness.address()).await;
    // served: so the silent one has been accepted as well, or never will be
    let reply = secured.harness.command("version").await;
    assert_eq!(reply.status, 200, "{reply}");
    secured.harness.stop();
    let outcome = soon("the end", secured.harness.stopped()).await;
    assert_eq!(outcome, ShutdownStatus::Drained);
}

#[tokio::test]
async fn only_listeners_that_say_so_use_tls() {
    let secured = Secured::configured(
        "[listeners.a]\naddress = \"127.0.0.1:0\"\ntls = true\n\
         [listeners.b]\naddress = \"127.0.0.1:0\"\n\
         [listeners.c]\naddress = \"127.0.0.1:0\"\ntls = false\n",
    )
    .await;
    let urls = secured.harness.urls();
    let schemes: Vec<_> = urls
        .iter()
        .map(|url| url.split_once(':').unwrap().0)
        .collect();
    assert_eq!(schemes, ["http", "https", "http", "http"]);
    for url in urls {
        let tls = url.starts_with("https");
        let request = secured.harness.request("version");
        let host = url.split_once("://").unwrap().1;
        let request = request.replace(&secured.harness.address().to_string(), host);
        let reply = connect_to(&secured, url, tls)
            .await
            .exchange(&request)
            .await;
        assert_eq!(reply.status, 200, "{url}: {reply}");
        if tls {
            let reply = connect_to(&secured, url, false)
                .await
                .exchange(&request)
                .await;
            assert!(reply.complaint().contains("https://"), "{reply}");
        }
    }
}

#[tokio::test]
async fn a_listener_without_tls_leaves_the_others_as_they_are() {
    let plain = "[listeners.plain]\naddress = \"127.0.0.1:0\"\ntls = false\n";
    let secured = Secured::configured(plain).await;
    let urls = secured.harness.urls();
    assert!(
        urls[0].starts_with("https:") && urls[1].starts_with("http:"),
        "{urls:?}"
    );
}

/// Asks the shared listener for a token, over plain HTTP; returns the token and the host.
async fn token(harness: &Harness) -> (String, String) {
    let request = format!(
        "POST /clitoken/demo HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: 0\r\n\r\n",
        harness.address().port()
    );
    let reply: Response = harness.connect().await.exchange(request).await;
    assert_eq!(reply.status, 200, "{reply}");
    let body = reply.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("CliToken"), text("WebServerHostname"))
}

/// Runs a command with a token at `localhost`, over TLS or plain.
async fn run(secured: &Secured, url: &str, tls: bool, token: &str) -> Response {
    let (_, port) = url.rsplit_once(':').unwrap();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let request = secured.harness.request_with(&bearer, "version");
    let host = format!("localhost:{port}");
    let request = request.replace(&secured.harness.address().to_string(), &host);
    connect_to(secured, url, tls).await.exchange(request).await
}

#[tokio::test]
async fn the_host_for_a_token_speaks_tls_on_a_shared_port() {
    let secured = Secured::configured(OPTIONAL).await;
    let (token, host) = token(&secured.harness).await;
    let url = &secured.harness.urls()[0];
    assert_eq!(
        host,
        format!("localhost:{}", secured.harness.address().port())
    );
    for tls in [true, false] {
        let reply = run(&secured, url, tls, &token).await;
        assert_eq!(reply.status, 200, "{reply}");
    }
}

#[tokio::test]
async fn the_host_for_a_token_is_a_listener_with_tls_under_the_same_rules() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "abc").unwrap();
    let secret = format!("secret_file = {:?}", secret.path());
    for (rules, has_moved) in [
        ("", true),
        ("environment = \"demo\"", true),
        ("allow = [\"pools set\"]", true),
        ("policy = \"read-only\"", false),
        ("policy = \"supported\"", false),
        ("deny = [\"pools set\"]", false),
        ("networks = [\"127.0.0.0/9\"]", false),
        (secret.as_str(), false),
        ("environment = \"other\"", false),
    ] {
        let listener = format!(
            "[environments.demo]\ndefault = true\n\
             [environments.other]\n\
             [listeners.secure]\naddress = \"127.0.0.1:0\"\ntls = true\n{rules}\n"
        );
        let secured = Secured::configured(&listener).await;
        let urls = secured.harness.urls();
        let (token, host) = token(&secured.harness).await;
        let at = usize::from(has_moved);
        let (_, port) = urls[at].rsplit_once(':').unwrap();
        assert_eq!(host, format!("localhost:{port}"), "{rules}");
        let reply = run(&secured, &urls[at], has_moved, &token).await;
        assert_eq!(reply.status, 200, "{rules}: {reply}");

        // it is bound to that listener, and to the plain one that has the same rules
        let reply = run(&secured, &urls[1 - at], !has_moved, &token).await;
        assert_eq!(reply.status == 200, has_moved, "{rules}: {reply}");
    }
}

/// A client that takes the web server's address from there may send requests without a token.
#[tokio::test]
async fn the_web_server_s_url_means_the_environment_without_a_token() {
    let secured = Secured::configured(
        "[environments.demo]\ndefault = true\n\
         [environments.other]\nname = \"demo\"\nlisten = \"127.0.0.1:0\"\n\
         [listeners.secure]\naddress = \"127.0.0.1:0\"\ntls = true\n",
    )
    .await;
    let urls = secured.harness.urls();
    let secure = urls.iter().find(|url| url.starts_with("https:")).unwrap();
    for (url, name, named) in [(&urls[0], "demo", secure), (&urls[1], "other", &urls[1])] {
        let (_, host) = url.split_once("://").unwrap();
        let request = format!("GET /environments/{name} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let reply = connect_to(&secured, url, false)
            .await
            .exchange(request)
            .await;
        assert_eq!(reply.status, 200, "{reply}");
        let described = reply.json();
        let described = described["Environment"]["WebserverUrl"].as_str().unwrap();
        assert_eq!(named.split_once("://").unwrap().1, described, "{urls:?}");
    }
}

/// Clients of a plain listener have no certificate to show.
#[tokio::test]
async fn a_listener_that_asks_for_certificates_is_not_named() {
    let secured = Secured::configured(
        "client_ca = \"CLIENTS\"\n\
         [listeners.secure]\naddress = \"127.0.0.1:0\"\ntls = true\n",
    )
    .await;
    let (_, host) = token(&secured.harness).await;
    assert_eq!(
        host,
        format!("localhost:{}", secured.harness.address().port())
    );
}
