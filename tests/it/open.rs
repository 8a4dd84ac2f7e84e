//! `open`: which URL it finds, with a running gateway and without, and how it starts a browser.

use crate::program::{Ended, command, end, run};
use crate::support::{Authority, CLOSED, Harness, eventually, resolves};
use std::path::Path;

/// Asks for the URL from a gateway that runs.
async fn printed(harness: &Harness, arguments: &[&str]) -> Ended {
    let management = format!("--management={}", harness.management());
    let mut all = vec!["open", "--print", &management];
    all.extend(arguments);
    run(&all).await
}

#[tokio::test]
async fn urls_come_from_the_running_gateway() {
    let others = "[environments.demo]\ndefault = false\n\
                  [environments.other]\nname = \"Other_One\"\nairflow_version = \"3.0.6\"\n";
    let harness = Harness::configured(others).await;
    let port = harness.address().port();
    for (arguments, url) in [
        (&["demo"][..], format!("http://demo.localhost:{port}/")),
        (
            &["Other_One", "/dags/a/grid?tab=graph#x"],
            format!("http://other.localhost:{port}/dags/a/grid?tab=graph#x"),
        ),
        (&[], format!("http://localhost:{port}/-/")),
    ] {
        let ended = printed(&harness, arguments).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stdout, format!("{url}\n"));
        let name = url.split(['/', ':']).nth(3).unwrap();
        if name == "localhost" || resolves(name) {
            assert_eq!(ended.stderr, "");
        } else {
            let line = format!("\n  127.0.0.1 {name}\n");
            assert!(ended.stderr.ends_with(&line), "{ended:?}");
        }
    }
    for arguments in [&["nobody"][..], &["/home"]] {
        let ended = printed(&harness, arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(1), ""),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("demo, other"), "{ended:?}");
    }
}

#[tokio::test]
async fn the_only_environment_needs_no_name() {
    let harness = Harness::new().await;
    let port = harness.address().port();
    let ended = printed(&harness, &["/home"]).await;
    assert_eq!(
        ended.stdout,
        format!("http://localhost:{port}/home\n"),
        "{ended:?}"
    );
    let status = harness.manage("/status").await.json();
    assert_eq!(
        status["environments"][0]["urls"],
        serde_json::json!([
            format!("http://localhost:{port}"),
            format!("http://demo.localhost:{port}")
        ])
    );
}

#[tokio::test]
async fn the_url_reflects_the_own_listener_and_tls() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Authority::new().pair(&["localhost"]).write(folder.path());
    let own = "[environments.demo]\nlisten = \"127.0.0.1:0\"\n";
    let harness = Harness::configured(&format!("{tls}{own}")).await;
    let ended = printed(&harness, &["demo"]).await;
    assert_eq!(
        ended.stdout,
        format!("{}/\n", harness.urls()[1]),
        "{ended:?}"
    );
    assert!(ended.stdout.starts_with("https://127.0.0.1:"), "{ended:?}");
}

/// A configuration with a management address on which no gateway listens.
fn written(folder: &Path, listener: &str) -> String {
    let file = folder.join("c.toml");
    let text = format!(
        "[listener]\naddress = \"{listener}\"\n[management]\naddress = \"{CLOSED}\"\n\
         [environments.prod]\ndefault = true\n[environments.test]\n"
    );
    std::fs::write(&file, text).unwrap();
    format!("--config={}", file.display())
}

#[tokio::test]
async fn without_a_gateway_the_url_is_only_printed() {
    let folder = tempfile::tempdir().unwrap();
    let config = written(folder.path(), "127.0.0.1:8080");
    for (arguments, url) in [
        (
            &["open", &config, "--print"][..],
            "http://localhost:8080/\n",
        ),
        (
            &["open", &config, "test", "/home", "--print"],
            "http://test.localhost:8080/home\n",
        ),
    ] {
        let ended = run(arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(0), url),
            "{ended:?}"
        );
        assert!(
            ended
                .stderr
                .starts_with("warning: no gateway is running at "),
            "{ended:?}"
        );
    }
    let ended = run(&["open", &config, "test"]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(69), ""),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("mwaa-gateway serve"), "{ended:?}");
    let ended = run(&["open", &config, "nobody", "--print"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("prod, test"), "{ended:?}");
}

#[tokio::test]
async fn a_unix_socket_cannot_be_opened_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let config = written(folder.path(), "unix:g.sock");
    let ended = run(&["open", &config, "prod", "--print"]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), ""),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("g.sock, which no browser can open"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_path_cannot_name_another_host() {
    for arguments in [
        &["open", "prod", "//evil.example/"][..],
        &["open", "//evil.example/"],
        &["open", "prod", "home"],
        &["open", "prod", "/a b"],
        &["open", "prod", "/\\evil.example"],
        &["open", "prod", "/\u{202e}"],
    ] {
        let ended = run(arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{ended:?}"
        );
        assert!(
            ended.stderr.contains("PATH must begin with one /"),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn the_browser_variable_names_the_program_that_gets_the_url() {
    use std::os::unix::fs::PermissionsExt as _;
    let harness = Harness::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (program, shown) = (folder.path().join("browser"), folder.path().join("shown"));
    let file = shown.display();
    let script =
        format!("#!/bin/sh\nprintf %s \"$*\" > {file}.part && mv {file}.part {file}\n");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut open = command(&["open", "demo", "/home"]);
    open.env(
        "BROWSER",
        format!("/nonexistent/browser:{} --tab", program.display()),
    )
    .env("PATH", "/usr/bin:/bin")
    .env("MWAA_GATEWAY_MANAGEMENT", harness.management().to_string());
    let ended = end(open).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    let url = format!("http://localhost:{}/home", harness.address().port());
    assert_eq!(ended.stderr, format!("opening {url}\n"));
    let read = async || std::fs::read_to_string(&shown).ok();
    let told = eventually("the browser", read).await;
    assert_eq!(told, format!("--tab {url}"));

    let mut open = command(&["open", "demo"]);
    open.env("BROWSER", "/nonexistent/browser")
        .env("MWAA_GATEWAY_MANAGEMENT", harness.management().to_string());
    let ended = end(open).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("open the URL yourself"), "{ended:?}");
}
