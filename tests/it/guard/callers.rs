//! Who may call: the secret, the networks, the Unix socket.

use super::{OURS, QUIET, all_refused, ask, bare, cli, names, untouched, with_hosts};
use crate::support::{Client, Harness};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

/// Writes a file that only we can read.
pub(super) fn secret_file(folder: &tempfile::TempDir, content: &str) -> String {
    let path = folder.path().join("gateway.secret");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    std::io::Write::write_all(&mut options.open(&path).unwrap(), content.as_bytes()).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn only_one_correct_secret_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let file = secret_file(&folder, "s3cret-of-the-host\n");
    let extra = format!("{QUIET}[listener]\nsecret_file = {file:?}\n");
    let harness = Harness::configured(&extra).await;
    let secret = Some("guard.secret");
    let sent = |value: &str| format!("Mwaa-Gateway-Secret: {value}\r\n");
    let right = sent("s3cret-of-the-host");
    all_refused(
        &harness,
        &[
            ("B-07 absent", cli(""), &[401], secret),
            (
                "B-07 wrong",
                cli(&sent("s3cret-of-the-hosT")),
                &[401],
                secret,
            ),
            ("B-07 shorter", cli(&sent("s3cret")), &[401], secret),
            ("B-07 empty", cli(&sent("")), &[401], secret),
            (
                "B-07 twice",
                cli(&right.repeat(2)),
                &[400],
                Some("request.malformed"),
            ),
            ("B-07 elsewhere", bare("GET", "/home", ""), &[401], secret),
        ],
    )
    .await;
    let reply = ask(&harness, &cli(&right)).await;
    assert_eq!(reply.status, 200, "{reply}");
    assert_eq!(names(&harness), OURS, "the secret is not forwarded");
}

#[tokio::test]
async fn only_clients_of_the_listed_networks_are_accepted() {
    let extra = format!("{QUIET}[listener]\nnetworks = [\"127.0.0.9/32\"]\n");
    let harness = Harness::configured(&extra).await;
    all_refused(&harness, &[("peer", cli(""), &[403], Some("guard.peer"))]).await;
}

/// On a Unix socket the file's permissions decide who may call; the Host must only be readable.
#[tokio::test]
async fn a_unix_socket_is_private_and_accepts_any_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let address = format!("{QUIET}[listener]\naddress = \"unix:{}\"\n", path.display());
    let harness = Harness::configured(&address).await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for (hosts, status) in [
        ("Host: x\r\nHost: y\r\n", 400),
        ("Host: a b\r\n", 400),
        ("", 400),
    ] {
        let reply = Client::unix(&path).await.exchange(with_hosts(hosts)).await;
        assert_eq!(reply.status, status, "{hosts:?} {reply}");
    }
    assert!(untouched(&harness));
    let origin = with_hosts("Host: localhost\r\nOrigin: http://localhost\r\n");
    let reply = Client::unix(&path).await.exchange(origin).await;
    assert_eq!(reply.fault(), Some("guard.foreign_origin"), "{reply}");
    for host in ["localhost", "gateway", "demo.localhost:80", "169.254.1.1"] {
        let request = with_hosts(&format!("Host: {host}\r\n"));
        let reply = Client::unix(&path).await.exchange(request).await;
        assert_eq!(reply.status, 200, "{host} {reply}");
    }
}
