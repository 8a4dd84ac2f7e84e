//! `dags trigger`: a new manual run.

use clap::ArgMatches;
use serde_json::{Map, Value, json};

use super::arguments::Parsed;
use super::clock::Moment;
use super::json;
use super::output::Rows;
use super::reply::CommandResult;
use super::state::{Run, State};

/// What a trigger asks for.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    pub(super) run_id: Option<&'a str>,
    pub(super) conf: Option<&'a str>,
    pub(super) date: Option<Moment>,
    /// Whether a date of now keeps its microseconds.
    pub(super) exact: bool,
}

/// Reads `--conf`: a JSON object.
pub(super) fn conf(text: Option<&str>) -> Result<Map<String, Value>, CommandResult> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(Map::new());
    };
    match json::parse(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(CommandResult::traceback(
            "ValueError",
            "The conf argument of the DAG run must be a JSON object",
        )),
        Err(message) => Err(CommandResult::traceback(
            "json.decoder.JSONDecodeError",
            message,
        )),
    }
}

/// Adds a manual run, and returns it.
pub(super) fn trigger(
    state: &mut State,
    dag_id: &str,
    asked: &Asked<'_>,
) -> Result<Run, CommandResult> {
    let given = asked.date;
    let Some(dag) = state.dags.get(dag_id) else {
        let message = format!("Dag id {dag_id} not found in DagModel");
        return Err(CommandResult::traceback(
            "airflow.exceptions.DagNotFound",
            message,
        ));
    };
    let now = if asked.exact {
        state.now
    } else {
        state.now.whole()
    };
    let logical = given.unwrap_or(now);
    let run_id = asked
        .run_id
        .map_or_else(|| format!("manual__{}", logical.iso()), str::to_owned);
    let three = state.release.is_three();
    let clash = |run: &&Run| {
        run.dag_id == dag_id
            && (run.run_id == run_id
                || (run.logical == Some(logical) && (!three || given.is_some())))
    };
    if state.runs.iter().any(|run| clash(&run)) {
        let at = if three {
            String::new()
        } else {
            format!(" at {logical}")
        };
        let message =
            format!("A DAG Run already exists for DAG {dag_id}{at} with run id {run_id}");
        return Err(CommandResult::traceback(
            "airflow.exceptions.DagRunAlreadyExists",
            message,
        ));
    }
    let mut run = Run::new(dag_id, dag, run_id, "manual");
    run.conf = conf(asked.conf)?;
    run.queued_at = state.now;
    // since Airflow 3 a manual run stands for no date unless one is given
    run.logical = if three { given } else { Some(logical) };
    run.interval = run
        .logical
        .map(|logical| dag.last_interval(logical).unwrap_or((logical, logical)));
    state.runs.push(run.clone());
    Ok(run)
}

/// Prints a new run: a sentence up to 2.5, rows since.
pub(super) fn triggered(state: &State, run: &Run, given: &ArgMatches) -> CommandResult {
    let text = |moment: Option<Moment>| json!(moment.map(|moment| moment.to_string()));
    if !state.release.at_least(2, 6) {
        let at = run.logical.map(Moment::iso).unwrap_or_default();
        return CommandResult::line(format_args!(
            "Created <DagRun {} @ {at}: {}, externally triggered: True>",
            run.dag_id, run.run_id
        ));
    }
    let three = state.release.is_three();
    let mut columns = vec![
        "conf",
        "dag_id",
        "dag_run_id",
        "data_interval_start",
        "data_interval_end",
        "end_date",
    ];
    let mut row = vec![
        json!(run.conf),
        json!(run.dag_id),
        json!(run.run_id),
        text(run.interval.map(|(start, _)| start)),
        text(run.interval.map(|(_, end)| end)),
        Value::Null,
    ];
    if !three {
        columns.push("external_trigger");
        row.push(json!(true));
    }
    columns.extend([
        "last_scheduling_decision",
        "logical_date",
        "run_type",
        "start_date",
        "state",
    ]);
    row.extend([
        Value::Null,
        text(run.logical),
        json!(run.run_type),
        Value::Null,
        json!(run.state),
    ]);
    if three {
        columns.push("triggering_user_name");
        row.push(json!("airflow"));
    }
    let mut rows = Rows::new(&columns);
    rows.push(row);
    rows.print(given.format())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, fails, ok, run, world};

    #[test]
    fn a_trigger_is_seen_by_the_next_list() {
        let world = world("2.10.5");
        let words = [
            "dags",
            "trigger",
            "lab_hello",
            "--conf",
            "{\"a\": \"b c\"}",
            "-r",
            "r1",
            "-o",
            "json",
        ];
        assert_eq!(
            ok(&world, &words),
            concat!(
                r#"[{"conf": {"a": "b c"}, "dag_id": "lab_hello", "dag_run_id": "r1", "data_interval_start": "2026-11-22 02:30:00+00:00", "#,
                r#""data_interval_end": "2026-11-22 02:30:00+00:00", "end_date": null, "external_trigger": "True", "last_scheduling_decision": null, "#,
                r#""logical_date": "2026-11-22 02:30:00+00:00", "run_type": "manual", "start_date": null, "state": "queued"}]"#,
                "\n"
            )
        );
        let list = ["dags", "list-runs", "-d", "lab_hello", "-o", "json"];
        assert_eq!(
            ok(&world, &list),
            "[{\"dag_id\": \"lab_hello\", \"run_id\": \"r1\", \"state\": \"queued\", \"execution_date\": \"2026-11-22T02:30:00+00:00\", \"start_date\": \"\", \"end_date\": \"\"}]\n"
        );
        assert!(
            at(&world, 60, &list)
                .stdout
                .contains("\"state\": \"success\"")
        );
        let state = ["dags", "state", "lab_hello", "2026-11-22T02:30:00+00:00"];
        assert_eq!(at(&world, 60, &state).stdout, "success, {\"a\": \"b c\"}\n");
        assert_eq!(
            ok(&world, &["dags", "state", "lab_hello", "2020-01-01"]),
            "None\n"
        );
    }

    #[test]
    fn triggers_that_cannot_be_fail() {
        let world = world("2.10.5");
        ok(&world, &["dags", "trigger", "lab_hello", "-r", "r1"]);
        let again = "airflow.exceptions.DagRunAlreadyExists: A DAG Run already exists for DAG lab_hello at 2026-01-01 00:00:00+00:00 with run id r1\n";
        fails(
            &world,
            &[
                "dags",
                "trigger",
                "lab_hello",
                "-r",
                "r1",
                "-e",
                "2026-01-01",
            ],
            1,
            again,
        );
        let missing = "airflow.exceptions.DagNotFound: Dag id nope not found in DagModel\n";
        fails(&world, &["dags", "trigger", "nope"], 1, missing);
        let bad = "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n";
        fails(
            &world,
            &["dags", "trigger", "example_etl", "-c", "{bad"],
            1,
            bad,
        );
        let list = ok(
            &world,
            &["dags", "list-runs", "-d", "example_etl", "-o", "plain"],
        );
        assert!(
            !list.contains("manual__"),
            "a refused trigger leaves no run: {list}"
        );
        fails(
            &world,
            &["dags", "list-runs", "-d", "nope"],
            1,
            "DAG: nope does not exist in 'dag' table\n",
        );
        assert_eq!(
            run(&world, &["dags", "trigger", "lab_hello", "-e", "soon"]).exit_code,
            2
        );
    }

    #[test]
    fn the_first_releases_answer_a_trigger_with_a_sentence() {
        assert_eq!(
            ok(&world("2.5.1"), &["dags", "trigger", "lab_hello"]),
            "Created <DagRun lab_hello @ 2026-11-22T02:30:00+00:00: manual__2026-11-22T02:30:00+00:00, externally triggered: True>\n"
        );
    }
}
