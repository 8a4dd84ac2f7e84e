//! The program as people and scripts meet it: help, exit codes, what goes to which stream.

use crate::program::{Running, command, end, run};
use crate::support::{Authority, CLOSED, Harness, OnTerminal};
use crate::tree;
use mwaa_emulator::{CertificateForm, ControlFault, Emulator, Settings};
use std::net::TcpListener;
use std::path::Path;

/// Every command; the empty one is the program itself.
const COMMANDS: &[&str] = &[
    "",
    "airflow",
    "check",
    "commands",
    "completions",
    "config",
    "demo",
    "emulator",
    "environments",
    "explain",
    "login",
    "man",
    "open",
    "serve",
    "status",
    "wait",
];

fn words<'a>(command: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let first = Some(command).filter(|command| !command.is_empty());
    first.into_iter().chain(rest.iter().copied()).collect()
}

#[tokio::test]
async fn help_is_as_reviewed() {
    for command in COMMANDS {
        let ended = run(&words(command, &["--help"])).await;
        assert_eq!(ended.code, Some(0), "{command}");
        assert_eq!(ended.stderr, "", "{command}: help is data");
        let name = format!(
            "help-{}",
            if command.is_empty() {
                "program"
            } else {
                command
            }
        );
        insta::assert_snapshot!(name, ended.stdout);
    }
    let overview = run(&["--help"]).await.stdout;
    for command in COMMANDS {
        assert!(
            overview.contains(&format!("\n  {command}")),
            "{command} is not listed"
        );
    }
}

/// The short help is for a glance: no logging, and each option says what it does for this command.
#[tokio::test]
async fn the_short_help_explains_options_for_each_command() {
    for (command, has, has_not) in [
        ("serve", "Serve only this environment", "log-format"),
        ("check", "it is not opened", "log-format"),
        (
            "environments",
            "The gateway's address, for the URLs",
            "management",
        ),
        (
            "airflow",
            "The address of the running gateway",
            "log-format",
        ),
        ("open", "for the URL if no gateway is running", "region"),
        ("explain", "Apply this environment's policy", "listen"),
        ("status", "The management address of the gateway", "listen"),
    ] {
        let help = run(&[command, "-h"]).await.stdout;
        let words: Vec<_> = help.split_whitespace().collect();
        let help = words.join(" ");
        assert!(help.contains(has), "{command}: {help}");
        let option = format!("--{has_not}");
        assert!(!help.contains(&option), "{command}: {help}");
        assert!(help.contains("Example: "), "{command}: {help}");
    }
}

#[tokio::test]
async fn the_version_equals_the_package_version() {
    let ended = run(&["--version"]).await;
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.stdout,
        format!("mwaa-gateway {}\n", env!("CARGO_PKG_VERSION"))
    );
}

/// Exit code 2 and a line of talk that names the mistake; stdout stays empty for pipes.
#[tokio::test]
async fn mistakes_in_the_arguments_are_usage_errors() {
    for (arguments, named) in [
        (&[][..], "Usage: mwaa-gateway"),
        (&["serv"], "serve"),
        (&["serve", "--listn", "x"], "--listen"),
        (&["commands", "--airflow-version", "two"], "2.10.3"),
        (&["commands", "--output", "yaml"], "json"),
        (&["wait", "--timeout", "soon"], "soon"),
        (
            &["emulator", "--fault", "CreateCliToken=Bored"],
            "Throttling",
        ),
        (&["emulator", "--cli-slots=0"], "--cli-slots"),
        (&["emulator", "--cli-slots=9000000"], "--cli-slots"),
        (&["emulator", "--session-life=9000y"], "--session-life"),
        (&["emulator", "--token-life=2y"], "--token-life"),
        (&["emulator", "--region=$(id)"], "--region"),
        (&["emulator", "--control=0.0.0.0:0"], "--control"),
        (
            &["emulator", "--airflow-version=1x=2.10.3"],
            "--airflow-version",
        ),
        (
            &["emulator", "--web-host=a:1", "--web-host=b:1"],
            "--web-host",
        ),
        (&["completions", "cobol"], "bash"),
        (&["commands", "--log", "x=y=z"], "mwaa_gateway=debug"),
        (
            &["explain", "dags", "list"],
            "quote the line: mwaa-gateway explain",
        ),
        (&["-q"], "status, wait, completions, man]"),
    ] {
        let ended = run(arguments).await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(
            ended.stderr.contains(named),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("tunnel-guard"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    for (listen, management, flag) in [
        (address.as_str(), free, "--listen"),
        (free, address.as_str(), "--management"),
    ] {
        let ended = run(&[
            "serve",
            "--environment=x",
            "--region=eu-west-1",
            "--listen",
            listen,
            "--management",
            management,
        ])
        .await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let begin = format!("error: {address}");
        assert!(ended.stderr.starts_with(&begin), "{}", ended.stderr);
        for text in ["is in use", "another program is listening there", flag] {
            assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
        }
        assert_eq!(ended.stdout, "");
    }
}

/// Who starts a second gateway mostly wants the first one.
#[tokio::test]
async fn a_gateway_at_the_port_is_recognised() {
    let harness = Harness::new().await;
    let (listener, management) = (harness.address(), harness.management());
    let free = "127.0.0.1:0".parse().unwrap();
    for (listen, manage) in [(listener, free), (free, management)] {
        let ended = run(&[
            "serve",
            "--environment=x",
            &format!("--listen={listen}"),
            &format!("--management={manage}"),
        ])
        .await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        for text in [
            "is in use",
            "a gateway is already running there",
            "mwaa-gateway status",
        ] {
            assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
        }
    }
    // a listener of its own has no flag
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let text = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\n[listeners.agents]\naddress = \"{listener}\"\n\
         [management]\naddress = \"127.0.0.1:0\"\n[environments.x]\n"
    );
    std::fs::write(&file, text).unwrap();
    let ended = run(&["serve", "--config", file.to_str().unwrap()]).await;
    assert!(
        ended.stderr.contains("in [listeners.agents]"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("--listen"), "{}", ended.stderr);
}

/// The variable is for single commands, in the start file of a shell.
#[tokio::test]
async fn the_environment_variable_does_not_restrict_serve() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let text = "[listener]\naddress = \"127.0.0.1:0\"\n[management]\naddress = \"127.0.0.1:0\"\n\
                [aws]\nendpoint_url = \"http://127.0.0.1:1\"\nregion = \"eu-west-1\"\n\
                [environments.one]\n[environments.two]\n";
    std::fs::write(&file, text).unwrap();
    let config = format!("--config={}", file.display());
    let chosen = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.arg(&config).env("MWAA_GATEWAY_ENVIRONMENT", "two");
        command
    };
    let told = "MWAA_GATEWAY_ENVIRONMENT does not change which environments are served: to serve \
                only two, use --environment two";
    let mut gateway = Running::start(chosen(&["serve"]));
    let management = gateway.told("management on http://").await;
    gateway.told(&format!("warning: {told}")).await;
    let status = run(&["status", "-o", "json", "--management", &management]).await;
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(
        status["environments"].as_array().unwrap().len(),
        2,
        "{status}"
    );
    gateway.stop().await;
    // a warning is no error: -q leaves it out
    let mut gateway = Running::start(chosen(&["serve", "-q", "--log=warn"]));
    // a log line, which is written after the warnings
    gateway.told("20").await;
    let ended = gateway.stop().await;
    assert!(!ended.stderr.contains("warning: "), "{ended:?}");

    let checked = end(chosen(&["check", "--offline"])).await;
    let line = format!("warn  configuration: {told}\n");
    assert!(checked.stdout.contains(&line), "{}", checked.stdout);
    let named = end(chosen(&["check", "--offline", "--environment=one"])).await;
    assert!(!named.stdout.contains("warn"), "{}", named.stdout);
    let opened = end(chosen(&["open", "--print", "/home"])).await;
    assert!(
        opened.stdout.starts_with("http://two.localhost:"),
        "{opened:?}"
    );
    let explained = end(chosen(&["explain", "version"])).await;
    assert!(
        explained.stderr.contains("the rules of two"),
        "{explained:?}"
    );
}

/// `-q` leaves stdout, errors and exit codes as they are.
#[tokio::test]
async fn quiet_suppresses_messages_but_not_data() {
    let none = "--management=127.0.0.1:1";
    let ended = run(&["-q", "open", "--print", none, "--config=/dev/null"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("http://localhost:8080/-/\n", "")
    );
    let ended = run(&["commands", "--quiet", "--airflow-version=3.9.0"]).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    let ended = run(&["status", "-q", none]).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(
        ended
            .stderr
            .starts_with("error: no gateway is running at 127.0.0.1:1"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("hint: "), "{ended:?}");
}

/// Exit code 78: nothing to serve, or a configuration that is wrong.
#[tokio::test]
async fn an_unusable_configuration_exits_with_78() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none.toml");
    std::fs::write(&none, "[aws]\ndiscover = false\n").unwrap();
    let none = format!("--config={}", none.display());
    for (arguments, named) in [
        (&["serve", &none][..], "--environment NAME"),
        (&["check", "--offline", &none], "--environment NAME"),
        (&["serve", "--config", "/nonexistent.toml"], "no such file"),
        (
            &["serve", "--environment=x", "--listen=0.0.0.0:0"],
            "dangerous_non_loopback",
        ),
        (
            &["serve", "--environment=x", "--listen=192.0.2.1:8080"],
            "dangerous_non_loopback",
        ),
        (
            &["serve", "--environment=x", "--listen=unix:@gateway"],
            "abstract",
        ),
        (
            &["serve", "--environment=x", "--management=0.0.0.0:0"],
            "loopback",
        ),
        (&["serve", "--environment=x", "--region=eu"], "eu"),
    ] {
        let ended = run(arguments).await;
        assert_eq!(ended.code, Some(78), "{arguments:?}: {}", ended.stderr);
        let said = ended.stdout + &ended.stderr;
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn check_reports_every_problem_at_once() {
    let folder = tree::root().join("tests/fixtures/config/invalid");
    let fixtures = tree::files("tests/fixtures/config/invalid", "toml");
    assert!(fixtures.len() >= 15, "only {} fixtures", fixtures.len());
    for fixture in fixtures {
        let file = tree::root().join(&fixture);
        let ended = run(&["check", "--offline", "--config", file.to_str().unwrap()]).await;
        assert_eq!(ended.code, Some(78), "{fixture}");
        assert_eq!(ended.stdout, "", "{fixture}");
        let said = ended.stderr.replace(&format!("{}/", folder.display()), "");
        let wanted = tree::read(&fixture.replace(".toml", ".expected"));
        assert_eq!(said.trim_end(), wanted.trim_end(), "{fixture}");
        let json = [
            "check",
            "--offline",
            "--output=json",
            "--config",
            file.to_str().unwrap(),
        ];
        let ended = run(&json).await;
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(78), ""),
            "{fixture}"
        );
        let findings: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout).unwrap();
        let hints = wanted.matches("\n  hint: ").count();
        assert_eq!(findings.len(), wanted.lines().count() - hints, "{fixture}");
        let hinted = findings
            .iter()
            .filter(|finding| finding["hint"].is_string());
        assert_eq!(hinted.count(), hints, "{fixture}");
    }
}

/// A shell does not expand `~` in a variable or after `=`, so the program does it.
#[tokio::test]
async fn paths_may_start_with_a_tilde() {
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write("ca.pem", &Authority::new().pem());
    write(
        "c.toml",
        "[listener]\naddress = \"unix:~/g.sock\"\n[environments.a]\nca_file = \"~/ca.pem\"\n",
    );
    let check = |arguments: &[&str], name: &str, value: &str| {
        let mut command = command(&["check", "--offline"]);
        command
            .args(arguments)
            .env("HOME", home.path())
            .env(name, value);
        end(command)
    };
    let file = home.path().join("c.toml");
    for ended in [
        check(&["--config=~/c.toml"], "TERM", "dumb").await,
        check(&[], "MWAA_GATEWAY_CONFIG", "~/c.toml").await,
    ] {
        let told = format!("ok    configuration: {}\n", file.display());
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(0), told.as_str()),
            "{ended:?}"
        );
    }
    // a variable that is empty is not set
    let ended = check(&["--environment=x"], "MWAA_GATEWAY_CONFIG", "").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for flag in ["--config=~you/c.toml", "--listen=unix:~you/g.sock"] {
        let ended = check(&[flag], "TERM", "dumb").await;
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("a user name"), "{ended:?}");
    }
}

/// An emulator, its configuration in a file, and the credentials that go with it.
struct Stand {
    emulator: Emulator,
    folder: tempfile::TempDir,
}

impl Stand {
    async fn new(settings: Settings) -> Self {
        let emulator = Emulator::start(settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let stand = Self { emulator, folder };
        let ca_file = stand.path().join("ca.pem");
        std::fs::write(&ca_file, stand.emulator.ca_pem()).unwrap();
        stand.write(&stand.emulator.config_toml(&ca_file));
        stand
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, config: &str) {
        std::fs::write(self.path().join("gateway.toml"), config).unwrap();
    }

    fn command(&self, name: &str, more: &[&str]) -> tokio::process::Command {
        let mut command = command(&[name, "--config", "gateway.toml"]);
        command
            .args(more)
            .current_dir(self.path())
            .env("AWS_ACCESS_KEY_ID", self.emulator.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", self.emulator.secret_access_key());
        command
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tests_aws_and_the_web_server() {
    let stand = Stand::new(Settings::default()).await;
    let host = stand.emulator.host("demo").unwrap();
    let web = stand.emulator.web_addr();
    let ended = end(stand.command("check", &[])).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr, "", "findings are data");
    for line in [
        "ok    configuration: gateway.toml".to_owned(),
        "ok    demo: AVAILABLE, Airflow 2.10.3, PUBLIC_ONLY".to_owned(),
        format!("ok    demo: a CLI token for {host}"),
        "ok    demo: clock offset 0 s".to_owned(),
        format!("ok    demo: TLS connection to {host} at {web} (connect_to)"),
    ] {
        let found = ended.stdout.lines().any(|found| found == line);
        assert!(found, "{line}\n{}", ended.stdout);
    }
    assert_eq!(
        stand.emulator.journal().web_count(),
        0,
        "nothing is sent to it"
    );
}

/// A status other than the best one is no failure; it is explained.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_explains_the_status() {
    let stand = Stand::new(Settings::default()).await;
    assert!(stand.emulator.set_status("demo", "MAINTENANCE"));
    let ended = end(stand.command("check", &[])).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let told =
        "warn  demo: MAINTENANCE, Airflow 2.10.3, PUBLIC_ONLY: MWAA is doing maintenance";
    assert!(ended.stdout.contains(told), "{}", ended.stdout);
}

/// Exit code 69, and a `fail` line with the code and what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_reports_failures_with_a_code_and_a_hint() {
    let stand = Stand::new(Settings::default()).await;
    let script = stand.emulator.script();
    let refused = async |texts: &[&str]| {
        let ended = end(stand.command("check", &[])).await;
        assert_eq!(ended.code, Some(69), "{}{}", ended.stdout, ended.stderr);
        let fails: Vec<_> = ended
            .stdout
            .lines()
            .filter(|l| l.starts_with("fail  "))
            .collect();
        let found = fails
            .iter()
            .any(|line| texts.iter().all(|text| line.contains(text)));
        assert!(found, "{texts:?} in none of {fails:?}");
    };
    script.mint_fault.always(ControlFault::AccessDenied);
    refused(&["aws.denied", "airflow:CreateCliToken", "environment/demo"]).await;
    script.mint_fault.off();
    script.describe_fault.always(ControlFault::AccessDenied);
    refused(&["aws.denied", "airflow:GetEnvironment", "environment/demo"]).await;
    script.describe_fault.always(ControlFault::NotFound);
    refused(&["aws.not_found", "\"demo\" in eu-west-1"]).await;
    script.describe_fault.off();
    script.mint_fault.always(ControlFault::Validation);
    stand.emulator.set_status("demo", "CREATE_FAILED");
    let state = "the environment's status is CREATE_FAILED";
    refused(&["aws.not_ready", state, "could not be created"]).await;
    stand.emulator.set_status("demo", "AVAILABLE");
    script
        .mint_fault
        .always(ControlFault::ForeignHost("evil.example".to_owned()));
    refused(&["aws.untrusted_host", "custom_domain"]).await;

    let other = Settings {
        certificate: CertificateForm::Expired,
        ..Settings::default()
    };
    let expired = Stand::new(other).await;
    let ended = end(expired.command("check", &[])).await;
    assert_eq!(ended.code, Some(69));
    assert!(
        ended.stdout.contains("fail  demo: upstream.tls"),
        "{}",
        ended.stdout
    );

    let mut anonymous = stand.command("check", &["-o", "json"]);
    anonymous
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let ended = end(anonymous).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(69), ""));
    let findings: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout).unwrap();
    let failed = findings
        .iter()
        .find(|finding| finding["level"] == "fail")
        .unwrap();
    assert_eq!(failed["code"], "aws.credentials", "{failed}");
    for text in ["subject", "text", "hint"] {
        assert!(
            !failed[text].as_str().unwrap().is_empty(),
            "{text}: {failed}"
        );
    }
    assert_eq!(findings[0]["level"], "ok");

    let mut anonymous = stand.command("check", &[]);
    anonymous
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let ended = end(anonymous).await;
    assert_eq!(ended.code, Some(69));
    assert!(
        ended.stdout.contains("fail  demo: aws.credentials"),
        "{}",
        ended.stdout
    );
}

/// On a terminal in lines of its width, the hint apart; elsewhere one line a check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_wraps_long_lines_only_on_a_terminal() {
    let stand = Stand::new(Settings::default()).await;
    let fault = &stand.emulator.script().mint_fault;
    fault.always(ControlFault::AccessDenied);
    let ended = end(stand.command("check", &[])).await;
    let mut lines = ended.stdout.lines();
    let failed = lines.find(|line| line.starts_with("fail  ")).unwrap();
    assert!(
        failed.contains("; hint: ") && failed.len() > 100,
        "{ended:?}"
    );
    let more: Vec<_> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with(' '))
        .collect();
    assert!(more.is_empty(), "{more:?}");

    let program = OnTerminal::with(stand.command("check", &[]), true, &[("NO_COLOR", "1")]);
    let (code, _, shown) = program.end().await;
    assert_eq!(code, Some(69), "{shown}");
    let (_, below) = shown.split_once("fail  ").unwrap();
    let mut below = below.lines();
    let first = below.next().unwrap();
    let rest: Vec<_> = below
        .take_while(|line| line.starts_with("      "))
        .collect();
    assert!(
        rest.iter().any(|line| line.starts_with("      hint: ")),
        "{shown}"
    );
    assert!(
        shown.lines().all(|line| line.chars().count() <= 100),
        "{shown}"
    );
    // the same words, but for the request's number before them
    let words = [&[first], &rest[..]].concat().join(" ");
    let words: Vec<_> = words.split_whitespace().collect();
    let (_, told) = failed.split_once("User: ").unwrap();
    let told = told.replace("; hint", " hint");
    assert!(words.join(" ").ends_with(&told), "{shown}");
}

/// A configured version makes GetEnvironment optional: its refusal is a warning, not a failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_warns_about_a_denied_optional_call() {
    let stand = Stand::new(Settings::default()).await;
    let config = stand.emulator.config_toml(&stand.path().join("ca.pem"));
    stand.write(&format!("{config}airflow_version = \"2.10.3\"\n"));
    stand
        .emulator
        .script()
        .describe_fault
        .always(ControlFault::AccessDenied);
    let ended = end(stand.command("check", &[])).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("warn  demo: aws.denied"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn completions_and_the_manual_are_generated() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = run(&["completions", shell]).await;
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{shell}"
        );
        // the script knows the options, or asks the program for them
        let asks = ended.stdout.contains("complete -- ");
        assert_eq!(asks, ["bash", "fish", "zsh"].contains(&shell), "{shell}");
        let knows = ended.stdout.contains("airflow-version");
        assert_eq!(knows, !asks, "{shell}");
    }
    let line = ["mwaa-gateway", "demo", "--airflow-v"];
    let ended = run(&[&["complete", "--"], &line[..]].concat()).await;
    assert!(ended.stdout.starts_with("--airflow-version\t"), "{ended:?}");
    let page = run(&["man"]).await;
    assert_eq!(page.code, Some(0));
    for command in COMMANDS {
        assert!(page.stdout.contains(command), "{command}");
    }
    assert!(page.stdout.contains(".TH mwaa"), "it is roff");
    // what the short help leaves out
    let (logs, looks) = ("The log filter for stderr", "The format of log lines");
    assert!(page.stdout.contains(logs) && page.stdout.contains(looks));
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("pages");
    let ended = run(&["man", "--dir", pages.to_str().unwrap()]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
    for command in COMMANDS {
        let name = ["mwaa-gateway", command].join("-");
        let page =
            std::fs::read_to_string(pages.join(format!("{}.1", name.trim_end_matches('-'))));
        let page = page.unwrap();
        assert!(
            page.contains("Example: ") || command.is_empty(),
            "{command}"
        );
        assert!(page.contains(logs) && page.contains(looks), "{command}");
    }
}

/// As with `| head`: the reader goes away, and that is no error.
#[tokio::test]
async fn a_closed_output_pipe_is_not_an_error() {
    for arguments in [
        &["commands"][..],
        &["man"],
        &["completions", "zsh"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(arguments);
        command.stdout(writer);
        let ended = end(command).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stderr, "", "{arguments:?}");
    }
}

/// `NO_COLOR` beats even a forced colour.
#[tokio::test]
async fn colour_can_be_switched_off() {
    for (no_color, coloured) in [("", true), ("1", false)] {
        for arguments in [
            &["serve", "--environment=x", "--listen=unix:/nonexistent/s"][..],
            &["wait", "--timeout=1ms", "--management=127.0.0.1:1"],
        ] {
            let mut command = command(arguments);
            command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color);
            let ended = end(command).await;
            assert_eq!(
                ended.stderr.contains('\u{1b}'),
                coloured,
                "{arguments:?} {no_color:?}"
            );
            assert!(ended.stderr.contains("error"), "{}", ended.stderr);
        }
    }
    for (no_color, coloured) in [("", true), ("1", false)] {
        let mut command = command(&["check", "--offline", "--environment=x"]);
        command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color);
        let told = end(command).await.stdout;
        assert_eq!(told.contains("\u{1b}[32mok"), coloured, "{told:?}");
    }
    for stream in [
        run(&["check", "--offline", "--environment=x"]).await.stdout,
        run(&["serve", "--config=/nonexistent.toml"]).await.stderr,
        run(&["commands"]).await.stdout,
    ] {
        assert!(!stream.contains('\u{1b}'), "colour goes to terminals only");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_prints_its_addresses_and_wait_returns_when_ready() {
    let stand = Stand::new(Settings::default()).await;
    let script = stand.emulator.script();
    script.describe_fault.always(ControlFault::AccessDenied);
    let loopback = ["--listen=127.0.0.1:0", "--management=127.0.0.1:0"];
    let mut gateway = Running::start(stand.command("serve", &loopback));
    let url = gateway.told("listening on http://").await;
    let management = gateway.told("management on http://").await;
    assert!(
        url.starts_with("127.0.0.1:") && !url.ends_with(":0"),
        "{url}"
    );

    let flag = format!("--management={management}");
    let late = run(&["wait", "--timeout=300ms", &flag]).await;
    assert_eq!(late.code, Some(1), "{}", late.stderr);
    assert!(
        late.stderr.contains("not ready after 300ms"),
        "{}",
        late.stderr
    );
    assert_eq!(late.stdout, "");

    script.describe_fault.off();
    let ready = run(&["wait", &flag]).await;
    assert_eq!(
        (ready.code, ready.stdout.as_str()),
        (Some(0), ""),
        "{}",
        ready.stderr
    );

    let ended = gateway.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "", "a service has no data to print");
}

#[tokio::test]
async fn wait_times_out() {
    let flag = format!("--management={CLOSED}");
    let ended = run(&["wait", "--timeout=200ms", &flag]).await;
    assert_eq!(ended.code, Some(1));
    for text in ["not ready after 200ms", CLOSED, "hint"] {
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn demo_and_emulator_print_usage_examples() {
    let mut demo = Running::start(command(&["demo", "--listen=127.0.0.1:0"]));
    let url = demo.told("listening on ").await;
    demo.printed("Press Ctrl-C to stop the demo.").await;
    let ended = demo.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let pasted = format!("curl -sS {url}/aws_mwaa/cli -H 'Content-Type: text/plain'");
    assert_eq!(ended.stdout.matches(&pasted).count(), 3, "{}", ended.stdout);

    let folder = tempfile::Builder::new()
        .prefix("it's $(id) ")
        .tempdir()
        .unwrap();
    let mut emulator = command(&[
        "emulator",
        "--aws=127.0.0.1:0",
        "--web=127.0.0.1:0",
        "--web-host=localhost:0",
        "--control=127.0.0.1:0",
        "--ca-file=ca.pem",
    ]);
    emulator.current_dir(folder.path());
    let mut emulator = Running::start(emulator);
    emulator.printed("# --- end").await;
    let ended = emulator.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for printed in [
        "control http://127.0.0.1:",
        "export AWS_ENDPOINT_URL_MWAA=http://127.0.0.1:",
        "export AWS_DEFAULT_REGION=eu-west-1",
    ] {
        assert!(ended.stdout.contains(printed), "{}", ended.stdout);
    }
    let export = ended
        .stdout
        .lines()
        .find(|line| line.contains("_CA_BUNDLE"));
    let shell = format!("{}; cat \"$REQUESTS_CA_BUNDLE\"", export.unwrap());
    let read = std::process::Command::new("sh")
        .args(["-c", &shell])
        .output();
    assert!(read.unwrap().stdout.starts_with(b"-----BEGIN"), "{shell}");
    let snippet = ended.stdout.split("# ---").nth(1).unwrap();
    let snippet = snippet.split_once('\n').unwrap().1;
    assert!(
        snippet
            .parse::<toml::Table>()
            .unwrap()
            .contains_key("environments"),
        "{snippet}"
    );
}
