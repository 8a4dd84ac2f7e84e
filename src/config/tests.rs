//! Tests of the configuration as a whole: fixtures with their expected messages, flags, bytes.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;

fn nowhere() -> Search {
    Search {
        folder: "/nonexistent".into(),
        user: None,
        system: "/nonexistent".into(),
    }
}

/// Reads the text as a file in a folder of its own.
fn read(text: &[u8], overrides: &Overrides) -> Result<Config, Problems> {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("c.toml");
    fs::write(&path, text).expect("file");
    load(Some(&path), overrides, &nowhere())
}

fn problems(text: &str) -> String {
    let problems = read(text.as_bytes(), &Overrides::default()).expect_err("problems");
    let full = problems.to_string();
    let mut lines: Vec<_> = full.lines().collect();
    for line in &mut lines {
        *line = line.split_once("c.toml:").map_or(*line, |(_, rest)| rest);
    }
    lines.join("\n")
}

fn fixture_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config")
}

fn write_secret(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, "hunter2").expect("file");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(fixture_folder().join(kind))
        .expect("fixtures")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files
}

#[test]
fn valid_fixtures_load() {
    let files = fixtures("valid");
    assert_eq!(files.len(), 5, "a fixture is missing, or this count is old");
    // copied, because a repository does not keep the mode that a secret's file needs
    let copy = tempfile::tempdir().expect("folder");
    let folder = copy.path().join("valid");
    fs::create_dir(&folder).expect("folder");
    let bundle = fixture_folder().join("ca.pem");
    fs::copy(bundle, copy.path().join("ca.pem")).expect("ca.pem");
    write_secret(&folder.join("gateway.secret"), 0o600);
    for file in files {
        let path = folder.join(file.file_name().expect("name"));
        fs::copy(&file, &path).expect("copy");
        if let Err(problems) = load(Some(&path), &Overrides::default(), &nowhere()) {
            panic!("{problems}");
        }
    }
}

#[test]
fn invalid_fixtures_say_what_is_expected() {
    let files = fixtures("invalid");
    assert_eq!(
        files.len(),
        15,
        "a fixture is missing, or this count is old"
    );
    for file in files {
        let expected = file.with_extension("expected");
        let folder = file.parent().expect("folder").display().to_string();
        let problems = load(Some(&file), &Overrides::default(), &nowhere())
            .expect_err(&file.display().to_string());
        let said = format!("{problems}\n").replace(&format!("{folder}/"), "");
        if env::update_expected() {
            fs::write(&expected, &said).expect("expected");
        }
        let wanted = fs::read_to_string(&expected).expect("expected");
        assert_eq!(said, wanted, "{}", file.display());
        assert!(!said.contains("hunter2"), "a secret is shown: {said}");
    }
}

#[test]
fn every_key_stands_in_a_fixture() {
    let mut seen = BTreeSet::new();
    for file in fixtures("valid") {
        let text = fs::read_to_string(file).expect("file");
        let table = text.parse::<toml::Table>().expect("TOML");
        for (table, value) in &table {
            let toml::Value::Table(keys) = value else {
                panic!("{table}")
            };
            for (key, value) in keys {
                match value {
                    toml::Value::Table(own) if table == "environments" => {
                        seen.extend(own.keys().map(|key| format!("environments.*.{key}")));
                    }
                    _ => {
                        seen.insert(format!("{table}.{key}"));
                    }
                }
            }
        }
    }
    let all: BTreeSet<_> = reference::key_paths().collect();
    assert_eq!(seen, all);
}

#[test]
fn defaults_are_those_of_the_table() {
    let config = load(None, &Overrides::default(), &nowhere()).expect("defaults");
    assert_eq!(config.listener.address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listener.socket_mode, 0o600);
    assert_eq!(config.listener.networks.len(), 2);
    assert_eq!(config.management.address.to_string(), "127.0.0.1:9180");
    assert!(config.environments.is_empty() && config.aws.discover.is_none());
    let seconds = Duration::from_secs;
    let limits = Limits {
        head_timeout: seconds(10),
        keep_alive: seconds(60),
        head_size: 32 * 1024,
        header_count: 64,
        target_size: 8 * 1024,
        body_idle: seconds(15),
        cli_body: 64 * 1024,
        connections: 512,
        drain: seconds(25),
        upstream_dns: seconds(3),
        upstream_connect: seconds(5),
        upstream_tls: seconds(5),
        cli_first_byte: seconds(300),
        upstream_body_idle: seconds(60),
        pool_idle: seconds(45),
        pool_age: seconds(300),
        mint_try: seconds(5),
        mint_total: seconds(12),
        mint_wait: seconds(15),
        token_use: seconds(50),
        queue_size: 32,
        queue_wait: seconds(120),
        cli_output: 8 * 1024 * 1024,
        threads: 0,
    };
    assert_eq!(config.limits, limits);
}

#[test]
fn environments_inherit_and_keep_their_order() {
    let text = r#"
        [aws]
        region = "eu-west-1"
        profile = "team"
        [environments.zeta]
        [environments.alpha]
        name = "Alpha_Prod"
        region = "us-east-1"
        policy = "read-only"
        browser = "redirect"
        deny = ["dags  delete"]
    "#;
    let config = read(text.as_bytes(), &Overrides::default()).expect("config");
    let [zeta, alpha] = config.environments.as_slice() else {
        panic!("two")
    };
    let (zeta, alpha) = (&zeta.environment, &alpha.environment);
    assert_eq!((zeta.local.as_str(), &*zeta.name), ("zeta", "zeta"));
    assert_eq!(zeta.region.as_ref().map(Region::as_str), Some("eu-west-1"));
    assert_eq!(zeta.cli_concurrency, 1);
    assert_eq!(
        (alpha.local.as_str(), &*alpha.name),
        ("alpha", "Alpha_Prod")
    );
    assert_eq!(alpha.region.as_ref().map(Region::as_str), Some("us-east-1"));
    assert_eq!(alpha.profile.as_deref(), Some("team"));
    assert_eq!(alpha.policy, crate::names::Policy::ReadOnly);
    assert_eq!(alpha.browser, crate::names::Browser::Redirect);
    assert_eq!(alpha.deny, [["dags".to_owned(), "delete".to_owned()]]);
}

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
        said().contains(&format!("no such file: {}", secret.display())),
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

#[test]
fn flags_beat_the_file_and_name_themselves() {
    let text = "[listener]\naddress = \"127.0.0.1:1\"\n[aws]\nregion = \"eu-west-1\"\n";
    let overrides = Overrides {
        listen: Some(Given::new("--listen", "127.0.0.1:2")),
        region: Some(Given::new("MWAA_GATEWAY_REGION", "us-east-1")),
        profile: Some(Given::new("--profile", "p")),
        management: Some(Given::new("--management", "[::1]:3")),
        ..Overrides::default()
    };
    let config = read(text.as_bytes(), &overrides).expect("config");
    assert_eq!(config.listener.address.to_string(), "127.0.0.1:2");
    assert_eq!(config.management.address.to_string(), "[::1]:3");
    assert_eq!(
        config.aws.region.as_ref().map(Region::as_str),
        Some("us-east-1")
    );
    assert_eq!(config.aws.profile.as_deref(), Some("p"));

    let overrides = Overrides {
        listen: Some(Given::new("MWAA_GATEWAY_LISTEN", "0.0.0.0:8080")),
        region: Some(Given::new("--region", "x@evil.example:443/#")),
        management: Some(Given::new("--management", "10.0.0.1:1")),
        ..Overrides::default()
    };
    let said = load(None, &overrides, &nowhere())
        .expect_err("problems")
        .to_string();
    let firsts: Vec<_> = said.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(
        firsts,
        [
            "--management: management.address: \"10.0.0.1:1\" is not a loopback address",
            "--region: aws.region: the value is not an AWS region",
            "MWAA_GATEWAY_LISTEN: listener.address: \"0.0.0.0:8080\" is not loopback: whoever \
             reaches it would act with your AWS rights",
        ]
    );
}

#[test]
fn named_environments_are_chosen_or_made() {
    let text = "[environments.a]\nname = \"first\"\npolicy = \"all\"\n[environments.b]\n";
    let choose = |names: &[&str]| {
        let overrides = Overrides {
            environments: names
                .iter()
                .map(|n| Given::new("--environment", *n))
                .collect(),
            ..Overrides::default()
        };
        read(text.as_bytes(), &overrides).map(|config| {
            let pair = |e: &EnvironmentEntry| {
                format!("{}={}", e.environment.local, e.environment.name)
            };
            config
                .environments
                .iter()
                .map(pair)
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    assert_eq!(choose(&[]).as_deref(), Ok("a=first b=b"));
    assert_eq!(choose(&["b"]).as_deref(), Ok("b=b"));
    assert_eq!(choose(&["first", "b", "a"]).as_deref(), Ok("a=first b=b"));
    assert_eq!(
        choose(&["My_Env", "a"]).as_deref(),
        Ok("my-env=My_Env a=first")
    );
    for (names, reason) in [
        (&["env"][..], "answers to"),
        (&["localhost"], "answers to"),
        (&["1st"], "is not the name of an MWAA environment"),
        (&["a_"], "can't be the label"),
        (&["a/../b"], "is not the name of an MWAA environment"),
        (
            &["x_y", "X-Y"],
            "\"x_y\" and \"X-Y\" get the same local name",
        ),
    ] {
        let said = choose(names).expect_err(reason).to_string();
        assert!(said.starts_with("--environment: environments"), "{said}");
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn danger_must_be_meant() {
    for address in [
        "0.0.0.0:1",
        "[::]:1",
        "192.168.0.7:1",
        "[::ffff:10.0.0.1]:1",
    ] {
        let text = format!("[listener]\naddress = \"{address}\"\n");
        assert!(
            problems(&text).contains("dangerous_non_loopback = true"),
            "{address}"
        );
        let meant = format!("{text}dangerous_non_loopback = true\n");
        let config = read(meant.as_bytes(), &Overrides::default()).expect("config");
        assert_eq!(config.warnings().len(), 1);
    }
    let own = "[environments.a]\nlisten = \"0.0.0.0:1\"\n";
    assert!(
        problems(own).starts_with("2:10: environments.a.listen: \"0.0.0.0:1\" is not loopback")
    );
}

#[test]
fn a_syntax_error_does_not_quote_the_line() {
    let said = problems("[aws]\ntoken = hunter2\nregoin = \"x\"\n");
    assert!(
        said.starts_with("2:9: ") && !said.contains("hunter2"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let twice = problems("[aws]\nregion = \"eu-west-1\"\n[aws]\n");
    assert!(twice.starts_with("3:2: aws: duplicate key"), "{twice}");
}

#[test]
fn the_order_is_that_of_the_file() {
    let said = problems(
        "[limits]\ndrain = 1\n[aws]\nb = 1\na = 1\n[listener]\nhosts = [\"*\", \"**\"]\n",
    );
    let at: Vec<_> = said
        .lines()
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(at, ["2:9", "4:1", "5:1", "7:10", "7:15"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(read(&bytes, &Overrides::default()));
    }

    #[test]
    fn any_value_at_any_key_is_read_without_panic(
        table in prop_oneof![
            proptest::sample::select(vec![
                "listener", "aws", "limits", "management", "environments.a", "environments",
            ]).prop_map(str::to_owned),
            "\\PC{0,12}",
        ],
        key in prop_oneof![
            proptest::sample::select(reference::key_paths()
                .filter_map(|path| path.rsplit('.').next().map(str::to_owned))
                .collect::<Vec<_>>()),
            "\\PC{0,12}",
        ],
        value in prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| format!("{number:?}")),
            any::<bool>().prop_map(|flag| flag.to_string()),
            "\\PC{0,40}".prop_map(|text| format!("{:?}", text)),
            "[a-z0-9:/.@#?*\\[\\]-]{0,40}".prop_map(|text| format!("{:?}", text)),
            "[a-z0-9:/.@#?*\\[\\]-]{0,40}".prop_map(|text| format!("[{:?}, {:?}]", text, text)),
            Just("{}".to_owned()), Just("[[]]".to_owned()), Just("1979-05-27".to_owned()),
        ],
    ) {
        let text = format!("[{table}]\n{key} = {value}\n");
        if let Err(problems) = read(text.as_bytes(), &Overrides::default()) {
            prop_assert!(!problems.is_empty());
            for problem in &problems {
                let shown = problem.to_string();
                prop_assert!(shown.lines().count() <= 2, "{shown:?}");
                prop_assert!(!problem.what.is_empty() && !problem.what.ends_with('.'));
            }
        }
    }
}
