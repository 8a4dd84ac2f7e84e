//! `assets list|details|materialize` (Airflow 3).

use clap::{ArgMatches, Command};
use serde_json::json;

use super::arguments::{Parsed, command, group, option, output, switch};
use super::output::Rows;
use super::reply::{CommandResult, Reply};
use super::state::State;
use super::trigger::{self, Asked};

/// The world's assets: name, URI, the DAG that produces it.
const ASSETS: [(&str, &str, &str); 2] = [
    (
        "orders",
        "s3://example-bucket/orders.parquet",
        "example_etl",
    ),
    (
        "daily_figures",
        "s3://example-bucket/figures.csv",
        "daily_report",
    ),
];

pub(super) fn grammar() -> Command {
    let name = || option(None, "name", "Asset name");
    let uri = || option(None, "uri", "Asset URI");
    let alias = || switch(None, "alias", "Show asset alias");
    group(
        "assets",
        "Manage assets",
        [
            command("details", "Show asset details").args([alias(), name(), uri(), output()]),
            command("list", "List assets").args([
                alias(),
                option(
                    None,
                    "columns",
                    "List of columns to render (comma separated)",
                ),
                output(),
            ]),
            command("materialize", "Materialize an asset").args([name(), uri(), output()]),
        ],
    )
}

pub(super) fn run(state: &mut State, command: &str, given: &ArgMatches) -> Reply {
    if command == "list" {
        let mut rows = Rows::new(&["name", "uri", "group", "extra"]);
        for (name, uri, _) in ASSETS.iter().filter(|_| !given.has("alias")) {
            rows.push(vec![json!(name), json!(uri), json!("asset"), json!({})]);
        }
        return Ok(rows.print(given.format()));
    }
    let (name, uri, dag_id) = find(given)?;
    if command == "materialize" {
        let run = trigger::trigger(state, dag_id, &Asked::default())?;
        return Ok(trigger::triggered(state, &run, given));
    }
    let mut rows = Rows::new(&["property_name", "property_value"]);
    for (property, value) in [("name", *name), ("uri", *uri), ("group", "asset")] {
        rows.push(vec![json!(property), json!(value)]);
    }
    rows.push(vec![json!("producing_tasks"), json!([dag_id])]);
    Ok(rows.print(given.format()))
}

fn find(
    given: &ArgMatches,
) -> Result<&'static (&'static str, &'static str, &'static str), CommandResult> {
    let (name, uri) = (given.text("name"), given.text("uri"));
    let fits = |asset: &&(&str, &str, &str)| {
        name.is_none_or(|name| asset.0 == name) && uri.is_none_or(|uri| asset.1 == uri)
    };
    let meant = match (name, uri) {
        (None, None) => {
            return Err(CommandResult::system_exit(
                "Either --name or --uri is required",
            ));
        }
        (Some(name), None) => format!("name {name}"),
        (None, Some(uri)) => format!("URI {uri}"),
        (Some(name), Some(uri)) => format!("name {name} and URI {uri}"),
    };
    ASSETS.iter().find(fits).ok_or_else(|| {
        CommandResult::system_exit(format_args!("Asset with {meant} does not exist."))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, ok, run, world};

    #[test]
    fn assets_are_listed_and_materialized() {
        let world = world("3.0.6");
        assert!(ok(&world, &["assets", "list", "-o", "plain"]).contains("orders "));
        assert!(
            ok(&world, &["assets", "details", "--name", "orders"])
                .contains("s3://example-bucket/orders")
        );
        let before = ok(&world, &["dags", "list-runs", "example_etl"])
            .lines()
            .count();
        assert!(
            ok(
                &world,
                &["assets", "materialize", "--name", "orders", "-o", "json"]
            )
            .contains("\"queued\"")
        );
        assert_eq!(
            ok(&world, &["dags", "list-runs", "example_etl"])
                .lines()
                .count(),
            before + 1
        );
    }

    #[test]
    fn a_missing_asset_fails_and_airflow_2_has_none() {
        let wanted = "Asset with name x does not exist.\n";
        fails(
            &world("3.0.6"),
            &["assets", "details", "--name", "x"],
            1,
            wanted,
        );
        assert_eq!(run(&world("2.10.3"), &["assets", "list"]).exit_code, 2);
    }
}
