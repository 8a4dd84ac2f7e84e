//! What `check` and `serve` say of the TLS listener's files.

use crate::program::{Ended, run};
use crate::support::{Authority, Pair};
use std::path::Path;

/// Runs a command with a configuration that names the files.
async fn says(folder: &Path, pair: &Pair, command: &[&str]) -> Ended {
    let config = folder.join("c.toml");
    let tls = pair.write(folder);
    let rest = "[listener]\nhosts = [\"box.example:8443\"]\n[environments.prod]\n";
    let management = "[management]\naddress = \"127.0.0.1:0\"\n";
    std::fs::write(&config, format!("{rest}{management}{tls}")).unwrap();
    let flag = format!("--config={}", config.display());
    let mut arguments = command.to_vec();
    arguments.push(&flag);
    run(&arguments).await
}

#[tokio::test]
async fn check_names_the_hosts_of_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Authority::new().pair(&["localhost", "127.0.0.1", "box.example"]);
    let ended = says(folder.path(), &pair, &["check", "--offline"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert!(lines[1].starts_with("ok    listener.tls: "), "{ended:?}");
    assert!(
        lines[1].ends_with(" is for localhost, box.example, 127.0.0.1"),
        "{ended:?}"
    );
    assert!(lines[2].starts_with("warn  listener.tls: "), "{ended:?}");
    assert!(
        lines[2].contains(" is not for prod.localhost; "),
        "{ended:?}"
    );
}

#[tokio::test]
async fn check_fails_for_an_expired_or_future_certificate() {
    for (first, last, complaint) in [
        (2020, 2021, "has expired; clients will reject it: renew it"),
        (2098, 2099, "is not valid yet"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let pair = Authority::new().pair_for_years(&["localhost"], first, last);
        let ended = says(folder.path(), &pair, &["check", "--offline"]).await;
        assert_eq!(ended.code, Some(78), "{ended:?}");
        let line = ended.stdout.lines().find(|line| line.starts_with("fail"));
        let line = line.unwrap_or_default();
        assert!(
            line.contains("gateway.pem") && line.contains(complaint),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn check_warns_a_month_before_the_certificate_expires() {
    let certs = "mwaa-gateway certs";
    for (days, maker, warning) in [
        (
            29,
            certs,
            Some("run `mwaa-gateway certs --config FILE` to renew it"),
        ),
        (29, "others", Some(": renew it")),
        (31, certs, None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let pair = Authority::new().pair_for_days(days, maker);
        let ended = says(folder.path(), &pair, &["check", "--offline"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let mut lines = ended.stdout.lines();
        let line = lines.find(|line| line.contains("expires in less than 30 days"));
        assert_eq!(line.is_some(), warning.is_some(), "{ended:?}");
        let line = line.unwrap_or_default();
        let file = folder.path().join("c.toml").display().to_string();
        let warning = warning.unwrap_or_default().replace("FILE", &file);
        assert!(line.ends_with(&warning), "{line}");
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let (one, other) = (
        authority.pair(&["localhost"]),
        authority.pair(&["localhost"]),
    );
    let mixed = Pair {
        certificate: one.certificate,
        key: other.key,
    };
    let broken = Pair {
        certificate: mixed.certificate.clone(),
        key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(),
    };
    for (pair, cause) in [
        (mixed, "it does not match the first certificate"),
        (broken, "gateway.key"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for command in [&["check", "--offline"][..], &["serve"]] {
            let ended = says(folder.path(), &pair, command).await;
            assert_eq!(ended.code, Some(78), "{command:?}: {ended:?}");
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(
                said.contains("gateway.key") && said.contains(cause),
                "{said}"
            );
        }
    }
}
