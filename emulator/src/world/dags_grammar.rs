//! What `dags …` takes, by release.

use clap::builder::PossibleValuesParser;
use clap::{Command, value_parser};

use super::arguments::{
    command, dated, group, option, output, positional, subdir, switch, yes,
};
use super::jobs;
use super::release::Release;

/// The whole group: what works on DAGs, their jobs and their runs.
pub(super) fn grammar(release: Release) -> Command {
    let dag_id = || positional("dag_id", "The id of the dag");
    let mut commands = vec![
        command(
            "delete",
            "Delete all DB records related to the specified DAG",
        )
        .args([dag_id(), yes()]),
        command("details", "Get DAG details given a DAG id").args([dag_id(), output()]),
        command("list", "List all the DAGs").args([
            option(
                None,
                "columns",
                "List of columns to render (comma separated)",
            ),
            output(),
            subdir(),
            option(
                Some('B'),
                "bundle-name",
                "The name of the DAG bundle to use",
            ),
        ]),
        command(
            "list-import-errors",
            "List all the DAGs that have import errors",
        )
        .args([output(), subdir()]),
        jobs::grammar(),
        command(
            "next-execution",
            "Get the next execution datetimes of a DAG",
        )
        .args([
            dag_id(),
            option(
                Some('n'),
                "num-executions",
                "The number of next execution datetimes to show",
            )
            .value_parser(value_parser!(u16).range(1..)),
            subdir(),
        ]),
        command("report", "Show DagBag loading report").args([output(), subdir()]),
        command(
            "reserialize",
            "Reserialize all DAGs by parsing the DagBag files",
        )
        .args([
            subdir(),
            switch(
                None,
                "clear-only",
                "If passed, serialized DAGs will be cleared but not reserialized",
            ),
            option(
                Some('B'),
                "bundle-name",
                "The name of the DAG bundle to use",
            ),
        ]),
        command("show", "Displays DAG's tasks with their dependencies").args([
            dag_id(),
            option(Some('s'), "save", "Saves the result to the indicated file"),
            switch(None, "imgcat", "Displays graph using the imgcat tool"),
            subdir(),
        ]),
    ];
    for (name, about) in [
        ("pause", "Pause DAG(s)"),
        ("unpause", "Resume paused DAG(s)"),
    ] {
        commands.push(command(name, about).args([dag_id(), output(), subdir(), yes()]));
    }
    commands.extend(runs(release));
    group("dags", "Manage DAGs", commands)
}

/// `trigger`, `list-runs`, `state`, `test`, and in Airflow 2 `backfill`.
fn runs(release: Release) -> Vec<Command> {
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
        if three { dated(option(Some('l'), "logical-date", "The logical date of the DAG")) } else { dated(option(Some('e'), "exec-date", "The execution date of the DAG")) },
    ]);
    let list = command("list-runs", "List DAG runs given a DAG id").args([
        if three {
            dag_id()
        } else {
            option(Some('d'), "dag-id", "The id of the dag").required(true)
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
    let when = if three {
        positional(
            "logical_date_or_run_id",
            "The logical date of the DAG or run_id of the DAGRun",
        )
    } else {
        dated(positional(
            "execution_date",
            "The execution date of the DAG",
        ))
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
