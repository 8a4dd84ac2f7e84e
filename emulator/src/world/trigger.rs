//! `dags trigger`: a new manual run.

use serde_json::{Map, Value, json};

use super::super::answers::Answer;
use super::arguments::Arguments;
use super::clock::Moment;
use super::output::Rows;
use super::state::{Clash, Run, State, Wanted};
use super::texts::Release;
use super::{Outcome, python};

pub(super) fn run(state: &mut State, given: &Arguments) -> Outcome {
    let dag_id = given.text("dag_id");
    let keeps = given.has("no-replace-microseconds");
    let date = given
        .date("exec-date")
        .or_else(|| given.date("logical-date"));
    let run_id = given.get("run-id").map(str::to_owned);
    let mut wanted = Wanted {
        run_id,
        conf: Map::new(),
        date,
    };
    if state.release == Some(Release::Two) {
        let now = if keeps { state.now } else { state.now.whole() };
        wanted.date.get_or_insert(now);
    }
    match create(state, dag_id, wanted.clone(), given.text("conf")) {
        Ok(run) => {
            let mut answer = rows(state, &run).print(given.format());
            answer.stdout.insert_str(0, &log_line(state, &wanted, true));
            Ok(answer)
        }
        Err((text, began)) => Err(Answer {
            stdout: log_line(state, &wanted, began),
            ..Answer::failed(text)
        }),
    }
}

/// Adds the run. Fails with a traceback, and whether Airflow had begun to create the run.
fn create(
    state: &mut State,
    dag_id: &str,
    mut wanted: Wanted,
    conf: &str,
) -> Result<Run, (String, bool)> {
    let release = state.release.unwrap_or(Release::Two);
    let date = wanted.date.map(|date| date.to_string()).unwrap_or_default();
    let run_id = wanted.run_id.clone().unwrap_or_default();
    let failure = |name: &str, run_id: &str, message: &str| {
        let values = [
            ("dag_id", dag_id),
            ("run_id", run_id),
            ("logical_date", &date),
            ("message", message),
        ];
        release.failure(name, &values)
    };
    if state.dag(dag_id).is_none() {
        return Err((failure("dag not found", "", ""), false));
    }
    match state.clash(dag_id, &wanted) {
        Some(Clash::RunId(run_id)) => return Err((failure("run exists", &run_id, ""), false)),
        Some(Clash::LogicalDate) => return Err((failure("logical date taken", "", ""), true)),
        None => {}
    }

    let conf = if conf.is_empty() { "{}" } else { conf };
    let conf = python::json_loads(conf)
        .map_err(|text| (failure("conf not JSON", "", &text), false))?;
    let (early, double_dots) = (release == Release::ThreeTwo, run_id.contains(".."));
    if early && !conf.is_object() {
        return Err((failure("conf not an object", "", ""), false));
    }
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.~:+-".contains(letter);
    if !run_id.chars().all(allowed) || (early && double_dots) {
        return Err((failure("run ID not valid", &run_id, ""), true));
    }
    let Value::Object(conf) = conf else {
        return Err((failure("conf not an object", "", ""), true));
    };
    wanted.conf = conf;
    let run = state.add_run(dag_id, wanted);
    run.ok_or_else(|| (failure("dag not found", "", ""), false))
}

/// What Airflow logs before it prints the run, or the traceback.
fn log_line(state: &State, wanted: &Wanted, began: bool) -> String {
    match state.release {
        Some(Release::Two) => format!(
            "[{}] {{__init__.py:43}} INFO - Loaded API auth backend: \
             airflow.api.auth.backend.session\n",
            state.now.log()
        ),
        Some(Release::ThreeTwo) if began => {
            let date = wanted
                .date
                .map(|date| format!("DateTime({})", date.python()));
            let run_id = wanted.run_id.clone();
            format!(
                "{} [info     ] creating dag run               \
                 [airflow.serialization.definitions.dag] loc=dag.py:615 logical_date={} \
                 partition_key=None run_after=datetime.datetime({}) run_id={}\n",
                state.now.rfc3339(),
                date.unwrap_or_else(|| "None".to_owned()),
                state.now.python(),
                run_id.unwrap_or_else(|| state.manual_run_id(None))
            )
        }
        _ => String::new(),
    }
}

fn rows(state: &State, run: &Run) -> Rows {
    let text = |moment: Option<Moment>| json!(moment.map(|moment| moment.to_string()));
    let (two, three_two) = (Some(Release::Two), Some(Release::ThreeTwo));
    let (start, end) = run.interval.unzip();
    let mut cells = vec![
        ("conf", json!(run.conf)),
        ("dag_id", json!(run.dag_id)),
        ("dag_run_id", json!(run.run_id)),
        ("data_interval_start", text(start)),
        ("data_interval_end", text(end)),
        ("end_date", Value::Null),
        ("external_trigger", json!(true)),
        ("last_scheduling_decision", Value::Null),
        ("logical_date", text(run.logical)),
        ("run_type", json!(run.run_type)),
        ("start_date", Value::Null),
        ("state", json!(run.state)),
        ("triggering_user_name", json!("root")),
    ];
    cells.retain(|(name, _)| match *name {
        "external_trigger" => state.release == two,
        "triggering_user_name" => state.release == three_two,
        _ => true,
    });
    let (columns, row): (Vec<&str>, Vec<Value>) = cells.into_iter().unzip();
    let mut rows = Rows::new(&columns.join(","));
    rows.push(row);
    rows
}
