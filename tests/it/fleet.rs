//! A gateway of a fleet whose store cannot be used. What a store does is tested with a real one, in
//! tests/real.

use crate::support::{Harness, all};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// A gateway whose store is a socket that does not exist.
async fn without_store(on_loss: &str) -> (Harness, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("fleet.key");
    fs::write(&key, [7; 32]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let store = folder.path().join("redis.sock");
    let config = format!(
        "environments.demo.cli_concurrency = 4\nfleet.on_loss = {on_loss:?}\n\
         fleet.key_file = \"{}\"\nfleet.store = \"unix://{}\"",
        key.display(),
        store.display()
    );
    (Harness::configured(&config).await, folder)
}

#[tokio::test]
async fn refuse_means_that_nothing_is_sent_without_the_store() {
    let (harness, _folder) = without_store("refuse").await;
    for _ in 0..2 {
        let reply = harness.command("dags list").await;
        let fault = (reply.status, reply.fault());
        assert_eq!(fault, (503, Some("fleet.unavailable")), "{reply}");
        assert_eq!(reply.header("retry-after"), Some("5"));
    }
    assert_eq!(harness.journal().web_count(), 0);
}

#[tokio::test]
async fn share_means_that_commands_run_without_the_store() {
    let (harness, _folder) = without_store("share").await;
    let requests = (0..6).map(|_| harness.request("version"));
    for reply in all(harness.at_once(requests)).await {
        assert_eq!(reply.status, 200, "{reply}");
    }
    // a gateway that knows of no other one runs one command at a time
    assert_eq!(harness.journal().peak_commands(), 1);
    assert_eq!(harness.mints(), 1);
    harness
        .status_says("/fleet/slots/0/without_store", true)
        .await;
}
