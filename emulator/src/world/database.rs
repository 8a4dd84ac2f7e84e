//! `db clean`: old runs are purged.

use std::fmt::Write as _;

use clap::{ArgMatches, Command};

use super::arguments::{Parsed, command, dated, group, option, switch, yes};
use super::reply::{CommandResult, Reply};
use super::state::State;

/// The tables that `db clean` looks at; the world keeps runs and task instances.
const TABLES: [&str; 8] = [
    "callback_request",
    "dag_run",
    "import_error",
    "job",
    "log",
    "task_instance",
    "trigger",
    "xcom",
];

pub(super) fn grammar() -> Command {
    group(
        "db",
        "Database operations",
        [
            command("clean", "Purge old records in metastore tables").args([
                dated(option(
                    None,
                    "clean-before-timestamp",
                    "The date or timestamp before which data should be purged",
                ))
                .required(true),
                switch(None, "dry-run", "Perform a dry run"),
                switch(
                    None,
                    "skip-archive",
                    "Don't preserve purged records in an archive table",
                ),
                option(
                    Some('t'),
                    "tables",
                    "Table names to perform maintenance on (use comma-separated list)",
                ),
                yes(),
            ]),
        ],
    )
}

pub(super) fn clean(state: &mut State, given: &ArgMatches) -> Reply {
    let before = given.moment("clean-before-timestamp").unwrap_or(state.now);
    let asked = given.text("tables");
    let chosen: Vec<&str> = TABLES
        .into_iter()
        .filter(|table| {
            asked.is_none_or(|asked| asked.split(',').any(|name| name.trim() == *table))
        })
        .collect();
    if chosen.is_empty() {
        return Err(CommandResult::system_exit(
            "No tables selected for db cleanup. Please choose valid table names.",
        ));
    }
    let dry = given.has("dry-run");
    if !dry && !given.has("yes") {
        let names: Vec<String> = chosen.iter().map(|name| format!("'{name}'")).collect();
        return Err(CommandResult::unanswered(&format!(
            "You have requested that we purge all data prior to {before} for tables [{}].\n\
             This is irreversible.  Consider backing up the tables first and / or doing a dry run with option --dry-run.\n\
             Enter 'delete rows' (without quotes) to proceed.\n",
            names.join(", ")
        )));
    }
    let old = |run: &super::state::Run| run.start.is_some_and(|start| start < before);
    let mut text = String::new();
    if dry {
        text.push_str("Performing dry run for db cleanup.\n");
    }
    for table in &chosen {
        let found = match *table {
            "dag_run" => state.runs.iter().filter(|run| old(run)).count(),
            "task_instance" => state
                .runs
                .iter()
                .filter(|run| old(run))
                .map(|run| run.tasks.len())
                .sum(),
            _ => 0,
        };
        let _ = writeln!(
            text,
            "\nChecking table {table}\nFound {found} rows meeting deletion criteria."
        );
        if found > 0 && !dry {
            text.push_str("Performing Delete...\nFinished Performing Delete\n");
        }
    }
    if !dry && chosen.contains(&"dag_run") {
        state.runs.retain(|run| !old(run));
    }
    Ok(CommandResult::printed(text))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, run, world};

    #[test]
    fn old_runs_go_after_a_confirmation() {
        let world = world("2.10.3");
        at(&world, 0, &["dags", "trigger", "lab_hello", "-r", "old"]);
        let clean = [
            "db",
            "clean",
            "--clean-before-timestamp",
            "2030-01-01",
            "--tables",
            "dag_run",
        ];
        let refused = at(&world, 60, &clean);
        assert_eq!(refused.exit_code, 1);
        assert!(
            refused
                .stderr
                .ends_with("EOFError: EOF when reading a line\n"),
            "{}",
            refused.stderr
        );
        let runs = ["dags", "list-runs", "-d", "lab_hello"];
        assert!(at(&world, 61, &runs).stdout.contains("old"));

        let cleaned = at(&world, 62, &[&clean[..], &["-y"]].concat()).stdout;
        assert!(
            cleaned.contains("Found 2 rows") || cleaned.contains("Found 1 rows"),
            "{cleaned}"
        );
        assert_eq!(at(&world, 63, &runs).stdout, "No data found\n");
    }

    #[test]
    fn the_date_is_required() {
        let ended = run(&world("2.10.3"), &["db", "clean", "-y"]);
        let wanted = "\nairflow db clean command error: the following arguments are required: --clean-before-timestamp, see help above.\n";
        assert_eq!((ended.stderr.as_str(), ended.exit_code), (wanted, 2));
    }
}
