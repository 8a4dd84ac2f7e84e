//! `certs`: the files that it makes, what the CA can sign, and the next run.

use crate::program::{Ended, Running, command, end};
use crate::support::{Client, Harness, client_that_trusts, make_pipe};
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// A folder with a configuration, where the command runs.
struct Place(TempDir);

const TLS: &str =
    "[listener.tls]\ncertificate = \"certs/gateway.pem\"\nkey = \"certs/gateway.key\"\n";
const FILES: [&str; 4] = [
    "gateway-ca.pem",
    "gateway-ca.key",
    "gateway.pem",
    "gateway.key",
];

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.configure(config);
        place
    }

    fn configure(&self, config: &str) {
        let text = format!("{TLS}[environments.prod]\n{config}");
        fs::write(self.0.path().join("mwaa-gateway.toml"), text).unwrap();
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = command(arguments);
        command.current_dir(self.0.path());
        end(command).await
    }

    /// Makes the files; returns what was said of it.
    async fn make(&self) -> String {
        let ended = self.run(&["certs"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stderr
    }

    /// Returns the error of a run that must fail and change nothing.
    async fn fail(&self) -> String {
        // a pipe would have no end
        let read = |name: &str| {
            let file = fs::symlink_metadata(self.file(name)).ok()?;
            file.is_file().then(|| fs::read(self.file(name)).ok())?
        };
        let state = || FILES.map(read);
        let before = state();
        let ended = self.run(&["certs"]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stdout, "");
        assert!(state() == before, "{}", ended.stderr);
        ended.stderr
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("certs").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn der(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.file(name)).unwrap()
    }

    /// A client that trusts the CA and nothing else.
    fn client(&self) -> Arc<ClientConfig> {
        Arc::new(client_that_trusts(self.der("gateway-ca.pem")))
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn it_makes_files_that_only_the_user_can_read_and_git_ignores() {
    let place = Place::new("");
    let ended = place.run(&["certs"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    let printed: Vec<_> = ended.stdout.lines().map(Path::new).collect();
    let real = |name: &str| fs::canonicalize(place.file(name)).unwrap();
    let printed: Vec<_> = printed
        .iter()
        .map(|path| fs::canonicalize(path).unwrap())
        .collect();
    let expected = ["gateway-ca.pem", "gateway.pem", "gateway.key"].map(real);
    assert_eq!(printed, expected);

    assert_eq!(mode(&place.file("")), 0o700);
    for key in ["gateway-ca.key", "gateway.key"] {
        assert_eq!(mode(&place.file(key)), 0o600, "{key}");
    }
    let ignored = "/gateway.pem\n/gateway.key\n/gateway-ca.pem\n/gateway-ca.key\n\
                   /.mwaa-gateway-certs-*\n";
    assert_eq!(place.read(".gitignore"), ignored);
    assert_eq!(fs::read_dir(place.file("")).unwrap().count(), 5);
    let checked = place.run(&["check", "--offline"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(!checked.stdout.contains("warn"), "{checked:?}");
}

/// As a client sees it: by each name, with no other root.
#[tokio::test]
async fn clients_that_trust_the_ca_accept_each_name() {
    let hosts = "[listener]\nhosts = [\"Gw.corp.example:8443\", \"192.0.2.7\", \"[2001:db8::1]:80\"]\n\
                 [listeners.wide]\naddress = \"127.0.0.9:0\"\n";
    let place = Place::new(hosts);
    place.make().await;
    let tls = format!(
        "[listener.tls]\ncertificate = {:?}\nkey = {:?}\n",
        place.file("gateway.pem"),
        place.file("gateway.key")
    );
    let harness = Harness::configured(&tls).await;
    for (name, accepted) in [
        ("localhost", true),
        ("prod.localhost", true),
        ("api.localhost", true),
        ("env.localhost", true),
        ("gw.corp.example", true),
        ("api.gw.corp.example", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("127.0.0.9", true),
        ("192.0.2.7", true),
        ("2001:db8::1", true),
        ("other.localhost", false),
        ("corp.example", false),
        ("192.0.2.8", false),
        ("0.0.0.0", false),
    ] {
        let stream = tokio::net::TcpSocket::new_v4().unwrap();
        let stream = stream.connect(harness.address()).await.unwrap();
        let connector = TlsConnector::from(place.client());
        let server = ServerName::try_from(name).unwrap();
        let shaken = connector.connect(server, stream).await;
        assert_eq!(shaken.is_ok(), accepted, "{name}: {:?}", shaken.err());
        if let Ok(stream) = shaken {
            let reply = Client::over(stream)
                .exchange(harness.request("version"))
                .await;
            assert_eq!(reply.status, 200, "{reply}");
        }
    }
}

/// With the CA's key a thief can impersonate only the gateway's own names.
#[tokio::test]
async fn the_ca_can_sign_for_no_other_name() {
    let place = Place::new("[listener]\nhosts = [\"gw.corp.example\"]\n");
    place.make().await;
    let key = KeyPair::from_pem(&place.read("gateway-ca.key")).unwrap();
    let ca = place.der("gateway-ca.pem");
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).unwrap();
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
    );
    let verifier = verifier.build().unwrap();

    let issuer = name_of_issuer(&place, key);
    let server = KeyPair::generate().unwrap();
    for (name, accepted) in [
        ("any.localhost", true),
        ("127.9.9.9", true),
        ("gw.corp.example", true),
        ("example.com", false),
        ("corp.example", false),
        ("localhost.example", false),
        ("10.0.0.1", false),
        ("::2", false),
    ] {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let leaf = params.signed_by(&server, &issuer).unwrap();
        let verified = rustls::client::danger::ServerCertVerifier::verify_server_cert(
            &*verifier,
            leaf.der(),
            &[],
            &ServerName::try_from(name).unwrap(),
            &[],
            rustls::pki_types::UnixTime::now(),
        );
        assert_eq!(verified.is_ok(), accepted, "{name}: {verified:?}");
    }
}

/// The CA, with the name that it has in the certificates that it signs.
fn name_of_issuer(place: &Place, key: KeyPair) -> Issuer<'static, KeyPair> {
    let der = place.der("gateway-ca.pem");
    let start = b"mwaa-gateway local CA ";
    let at = der.windows(start.len()).position(|window| window == start);
    let name = &der[at.unwrap()..][..start.len() + 8];
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let organization = rcgen::DnType::OrganizationName;
    params
        .distinguished_name
        .push(organization, "mwaa-gateway certs");
    let common = std::str::from_utf8(name).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, common);
    Issuer::new(params, key)
}

#[tokio::test]
async fn a_second_run_renews_the_certificate_and_keeps_the_rest() {
    let place = Place::new("");
    let said = place.make().await;
    assert!(said.contains("the CA is new"), "{said}");
    let before = FILES.map(|name| place.read(name));
    fs::write(place.file(".gitignore"), "mine").unwrap();
    // a new environment is within what the CA may sign
    place.configure("[environments.other]\n");
    let said = place.make().await;
    assert!(said.contains("the CA is the same"), "{said}");
    assert!(said.contains("other.localhost"), "{said}");
    let after = FILES.map(|name| place.read(name));
    for (name, same) in FILES.iter().zip([true, true, false, true]) {
        let at = FILES.iter().position(|other| other == name).unwrap();
        assert_eq!(before[at] == after[at], same, "{name}");
    }
    assert_eq!(place.read(".gitignore"), "mine");
}

#[tokio::test]
async fn a_ca_that_does_not_fit_is_replaced_and_the_command_says_so() {
    let place = Place::new("");
    place.make().await;
    let mut last = place.read("gateway-ca.pem");
    let other = Place::new("");
    other.make().await;
    let changes: [(&dyn Fn(), &str); 4] = [
        (
            &|| place.configure("[listener]\nhosts = [\"gw.corp.example\"]\n"),
            "it cannot sign for the names of this configuration",
        ),
        (
            &|| fs::remove_file(place.file("gateway-ca.key")).unwrap(),
            "its key is missing",
        ),
        (
            // as a run leaves it that is ended between the two
            &|| {
                let stolen = other.file("gateway-ca.key");
                fs::copy(stolen, place.file("gateway-ca.key")).unwrap();
            },
            "its key is that of another CA",
        ),
        (
            &|| fs::remove_file(place.file("gateway-ca.pem")).unwrap(),
            "the CA is new: programs must trust it",
        ),
    ];
    for (change, reason) in changes {
        change();
        let said = place.make().await;
        assert!(said.contains(reason), "{said}");
        let now = place.read("gateway-ca.pem");
        assert_ne!(now, last);
        last = now;
        let checked = place.run(&["check", "--offline"]).await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
        // and the next run has nothing to replace
        let said = place.make().await;
        assert!(said.contains("the CA is the same"), "{said}");
    }
}

#[tokio::test]
async fn files_of_others_are_not_overwritten() {
    let authority = crate::support::Authority::new();
    let pair = authority.pair(&["localhost"]);
    let rsa = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (name, content) in [
        ("gateway.pem", pair.certificate.as_str()),
        ("gateway-ca.pem", pair.certificate.as_str()),
        ("gateway.key", rsa),
        ("gateway-ca.key", rsa),
        ("gateway.pem", ""),
    ] {
        let place = Place::new("");
        fs::create_dir(place.file("")).unwrap();
        fs::write(place.file(name), content).unwrap();
        let said = place.fail().await;
        assert!(
            said.contains(name) && said.contains("was not made by"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn links_pipes_and_folders_are_refused() {
    for name in FILES {
        let place = Place::new("");
        place.make().await;
        let moved = place.0.path().join("moved");
        fs::rename(place.file(name), &moved).unwrap();
        symlink(&moved, place.file(name)).unwrap();
        let said = place.fail().await;
        assert!(said.contains("it is a symbolic link"), "{said}");
        fs::remove_file(place.file(name)).unwrap();
        fs::create_dir(place.file(name)).unwrap();
        assert!(place.fail().await.contains("it is not a regular file"));
        fs::remove_dir(place.file(name)).unwrap();
        let pipe = place.file(name);
        make_pipe(&pipe);
        assert!(place.fail().await.contains("it is not a regular file"));
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_an_error_with_a_hint() {
    let place = Place::new("");
    fs::write(place.0.path().join("certs"), "a file").unwrap();
    let said = place.fail().await;
    assert!(
        said.contains("cannot create the folder") && said.contains("--dir"),
        "{said}"
    );
}

#[tokio::test]
async fn a_key_that_others_could_read_is_closed_and_named() {
    let place = Place::new("");
    place.make().await;
    let key = place.file("gateway-ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let ended = place.run(&["certs", "-q"]).await;
    let said = ended.stderr;
    assert!(
        said.contains("other users could read or change") && said.contains("gateway-ca.key"),
        "{said}"
    );
    assert!(said.contains("remove the CA where it is trusted"), "{said}");
    assert_eq!(mode(&key), 0o640);
    assert!(!place.make().await.contains("other users"));
}

/// A gateway that runs as another user may read the key by its group.
#[tokio::test]
async fn a_key_that_its_group_can_read_stays_so() {
    let place = Place::new("");
    place.make().await;
    let key = place.file("gateway.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let said = place.make().await;
    assert!(!said.contains("other users"), "{said}");
    assert_eq!(mode(&key), 0o640);
}

/// Without the gateway, the command does not know what it would discover.
#[tokio::test]
async fn names_of_discovered_environments_are_kept_if_no_gateway_answers() {
    // a port that accepts and never answers
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let management = silent.local_addr().unwrap();
    let place = Place::new(&format!(
        "region = \"eu-west-1\"\n[aws]\ndiscover = true\n[management]\naddress = \"{management}\"\n"
    ));
    let named = place.run(&["certs", "--environment=prod,found"]).await;
    assert_eq!(named.code, Some(0), "{named:?}");
    let said = place.make().await;
    assert!(said.contains("found.localhost"), "{said}");
    assert!(
        said.contains("no gateway answered at") && said.contains(&management.to_string()),
        "{said}"
    );
    // if it does, the names are those of now
    place.configure("");
    assert!(!place.make().await.contains("found.localhost"));
}

#[tokio::test]
async fn a_gitignore_of_the_users_that_omits_the_keys_gets_a_warning() {
    let place = Place::new("");
    place.make().await;
    let lines = "  /gateway.key\n  /gateway-ca.key\n  /.mwaa-gateway-certs-*\n";
    for (content, warns) in [("*.pem\n", true), ("*.pem\n*.key\n", false)] {
        fs::write(place.file(".gitignore"), content).unwrap();
        let said = place.make().await;
        assert_eq!(said.contains(lines), warns, "{said}");
        assert_eq!(place.read(".gitignore"), content);
    }
}

#[tokio::test]
async fn a_certificate_and_a_key_in_different_folders_are_refused() {
    for (certificate, key, wrong, file) in [
        (
            "certs/gateway.pem",
            "keys/gateway.key",
            "key",
            "gateway.key",
        ),
        (
            "certs/gateway.pem",
            "certs/server.key",
            "key",
            "gateway.key",
        ),
        (
            "else/gateway.crt",
            "certs/gateway.key",
            "certificate",
            "gateway.pem",
        ),
    ] {
        let place = Place::new("");
        let config = format!("[listener.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
        fs::write(place.0.path().join("mwaa-gateway.toml"), config).unwrap();
        let said = place.fail().await;
        let hint = format!("set listener.tls.{wrong} = '");
        assert!(said.contains(&hint) && said.contains(file), "{said}");
        assert!(!place.file("").exists());
    }
}

/// As after a time with a wrong clock.
#[tokio::test]
async fn a_ca_that_is_not_valid_yet_can_be_deleted() {
    let place = Place::new("");
    place.make().await;
    let key = KeyPair::from_pem(&place.read("gateway-ca.key")).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let organization = rcgen::DnType::OrganizationName;
    params
        .distinguished_name
        .push(organization, "mwaa-gateway certs");
    params.not_before = rcgen::date_time_ymd(2900, 1, 1);
    params.not_after = rcgen::date_time_ymd(2901, 1, 1);
    let ca = params.self_signed(&key).unwrap();
    fs::write(place.file("gateway-ca.pem"), ca.pem()).unwrap();
    let said = place.fail().await;
    assert!(said.contains("the CA is not valid yet"), "{said}");
    assert!(
        said.contains("delete the CA's files (gateway-ca.pem"),
        "{said}"
    );
    for name in ["gateway-ca.pem", "gateway-ca.key"] {
        fs::remove_file(place.file(name)).unwrap();
    }
    assert!(place.make().await.contains("the CA is new"));
}

#[tokio::test]
async fn a_run_that_waits_for_another_one_says_so() {
    let place = Place::new("");
    place.make().await;
    let lock = fs::File::open(place.file("")).unwrap();
    lock.lock().unwrap();
    let mut waiting = command(&["certs"]);
    waiting.current_dir(place.0.path());
    let mut running = Running::start(waiting);
    running.told("waiting for another run").await;
    drop(lock);
    running.told("the CA is the same").await;
}

/// A client finds the listener there, and the certificate is for it.
#[tokio::test]
async fn the_curl_line_names_a_host_that_the_listener_serves() {
    for (address, host) in [
        ("127.0.0.1:8443", "localhost:8443"),
        ("0.0.0.0:8443", "localhost:8443"),
        ("[::1]:8443", "localhost:8443"),
        ("127.0.0.9:8443", "127.0.0.9:8443"),
        ("10.0.0.5:8443", "10.0.0.5:8443"),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443"),
    ] {
        let place = Place::new(&format!(
            "[listener]\naddress = \"{address}\"\ndangerous_non_loopback = true\n"
        ));
        let said = place.make().await;
        assert!(said.contains(&format!(" https://{host}/-/\n")), "{said}");
    }
}

/// A run that is killed leaves at most a file that no one reads, or a key without its certificate.
#[tokio::test]
async fn a_run_that_was_killed_does_no_harm_to_the_next() {
    let place = Place::new("");
    place.make().await;
    let leftover = place.file(".mwaa-gateway-certs-x1.key");
    fs::write(&leftover, "half a k").unwrap();
    fs::remove_file(place.file("gateway.pem")).unwrap();
    let key = place.read("gateway.key");
    place.make().await;
    assert!(!leftover.exists());
    assert_eq!(place.read("gateway.key"), key);
}

#[tokio::test]
async fn runs_at_the_same_time_leave_files_that_fit_together() {
    let place = Arc::new(Place::new(""));
    let mut runs = JoinSet::new();
    for _ in 0..6 {
        let place = Arc::clone(&place);
        runs.spawn(async move { place.make().await });
    }
    let said = runs.join_all().await;
    let firsts = said.iter().filter(|said| said.contains("the CA is new"));
    assert_eq!(firsts.count(), 1, "{said:?}");
    let checked = place.run(&["check", "--offline"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(place.make().await.contains("the CA is the same"));
}

#[tokio::test]
async fn the_folder_may_have_any_name_and_shells_get_it_quoted() {
    let place = Place::new("");
    let folder = place.0.path().join("it's a\tfolder");
    let flag = format!("--dir={}", folder.display());
    let ended = place.run(&["certs", &flag]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(folder.join("gateway.key").exists());
    assert!(ended.stderr.contains(r"'\''s a"), "{}", ended.stderr);
    // the configuration names other files
    assert!(ended.stderr.contains("[listener.tls]"), "{}", ended.stderr);
    let quiet = place.run(&["certs", "-q", &flag]).await;
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
}

/// Without the files the configuration is wrong for every other command.
#[tokio::test]
async fn a_configuration_without_its_files_names_the_command() {
    let place = Place::new("");
    let ended = place.run(&["check", "--offline"]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(
        ended.stderr.contains("run `mwaa-gateway certs`"),
        "{ended:?}"
    );

    // the command that reads the same configuration
    let path = place.0.path().join("mwaa-gateway.toml");
    let named = place.0.path().join("the other.toml");
    fs::rename(path, &named).unwrap();
    let flag = format!("--config={}", named.display());
    let ended = place.run(&["check", "--offline", &flag]).await;
    let hint = format!("run `mwaa-gateway certs --config '{}'`", named.display());
    assert!(ended.stderr.contains(&hint), "{ended:?}");

    // and the names of the files that it makes
    let text = fs::read_to_string(&named).unwrap();
    let text = text.replace("gateway.pem", "server.pem");
    fs::write(&named, text.replace("gateway.key", "server.key")).unwrap();
    let ended = place.run(&["check", "--offline", &flag]).await;
    assert!(!ended.stderr.contains("to make the files"), "{ended:?}");
    for name in ["gateway.pem", "gateway.key"] {
        let hint = format!("name it \"{name}\" here and run");
        assert!(ended.stderr.contains(&hint), "{ended:?}");
    }
}
