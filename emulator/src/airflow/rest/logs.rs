//! Task logs, whole or line by line, and waiting for the end of a run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::super::super::web::{Content, Reply};
use super::super::super::world::{Moment, Run, State};
use super::read::with_run;
use super::{Call, Outcome};

/// One line of a task's log.
struct LogLine {
    at: Moment,
    level: &'static str,
    logger: &'static str,
    text: String,
}

/// The log of a task: JSON, or text in Airflow 2, or one JSON line after another in Airflow 3.
pub(super) fn logs(call: Call<'_>, dag_id: &str, run_id: &str, task_id: &str) -> Outcome {
    let lines = with_run(call, dag_id, run_id, |state, run| {
        lines(state, run, task_id)
    })?;
    let Some(lines) = lines else {
        return Err(call.error(404, "TaskInstance not found", None));
    };
    let accept = call.guest.visit.header(header::ACCEPT).unwrap_or("*/*");
    let takes = |kind: &str| accept.contains(kind);
    if call.three && takes("application/x-ndjson") {
        return Ok(stream(call, lines));
    }
    if call.three && !takes("application/json") && !takes("*/*") {
        let text = "Only application/json or application/x-ndjson is supported";
        return Err(call.error(406, text, None));
    }
    let content = if call.three {
        lines.iter().map(structured).collect()
    } else {
        let text: String = lines.iter().map(plain).collect();
        if takes("text/plain") {
            return Ok(Reply::of(200, "text/plain", text));
        }
        // Airflow 2 puts Python's spelling of a list of pairs into the JSON
        Value::from(format!("[('worker-1', {text:?})]"))
    };
    Ok(call.json(&json!({ "content": content, "continuation_token": null })))
}

/// What a task of a run has logged so far; `None` if there is no such task.
fn lines(state: &State, run: &Run, task_id: &str) -> Option<Vec<LogLine>> {
    let instance = run.tasks.iter().find(|task| task.task_id == task_id)?;
    let task = state.dag(&run.dag_id)?.task(task_id)?;
    let name = format!("{}.{task_id} {}", run.dag_id, run.run_id);
    let mut lines = Vec::new();
    let mut add = |at: Moment, logger, level, text: String| {
        lines.push(LogLine {
            at,
            level,
            logger,
            text,
        });
    };
    if let Some(start) = instance.start {
        let met = format!("Dependencies all met for <TaskInstance: {name} [queued]>");
        let began = format!("Executing <Task({}): {task_id}>", task.operator);
        add(start, RUNNER, "INFO", met);
        add(start, RUNNER, "INFO", began);
    }
    if let Some(end) = instance.end {
        let (level, text, outcome) = match instance.state {
            Some("failed") => ("ERROR", "the source did not answer within 30 s", "FAILED"),
            _ => ("INFO", task.prints, "SUCCESS"),
        };
        add(end, "airflow.task", level, text.to_owned());
        let marked = format!("Marking task as {outcome}. {name}");
        add(end, RUNNER, "INFO", marked);
    }
    Some(lines)
}

/// A line as Airflow 2 writes it to its files.
fn plain(line: &LogLine) -> String {
    let LogLine {
        at,
        level,
        logger,
        text,
    } = line;
    format!("[{}] {{{logger}}} {level} - {text}\n", at.iso())
}

fn structured(line: &LogLine) -> Value {
    json!({
        "timestamp": line.at.iso(),
        "event": line.text,
        "level": line.level.to_lowercase(),
        "logger": line.logger,
    })
}

fn stream(call: Call<'_>, lines: Vec<LogLine>) -> Reply {
    let shared = Arc::clone(call.guest.visit.shared);
    let start = (lines.into_iter(), true);
    let body = Content::pieces(start, move |(mut lines, first)| {
        let shared = Arc::clone(&shared);
        async move {
            let line = lines.next()?;
            if !first {
                shared.script.stream_pause.pause().await;
            }
            let text = format!("{}\n", structured(&line));
            Some((Bytes::from(text), (lines, false)))
        }
    });
    Reply::of(200, "application/x-ndjson", "").with_body(body)
}

/// One line of JSON with the run's state each `interval` seconds, until the run has ended. Like
/// Airflow's, the answer has no `Content-Type`.
pub(super) fn wait(call: Call<'_>, dag_id: &str, run_id: &str) -> Outcome {
    with_run(call, dag_id, run_id, |_, _| ())?;
    let asked = call.guest.visit.query("interval").unwrap_or_default();
    let interval = asked.parse().ok();
    let interval = interval.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let Some(interval) = interval.filter(|interval| !interval.is_zero()) else {
        return Err(call.error(422, "interval: Input should be greater than 0", None));
    };
    let world = Arc::clone(&call.guest.visit.environment.world);
    let names = (dag_id.to_owned(), run_id.to_owned());
    let body = Content::pieces(Some(Duration::ZERO), move |pause: Option<Duration>| {
        let (world, (dag_id, run_id)) = (Arc::clone(&world), names.clone());
        async move {
            tokio::time::sleep(pause?).await;
            let state = world.now(|state| state.run(&dag_id, &run_id).map(|run| run.state))?;
            let open = matches!(state, "queued" | "running");
            let line = format!("{}\n", json!({ "state": state }));
            Some((Bytes::from(line), open.then_some(interval)))
        }
    });
    let reply = Reply::bare(200, "").with_body(body);
    Ok(reply.with(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

const RUNNER: &str = "airflow.task.runner";
