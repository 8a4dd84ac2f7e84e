//! `POST /aws_mwaa/cli`: runs one Airflow command line.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::Shared;
use super::answers::Answer;
use super::command_line;
use super::commands::{self, Verdict};
use super::environment::Environment;
use super::fault::{Noise, WebFault};
use super::journal::TokenKind;
use super::settings::FailureForm;
use super::web::Reply;
use super::world::World;

/// The response to a command. Checks the token first, then the free slots, then the words.
pub(crate) async fn answer(
    body: &Bytes,
    token: Option<&str>,
    environment: &Environment,
    shared: &Arc<Shared>,
) -> Reply {
    let seed = &environment.seed;
    let verified = shared
        .tokens
        .verify(token, TokenKind::Cli, &seed.name, &shared.script);
    if let Err(refusal) = verified {
        let unauthorized = shared.script.refuse_with_401.take().is_some();
        return Reply::page(if unauthorized { 401 } else { 403 }, refusal.text());
    }
    let Ok(slot) = Arc::clone(&environment.slots).try_acquire_owned() else {
        return Reply::page(503, "too many commands at once");
    };
    let Ok(line) = std::str::from_utf8(body) else {
        return Reply::page(500, "the command is not UTF-8");
    };
    let Ok(words) = command_line::split(line) else {
        return Reply::page(500, "the command cannot be split into words");
    };
    let Verdict::Supported { parses_dags } = commands::verdict(&seed.airflow_version, &words)
    else {
        return Reply::page(500, "the command is not supported");
    };

    let (sender, receiver) = oneshot::channel();
    let command = Command {
        words,
        breaks: parses_dags
            && seed.plugins_need_packages
            && commands::lacks_packages(&seed.airflow_version),
        program: seed.airflow_bin.clone(),
        world: Arc::clone(&environment.world),
    };
    let (line, owned) = (line.to_owned(), Arc::clone(shared));
    // a task of its own: neither a timeout nor a lost client stops the command
    shared.run(async move {
        owned.journal.command_started(line);
        let output = command.run(&owned).await;
        owned.journal.command_ended();
        drop(slot);
        // the client may have disconnected; the command ran all the same
        drop(sender.send(output));
    });
    match tokio::time::timeout(shared.settings.command_timeout, receiver).await {
        Ok(Ok(output)) => output.into_reply(shared),
        Ok(Err(_)) => Reply::page(502, "the command was cut off"),
        Err(_) => Reply::page(504, "the command takes too long"),
    }
}

/// A command that MWAA supports.
struct Command {
    words: Vec<String>,
    /// Whether condition P makes it fail.
    breaks: bool,
    program: Option<PathBuf>,
    world: Arc<World>,
}

impl Command {
    /// Waits as the script says. Then takes a given answer, else runs the real program, else the
    /// built-in Airflow.
    async fn run(&self, shared: &Shared) -> Output {
        let slow = |fault: &WebFault| matches!(fault, WebFault::Slow(_));
        if let Some(WebFault::Slow(delay)) = shared.script.command_fault.take_if(slow) {
            tokio::time::sleep(delay).await;
        }
        shared.script.command_delay.pause().await;
        if let Some(answer) = shared.script.find_answer(&self.words) {
            return answer.into();
        }
        if self.breaks {
            return Output::broken_plugin();
        }
        match &self.program {
            Some(program) => Output::of_program(program, &self.words).await,
            None => self.world.run(&self.words).into(),
        }
    }
}

/// The output of a command, and whether it worked.
#[derive(Debug)]
struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    succeeded: bool,
}

impl From<Answer> for Output {
    fn from(answer: Answer) -> Self {
        Self {
            succeeded: answer.exit_code == 0,
            stdout: answer.stdout.into_bytes(),
            stderr: answer.stderr.into_bytes(),
        }
    }
}

impl Output {
    async fn of_program(program: &std::path::Path, words: &[String]) -> Self {
        // nothing but the end of the emulator drops this future
        let output = tokio::process::Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        match output.await {
            Ok(output) => Self {
                succeeded: output.status.success(),
                stdout: output.stdout,
                stderr: output.stderr,
            },
            Err(error) => Self {
                stdout: Vec::new(),
                stderr: format!("cannot run {}: {error}\n", program.display()).into_bytes(),
                succeeded: false,
            },
        }
    }

    /// Condition P of the command table: the import of a plugin fails on the web server.
    fn broken_plugin() -> Self {
        let stderr = "Failed to import plugin /usr/local/airflow/plugins/plugin.py\n\
                      ModuleNotFoundError: No module named 'boto_helpers'\n";
        Self {
            stdout: Vec::new(),
            stderr: stderr.as_bytes().to_vec(),
            succeeded: false,
        }
    }

    fn into_reply(mut self, shared: &Shared) -> Reply {
        if let Some(noise) = shared.script.noise.take() {
            self.add(noise);
        }
        let mut body = String::from("{\"stderr\": \"");
        STANDARD.encode_string(&self.stderr, &mut body);
        body.push_str("\", \"stdout\": \"");
        STANDARD.encode_string(&self.stdout, &mut body);
        body.push_str("\"}");
        if self.succeeded {
            return Reply::json(body);
        }
        match shared
            .script
            .failure_form
            .take()
            .unwrap_or(shared.settings.failure_form)
        {
            FailureForm::BadRequest => Reply::json(body).with_status(400),
            FailureForm::Ok => Reply::json(body),
        }
    }

    fn add(&mut self, noise: Noise) {
        match noise {
            Noise::Ansi => {
                let mut coloured = String::new();
                for line in String::from_utf8_lossy(&self.stdout).lines() {
                    // writing to a string can't fail
                    let _ = writeln!(coloured, "\u{1b}[34m{line}\u{1b}[0m");
                }
                self.stdout = coloured.into_bytes();
            }
            Noise::Empty => {
                self.stdout.clear();
                self.stderr.clear();
            }
            Noise::Huge(size) => self.stdout.resize(self.stdout.len() + size, b'.'),
            Noise::Stderr => self.stderr.extend_from_slice(STDERR_NOISE.as_bytes()),
            Noise::Warnings => {
                self.stdout.splice(0..0, STDOUT_NOISE.bytes());
            }
        }
    }
}

const STDERR_NOISE: &str = "/usr/local/airflow/.local/lib/python3.11/site-packages/airflow/utils/\
    dot_renderer.py:42 UserWarning: Could not import graphviz. Rendering graph to the graphical \
    format will not be possible.\n";

const STDOUT_NOISE: &str = "/usr/local/airflow/.local/lib/python3.11/site-packages/airflow/\
    configuration.py:859 FutureWarning: section/key [core/sql_alchemy_conn] has been deprecated\n\
    /usr/local/airflow/dags/old.py:3 RemovedInAirflow3Warning: This module is deprecated.\n\
    [\u{1b}[34m2026-11-22T09:30:00.000+0000\u{1b}[0m] {cloudwatch.py:1} INFO - CloudWatch logging is on\n";
