//! `dags list-runs|state|test`: the runs of DAGs; `trigger` and `backfill` have their own files.

use clap::ArgMatches;
use serde_json::{Value, json};

use super::arguments::Parsed;
use super::clock::Moment;
use super::dags::{loaded, recorded};
use super::output::Rows;
use super::reply::{CommandResult, Reply};
use super::state::{Run, State};
use super::trigger::{self, Asked};
use super::{backfill, python};

pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let dag_id = given.required("dag_id");
    match name {
        "trigger" => {
            let date = given
                .moment("exec-date")
                .or_else(|| given.moment("logical-date"));
            let asked = Asked {
                run_id: given.text("run-id"),
                conf: given.text("conf"),
                date,
                exact: given.has("no-replace-microseconds"),
            };
            let run = trigger::trigger(state, dag_id, &asked)?;
            Ok(trigger::triggered(state, &run, given))
        }
        "list-runs" => list(state, given.text("dag-id").unwrap_or(dag_id), given),
        "state" => {
            let date = given.moment("execution_date").map(Moment::iso);
            let meant = date
                .as_deref()
                .or_else(|| given.text("logical_date_or_run_id"));
            run_state(state, dag_id, meant.unwrap_or_default())
        }
        "backfill" => backfill::of_two(state, dag_id, given),
        _ => test(state, dag_id, given),
    }
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
    let conf = if run.conf.is_empty() {
        String::new()
    } else {
        format!(", {}", python::json_dumps(&Value::Object(run.conf.clone())))
    };
    Ok(CommandResult::line(format_args!("{}{conf}", run.state)))
}

/// Runs a DAG at once, in the command: what its tasks print, and a run that has succeeded.
fn test(state: &mut State, dag_id: &str, given: &ArgMatches) -> Reply {
    let dag = loaded(state, dag_id)?;
    let logical = given.moment("logical_date").unwrap_or(state.now);
    let mut run = Run::new(dag_id, dag, format!("manual__{}", logical.iso()), "manual");
    run.conf = trigger::conf(given.text("conf"))?;
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
        .flat_map(|task| {
            [
                task.prints,
                "
",
            ]
        })
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
    use super::super::tests::{at, ok, run, world};

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
