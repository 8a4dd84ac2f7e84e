//! The effective configuration: every key once, with its origin, and without secrets.

use super::*;
use std::collections::BTreeSet;

fn effective_of(text: &str, overrides: &Overrides) -> EffectiveConfig {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("c.toml");
    fs::write(&path, text).expect("file");
    effective(Some(&path), overrides, &nowhere()).expect(text)
}

/// Returns the line of a key, with the file's path left out.
fn line(config: &EffectiveConfig, key: &str) -> String {
    let mut values = config.iter();
    let value = values.find(|value| value.key == key).expect(key);
    let line = value.to_string();
    match (line.split_once("  # "), &value.origin) {
        (Some((value, _)), Origin::Position { line, column, .. }) => {
            format!("{value}  # {line}:{column}")
        }
        _ => line,
    }
}

#[test]
fn values_name_their_origins() {
    let text = "[aws]\nregion = \"eu-west-1\"\nprofile = \"team\"\n\
                [limits]\nthreads = 2\n\
                [listeners.agents]\naddress = \"unix:/run/x/a.sock\"\n\
                [environments.prod]\nregion = \"us-east-1\"\ntunnel = [\"ssh\", \"-W\", \"{host}:443\", \"--password=hunter2\"]\n";
    let overrides = Overrides {
        profile: Some(Override::new("MWAA_GATEWAY_PROFILE", "mine")),
        listen: Some(Override::new("--listen", "127.0.0.1:1")),
        ..Overrides::default()
    };
    let config = effective_of(text, &overrides);
    for wanted in [
        "listener.address = \"127.0.0.1:1\"  # --listen",
        "listener.networks = [\"127.0.0.0/8\", \"::1/128\"]  # default",
        "# listener.secret_file: no secret is required",
        "listeners.agents.networks = [\"127.0.0.0/8\", \"::1/128\"]  # listener.networks",
        "# listeners.agents.secret_file: no secret is required",
        "aws.region = \"eu-west-1\"  # 2:10",
        "aws.profile = \"mine\"  # MWAA_GATEWAY_PROFILE",
        "aws.discover = false  # default",
        "limits.threads = 2  # 5:11",
        "environments.prod.name = \"prod\"  # 8:15",
        "environments.prod.region = \"us-east-1\"  # 9:10",
        "environments.prod.profile = \"mine\"  # aws.profile",
        "environments.prod.tunnel = [\"ssh\", \"…\"]  # 10:10",
        "environments.prod.policy = \"supported\"  # default",
        "# environments.prod.role_arn: no role is assumed",
    ] {
        let key = wanted.trim_start_matches("# ");
        let key = key.split([' ', ':']).next().expect("a key");
        assert_eq!(line(&config, key), wanted);
    }
    assert!(!config.to_string().contains("hunter2"));
    assert!(!config.to_string().contains("listener.tls."));
}

#[test]
fn every_key_is_listed_once() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    for name in ["cert", "key"] {
        let pem = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n";
        fs::write(path(name), pem).expect("file");
    }
    let text = format!(
        "[listener.tls]\ncertificate = {:?}\nkey = {:?}\n\
         [listeners.a]\naddress = \"127.0.0.1:1\"\n[environments.a]\n",
        path("cert"),
        path("key")
    );
    let config = effective_of(&text, &Overrides::default());
    let keys: Vec<_> = config.iter().map(|value| value.key.clone()).collect();
    let unnamed = |key: &String| {
        let key = key.replace("listeners.a.", "listeners.*.");
        key.replace("environments.a.", "environments.*.")
    };
    let wanted: Vec<_> = reference::key_paths().collect();
    assert_eq!(keys.iter().map(unnamed).collect::<Vec<_>>(), wanted);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

#[test]
fn the_effective_file_loads_as_the_same_configuration() {
    let text = "[listener]\naddress = \"unix:g.sock\"\nhosts = [\"it's\"]\n[aws]\ndiscover_in = [\"me@eu-west-1\"]\n\
                [audit]\nfile = \"audit.log\"\n[environments.a]\nname = \"A_b\"\ncli_concurrency = 3\n\
                allow = [\"pools set\"]\n[environments.b]\nproxy = \"\"\nairflow_version = \"2.10.3\"\n";
    let text = text.replace("it's", "its.example");
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("c.toml");
    fs::write(&path, &text).expect("file");
    let overrides = Overrides {
        environments: ["b", "New_One"]
            .map(|name| Override::new("-e", name))
            .into(),
        region: Some(Override::new("--region", "us-east-1")),
        ..Overrides::default()
    };
    let first = load(Some(&path), &overrides, &nowhere()).expect(&text);
    let shown = effective(Some(&path), &overrides, &nowhere()).expect(&text);
    let shown = shown.to_string();
    assert!(!shown.contains("environments.a."), "{shown}");
    // in another folder
    let second = read(shown.as_bytes(), &Overrides::default()).expect(&shown);
    let plain = |mut config: Config| {
        config.source = None;
        config.certs_command.clear();
        config.values = EffectiveConfig::default();
        let entries = &mut config.environments;
        for entry in entries.iter_mut() {
            entry.configured = true;
        }
        entries.sort_by(|a, b| a.environment.local.cmp(&b.environment.local));
        format!("{config:?}")
    };
    assert_eq!(plain(second), plain(first));
}

#[test]
fn effective_reports_the_problems_of_loading() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("c.toml");
    fs::write(&path, "[aws]\nregoin = 1\n").expect("file");
    let overrides = Overrides::default();
    let load = load(Some(&path), &overrides, &nowhere()).map(drop);
    let effective = effective(Some(&path), &overrides, &nowhere()).map(drop);
    assert_eq!(effective, load);
    assert!(effective.is_err());
}
