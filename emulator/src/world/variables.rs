//! `variables set|get|list|delete`.

use clap::{ArgMatches, Command};
use serde_json::Value;

use super::arguments::{Parsed, command, group, option, output, positional, switch};
use super::output::Rows;
use super::reply::{CommandResult, Reply};
use super::state::State;
use super::{json, python};

pub(super) fn grammar() -> Command {
    let json = || switch(Some('j'), "json", "Serialize or deserialize JSON variable");
    group(
        "variables",
        "Manage variables",
        [
            command("delete", "Delete variable").arg(positional("key", "Variable key")),
            command("get", "Get variable").args([
                positional("key", "Variable key"),
                json(),
                option(
                    Some('d'),
                    "default",
                    "Default value returned if variable does not exist",
                ),
            ]),
            command("list", "List variables").arg(output()),
            command("set", "Set variable").args([
                positional("key", "Variable key"),
                positional("VALUE", "Variable value"),
                json(),
                option(
                    None,
                    "description",
                    "Variable description, optional when setting a variable",
                ),
            ]),
        ],
    )
}

pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let key = given.required("key");
    match name {
        "list" => Ok(list(state).print(given.format())),
        "get" => get(state, key, given.text("default"), given.has("json")),
        "set" => {
            let value = given.required("VALUE");
            set(state, key, value, given.has("json"));
            Ok(CommandResult::line(format_args!("Variable {key} created")))
        }
        _ => {
            state.variables.remove(key);
            Ok(CommandResult::line(format_args!("Variable {key} deleted")))
        }
    }
}

/// The keys of all variables.
pub(super) fn list(state: &State) -> Rows {
    let mut rows = Rows::new(&["key"]);
    for key in state.variables.keys() {
        rows.push(vec![Value::from(key.as_str())]);
    }
    rows
}

/// Prints a variable, or the default if there is none.
pub(super) fn get(state: &State, key: &str, default: Option<&str>, as_json: bool) -> Reply {
    let Some(variable) = state.variables.get(key) else {
        // Airflow 3.2 and newer end the sentence
        let stop = if state.release.at_least(3, 2) {
            "."
        } else {
            ""
        };
        return default.map(CommandResult::line).ok_or_else(|| {
            CommandResult::system_exit(format_args!("Variable {key} does not exist{stop}"))
        });
    };
    if !as_json {
        return Ok(CommandResult::line(variable));
    }
    match json::parse(variable) {
        Ok(value) => Ok(CommandResult::line(python::str(&value))),
        Err(message) => Err(CommandResult::system_exit(message)),
    }
}

/// Stores a variable; `as_json` stores the text as a JSON string, as `Variable.set` does.
fn set(state: &mut State, key: &str, value: &str, as_json: bool) {
    let value = if as_json {
        python::json_dumps(&Value::from(value))
    } else {
        value.to_owned()
    };
    state.variables.insert(key.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, ok, world};

    #[test]
    fn a_variable_lives_from_set_to_delete() {
        let world = world("2.10.3");
        assert_eq!(ok(&world, &["variables", "list"]), "No data found\n");
        assert_eq!(
            ok(&world, &["variables", "set", "x", "{\"a\": 1}"]),
            "Variable x created\n"
        );
        assert_eq!(ok(&world, &["variables", "get", "x"]), "{\"a\": 1}\n");
        assert_eq!(ok(&world, &["variables", "get", "--js", "x"]), "{'a': 1}\n");
        assert_eq!(
            ok(&world, &["variables", "list", "-o", "json"]),
            "[{\"key\": \"x\"}]\n"
        );
        assert_eq!(
            ok(&world, &["variables", "list", "-o", "yaml"]),
            "- key: x\n\n"
        );
        assert_eq!(
            ok(&world, &["variables", "list", "-o", "plain"]),
            "key\nx\n"
        );
        assert_eq!(ok(&world, &["variables", "list"]), "key\n===\nx  \n   \n");
        assert_eq!(
            ok(&world, &["variables", "delete", "x"]),
            "Variable x deleted\n"
        );
        fails(
            &world,
            &["variables", "get", "x"],
            1,
            "Variable x does not exist\n",
        );
    }

    #[test]
    fn values_are_kept_to_the_letter() {
        let world = world("2.10.3");
        for value in ["-5", "a  b\n", "é ' \" \\ $x", ""] {
            ok(&world, &["variables", "set", "k", value]);
            assert_eq!(ok(&world, &["variables", "get", "k"]), format!("{value}\n"));
        }
        ok(&world, &["variables", "set", "-j", "k", "say \"x\""]);
        assert_eq!(
            ok(&world, &["variables", "get", "k"]),
            "\"say \\\"x\\\"\"\n"
        );
        assert_eq!(ok(&world, &["variables", "get", "-j", "k"]), "say \"x\"\n");
    }

    #[test]
    fn a_missing_variable_has_a_default_or_fails() {
        let world = world("3.3.1");
        assert_eq!(ok(&world, &["variables", "get", "-d", "dd", "y"]), "dd\n");
        fails(
            &world,
            &["variables", "get", "y"],
            1,
            "Variable y does not exist.\n",
        );
    }

    #[test]
    fn a_value_that_is_no_json_fails_when_asked_as_json() {
        let world = world("2.10.3");
        ok(&world, &["variables", "set", "k", "{bad"]);
        let wanted =
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n";
        fails(&world, &["variables", "get", "-j", "k"], 1, wanted);
    }
}
