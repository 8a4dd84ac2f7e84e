//! `variables delete|get|list|set`.

use serde_json::Value;

use super::super::answers::Answer;
use super::arguments::Arguments;
use super::output::Rows;
use super::state::State;
use super::texts::Release;
use super::{Outcome, python};

pub(super) fn delete(state: &mut State, key: &str) -> Answer {
    state.variables.retain(|(known, _)| known != key);
    Answer::stdout(format!("Variable {key} deleted\n"))
}

pub(super) fn get(state: &State, given: &Arguments) -> Outcome {
    let key = given.text("key");
    let found = state.variables.iter().find(|(known, _)| known == key);
    let Some((_, value)) = found else {
        let stop = if state.release == Some(Release::ThreeTwo) {
            "."
        } else {
            ""
        };
        let missing = || Answer::failed(format!("Variable {key} does not exist{stop}\n"));
        let default = given.get("default").ok_or_else(missing)?;
        return Ok(Answer::stdout(format!("{default}\n")));
    };
    if !given.has("json") {
        return Ok(Answer::stdout(format!("{value}\n")));
    }
    match python::json_loads(value) {
        Ok(value) => Ok(Answer::stdout(format!("{}\n", python::str(&value)))),
        Err(message) => Err(Answer::failed(format!("{message}\n"))),
    }
}

pub(super) fn list(state: &State, given: &Arguments) -> Outcome {
    let values = given.has("show-values");
    if given.has("hide-sensitive") && !values {
        let text = "--hide-sensitive can only be used with --show-values\n";
        return Err(Answer::failed(text));
    }
    let mut variables: Vec<&(String, String)> = state.variables.iter().collect();
    if state.release == Some(Release::ThreeTwo) {
        variables.sort();
    }
    let mut rows = Rows::new(if values { "key,value" } else { "key" });
    for (key, value) in variables {
        let shown = if given.has("hide-sensitive") {
            "***"
        } else {
            value
        };
        let row = [key.as_str(), shown].map(Value::from);
        rows.push(row.into_iter().take(if values { 2 } else { 1 }).collect());
    }
    Ok(rows.print(given.format()))
}

pub(super) fn set(state: &mut State, given: &Arguments) -> Answer {
    let (key, value) = (given.text("key"), given.text("VALUE"));
    let value = if given.has("json") {
        python::json_dumps(&Value::from(value))
    } else {
        value.to_owned()
    };
    state.variables.retain(|(known, _)| known != key);
    state.variables.push((key.to_owned(), value));
    Answer::stdout(format!("Variable {key} created\n"))
}
