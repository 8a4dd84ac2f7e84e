//! Tests of the configuration as a whole.

mod bytes;
mod effective;
mod files;
mod fixtures;
mod overrides;
mod schema;

use super::*;
use mwaa_model::Policy;
use std::fs;
use std::time::Duration;

/// Returns the root of the repository, where `config.toml` and the fixtures are.
pub(super) fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("src/config in a repository").to_owned()
}

pub(super) fn nowhere() -> SearchPath {
    SearchPath {
        folder: "/nonexistent".into(),
        user: Vec::new(),
        system: "/nonexistent".into(),
    }
}

/// Reads the text as a file in a folder of its own.
pub(super) fn read(text: &[u8], overrides: &Overrides) -> Result<Config, Diagnostics> {
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

#[test]
fn defaults_are_those_of_the_table() {
    let config = load(None, &Overrides::default(), &nowhere()).expect("defaults");
    assert_eq!(config.listener.address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listener.socket_mode, 0o600);
    assert_eq!(config.listener.networks.len(), 2);
    assert_eq!(config.management.address.to_string(), "127.0.0.1:9180");
    assert!(config.environments.is_empty() && config.aws.discover.is_none());
    let seconds = Duration::from_secs;
    let limits = LimitSettings {
        tunnel_start: Duration::from_secs(10),
        tunnel_age: Duration::from_mins(50),
        head_timeout: seconds(10),
        keep_alive: seconds(60),
        head_size: 32 * 1024,
        header_count: 64,
        target_size: 8 * 1024,
        body_idle: seconds(15),
        body_rate: 1024,
        cli_body: 64 * 1024,
        request_body: 16 * 1024 * 1024,
        connections: 512,
        shutdown_delay: Duration::ZERO,
        drain: seconds(25),
        upstream_dns: seconds(3),
        upstream_connect: seconds(5),
        upstream_tls: seconds(5),
        upstream_first_byte: seconds(60),
        cli_first_byte: seconds(300),
        upstream_body_idle: seconds(60),
        pool_idle: seconds(45),
        pool_age: seconds(300),
        mint_try: seconds(5),
        mint_total: seconds(12),
        mint_wait: seconds(15),
        token_use: seconds(50),
        session_use: seconds(12 * 3600),
        fleet_call: Duration::from_millis(500),
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
        rest_via = "auto"
        aws_tokens = "real"
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
    assert_eq!(alpha.policy, Policy::ReadOnly);
    assert_eq!(alpha.browser, mwaa_model::BrowserMode::Redirect);
    assert_eq!(alpha.rest_via, mwaa_model::RestVia::Auto);
    assert_eq!(alpha.aws_tokens, mwaa_model::AwsTokens::Real);
    assert_eq!(zeta.rest_via, mwaa_model::RestVia::Direct);
    assert_eq!(zeta.aws_tokens, mwaa_model::AwsTokens::Local);
    assert_eq!(alpha.deny, [["dags".to_owned(), "delete".to_owned()]]);
}

#[test]
fn a_non_loopback_address_needs_an_explicit_option() {
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
        problems(own).starts_with(
            "2:10: environments.a.listen: \"0.0.0.0:1\" is not a loopback address"
        )
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
fn problems_are_in_the_order_of_the_file() {
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

#[test]
fn further_listeners_have_their_own_rules_and_other_defaults() {
    let text = "[listener]\nsocket_mode = \"0660\"\nnetworks = [\"10.0.0.0/8\"]\npolicy = \"operator\"\n\
                [listeners.agents]\naddress = \"unix:/run/x/a.sock\"\npolicy = \"read-only\"\n\
                allow = [\"dags trigger\"]\n\
                [listeners.one]\naddress = \"127.0.0.1:8082\"\nsocket_mode = \"0600\"\n\
                environment = \"prod\"\nnetworks = [\"127.0.0.1\"]\nallow = [\"pools set\"]\n";
    let config = read(text.as_bytes(), &Overrides::default()).expect(text);
    let [agents, one] = config.listeners.as_slice() else {
        panic!("{:?}", config.listeners)
    };
    assert_eq!(agents.rules.table, "listeners.agents");
    assert_eq!(agents.rules.policy, Policy::ReadOnly);
    assert_eq!(agents.rules.allow, [["dags", "trigger"]]);
    assert_eq!(agents.socket_mode, 0o660);
    assert_eq!(agents.networks, config.listener.networks);
    assert_eq!(agents.environment, None);
    // whatever the first listener says, a listener's own default takes nothing away
    assert_eq!(one.rules.policy, Policy::All);
    assert_eq!(one.socket_mode, 0o600);
    assert_eq!(one.networks, ["127.0.0.1/32".parse().expect("a network")]);
    assert_eq!(one.environment.as_ref().map(EnvName::as_str), Some("prod"));
    assert_eq!(config.listener.rules.policy, Policy::Operator);
    assert_eq!(
        config.warnings(),
        ["listeners.one.allow adds nothing: the policy of [listeners.one] is \"all\" already"]
    );
}

#[test]
fn a_listener_may_name_an_environment_that_discovery_can_find() {
    let listener = "[listeners.one]\naddress = \"127.0.0.1:8082\"\nenvironment = \"found\"\n";
    for (aws, good) in [
        ("", true),
        ("[environments.prod]\n", false),
        ("[aws]\ndiscover = true\n[environments.prod]\n", true),
        (
            "[aws]\ndiscover_in = [\"eu-west-1\"]\n[environments.prod]\n",
            true,
        ),
        ("[environments.found]\n", true),
    ] {
        let text = format!("{listener}{aws}");
        let said = read(text.as_bytes(), &Overrides::default());
        assert_eq!(said.is_ok(), good, "{text}");
    }
}

/// A flag leaves out the listener of an environment, and must not turn TLS on elsewhere.
#[test]
fn flags_do_not_change_what_other_listeners_speak() {
    let folder = tempfile::tempdir().expect("folder");
    let pem = folder.path().join("pem");
    fs::write(
        &pem,
        "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n",
    )
    .expect("file");
    let text = format!(
        "[listener.tls]\ncertificate = {pem:?}\nkey = {pem:?}\n\
         [listeners.secure]\naddress = \"127.0.0.1:8443\"\nenvironment = \"one\"\ntls = true\n\
         [environments.one]\n[environments.two]\n"
    );
    for only in [None, Some("one"), Some("two")] {
        let overrides = Overrides {
            environments: only
                .map(|name| Override::new("-e", name))
                .into_iter()
                .collect(),
            ..Overrides::default()
        };
        let config = read(text.as_bytes(), &overrides).expect(&text);
        assert_eq!(config.listeners.len(), usize::from(only != Some("two")));
        let main = &config.listener.address;
        assert_eq!(config.transport(main, None), Transport::Plain, "{only:?}");
        assert_eq!(config.transport(main, Some(true)), Transport::Tls);
    }
}

/// A secret of its own and TLS let a listener stand wider than loopback, and only this one.
#[test]
fn a_secret_allows_only_its_own_listener_to_be_wide() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    let pem = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n";
    for name in ["secret", "pem"] {
        use std::os::unix::fs::PermissionsExt;
        fs::write(path(name), pem).expect("file");
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o600)).expect("mode");
    }
    let text = |secret: &str| {
        format!(
            "[listener.tls]\ncertificate = {0:?}\nkey = {0:?}\n\
             [listeners.wide]\naddress = \"0.0.0.0:8082\"\n{secret}\
             [listeners.wider]\naddress = \"0.0.0.0:8083\"\n",
            path("pem")
        )
    };
    assert_eq!(problems(&text("")).matches("is not a loopback").count(), 2);
    let secret = format!("secret_file = {:?}\n", path("secret"));
    let said = problems(&text(&secret));
    assert_eq!(said.matches("is not a loopback").count(), 1, "{said}");
    assert!(said.contains("listeners.wider.address"), "{said}");
}
