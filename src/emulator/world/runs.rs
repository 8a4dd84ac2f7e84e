//! `dags trigger|list-runs|state|test|backfill`: the runs of DAGs.

use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::arguments::{
    Parsed, command, dated, option, output, positional, subdir, switch, yes,
};
use super::clock::Moment;
use super::dags::{loaded, recorded};
use super::output::Rows;
use super::release::Release;
use super::reply::{CommandResult, Reply};
use super::state::{Run, State};
use super::{backfill, json, python};

pub(super) fn grammars(release: Release) -> Vec<Command> {
    let three = release.is_three();
    let dag_id = || positional("dag_id", "The id of the dag");
    let states = ["queued", "running", "success", "failed"];
    let trigger = command(
        "trigger",
        "Trigger a new DAG run. If DAG is paused then dagrun state will remain queued, and the task won't run.",
    )
    .args([
        dag_id(),
        option(Some('c'), "conf", "JSON string that gets pickled into the DagRun's conf attribute"),
        option(Some('r'), "run-id", "Helps to identify this run"),
        switch(None, "no-replace-microseconds", "whether microseconds should be zeroed"),
        subdir(),
        output(),
        match three {
            true => dated(option(Some('l'), "logical-date", "The logical date of the DAG")),
            false => dated(option(Some('e'), "exec-date", "The execution date of the DAG")),
        },
    ]);
    let list = command("list-runs", "List DAG runs given a DAG id").args([
        match three {
            true => dag_id(),
            false => option(Some('d'), "dag-id", "The id of the dag").required(true),
        },
        option(
            None,
            "state",
            "Only list the DAG runs corresponding to the state",
        )
        .value_parser(PossibleValuesParser::new(states)),
        switch(
            None,
            "no-backfill",
            "filter all the backfill dagruns given the dag id",
        ),
        dated(option(
            Some('s'),
            "start-date",
            "Override start_date YYYY-MM-DD",
        )),
        dated(option(
            Some('e'),
            "end-date",
            "Override end_date YYYY-MM-DD",
        )),
        output(),
    ]);
    let when = match three {
        true => positional(
            "logical_date_or_run_id",
            "The logical date of the DAG or run_id of the DAGRun",
        ),
        false => dated(positional(
            "execution_date",
            "The execution date of the DAG",
        )),
    };
    let state =
        command("state", "Get the status of a dag run").args([dag_id(), when, subdir()]);
    let test = command("test", "Execute one single DagRun").args([
        dag_id(),
        dated(positional("logical_date", "The logical date of the DAG")).required(false),
        option(
            Some('c'),
            "conf",
            "JSON string that gets pickled into the DagRun's conf attribute",
        ),
        switch(
            None,
            "show-dagrun",
            "Show the graph of the tasks after the run",
        ),
        option(
            None,
            "save-dagrun",
            "Save the graph of the tasks after the run",
        ),
        subdir(),
    ]);
    let mut commands = vec![trigger, list, state, test];
    if !three {
        commands.push(
            command(
                "backfill",
                "Run subsections of a DAG for a specified date range",
            )
            .args([
                dag_id(),
                dated(option(
                    Some('s'),
                    "start-date",
                    "Override start_date YYYY-MM-DD",
                )),
                dated(option(
                    Some('e'),
                    "end-date",
                    "Override end_date YYYY-MM-DD",
                )),
                option(
                    Some('c'),
                    "conf",
                    "JSON string that gets pickled into the DagRun's conf",
                ),
                switch(Some('n'), "dry-run", "Perform a dry run for each task"),
                switch(
                    None,
                    "reset-dagruns",
                    "Delete existing backfill-related DAG runs first",
                ),
                subdir(),
                yes(),
            ]),
        );
    }
    commands
}

pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let dag_id = given.required("dag_id");
    match name {
        "trigger" => {
            let date = given.moment("exec-date").or(given.moment("logical-date"));
            let asked = Asked {
                run_id: given.text("run-id"),
                conf: given.text("conf"),
                date,
            };
            let run = trigger(state, dag_id, &asked)?;
            Ok(triggered(state, &run, given))
        }
        "list-runs" => list(state, given.text("dag-id").unwrap_or(dag_id), given),
        "state" => {
            let date = given.moment("execution_date").map(Moment::iso);
            let meant = date.as_deref().or(given.text("logical_date_or_run_id"));
            run_state(state, dag_id, meant.unwrap_or_default())
        }
        "backfill" => backfill::of_two(state, dag_id, given),
        _ => test(state, dag_id, given),
    }
}

/// What a trigger asks for.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    pub(super) run_id: Option<&'a str>,
    pub(super) conf: Option<&'a str>,
    pub(super) date: Option<Moment>,
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
    let logical = given.unwrap_or(state.now.whole());
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

fn list(state: &State, dag_id: &str, given: &ArgMatches) -> Reply {
    recorded(state, dag_id)?;
    let from = given.moment("start-date");
    let to = given.moment("end-date");
    let three = state.release.is_three();
    let iso = |moment: Option<Moment>| json!(moment.map(Moment::iso).unwrap_or_default());
    let mut columns = vec!["dag_id", "run_id", "state"];
    if three {
        columns.push("run_after");
    }
    columns.extend([state.release.logical_date(), "start_date", "end_date"]);
    let mut rows = Rows::new(&columns);
    let wanted = |run: &&Run| {
        let at = run.logical.unwrap_or(run.queued_at);
        given.text("state").is_none_or(|state| run.state == state)
            && !(given.has("no-backfill") && run.run_type == "backfill")
            && from.is_none_or(|from| at >= from)
            && to.is_none_or(|to| at <= to)
    };
    for run in state.runs_of(dag_id).into_iter().filter(wanted) {
        let mut row = vec![json!(run.dag_id), json!(run.run_id), json!(run.state)];
        if three {
            row.push(iso(Some(run.queued_at)));
        }
        row.extend([iso(run.logical), iso(run.start), iso(run.end)]);
        rows.push(row);
    }
    Ok(rows.print(given.format()))
}

fn run_state(state: &State, dag_id: &str, meant: &str) -> Reply {
    recorded(state, dag_id)?;
    let Some(run) = state.find_run(dag_id, meant) else {
        return Ok(CommandResult::line("None"));
    };
    let conf = match run.conf.is_empty() {
        true => String::new(),
        false => format!(", {}", python::json_dumps(&Value::Object(run.conf.clone()))),
    };
    Ok(CommandResult::line(format_args!("{}{conf}", run.state)))
}

/// Runs a DAG at once, in the command: what its tasks print, and a run that has succeeded.
fn test(state: &mut State, dag_id: &str, given: &ArgMatches) -> Reply {
    let dag = loaded(state, dag_id)?;
    let logical = given.moment("logical_date").unwrap_or(state.now);
    let mut run = Run::new(dag_id, dag, format!("manual__{}", logical.iso()), "manual");
    run.conf = conf(given.text("conf"))?;
    run.state = "success";
    run.queued_at = state.now;
    run.logical = Some(logical);
    run.interval = Some(dag.last_interval(logical).unwrap_or((logical, logical)));
    (run.start, run.end) = (Some(state.now), Some(state.now));
    for task in &mut run.tasks {
        (task.state, task.start, task.end) =
            (Some("success"), Some(state.now), Some(state.now));
    }
    let printed: String = dag
        .tasks
        .iter()
        .map(|task| format!("{}\n", task.prints))
        .collect();
    let mut ended = CommandResult::printed(printed);
    if given.has("show-dagrun") {
        let graph = super::dags::show(state, dag_id, None)?;
        ended.stdout.push_str(&graph.stdout);
    }
    state
        .runs
        .retain(|known| known.dag_id != dag_id || known.run_id != run.run_id);
    state.runs.push(run);
    Ok(ended)
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
    fn airflow_3_spells_dates_and_arguments_differently() {
        let world = world("3.0.6");
        let words = [
            "dags",
            "trigger",
            "lab_hello",
            "-l",
            "2026-01-02",
            "-r",
            "r1",
            "-o",
            "plain",
        ];
        assert!(ok(&world, &words).contains("2026-01-02 00:00:00+00:00"));
        let list = ok(&world, &["dags", "list-runs", "lab_hello"]);
        assert!(
            list.starts_with("dag_id    | run_id | state  | run_after "),
            "{list}"
        );
        assert!(list.contains("| 2026-01-02T00:00:00+00:00 |"), "{list}");
        assert_eq!(
            ok(&world, &["dags", "state", "lab_hello", "r1"]),
            "queued\n"
        );
        assert_eq!(
            run(&world, &["dags", "list-runs", "-d", "lab_hello"]).exit_code,
            2
        );
        assert_eq!(
            run(
                &world,
                &["dags", "trigger", "lab_hello", "--exec-date", "2026-01-01"]
            )
            .exit_code,
            2
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

    #[test]
    fn a_paused_dag_waits_and_then_goes_on() {
        let world = world("2.10.5");
        ok(&world, &["dags", "trigger", "daily_report", "-r", "r1"]);
        let queued = [
            "dags",
            "list-runs",
            "-d",
            "daily_report",
            "--state",
            "queued",
            "-o",
            "plain",
        ];
        assert!(at(&world, 60, &queued).stdout.contains("r1"));
        at(&world, 60, &["dags", "unpause", "daily_report"]);
        assert!(at(&world, 61, &queued).stdout.contains("No data found"));
    }

    #[test]
    fn scheduled_runs_come_with_the_days() {
        let world = world("2.10.5");
        let list = ["dags", "list-runs", "-d", "example_etl", "-o", "plain"];
        assert_eq!(ok(&world, &list).lines().count(), 2);
        let tomorrow = at(&world, 86_400, &list).stdout;
        assert!(
            tomorrow.contains("scheduled__2026-11-22T00:00:00+00:00"),
            "{tomorrow}"
        );
    }

    #[test]
    fn a_test_run_prints_what_its_tasks_print() {
        let world = world("2.10.5");
        let printed = ok(&world, &["dags", "test", "lab_hello", "2024-01-01"]);
        assert_eq!(printed, "hi from bash\nhello from greet\n");
        assert_eq!(
            ok(&world, &["dags", "state", "lab_hello", "2024-01-01"]),
            "success\n"
        );
    }
}
