//! The commands of an import: for each entry one that sets it, and that is safe to run again.

use super::json::Json;
use super::request::{ExistingAction, ImportKind, ImportRequest};
use indexmap::IndexMap;
use mwaa_model::{AirflowVersion, Fault as _};
use mwaa_policy::Command;

/// An entry of the file, and the commands that set it.
#[derive(Debug)]
pub(super) struct PlannedEntry {
    pub(super) name: String,
    /// Deletes an entry of this name; its failure does not matter.
    pub(super) delete: Option<Command<'static>>,
    pub(super) command: Command<'static>,
}

/// An entry that can't be imported.
#[derive(Debug)]
pub(super) struct EntryError {
    pub(super) name: String,
    pub(super) reason: String,
}

/// Plans the commands, which may be `limit` bytes long.
pub(super) fn plan_entries(
    request: &ImportRequest,
    entries: IndexMap<String, Json>,
    version: AirflowVersion,
    limit: usize,
) -> impl Iterator<Item = Result<PlannedEntry, EntryError>> {
    let deletes = request.kind == ImportKind::Connections
        && request.existing == ExistingAction::Overwrite;
    let kind = request.kind;
    entries.into_iter().map(move |(name, value)| {
        let plan = || {
            let words = match kind {
                ImportKind::Connections => connection_words(&name, &value),
                ImportKind::Pools => pool_words(&name, &value, version),
                ImportKind::Variables => variable_words(&name, &value, version),
            };

            // `connections add` refuses a name that exists, and there is no command to change one
            let delete = ["connections", "delete", "--", name.as_str()].map(str::to_owned);
            Ok(PlannedEntry {
                command: build_command(&words?, limit)?,
                delete: deletes.then(|| build_command(&delete, limit)).transpose()?,
                name: name.clone(),
            })
        };
        plan().map_err(|reason| EntryError {
            name: name.clone(),
            reason,
        })
    })
}

fn build_command(words: &[String], limit: usize) -> Result<Command<'static>, String> {
    // argparse takes it for its own mark, also where it is a value
    if words.iter().filter(|word| *word == "--").count() > 1 {
        return Err("`--` cannot be a value on Airflow's command line".to_owned());
    }
    let command = Command::from_words(words).map_err(|error| error.detail())?;

    // the gateway would refuse it later, in the middle of the import
    let size = command.to_line().len();
    if size > limit {
        return Err(format!(
            "its command has {size} bytes; limits.cli_body is {limit}"
        ));
    }
    Ok(command)
}

/// Returns the command of a variable. As in Airflow's own import, text is set as it is, and anything
/// else as JSON.
fn variable_words(
    name: &str,
    value: &Json,
    version: AirflowVersion,
) -> Result<Vec<String>, String> {
    // an object with a description: from 3.0 on; whether an empty value counts has changed
    let inner = value.get("value").filter(|inner| {
        version >= AirflowVersion::new(3, 0, 0)
            && (inner.is_truthy() || version >= AirflowVersion::new(3, 1, 0))
    });
    let (value, description) = match inner {
        Some(inner) => (inner, value.get("description")),
        None => (value, None),
    };
    let text = match value {
        Json::Text(text) => text.clone(),
        other => other.to_python(true),
    };

    // `--` because a name or a value may begin with a dash
    let mut words = vec!["variables".to_owned(), "set".to_owned()];
    match description {
        None | Some(Json::Null) => {}
        Some(Json::Text(description)) => words.push(format!("--description={description}")),
        Some(_) => return Err("its description is not a string".to_owned()),
    }
    words.extend(["--".to_owned(), name.to_owned(), text]);
    Ok(words)
}

/// Returns the command of a pool. Fields that its Airflow does not know yet are left out, as in its
/// own import.
fn pool_words(
    name: &str,
    value: &Json,
    version: AirflowVersion,
) -> Result<Vec<String>, String> {
    let slots = match value.get("slots") {
        Some(Json::Number(slots)) if !slots.is_f64() => slots.to_string(),
        Some(Json::Text(slots)) => slots.clone(),
        _ => return Err("it has no number of slots".to_owned()),
    };
    let Some(Json::Text(description)) = value.get("description") else {
        return Err("it has no description".to_owned());
    };

    let deferred = value.get("include_deferred").is_some_and(Json::is_truthy);
    let mut words = vec!["pools".to_owned(), "set".to_owned()];
    if deferred && version >= AirflowVersion::new(2, 7, 0) {
        words.push("--include-deferred".to_owned());
    }
    match value.get("team_name") {
        Some(Json::Text(team)) if version >= AirflowVersion::new(3, 3, 0) => {
            words.push(format!("--team-name={team}"));
        }
        _ => {}
    }
    words.extend(["--", name, &slots, description].map(str::to_owned));
    Ok(words)
}

/// Returns the command of a connection, which is a URI or an object of its parts.
fn connection_words(name: &str, value: &Json) -> Result<Vec<String>, String> {
    let parts = match value {
        Json::Text(uri) if has_host(uri) => {
            let uri = format!("--conn-uri={uri}");
            return Ok(["connections", "add", uri.as_str(), "--", name]
                .map(str::to_owned)
                .to_vec());
        }
        // `--conn-uri` does not take it without a host
        Json::Text(_) => Json::Object([("uri".to_owned(), value.clone())].into()),
        Json::Object(parts) => Json::Object(check_parts(name, parts)?),
        _ => return Err("it is neither a URI nor an object".to_owned()),
    };

    if parts.get("uri").is_none() && !parts.get("conn_type").is_some_and(Json::is_truthy) {
        return Err("it has no conn_type, which `connections add` needs".to_owned());
    }
    Ok(vec![
        "connections".to_owned(),
        "add".to_owned(),
        format!("--conn-json={}", parts.to_python(false)),
        "--".to_owned(),
        name.to_owned(),
    ])
}

fn has_host(uri: &str) -> bool {
    uri.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.starts_with(['/', '?', '#']) && !rest.is_empty()
    })
}

/// Returns the parts of a connection under the names that `connections add` takes. Fails if one of
/// them is unknown.
fn check_parts(
    name: &str,
    parts: &IndexMap<String, Json>,
) -> Result<IndexMap<String, Json>, String> {
    if parts.contains_key("extra") && parts.contains_key("extra_dejson") {
        return Err("it has both extra and extra_dejson".to_owned());
    }

    let mut known = IndexMap::new();
    for (part, value) in parts {
        match part.as_str() {
            "conn_id" if *value == Json::Text(name.to_owned()) => {}
            "conn_id" => return Err("its conn_id differs from its name".to_owned()),
            "extra_dejson" => {
                known.insert("extra".to_owned(), Json::Text(value.to_python(false)));
            }
            part if PARTS.contains(&part) => {
                known.insert(part.to_owned(), value.clone());
            }
            _ => return Err("it has an unknown key".to_owned()),
        }
    }
    Ok(known)
}

/// The parameters of Airflow's `Connection`, less its name.
const PARTS: &[&str] = &[
    "conn_type",
    "description",
    "extra",
    "host",
    "login",
    "password",
    "port",
    "schema",
    "uri",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(
        line: &str,
        text: &str,
        version: &str,
        limit: usize,
    ) -> Vec<Result<String, String>> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let request = ImportRequest::parse(&words).unwrap().unwrap();
        let entries = request.parse_entries(text).unwrap();
        plan_entries(&request, entries, version.parse().unwrap(), limit)
            .map(|result| match result {
                Ok(entry) => {
                    let delete = entry.delete.map(|command| command.to_line() + "; ");
                    Ok(delete.unwrap_or_default() + &entry.command.to_line())
                }
                Err(error) => Err(format!("{}: {}", error.name, error.reason)),
            })
            .collect()
    }

    #[test]
    fn each_variable_gets_its_own_command() {
        let text = r#"{"-k": "-v", "n": 1, "o": {"value": "x", "description": "-d"}}"#;
        let two = planned("variables import f", text, "2.10.5", 1000);
        assert_eq!(two[0].as_deref(), Ok("variables set -- -k -v"));
        assert_eq!(two[1].as_deref(), Ok("variables set -- n 1"));
        let whole = "\"{\n  \\\"value\\\": \\\"x\\\",\n  \\\"description\\\": \\\"-d\\\"\n}\"";
        assert_eq!(two[2], Ok(format!("variables set -- o {whole}")));
        let three = planned("variables import f", text, "3.0.6", 1000);
        assert_eq!(
            three[2].as_deref(),
            Ok("variables set --description=-d -- o x")
        );
        let empty = r#"{"o": {"value": ""}}"#;
        assert!(
            planned("variables import f", empty, "3.0.6", 99)[0]
                .clone()
                .unwrap()
                .contains("value")
        );
        assert_eq!(
            planned("variables import f", empty, "3.3.2", 99)[0].as_deref(),
            Ok("variables set -- o \"\"")
        );
    }

    #[test]
    fn each_connection_and_pool_gets_its_own_command() {
        let text =
            r#"{"c": "http://u:p@h", "d": {"conn_type": "x", "extra_dejson": {"a": 1}}}"#;
        let made = planned("connections import f --overwrite", text, "2.10.5", 1000);
        assert_eq!(
            made[0].as_deref(),
            Ok("connections delete -- c; connections add --conn-uri=http://u:p@h -- c")
        );
        assert!(
            made[1]
                .as_ref()
                .unwrap()
                .contains(r#"\"extra\": \"{\\\"a\\\": 1}\"#),
            "{made:?}"
        );
        let made = planned("connections import f", r#"{"c": "aws://"}"#, "2.10.5", 1000);
        let line = "connections add \"--conn-json={\\\"uri\\\": \\\"aws://\\\"}\" -- c";
        assert_eq!(made[0].as_deref(), Ok(line));
        let text = r#"{"p": {"slots": 3, "description": "d e", "include_deferred": true}, "q": {"slots": 1}}"#;
        let made = planned("pools import f", text, "2.10.5", 1000);
        assert_eq!(
            made[0].as_deref(),
            Ok("pools set --include-deferred -- p 3 \"d e\"")
        );
        assert_eq!(made[1], Err("q: it has no description".to_owned()));
        let text = r#"{"p": {"slots": 3, "description": "", "include_deferred": true, "team_name": "t"}}"#;
        for (version, line) in [
            ("2.6.3", "pools set -- p 3 \"\""),
            ("3.2.1", "pools set --include-deferred -- p 3 \"\""),
            (
                "3.3.1",
                "pools set --include-deferred --team-name=t -- p 3 \"\"",
            ),
        ] {
            let made = planned("pools import f", text, version, 1000);
            assert_eq!(made[0].as_deref(), Ok(line), "{version}");
        }
    }

    #[test]
    fn entries_that_cannot_be_sent_are_found_first() {
        let text = r#"{"big": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "control": "\u0007", "--": "x"}"#;
        let made = planned("variables import f", text, "2.10.5", 40);
        assert!(made.iter().all(Result::is_err), "{made:?}");
        assert!(made[0].as_ref().unwrap_err().contains("limits.cli_body"));
        for bad in [
            r#"{"host": "h"}"#,
            r#"{"conn_type": "a", "x": 1}"#,
            r#"{"conn_type": "a", "conn_id": "b"}"#,
            "3",
        ] {
            let made = planned(
                "connections import f",
                &format!("{{\"c\": {bad}}}"),
                "2.10.5",
                400,
            );
            assert!(made[0].is_err(), "{bad}");
        }
    }
}
