//! Task logs, whole or line by line, and waiting for the end of a run.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::json;

use super::super::super::web::{Content, Reply};
use super::super::super::world::LogLine;
use super::read::find_run;
use super::{Call, Outcome};

/// The log of a task: JSON, or text in Airflow 2, or one JSON line after another in Airflow 3.
pub(super) fn logs(call: Call<'_>, dag_id: &str, run_id: &str, task_id: &str) -> Outcome {
    find_run(call, dag_id, run_id)?;
    let Some(lines) = call.world().log(dag_id, run_id, task_id) else {
        return Err(call.error(404, "TaskInstance not found", None));
    };
    let visit = call.guest.visit;
    let accept = visit.header(header::ACCEPT).unwrap_or("*/*");
    let takes = |kind: &str| accept.contains(kind);
    if call.three {
        return Ok(if takes("application/x-ndjson") {
            stream(call, lines)
        } else if takes("application/json") || takes("*/*") {
            let content: Vec<_> = lines.iter().map(structured).collect();
            call.json(&json!({ "content": content, "continuation_token": null }))
        } else {
            let text = "Only application/json or application/x-ndjson is supported";
            return Err(call.error(406, text, None));
        });
    }
    let text = plain(&lines);
    if takes("text/plain") {
        return Ok(Reply::of(200, "text/plain", text));
    }
    // Airflow 2 puts Python's spelling of a list of pairs into the JSON
    let content = format!("[('worker-1', {text:?})]");
    Ok(call.json(&json!({ "content": content, "continuation_token": null })))
}

/// The lines as Airflow 2 writes them to its files.
fn plain(lines: &[LogLine]) -> String {
    let mut text = String::new();
    for line in lines {
        // writing to a string can't fail
        let _ = writeln!(
            text,
            "[{}] {{{}}} {} - {}",
            line.at, line.logger, line.level, line.text
        );
    }
    text
}

fn structured(line: &LogLine) -> serde_json::Value {
    json!({
        "timestamp": line.at,
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
    find_run(call, dag_id, run_id)?;
    let asked = call.guest.visit.query("interval");
    let Some(seconds) = asked.and_then(|text| text.parse::<f64>().ok()) else {
        return Err(call.error(422, "interval: Field required", None));
    };
    let Some(interval) = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|interval| !interval.is_zero())
    else {
        return Err(call.error(422, "interval: Input should be greater than 0", None));
    };
    let world = Arc::clone(&call.guest.visit.environment.world);
    let (dag_id, run_id) = (dag_id.to_owned(), run_id.to_owned());
    let body = Content::pieces(Turn::First, move |turn| {
        let state = match turn {
            Turn::Over => None,
            Turn::First | Turn::Later => Some(Arc::clone(&world)),
        };
        let (dag_id, run_id) = (dag_id.clone(), run_id.clone());
        async move {
            let world = state?;
            if turn == Turn::Later {
                tokio::time::sleep(interval).await;
            }
            let state = world.find_run(&dag_id, &run_id)?.state;
            let next = if matches!(state, "queued" | "running") {
                Turn::Later
            } else {
                Turn::Over
            };
            let line = format!("{}\n", json!({ "state": state }));
            Some((Bytes::from(line), next))
        }
    });
    let reply = Reply::bare(200, "").with_body(body);
    Ok(reply.with(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// How far a wait has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    First,
    Later,
    Over,
}
