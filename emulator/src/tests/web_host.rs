//! A web server under a host of the user's choice, which several environments may share.

use super::super::identity::Role;
use super::super::{Emulator, Seed, Settings};
use super::browser::{FORM, web_token};
use super::client::{Answer, Signing, call, cli_request, cli_token, exchange, start, tls};

async fn sharing(host: &str) -> Emulator {
    let seed = |name, version| Seed {
        web_host: Some(host.to_owned()),
        ..Seed::new(name, version)
    };
    start(Settings {
        environments: vec![seed("demo", "2.10.3"), seed("archive", "3.3.1")],
        ..Settings::default()
    })
    .await
}

/// Sends a request under the shared host.
async fn at(emulator: &Emulator, name: &str, line: &str, more: &str, body: &str) -> Answer {
    let length = body.len();
    let port = emulator.web_addr().port();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {name}:{port}\r\nContent-Length: {length}\r\n{more}\r\n{body}"
    );
    let mut stream = tls(emulator, name).await.unwrap();
    exchange(&mut stream, &request).await.unwrap()
}

#[tokio::test]
async fn aws_names_the_host_that_was_chosen() {
    for (host, expected) in [
        ("localhost:0", "localhost:PORT"),
        ("mwaa.test:8443", "mwaa.test:8443"),
    ] {
        let emulator = sharing(host).await;
        let port = emulator.web_addr().port().to_string();
        let expected = expected.replace("PORT", &port);
        for (method, path, member) in [
            ("POST", "/clitoken/archive", "/WebServerHostname"),
            ("POST", "/webtoken/archive", "/WebServerHostname"),
            ("GET", "/environments/archive", "/Environment/WebserverUrl"),
        ] {
            let answer = call(&emulator, method, path, Signing::default())
                .await
                .json();
            let found = answer.pointer(member).and_then(|value| value.as_str());
            assert_eq!(found, Some(expected.as_str()), "{path}");
        }
        // the certificate is good for the name
        let name = host.split(':').next().unwrap();
        assert_eq!(at(&emulator, name, "GET /health", "", "").await.status, 200);
    }
}

#[tokio::test]
async fn a_token_decides_between_environments_that_share_a_host() {
    let emulator = sharing("localhost:0").await;
    for (environment, version) in [("demo", "2.10.3"), ("archive", "3.3.1")] {
        let token = cli_token(&emulator, environment).await;
        let mut stream = tls(&emulator, "localhost").await.unwrap();
        let request = cli_request("localhost", Some(&token), "version");
        let answer = exchange(&mut stream, &request).await.unwrap();
        assert_eq!(answer.streams().0.trim(), version);
    }
}

#[tokio::test]
async fn a_login_and_its_session_find_their_environment() {
    let emulator = sharing("localhost:0").await;
    for (environment, route, cookie, home, version) in [
        ("demo", "/aws_mwaa/login", "session", "/home", "2.10.3"),
        (
            "archive",
            "/pluginsv2/aws_mwaa/login",
            "_token",
            "/",
            "3.3.1",
        ),
    ] {
        let token = web_token(&emulator, environment, Role::Admin).await;
        let form = format!("{}: {}\r\n", FORM.0, FORM.1);
        let line = format!("POST {route}");
        let login = at(
            &emulator,
            "localhost",
            &line,
            &form,
            &format!("token={token}"),
        )
        .await;
        assert_eq!(login.status, 200, "{environment}: {}", login.body);
        let cookie = format!("Cookie: {cookie}={}\r\n", login.cookie(cookie).unwrap());
        let line = format!("GET {home}");
        let page = at(&emulator, "localhost", &line, &cookie, "").await;
        assert!(page.body.contains(version), "{environment}: {}", page.body);
    }
    // the first one serves requests with neither
    let version = at(&emulator, "localhost", "GET /api/v1/version", "", "").await;
    assert_eq!(version.json()["version"], "2.10.3");
}
