//! `pools list|get|set|delete`.

use clap::{ArgMatches, Command, value_parser};
use serde_json::Value;

use super::arguments::{Parsed, command, group, output, positional, switch};
use super::output::Rows;
use super::reply::{CommandResult, Reply};
use super::state::{Pool, State};

pub(super) fn grammar() -> Command {
    let name = || positional("NAME", "Pool name");
    group(
        "pools",
        "Manage pools",
        [
            command("delete", "Delete pool").args([name(), output()]),
            command("get", "Get pool size").args([name(), output()]),
            command("list", "List pools").arg(output()),
            command("set", "Configure pool").args([
                name(),
                positional("slots", "Pool slots").value_parser(value_parser!(i64)),
                positional("description", "Pool description"),
                switch(
                    None,
                    "include-deferred",
                    "Include deferred tasks in calculations for Pool",
                ),
                output(),
            ]),
        ],
    )
}

pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let pool = given.required("NAME");
    match name {
        "list" => Ok(list(state).print(given.format())),
        "get" => match state.pools.get(pool) {
            Some(_) => Ok(rows(state, Some(pool)).print(given.format())),
            None => Err(missing(pool)),
        },
        "set" => {
            let slots = given.number::<i64>("slots").unwrap_or_default();
            let description = given.required("description").to_owned();
            let include_deferred = given.has("include-deferred");
            state.pools.insert(
                pool.to_owned(),
                Pool {
                    slots,
                    description,
                    include_deferred,
                },
            );
            Ok(CommandResult::line(format_args!("Pool {pool} created")))
        }
        _ => {
            delete(state, pool)?;
            Ok(CommandResult::line(format_args!("Pool {pool} deleted")))
        }
    }
}

/// Removes a pool; the default pool stays.
pub(super) fn delete(state: &mut State, pool: &str) -> Result<(), CommandResult> {
    if pool == "default_pool" {
        let message = "default_pool cannot be deleted";
        return Err(CommandResult::traceback(
            "airflow.exceptions.AirflowException",
            message,
        ));
    }
    state
        .pools
        .remove(pool)
        .map(|_| ())
        .ok_or_else(|| missing(pool))
}

fn missing(pool: &str) -> CommandResult {
    CommandResult::system_exit(format_args!("Pool {pool} does not exist"))
}

/// All pools.
pub(super) fn list(state: &State) -> Rows {
    rows(state, None)
}

fn rows(state: &State, only: Option<&str>) -> Rows {
    let mut columns = vec!["pool", "slots", "description"];
    // deferred tasks count since 2.7, teams own pools since 3.2
    let deferred = state.release.at_least(2, 7);
    let teams = state.release.at_least(3, 2);
    if deferred {
        columns.push("include_deferred");
    }
    if teams {
        columns.push("team_name");
    }
    let mut rows = Rows::new(&columns);
    for (name, pool) in state
        .pools
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
    {
        let mut row = vec![
            Value::from(name.as_str()),
            Value::from(pool.slots),
            Value::from(pool.description.as_str()),
        ];
        if deferred {
            row.push(Value::from(pool.include_deferred));
        }
        if teams {
            row.push(Value::Null);
        }
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, ok, world};

    #[test]
    fn pools_are_listed_set_and_deleted() {
        let world = world("2.10.3");
        assert_eq!(
            ok(&world, &["pools", "list"]),
            "pool         | slots | description  | include_deferred\n\
             =============+=======+==============+=================\n\
             default_pool | 128   | Default pool | False           \n                                                      \n"
        );
        assert_eq!(
            ok(&world, &["pools", "set", "p1", "5", "two words"]),
            "Pool p1 created\n"
        );
        assert_eq!(
            ok(&world, &["pools", "get", "p1", "-o", "json"]),
            "[{\"pool\": \"p1\", \"slots\": \"5\", \"description\": \"two words\", \"include_deferred\": \"False\"}]\n"
        );
        assert_eq!(ok(&world, &["pools", "delete", "p1"]), "Pool p1 deleted\n");
        fails(
            &world,
            &["pools", "delete", "p1"],
            1,
            "Pool p1 does not exist\n",
        );
        fails(
            &world,
            &["pools", "get", "p1"],
            1,
            "Pool p1 does not exist\n",
        );
    }

    #[test]
    fn the_default_pool_stays() {
        let wanted = "airflow.exceptions.AirflowException: default_pool cannot be deleted\n";
        fails(
            &world("3.0.6"),
            &["pools", "delete", "default_pool"],
            1,
            wanted,
        );
    }

    #[test]
    fn slots_are_a_number() {
        let wanted = "\nairflow pools set command error: argument slots: invalid int value: 'xx', see help above.\n";
        fails(
            &world("2.10.3"),
            &["pools", "set", "p", "xx", "d"],
            2,
            wanted,
        );
    }

    #[test]
    fn columns_follow_the_release() {
        assert!(
            ok(&world("2.5.1"), &["pools", "list"])
                .starts_with("pool         | slots | description \n")
        );
        assert!(ok(&world("3.3.1"), &["pools", "list"]).contains("| team_name\n"));
    }
}
