//! Files that keys name.

use super::*;

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("folder");
    let pem = "-----BEGIN CERTIFICATE-----\n";
    fs::write(folder.path().join("ca.pem"), pem).expect("file");
    let path = folder.path().join("c.toml");
    let text =
        "[listener]\naddress = \"unix:g.sock\"\n[environments.a]\nca_file = \"ca.pem\"\n";
    fs::write(&path, text).expect("file");
    let config = load(Some(&path), &Overrides::default(), &nowhere()).expect("config");
    let socket = folder.path().join("g.sock");
    assert_eq!(config.listener.address, Address::Unix(socket));
    let ca_file = config.environments[0].ca_file.clone();
    assert_eq!(ca_file, Some(folder.path().join("ca.pem")));
}

#[test]
fn secret_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let secret = folder.path().join("gateway.secret");
    let path = folder.path().join("c.toml");
    fs::write(&path, "[listener]\nsecret_file = \"gateway.secret\"\n").expect("file");
    let load = || load(Some(&path), &Overrides::default(), &nowhere());
    let said = || load().expect_err("a problem").to_string();
    assert!(
        said().contains(&format!("no such file: \"{}\"", secret.display())),
        "{}",
        said()
    );
    fs::write(&secret, "hunter2").expect("file");
    for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).expect("mode");
        assert_eq!(load().is_ok(), good, "{mode:o}");
    }
    assert!(
        said().contains("others may use this file (mode 0604)"),
        "{}",
        said()
    );
    assert!(!said().contains("hunter2"));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("mode");
    fs::write(&secret, "").expect("file");
    assert!(said().contains("is empty"), "{}", said());
}
