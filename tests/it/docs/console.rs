//! Runs the console blocks of the README as they are printed, ports apart: a demo, then a
//! gateway in front of an emulator that plays the README's environment.

use super::blocks;
use crate::tree;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// A shell's folder and variables, and the gateway that runs beside it.
pub(super) struct Session {
    folder: TempDir,
    variables: Vec<(String, String)>,
    gateway: Option<Server>,
    /// The listener's port and the management port.
    ports: [String; 2],
}

/// A program that goes on; it ends when this is dropped.
struct Server {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Session {
    /// A folder with `mwaa-gateway` on the PATH and nothing of the caller's environment.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(
            env!("CARGO_BIN_EXE_mwaa-gateway"),
            folder.path().join("mwaa-gateway"),
        )
        .unwrap();
        Self {
            folder,
            variables: Vec::new(),
            gateway: None,
            ports: ["8080", "9180"].map(str::to_owned),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "curl and sh are found as the caller finds them"
    )]
    fn command(&self, line: &str) -> Command {
        let path = std::env::var("PATH").unwrap();
        let home = self.folder.path();
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(home)
            .env_clear()
            .env("PATH", format!("{}:{path}", home.display()))
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// What the command prints, the README's ports in place of the real ones.
    pub(super) fn output(&self, line: &str) -> String {
        let [listen, management] = &self.ports;
        let line = line
            .replace(":8080", &format!(":{listen}"))
            .replace(":9180", &format!(":{management}"));
        let output = self
            .command(&format!("{line} 2>&1"))
            .env("MWAA_GATEWAY_LISTEN", format!("127.0.0.1:{listen}"))
            .env("MWAA_GATEWAY_MANAGEMENT", format!("127.0.0.1:{management}"))
            .output()
            .unwrap();
        let said = self.normal(&String::from_utf8(output.stdout).unwrap());
        assert!(output.status.success(), "{line}: {}\n{said}", output.status);
        said
    }

    /// Starts a program that goes on, and waits until it has said what is expected.
    pub(super) fn serve(&mut self, line: &str, expected: &[&str]) {
        self.gateway = None;
        let server = self.start(line);
        let mut said: Vec<String> = Vec::new();
        let rest = [expected, &[ANYTHING]].concat();
        loop {
            let Ok(next) = server.lines.recv_timeout(PATIENCE) else {
                panic!("{line}: expected {expected:#?}, got {said:#?}");
            };
            for (port, start) in self
                .ports
                .iter_mut()
                .zip(["listening on ", "management on "])
            {
                if let Some(url) = next.strip_prefix(start) {
                    url.rsplit(':').next().unwrap().clone_into(port);
                }
            }
            said.push(next);
            let up = said.iter().any(|line| line.starts_with("management on "));
            let normal: Vec<_> = said.iter().map(|line| self.normal(line)).collect();
            if up && matches(&rest, &lines(&normal.join("\n"))) {
                break;
            }
        }
        self.gateway = Some(server);
    }

    fn start(&self, line: &str) -> Server {
        let mut child = self
            .command(&format!("exec {line} 2>&1"))
            .env("MWAA_GATEWAY_LISTEN", "127.0.0.1:0")
            .env("MWAA_GATEWAY_MANAGEMENT", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                // read on when nobody listens any more: a full pipe would stop the program
                drop(sender.send(line.unwrap()));
            }
        });
        Server { child, lines }
    }

    /// An emulator that plays the README's environment, and the file that leads to it.
    fn play_environment(&mut self) -> Server {
        let emulator = self.start(
            "mwaa-gateway emulator --aws 127.0.0.1:0 --web 127.0.0.1:0 --ca-file ca.pem",
        );
        let mut file = None;
        loop {
            let line = emulator.lines.recv_timeout(PATIENCE).unwrap();
            if let Some((name, value)) =
                line.strip_prefix("export ").and_then(|l| l.split_once('='))
            {
                self.variables.push((name.to_owned(), value.to_owned()));
            }
            match &mut file {
                None if line.starts_with("# --- mwaa-gateway.toml") => {
                    file = Some(String::new());
                }
                Some(text) if line.starts_with("# --- end") => {
                    let text =
                        text.replace("[environments.demo]", "[environments.analytics-prod]");
                    fs::write(self.folder.path().join("mwaa-gateway.toml"), text).unwrap();
                    return emulator;
                }
                Some(text) => text.extend([line.as_str(), "\n"]),
                None => {}
            }
        }
    }

    fn normal(&self, text: &str) -> String {
        let [listen, management] = &self.ports;
        text.replace(&format!(":{listen}"), ":8080")
            .replace(&format!(":{management}"), ":9180")
    }
}

/// The lines without white space at their ends, and without empty ones at the end.
fn lines(text: &str) -> Vec<&str> {
    text.trim_end().lines().map(str::trim_end).collect()
}

/// Whether the lines are those expected; `…` stands for anything within a line, and alone for
/// any number of lines.
fn matches(expected: &[&str], lines: &[&str]) -> bool {
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

/// The commands of a block, each with what it should print.
fn commands(block: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command, Vec::new())),
            (None, Some((_, expected))) => expected.push(line.trim_end()),
            (None, None) => panic!("output before any command: {line}"),
        }
    }
    for (_, expected) in &mut found {
        while expected.last().is_some_and(|line| line.is_empty()) {
            expected.pop();
        }
    }
    found
}

#[test]
fn every_console_block_of_the_readme_runs() {
    let readme = tree::read("README.md");
    let mut session = Session::new();
    let emulator = session.play_environment();
    let mut ran = 0;
    for (command, expected) in blocks(&readme, "console").iter().flat_map(|b| commands(b)) {
        ran += 1;
        match command.split(' ').collect::<Vec<_>>().as_slice() {
            ["cargo", "run", "--release", "--", "demo"] => {
                session.serve("mwaa-gateway demo --listen 127.0.0.1:0", &expected);
            }
            ["mwaa-gateway", "serve", ..] => session.serve(command, &expected),
            // this very test is part of it
            ["tests/run"] => {
                let mode = fs::metadata(tree::root().join(command))
                    .unwrap()
                    .permissions();
                assert_eq!(mode.mode() & 0o111, 0o111, "not executable");
            }
            ["mwaa-gateway" | "curl", ..] => {
                let said = session.output(command);
                assert!(
                    matches(&expected, &lines(&said)),
                    "{command}\nexpected {expected:#?}\ngot {:#?}",
                    lines(&said)
                );
            }
            _ => panic!("nothing is known of how to run {command:?}"),
        }
    }
    assert!(ran >= 14, "only {ran} commands seen");
    drop(emulator);
}

#[test]
fn expected_output_is_compared() {
    let block = "$ a b\nx\n\ny …\n$ c\n";
    assert_eq!(
        commands(block),
        [("a b", vec!["x", "", "y …"]), ("c", vec![])]
    );
    assert!(matches(&["x", "", "y …"], &["x", "", "y z"]));
    assert!(matches(&["…", "y"], &["x", "", "y"]));
    for lines in [&["x"][..], &["y", "x"], &["y", ""], &[]] {
        assert!(!matches(&["y"], lines), "{lines:?}");
    }
    assert!(line_matches("a … c … e", "a b c d e"));
    assert!(!line_matches("a … c", "a b"));
    assert!(!line_matches("a", "ab"));
}

/// Stands for anything.
const ANYTHING: &str = "…";
/// What a machine under load may need.
const PATIENCE: Duration = Duration::from_secs(30);
