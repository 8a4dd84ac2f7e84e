//! `POST /aws_mwaa/cli`: runs one Airflow command line.

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
use super::commands;
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
        return Reply::page(if unauthorized { 401 } else { 403 }, refusal);
    }
    let Ok(slot) = Arc::clone(&environment.slots).try_acquire_owned() else {
        return Reply::page(503, "too many commands at once");
    };
    let Ok(line) = std::str::from_utf8(body) else {
        return Reply::page(500, "the command is not UTF-8");
    };
    let Some(words) = command_line::split(line) else {
        return Reply::page(500, "the command cannot be split into words");
    };
    if !commands::is_supported(&seed.airflow_version, &words) {
        return Reply::page(500, "the command is not supported");
    }

    let (sender, receiver) = oneshot::channel();
    let command = Command {
        words,
        program: seed.airflow_bin.clone(),
        world: Arc::clone(&environment.world),
    };
    let (line, owned) = (line.to_owned(), Arc::clone(shared));
    // a task of its own: neither a timeout nor a lost client stops the command
    shared.run(async move {
        owned.journal.command_started(&line);
        let running = Running(owned);
        let output = command.run(&running.0).await;
        drop((running, slot));
        // the client may have disconnected; the command ran all the same
        drop(sender.send(output));
    });
    match tokio::time::timeout(shared.settings.command_timeout, receiver).await {
        Ok(Ok(output)) => reply(output, shared),
        Ok(Err(_)) => Reply::page(502, "the command was cut off"),
        Err(_) => Reply::page(504, "the command takes too long"),
    }
}

/// Notes the end of a command when it is dropped, also by a panic.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.journal.command_ended();
    }
}

/// A command that MWAA supports.
struct Command {
    words: Vec<String>,
    program: Option<PathBuf>,
    world: Arc<World>,
}

impl Command {
    /// Waits as the script says. Then takes a given answer, else runs the real program, else the
    /// built-in Airflow.
    async fn run(&self, shared: &Shared) -> Answer {
        let slow = |fault: &WebFault| matches!(fault, WebFault::Slow(_));
        if let Some(WebFault::Slow(delay)) = shared.script.command_fault.take_if(slow) {
            tokio::time::sleep(delay).await;
        }
        shared.script.command_delay.pause().await;
        if let Some(answer) = shared.script.find_answer(&self.words) {
            return answer;
        }
        let Some(program) = &self.program else {
            return self.world.run(&self.words);
        };
        // nothing but the end of the emulator drops this future
        let output = tokio::process::Command::new(program)
            .args(&self.words)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        match output.await {
            Ok(output) => Answer {
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                exit_code: output.status.code().unwrap_or(1),
            },
            Err(error) => {
                Answer::failed(format!("cannot run {}: {error}\n", program.display()))
            }
        }
    }
}

/// The response that carries the output of a command.
fn reply(mut output: Answer, shared: &Shared) -> Reply {
    if let Some(noise) = shared.script.noise.take() {
        add(&mut output, noise);
    }
    let stderr = STANDARD.encode(&output.stderr);
    let stdout = STANDARD.encode(&output.stdout);
    let json = Reply::json(format!(r#"{{"stderr": "{stderr}", "stdout": "{stdout}"}}"#));
    if output.exit_code == 0 {
        return json;
    }
    let form = shared.script.failure_form.take();
    match form.unwrap_or(shared.settings.failure_form) {
        FailureForm::BadRequest => json.with_status(400),
        FailureForm::Ok => json,
    }
}

fn add(output: &mut Answer, noise: Noise) {
    match noise {
        Noise::Ansi => {
            let lines = output.stdout.lines();
            let parts = lines.flat_map(|line| ["\u{1b}[34m", line, "\u{1b}[0m\n"]);
            output.stdout = parts.collect();
        }
        Noise::Empty => {
            output.stdout.clear();
            output.stderr.clear();
        }
        Noise::Huge(size) => output.stdout.push_str(&".".repeat(size)),
        Noise::Stderr => output.stderr.push_str(STDERR_NOISE),
        Noise::Warnings => output.stdout.insert_str(0, STDOUT_NOISE),
    }
}

const STDERR_NOISE: &str = "/usr/local/airflow/.local/lib/python3.11/site-packages/airflow/utils/\
    dot_renderer.py:42 UserWarning: Could not import graphviz. Rendering graph to the graphical \
    format will not be possible.\n";

const STDOUT_NOISE: &str = "/usr/local/airflow/.local/lib/python3.11/site-packages/airflow/\
    configuration.py:859 FutureWarning: section/key [core/sql_alchemy_conn] has been deprecated\n\
    /usr/local/airflow/dags/old.py:3 RemovedInAirflow3Warning: This module is deprecated.\n\
    [\u{1b}[34m2026-11-22T09:30:00.000+0000\u{1b}[0m] {cloudwatch.py:1} INFO - CloudWatch logging is on\n";
