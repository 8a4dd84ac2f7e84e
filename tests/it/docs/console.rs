//! Runs the commands of every document as they are printed, ports apart.
//!
//! - `<!-- test: demo -->` starts a shell with the demo behind it, for the commands below it.
//!   `<!-- test: environments NAME=VERSION … -->` starts one with an emulator that plays AWS.
//! - In `console` blocks `$ ` begins a command and the other lines are its output: `…` matches
//!   anything within a line, and alone for any lines. A command that prints nothing must succeed.
//! - The commands in `sh` blocks must succeed, whatever they print.
//! - A block that begins with `# file: NAME` or `# script: NAME` is a file for the commands.

use super::documents;
use super::markdown::{Block, Part, parts};
use super::session::Session;
use crate::tree;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Commands that do not run here, by their first lines, and the reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("tests/run", "these tests are a part of it"),
    (
        "mwaa-gateway exec -e prod --policy read-only -- pytest",
        "tests/it/exec.rs runs other programs",
    ),
    (
        "cargo install --locked --path .",
        "cargo built the program already",
    ),
    (
        "cargo install --locked --path . --no-default-features",
        "another build: CI makes it",
    ),
    (
        "airflowctl auth login --api-url http://localhost:8080 --username any --password any",
        "tests/real has airflowctl, and a keyring for it",
    ),
    ("export AIRFLOW_CLI_TOKEN=any", "tests/real has airflowctl"),
    (
        "tailscaled --tun=userspace-networking --socks5-server=localhost:1055 &",
        "it needs an account",
    ),
    (
        r"curl -sS --unix-socket /run/mwaa-gateway/gateway.sock http://localhost/aws_mwaa/cli \",
        "only root writes to /run",
    ),
    (
        "(umask 077; openssl rand -hex 32 > /run/secrets/mwaa-gateway)",
        "only root writes to /run",
    ),
    (
        r#"curl -sS http://127.0.0.1:8080/aws_mwaa/cli -H "Mwaa-Gateway-Secret: $(cat /run/secrets/mwaa-gateway)" \"#,
        "only root writes to /run",
    ),
    (
        r"curl -sS https://airflow.corp.example:8443/aws_mwaa/cli \",
        "the name is an example; tests/it/tls does the same",
    ),
    ("python3 -m venv airflow", "it downloads an Airflow"),
    ("kubectl apply -k deploy/kubernetes", "it needs a cluster"),
    (
        "docker build -f deploy/container/Dockerfile -t mwaa-gateway .",
        "it needs base images",
    ),
    (
        r"docker buildx build --platform linux/amd64,linux/arm64 -f deploy/container/Dockerfile -t mwaa-gateway .",
        "it needs base images",
    ),
    (
        "deploy/container/build",
        "a release build; tests/real makes an image of it",
    ),
    (
        "helm dependency build deploy/helm/example-job",
        "tests/real has helm",
    ),
    (
        "helm install gateway deploy/helm/mwaa-gateway --namespace data --values values.yaml",
        "tests/real has helm",
    ),
    (
        "aws ecs register-task-definition --cli-input-json file://deploy/ecs/task-definition.json",
        "it needs AWS; tests/real has the AWS CLI",
    ),
    (
        "install -m 0755 ~/.cargo/bin/mwaa-gateway /usr/local/bin/",
        "it needs root and systemd",
    ),
    (
        "systemctl --user enable --now mwaa-gateway",
        "it needs systemd",
    ),
    (
        "systemctl reload mwaa-gateway",
        "tests/real/test_packages.py has systemd",
    ),
    (
        "systemctl enable --now mwaa-gateway",
        "it needs root and systemd: tests/real has both",
    ),
    (
        "systemctl disable --now mwaa-gateway.service",
        "it needs root and systemd: tests/real has both",
    ),
    (
        "cp deploy/launchd/mwaa-gateway.plist ~/Library/LaunchAgents/",
        "it needs macOS; tests/real runs the program of the file",
    ),
    (
        "cargo install --locked cargo-deb",
        "tests/real builds and installs the package",
    ),
    (
        "sha256sum --check --ignore-missing SHA256SUMS",
        "it needs a release",
    ),
];

/// A part of a document with a shell of its own.
struct Chapter {
    document: String,
    setting: String,
    steps: Vec<Step>,
}

enum Step {
    File { name: String, text: String },
    Command(CommandLine),
}

/// A command and what it should print.
#[derive(Debug, PartialEq, Eq)]
struct CommandLine {
    line: usize,
    text: String,
    expected: Vec<String>,
}

impl CommandLine {
    fn reason_not_to_run(&self) -> Option<&str> {
        let first = self.text.lines().next();
        let listed = NOT_RUN.iter().find(|(line, _)| Some(*line) == first);
        listed.map(|(_, reason)| *reason)
    }
}

/// Returns the commands of a block. A backslash at the end of a line continues a command.
fn commands(block: &Block) -> Vec<CommandLine> {
    let mut found: Vec<CommandLine> = Vec::new();
    let mut is_open = false;
    for (number, line) in (block.line..).zip(block.text.lines()) {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (_, Some(command)) if is_open => command.text.extend(["\n", line]),
            (Some(text), _) => found.push(CommandLine {
                line: number,
                text: text.to_owned(),
                expected: Vec::new(),
            }),
            (None, Some(command)) => {
                command.expected.push(line.trim_end().to_owned());
                continue;
            }
            (None, None) => panic!("line {number}: output before any command"),
        }
        is_open = line.ends_with('\\');
    }
    for CommandLine { expected, .. } in &mut found {
        while expected.last().is_some_and(String::is_empty) {
            expected.pop();
        }
    }
    found
}

/// Returns the parts of a document that have commands.
fn chapters(document: &str) -> Vec<Chapter> {
    let chapter = |setting: &str| Chapter {
        document: document.to_owned(),
        setting: setting.to_owned(),
        steps: Vec::new(),
    };
    let mut chapters = vec![chapter("none")];
    for part in parts(&tree::read(document)) {
        let steps = &mut chapters.last_mut().unwrap().steps;
        match part {
            Part::Setting(setting) => chapters.push(chapter(&setting)),
            Part::Block(block) if block.language == "console" => {
                steps.extend(commands(&block).into_iter().map(Step::Command));
            }
            Part::Block(block) if block.language == "sh" => {
                steps.push(Step::Command(CommandLine {
                    line: block.line,
                    text: block.text.trim_end().to_owned(),
                    expected: vec![ANYTHING.to_owned()],
                }));
            }
            Part::Block(block) => {
                let first = block.text.lines().next().unwrap_or_default();
                let mut names = ["# script: ", "# file: "].into_iter();
                if let Some(name) = names.find_map(|opening| first.strip_prefix(opening)) {
                    steps.push(Step::File {
                        name: name.to_owned(),
                        text: block.text,
                    });
                }
            }
        }
    }
    chapters.retain(|chapter| !chapter.steps.is_empty());
    chapters
}

impl Chapter {
    /// Runs the commands. Returns how many there were, and the problems of those that failed.
    fn run(&self) -> (usize, Vec<String>) {
        let document = &self.document;
        let mut session = match Session::set_up(&self.setting) {
            Ok(session) => session,
            Err(problem) => {
                return (0, vec![format!("{document}: {}: {problem}", self.setting)]);
            }
        };
        let (mut ran, mut problems) = (0, Vec::new());
        for step in &self.steps {
            if session.is_lost {
                break;
            }
            match step {
                Step::File { name, text } => session.add_file(name, text),
                Step::Command(command) if command.reason_not_to_run().is_some() => {}
                Step::Command(command) => {
                    ran += 1;
                    let expected: Vec<_> =
                        command.expected.iter().map(String::as_str).collect();
                    if let Err(problem) = session.run(&command.text, &expected) {
                        problems.push(format!(
                            "{document}:{}: {}\n{problem}\nexpected\n{}\n",
                            command.line,
                            command.text,
                            command.expected.join("\n")
                        ));
                    }
                }
            }
        }
        (ran, problems)
    }
}

#[test]
fn every_command_of_the_documents_prints_what_they_show() {
    let chapters: Vec<_> = documents().iter().flat_map(|page| chapters(page)).collect();
    let (next, ran) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let problems = Mutex::new(Vec::new());
    let work = || {
        while let Some(chapter) = chapters.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (count, found) = chapter.run();
            ran.fetch_add(count, Ordering::Relaxed);
            problems.lock().unwrap().extend(found);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    let (ran, problems) = (ran.into_inner(), problems.into_inner().unwrap());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(ran >= 14, "only {ran} commands ran");
}

#[test]
fn commands_that_do_not_run_are_in_a_document() {
    let texts: Vec<_> = documents()
        .iter()
        .map(|document| tree::read(document))
        .collect();
    for (command, reason) in NOT_RUN {
        let is_there = texts.iter().any(|text| text.contains(command));
        assert!(is_there && !reason.is_empty(), "no document has {command}");
    }
}

#[test]
fn the_tests_can_be_run() {
    let mode = fs::metadata(tree::root().join("tests/run"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o111, 0o111, "not executable");
}

#[test]
fn the_first_commands_of_the_readme_are_those_promised() {
    let readme = tree::read("README.md");
    let mut commands = readme.lines().filter_map(|line| line.strip_prefix("$ "));
    assert_eq!(commands.next(), Some("cargo run --release -- demo"));
    assert_eq!(commands.next(), Some("tests/run"));
}

/// Returns the lines without white space at their ends, and without empty ones at the end.
pub(super) fn lines(text: &str) -> Vec<&str> {
    text.trim_end().lines().map(str::trim_end).collect()
}

/// Returns true if the lines are those expected; `…` matches anything within a line, and alone
/// for any number of lines.
pub(super) fn matches(expected: &[&str], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((&ANYTHING, rest)) => (0..=lines.len()).any(|skip| matches(rest, &lines[skip..])),
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, more)| line_matches(first, line) && matches(rest, more)),
    }
}

fn line_matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split(ANYTHING);
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn commands_are_separated_from_their_output() {
    let block = Block {
        language: "console".to_owned(),
        text: "$ a \\\n  b\nx\n\ny …\n\n$ c\n".to_owned(),
        line: 7,
    };
    let command = |line, text: &str, expected: &[&str]| CommandLine {
        line,
        text: text.to_owned(),
        expected: expected.iter().map(|&line| line.to_owned()).collect(),
    };
    assert_eq!(
        commands(&block),
        [
            command(7, "a \\\n  b", &["x", "", "y …"]),
            command(13, "c", &[])
        ]
    );
}

#[test]
fn expected_output_is_compared() {
    assert!(matches(&["x", "", "y …"], &["x", "", "y z"]));
    assert!(matches(&["…", "y"], &["x", "", "y"]));
    for lines in [&["x"][..], &["y", "x"], &["y", ""], &[]] {
        assert!(!matches(&["y"], lines), "{lines:?}");
    }
    assert!(line_matches("a … c … e", "a b c d e"));
    assert!(!line_matches("a … c", "a b"));
    assert!(!line_matches("a", "ab"));
}

/// Matches any text.
pub(super) const ANYTHING: &str = "…";
/// Documents whose commands run at the same time.
const WORKERS: usize = 4;
