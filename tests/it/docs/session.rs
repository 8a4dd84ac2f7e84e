//! A page's shell: one folder, one `bash` that keeps its variables, and the programs that run
//! behind its commands. The page's ports replace the real ones in the output.

use super::certificates;
use super::console::{ANYTHING, lines, matches};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// A shell, and the programs that run beside it.
pub(super) struct Session {
    folder: TempDir,
    shell: Program,
    gateway: Option<Program>,
    emulator: Option<Program>,
    /// Ports as the page writes them, and the real ones.
    ports: Vec<(String, String)>,
    /// Names and texts of the page's files.
    files: Vec<(String, String)>,
    /// A command did not end, so nothing more can run.
    pub(super) is_lost: bool,
}

/// A program that runs until this is dropped.
struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Program {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.split(b'\n') {
                let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
                // reads on when the receiver is gone: a full pipe would stop the program
                drop(sender.send(line));
            }
        });
        Self { child, lines }
    }
}

/// What a command printed, and its exit code.
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) output: String,
}

impl Session {
    /// Starts a shell with `mwaa-gateway` on the PATH and nothing of the caller's environment.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_mwaa-gateway");
        symlink(program, folder.path().join("mwaa-gateway")).unwrap();
        let mut command = bash(folder.path());
        command.stdin(Stdio::piped());
        let mut session = Self {
            shell: Program::start(command),
            folder,
            gateway: None,
            emulator: None,
            ports: Vec::new(),
            files: Vec::new(),
            is_lost: false,
        };
        session.write("exec 2>&1");
        session
    }

    /// Starts what a page asks for in a comment `<!-- test: … -->`.
    pub(super) fn set_up(setting: &str) -> Result<Self, String> {
        let mut session = Self::new();
        match setting.split(' ').collect::<Vec<_>>().as_slice() {
            ["none"] => {}
            ["demo"] => {
                session.serve("mwaa-gateway demo", &[])?;
                session.execute("mwaa-gateway wait")?;
            }
            ["environments", environments @ ..] => {
                certificates(session.folder.path());
                let names: Vec<_> = environments
                    .iter()
                    .filter_map(|word| word.split('=').next())
                    .collect();
                let versions = environments.join(" --airflow-version ");
                let line = format!("mwaa-gateway emulator --airflow-version {versions}");
                session.emulate(&line, &[], &names)?;
            }
            _ => return Err(format!("nothing is known of {setting:?}")),
        }
        Ok(session)
    }

    /// Writes a file into the folder before the next command.
    pub(super) fn add_file(&mut self, name: &str, text: &str) {
        self.files.push((name.to_owned(), text.to_owned()));
    }

    /// Runs a line of a page: a program that keeps running, or a command. Returns what is wrong
    /// with its output.
    pub(super) fn run(&mut self, line: &str, expected: &[&str]) -> Result<(), String> {
        let (line, program) = match line.strip_prefix("cargo run --release -- ") {
            Some(rest) => (format!("mwaa-gateway {rest}"), rest),
            None => (
                line.to_owned(),
                line.strip_prefix("mwaa-gateway ").unwrap_or_default(),
            ),
        };
        match program.split(' ').next() {
            _ if line.contains(" --help") => {}
            Some("serve" | "demo") => return self.serve(&line, expected),
            Some("emulator") => return self.emulate(&line, expected, &[]),
            _ => {}
        }
        let ended = self.execute(&line)?;
        if !matches(expected, &lines(&ended.output)) {
            let Ended { code, output } = ended;
            return Err(format!("printed\n{output}\n(exit code {code})"));
        }
        // a failure is meant only where its output is shown
        if ended.code != 0 && expected.iter().all(|line| *line == ANYTHING) {
            let Ended { code, output } = ended;
            return Err(format!("ended with exit code {code}\n{output}"));
        }
        Ok(())
    }

    /// Runs a command. Its output has the page's ports in place of the real ones.
    pub(super) fn execute(&mut self, line: &str) -> Result<Ended, String> {
        for (name, text) in &self.files {
            fs::write(self.folder.path().join(name), self.to_real(text)).unwrap();
        }
        let quoted = self.to_real(line).replace('\'', r"'\''");
        self.write(&format!(
            "eval '{quoted}' </dev/null\n__code=$?\nprintf '\\n{MARK} %s\\n' $__code\n(exit $__code)"
        ));
        let mut output = String::new();
        loop {
            let Ok(next) = self.shell.lines.recv_timeout(PATIENCE) else {
                self.is_lost = true;
                return Err(format!("{line} does not end; it printed\n{output}"));
            };
            if let Some(code) = next.strip_prefix(MARK) {
                return Ok(Ended {
                    code: code.trim().parse().unwrap(),
                    output: self.to_documented(output.trim_end()),
                });
            }
            output.extend([&next, "\n"]);
        }
    }

    fn write(&mut self, script: &str) {
        let stdin = self.shell.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{script}").unwrap();
    }

    /// Starts a gateway or the demo, and waits until it has printed what is expected.
    fn serve(&mut self, line: &str, expected: &[&str]) -> Result<(), String> {
        self.gateway = None;
        let program = self.start(line, &["--listen", "--management"])?;
        let mut documented = [("listening on ", "8080"), ("management on ", "9180")]
            .map(|(start, usual)| documented_ports(expected, start, usual));
        let is_ready = |line: &str| line.starts_with("management on ");
        let printed = self.wait(&program, expected, is_ready, |session, line| {
            for (ports, start) in documented
                .iter_mut()
                .zip(["listening on ", "management on "])
            {
                if line.starts_with(start) && !ports.is_empty() {
                    session.map(&ports.remove(0), line);
                }
            }
        });
        self.gateway = Some(program);
        printed?;
        for (name, port) in [("LISTEN", "8080"), ("MANAGEMENT", "9180")] {
            self.execute(&format!("export MWAA_GATEWAY_{name}=127.0.0.1:{port}"))?;
        }
        Ok(())
    }

    /// Starts an emulator. The shell gets the variables that it prints, and its user the printed
    /// configuration, of the named environments if there are names.
    fn emulate(&mut self, line: &str, expected: &[&str], names: &[&str]) -> Result<(), String> {
        self.emulator = None;
        let program = self.start(line, &["--aws", "--web"])?;
        let is_ready = |line: &str| line.starts_with("# --- end");
        let printed = self.wait(&program, expected, is_ready, |session, line| {
            // where a page names environments, the emulator is not its subject
            if names.is_empty() && line.starts_with("endpoint ") {
                session.map("4566", line);
            } else if names.is_empty() && line.starts_with("web servers ") {
                session.map("8443", line);
            }
        });
        self.emulator = Some(program);
        let printed = printed?;
        let mut lines = printed.lines();
        for line in lines
            .by_ref()
            .take_while(|line| !line.starts_with("# --- "))
        {
            if line.starts_with("export ") {
                self.execute(line)?;
            }
        }
        let text: Vec<_> = lines
            .take_while(|line| !line.starts_with("# ---"))
            .collect();
        let mut config: toml::Table = toml::from_str(&text.join("\n")).unwrap();
        if let Some(first) = names.first() {
            let environments = config["environments"].as_table_mut().unwrap();
            environments.retain(|name, _| names.contains(&name));
            let first = environments[*first].as_table_mut().unwrap();
            first.insert("default".to_owned(), true.into());
        }
        let folder = self.folder.path().join(".config/mwaa-gateway");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.toml"), config.to_string()).unwrap();
        Ok(())
    }

    /// Starts a program in the shell's folder and environment, with port zero for the addresses
    /// of these options.
    fn start(&mut self, line: &str, addresses: &[&str]) -> Result<Program, String> {
        self.execute("env -0 >~/.environment")?;
        let variables = fs::read_to_string(self.folder.path().join(".environment")).unwrap();
        let variables = variables
            .split('\0')
            .filter_map(|line| line.split_once('='));
        let variables: Vec<_> = variables.collect();
        let (_, folder) = variables.iter().find(|(name, _)| *name == "PWD").unwrap();

        let mut line = replace_ports(line.trim_end_matches(" &"), |_| Some("0"));
        for option in addresses {
            if !line.contains(option) {
                line = format!("{line} {option} 127.0.0.1:0");
            }
        }
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("exec {line} 2>&1")])
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null());
        Ok(Program::start(command))
    }

    /// Waits until a program is ready and has printed what is expected. Returns all that it has
    /// printed.
    fn wait(
        &mut self,
        program: &Program,
        expected: &[&str],
        is_ready: impl Fn(&str) -> bool,
        mut take: impl FnMut(&mut Self, &str),
    ) -> Result<String, String> {
        let expected = [expected, &[ANYTHING]].concat();
        let (mut printed, mut ready) = (String::new(), false);
        loop {
            let Ok(next) = program.lines.recv_timeout(PATIENCE) else {
                return Err(format!("printed\n{}", self.to_documented(&printed)));
            };
            take(self, &next);
            ready |= is_ready(&next);
            printed.extend([&next, "\n"]);
            if ready && matches(&expected, &lines(&self.to_documented(&printed))) {
                return Ok(printed);
            }
        }
    }

    /// Replaces the port at the end of a line by the page's.
    fn map(&mut self, documented: &str, line: &str) {
        let real = line.rsplit(':').next().unwrap_or_default().to_owned();
        self.ports.retain(|(known, _)| known != documented);
        self.ports.push((documented.to_owned(), real));
    }

    fn to_real(&self, text: &str) -> String {
        replace_ports(text, |port| {
            let known = self.ports.iter().find(|(documented, _)| documented == port);
            known.map(|(_, real)| real.as_str())
        })
    }

    fn to_documented(&self, text: &str) -> String {
        replace_ports(text, |port| {
            let known = self.ports.iter().find(|(_, real)| real == port);
            known.map(|(documented, _)| documented.as_str())
        })
    }
}

/// Returns the ports in those expected lines that start like this; the usual one if there is no
/// such line, or none in it.
fn documented_ports(expected: &[&str], start: &str, usual: &str) -> Vec<String> {
    let lines = expected.iter().filter(|line| line.starts_with(start));
    let ports = lines.map(|line| line.rsplit(':').next().unwrap_or_default());
    let mut ports: Vec<_> = ports.map(str::to_owned).collect();
    if ports.first().is_none_or(|port| port == ANYTHING) {
        ports.splice(..ports.len().min(1), [usual.to_owned()]);
    }
    ports
}

/// Returns the text with other numbers for the ports in it: those after a colon.
fn replace_ports<'a>(text: &str, find: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut parts = text.split(':');
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        let (port, rest) = part.split_at(end);
        let found = Some(port).filter(|port| port.len() >= 4).and_then(&find);
        replaced.extend([":", found.unwrap_or(port), rest]);
    }
    replaced
}

/// Returns a shell in this folder that has nothing of the caller's environment but the PATH.
#[expect(
    clippy::disallowed_methods,
    reason = "curl, python3 and bash are found as the caller finds them"
)]
fn bash(folder: &Path) -> Command {
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command
        .args(["--noprofile", "--norc"])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("LC_ALL", "C.UTF-8")
        .env("COLUMNS", "100")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn ports_are_replaced_whole() {
    let find = |port: &str| (port == "8080").then_some("45661");
    assert_eq!(
        replace_ports("http://a:8080/b 10:20 :80801 :8080", find),
        "http://a:45661/b 10:20 :80801 :45661"
    );
    let expected = ["listening on http://a:8081", "listening on http://a:…"];
    assert_eq!(
        documented_ports(&expected, "listening on ", "8080"),
        ["8081", "…"]
    );
    assert_eq!(documented_ports(&[], "listening on ", "8080"), ["8080"]);
}

/// The start of the line after a command's output.
const MARK: &str = "--- ended with";
/// What a machine under load may need.
const PATIENCE: Duration = Duration::from_mins(1);
