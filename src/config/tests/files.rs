//! Files that keys name.

use super::*;

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
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
        said().contains("other users can access this file (mode 0604)"),
        "{}",
        said()
    );
    assert!(!said().contains("hunter2"));
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("mode");
    fs::write(&secret, "").expect("file");
    assert!(said().contains("is empty"), "{}", said());
}

#[test]
fn tls_needs_its_files_and_client_ca_allows_a_wide_listener() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    let certificate = "-----BEGIN CERTIFICATE-----\n";
    write("c.pem", certificate).expect("file");
    write("k.pem", "-----BEGIN PRIVATE KEY-----\n").expect("file");
    write("locked.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").expect("file");
    let path = folder.path().join("c.toml");
    let load = |listener: &str, tls: &str| {
        let text = format!("[listener]\n{listener}\n[listener.tls]\n{tls}\n");
        fs::write(&path, text).expect("file");
        load(Some(&path), &Overrides::default(), &nowhere())
    };
    let said = |listener: &str, tls: &str| {
        let problems = load(listener, tls).expect_err("a problem");
        problems.to_string()
    };
    let good = "certificate = \"c.pem\"\nkey = \"k.pem\"";
    for (tls, complaint) in [
        ("", "listener.tls.certificate: is missing"),
        ("certificate = \"c.pem\"", "listener.tls.key: is missing"),
        (
            "certificate = \"k.pem\"\nkey = \"k.pem\"",
            "contains no certificate",
        ),
        (
            "certificate = \"c.pem\"\nkey = \"c.pem\"",
            "contains no private key",
        ),
        (
            "certificate = \"c.pem\"\nkey = \"locked.pem\"",
            "an encrypted key",
        ),
        (
            "certificate = \"c.pem\"\nkey = \"none.pem\"",
            "no such file",
        ),
    ] {
        let said = said("", tls);
        assert!(said.contains(complaint), "{tls}: {said}");
    }
    let wide = "address = \"0.0.0.0:8443\"";
    let problem = said(wide, good);
    assert!(
        problem.contains("2:11: listener.address: \"0.0.0.0:8443\" is not a loopback address"),
        "{problem}"
    );
    assert!(problem.contains("client_ca or a secret_file"), "{problem}");
    let mutual = format!("{good}\nclient_ca = \"c.pem\"");
    let private = |mode| {
        let key = folder.path().join("k.pem");
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).expect("mode");
    };
    private(0o600);
    assert_eq!(load(wide, &mutual).expect("guarded").warnings(), [""; 0]);
    let secret = folder.path().join("s");
    write_secret(&secret);
    let with_secret = format!("{wide}\nsecret_file = \"s\"");
    assert_eq!(
        load(&with_secret, good).expect("guarded").warnings(),
        [""; 0]
    );
    let meant = format!("{wide}\ndangerous_non_loopback = true");
    let open = load(&meant, good).expect("meant").warnings();
    assert!(
        open.len() == 1 && open[0].ends_with("is not a loopback address and has no secret")
    );
    private(0o640);
    let loose = load("", good).expect("usable").warnings();
    assert!(
        loose.len() == 1 && loose[0].contains("(mode 0640)"),
        "{loose:?}"
    );
}

/// `client_ca` without a client certificate at a port must not be a surprise.
#[test]
fn a_listener_that_another_one_makes_plain_is_named_if_clients_need_certificates() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("c.toml");
    let certificate = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    fs::write(folder.path().join("c.pem"), certificate).expect("file");
    let key = folder.path().join("k.pem");
    let pem = "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n";
    fs::write(&key, pem).expect("file");
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("mode");
    let warnings = |client_ca: &str, listeners: &str| {
        let tls = format!("certificate = \"c.pem\"\nkey = \"k.pem\"\n{client_ca}");
        let text = format!(
            "[listener.tls]\n{tls}\n[environments.prod]\nlisten = \"127.0.0.1:8081\"\n{listeners}"
        );
        fs::write(&path, text).expect("file");
        let config = load(Some(&path), &Overrides::default(), &nowhere());
        config.expect("usable").warnings()
    };
    let client_ca = "client_ca = \"c.pem\"";
    let further = "[listeners.open]\naddress = \"127.0.0.1:8444\"\n\
                   [listeners.off]\naddress = \"127.0.0.1:8445\"\ntls = false\n\
                   [listeners.socket]\naddress = \"unix:/tmp/s\"\n";
    let secure = "[listeners.secure]\naddress = \"127.0.0.1:8443\"\ntls = true\n";

    let all = warnings(client_ca, &format!("{further}{secure}"));
    let expected = [
        ("listener.address", "remove `tls = true`"),
        ("environments.prod.listen", "remove `tls = true`"),
        ("listeners.open.address", "set listeners.open.tls = true"),
    ];
    assert_eq!(all.len(), expected.len(), "{all:?}");
    for (line, (key, remedy)) in all.iter().zip(expected) {
        assert!(line.starts_with(&format!("{key} = \"")), "{line}");
        assert!(
            line.contains("asks for no client certificates") && line.contains(remedy),
            "{line}"
        );
    }
    assert_eq!(warnings(client_ca, further), [""; 0]);
    assert_eq!(warnings("", &format!("{further}{secure}")), [""; 0]);
}

fn write_secret(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, "hunter2").expect("file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("mode");
}
