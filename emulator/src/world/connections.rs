//! `connections list|get|delete`, and what a connection is; `add` is in `new_connection`.

use clap::{ArgMatches, Command, value_parser};
use serde_json::{Map, Value, json};

use super::arguments::{Parsed, command, group, option, output, positional};
use super::output::Rows;
use super::reply::{CommandResult, Reply};
use super::state::State;
use super::{new_connection, uri};

/// A connection as the database holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) id: usize,
    pub(super) conn_id: String,
    pub(super) conn_type: String,
    pub(super) description: Option<String>,
    pub(super) host: Option<String>,
    pub(super) schema: Option<String>,
    pub(super) login: Option<String>,
    pub(super) password: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) extra: Map<String, Value>,
}

pub(super) fn grammar() -> Command {
    let conn_id = || positional("conn_id", "Connection id");
    group(
        "connections",
        "Manage connections",
        [
            command("add", "Add a connection").args([
                conn_id(),
                option(None, "conn-description", "Connection description"),
                option(None, "conn-extra", "Connection `Extra` field"),
                option(None, "conn-host", "Connection host"),
                option(None, "conn-json", "Connection JSON"),
                option(None, "conn-login", "Connection login"),
                option(None, "conn-password", "Connection password"),
                option(None, "conn-port", "Connection port").value_parser(value_parser!(u16)),
                option(None, "conn-schema", "Connection schema"),
                option(
                    None,
                    "conn-type",
                    "Connection type, required to add a connection without conn_uri",
                ),
                option(
                    None,
                    "conn-uri",
                    "Connection URI, required to add a connection without conn_type",
                ),
            ]),
            command("delete", "Delete a connection").args([conn_id()]),
            command("get", "Get a connection").args([conn_id(), output()]),
            command("list", "List connections")
                .args([option(None, "conn-id", "Only this connection"), output()]),
        ],
    )
}

pub(super) fn run(state: &mut State, name: &str, given: &ArgMatches) -> Reply {
    let conn_id = given.required("conn_id");
    match name {
        "add" => new_connection::add(state, conn_id, given),
        "delete" => {
            let before = state.connections.len();
            state.connections.retain(|known| known.conn_id != conn_id);
            if state.connections.len() == before {
                return Err(CommandResult::system_exit(format_args!(
                    "Did not find a connection with `conn_id`={conn_id}"
                )));
            }
            let said = format!("Successfully deleted connection with `conn_id`={conn_id}");
            Ok(CommandResult::line(said))
        }
        "get" => {
            let found = state
                .connections
                .iter()
                .find(|known| known.conn_id == conn_id);
            let found =
                found.ok_or_else(|| CommandResult::system_exit("Connection not found."))?;
            Ok(rows(std::iter::once(found)).print(given.format()))
        }
        _ => {
            let only = given.text("conn-id");
            let chosen = |known: &&Connection| only.is_none_or(|only| known.conn_id == only);
            Ok(rows(state.connections.iter().filter(chosen)).print(given.format()))
        }
    }
}

fn rows<'a>(connections: impl Iterator<Item = &'a Connection>) -> Rows {
    let mut rows = Rows::new(&[
        "id",
        "conn_id",
        "conn_type",
        "description",
        "host",
        "schema",
        "login",
        "password",
        "port",
        "is_encrypted",
        "is_extra_encrypted",
        "extra_dejson",
        "get_uri",
    ]);
    for known in connections {
        rows.push(vec![
            json!(known.id),
            json!(known.conn_id),
            json!(known.conn_type),
            json!(known.description),
            json!(known.host),
            json!(known.schema),
            json!(known.login),
            json!(known.password),
            json!(known.port),
            json!(known.password.is_some()),
            json!(!known.extra.is_empty()),
            json!(known.extra),
            json!(uri::format(known)),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, ok, world};

    #[test]
    fn connections_are_added_shown_and_deleted() {
        let world = world("2.10.3");
        let add = [
            "connections",
            "add",
            "c2",
            "--conn-uri",
            "postgres://u:p@h:5432/db",
        ];
        assert_eq!(
            ok(&world, &add),
            "Successfully added `conn_id`=c2 : postgres://u:p@h:5432/db\n"
        );
        fails(
            &world,
            &add,
            1,
            "A connection with `conn_id`=c2 already exists.\n",
        );
        assert_eq!(
            ok(&world, &["connections", "get", "c2", "-o", "yaml"]),
            "- conn_id: c2\n  conn_type: postgres\n  description: null\n  extra_dejson: {}\n  \
             get_uri: postgres://u:p@h:5432/db\n  host: h\n  id: '2'\n  is_encrypted: 'True'\n  \
             is_extra_encrypted: 'False'\n  login: u\n  password: p\n  port: '5432'\n  schema: db\n\n"
        );
        let deleted = "Successfully deleted connection with `conn_id`=c2\n";
        assert_eq!(ok(&world, &["connections", "delete", "c2"]), deleted);
        let missing = "Did not find a connection with `conn_id`=c2\n";
        fails(&world, &["connections", "delete", "c2"], 1, missing);
        fails(
            &world,
            &["connections", "get", "c2"],
            1,
            "Connection not found.\n",
        );
    }
}
