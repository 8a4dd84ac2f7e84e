//! `backfill create` (Airflow 3) and `dags backfill` (Airflow 2): runs for a range of past days.

use std::fmt::Write as _;

use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Command, value_parser};

use super::arguments::{Parsed, command, dated, group, option, switch};
use super::clock::{DAY, Moment};
use super::dags::loaded;
use super::reply::{CommandResult, Reply};
use super::state::{Dag, Run, State};
use super::trigger;

pub(super) fn grammar() -> Command {
    let behaviors = ["none", "completed", "failed"];
    group(
        "backfill",
        "Manage backfills",
        [command("create", "Create a backfill for a dag").args([
            option(None, "dag-id", "The dag to backfill").required(true),
            dated(option(
                None,
                "from-date",
                "Earliest logical date to backfill",
            ))
            .required(true),
            dated(option(None, "to-date", "Latest logical date to backfill")).required(true),
            option(None, "dag-run-conf", "JSON dag run configuration"),
            option(None, "max-active-runs", "Max active runs for this backfill")
                .value_parser(value_parser!(u32)),
            option(
                None,
                "reprocess-behavior",
                "When a run exists for the logical date, what to do",
            )
            .value_parser(PossibleValuesParser::new(behaviors)),
            switch(
                None,
                "run-backwards",
                "If set, the backfill will run the most recent dates first",
            ),
            switch(None, "dry-run", "Perform a dry run"),
        ])],
    )
}

/// Runs `backfill create`.
pub(super) fn create(state: &mut State, given: &ArgMatches) -> Reply {
    let dag_id = given.required("dag-id");
    let from = given.moment("from-date").unwrap_or(state.now);
    let to = given.moment("to-date").unwrap_or(state.now);
    let conf = trigger::conf(given.text("dag-run-conf"))?;
    let Some(dag) = state.dags.get(dag_id) else {
        let message = format!("Could not find dag {dag_id}");
        return Err(CommandResult::traceback(
            "airflow.exceptions.DagNotFound",
            message,
        ));
    };
    if dag.daily_at.is_none() {
        let message = format!("{dag_id} has no schedule");
        return Err(CommandResult::traceback(
            "airflow.models.backfill.DagNoScheduleException",
            message,
        ));
    }
    let dates = dates(dag, from, to.min(state.now));
    if given.has("dry-run") {
        let mut text = format!(
            "Performing dry run of backfill.\nPrinting params:\n    - dag_id = {dag_id}\n    \
             - from_date = {from}\n    - to_date = {to}\n    - max_active_runs = {}\n    \
             - reverse = {}\n    - dag_run_conf = {}\n    - reprocess_behavior = {}\nRuns to be attempted:\n",
            given
                .number::<u32>("max-active-runs")
                .map_or_else(|| "None".to_owned(), |count| count.to_string()),
            if given.has("run-backwards") {
                "True"
            } else {
                "False"
            },
            given.text("dag-run-conf").unwrap_or("None"),
            given.text("reprocess-behavior").unwrap_or("None"),
        );
        for date in dates {
            let _ = writeln!(text, "    - {date}");
        }
        return Ok(CommandResult::printed(text));
    }
    let again = given.text("reprocess-behavior") == Some("completed");
    add(state, dag_id, &dates, again, &conf);
    Ok(CommandResult::printed(""))
}

/// Runs `dags backfill`, which waits for its runs and says how many succeeded.
pub(super) fn of_two(state: &mut State, dag_id: &str, given: &ArgMatches) -> Reply {
    let from = given
        .moment("start-date")
        .or_else(|| given.moment("start_date"));
    let to = given
        .moment("end-date")
        .or_else(|| given.moment("end_date"));
    let conf = trigger::conf(given.text("conf"))?;
    let Some(from) = from.or(to) else {
        return Err(CommandResult::traceback(
            "airflow.exceptions.AirflowException",
            "Provide a start_date and/or end_date",
        ));
    };
    let dag = loaded(state, dag_id)?;
    let dates = dates(dag, from, to.unwrap_or(from));
    if given.has("dry-run") || given.has("dry_run") {
        let mut text = String::new();
        for date in &dates {
            let _ = writeln!(text, "Dry run of DAG {dag_id} on {date}");
            for task in dag.tasks {
                let _ = writeln!(text, "Task {} located in DAG {dag_id}", task.id);
            }
        }
        return Ok(CommandResult::printed(text));
    }
    add(state, dag_id, &dates, given.has("reset-dagruns"), &conf);
    let now = state.now;
    let meant = |run: &&mut Run| {
        run.dag_id == dag_id
            && run.run_type == "backfill"
            && run.logical.is_some_and(|at| dates.contains(&at))
    };
    for run in state.runs.iter_mut().filter(meant) {
        (run.state, run.start, run.end) = ("success", Some(now), Some(now));
        for task in &mut run.tasks {
            (task.state, task.start, task.end) = (Some("success"), Some(now), Some(now));
        }
    }
    Ok(CommandResult::printed("").with_note("Backfill done."))
}

/// The days a backfill covers; a DAG without a schedule has one each midnight.
fn dates(dag: &Dag, from: Moment, to: Moment) -> Vec<Moment> {
    let at = dag.daily_at.unwrap_or(0);
    let first = (from.seconds() - at + DAY - 1).div_euclid(DAY) * DAY + at;
    let days = (first..=to.seconds()).step_by(usize::try_from(DAY).unwrap_or(1));
    days.take(1000).map(Moment::from_seconds).collect()
}

fn add(
    state: &mut State,
    dag_id: &str,
    dates: &[Moment],
    again: bool,
    conf: &serde_json::Map<String, serde_json::Value>,
) {
    let now = state.now;
    let Some(dag) = state.dags.get(dag_id).cloned() else {
        return;
    };
    for date in dates {
        let known = state
            .runs
            .iter_mut()
            .find(|run| run.dag_id == dag_id && run.logical == Some(*date));
        if let Some(run) = known {
            if again {
                run.clear(now);
                run.run_type = "backfill";
            }
            continue;
        }
        let mut run = Run::new(
            dag_id,
            &dag,
            format!("backfill__{}", date.iso()),
            "backfill",
        );
        run.logical = Some(*date);
        run.interval = Some((*date, date.plus(DAY)));
        run.queued_at = now;
        run.conf.clone_from(conf);
        state.runs.push(run);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, fails, ok, world};

    #[test]
    fn airflow_3_queues_a_run_for_each_day() {
        let world = world("3.0.6");
        let range = ["--from-date", "2024-01-01", "--to-date", "2024-01-03"];
        let words = [
            &["backfill", "create", "--dag-id", "example_etl"][..],
            &range,
        ]
        .concat();
        let dry = ok(&world, &[&words[..], &["--dry-run"]].concat());
        assert!(dry.ends_with("    - 2024-01-03 00:00:00+00:00\n"), "{dry}");
        assert_eq!(ok(&world, &words), "");
        let list = [
            "dags",
            "list-runs",
            "example_etl",
            "-e",
            "2024-12-31",
            "-o",
            "plain",
        ];
        assert_eq!(ok(&world, &list).matches("queued").count(), 3);
        assert_eq!(at(&world, 60, &list).stdout.matches("success").count(), 3);
        let none = "DagNoScheduleException: lab_hello has no schedule\n";
        fails(
            &world,
            &[&["backfill", "create", "--dag-id", "lab_hello"][..], &range].concat(),
            1,
            none,
        );
    }

    #[test]
    fn airflow_2_waits_for_its_runs() {
        let world = world("2.10.5");
        let words = [
            "dags",
            "backfill",
            "example_etl",
            "-s",
            "2024-01-01",
            "-e",
            "2024-01-02",
        ];
        let dry = ok(&world, &[&words[..], &["--dry-run"]].concat());
        assert!(
            dry.starts_with(
                "Dry run of DAG example_etl on 2024-01-01 00:00:00+00:00\nTask extract"
            ),
            "{dry}"
        );
        ok(&world, &words);
        assert_eq!(
            ok(&world, &["dags", "state", "example_etl", "2024-01-02"]),
            "success\n"
        );
    }
}
