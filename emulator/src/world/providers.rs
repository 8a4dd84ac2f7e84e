//! `providers`: which packages are installed and what they bring.

use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use super::arguments::{Parsed, command, group, output, positional, switch};
use super::output::Rows;
use super::reply::{CommandResult, Reply};

/// A package: name, description, version, connection type, hook class, hook name.
type Provider = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const PROVIDERS: [Provider; 4] = [
    (
        "apache-airflow-providers-amazon",
        "Amazon integration (including Amazon Web Services (AWS) https://aws.amazon.com/).",
        "9.0.0",
        "aws",
        "airflow.providers.amazon.aws.hooks.base_aws.AwsGenericHook",
        "Amazon Web Services",
    ),
    (
        "apache-airflow-providers-ftp",
        "File Transfer Protocol (FTP) https://tools.ietf.org/html/rfc114",
        "3.11.1",
        "ftp",
        "airflow.providers.ftp.hooks.ftp.FTPHook",
        "FTP",
    ),
    (
        "apache-airflow-providers-http",
        "Hypertext Transfer Protocol (HTTP) https://www.w3.org/Protocols/",
        "4.13.1",
        "http",
        "airflow.providers.http.hooks.http.HttpHook",
        "HTTP",
    ),
    (
        "apache-airflow-providers-sqlite",
        "SQLite https://www.sqlite.org/",
        "3.9.0",
        "sqlite",
        "airflow.providers.sqlite.hooks.sqlite.SqliteHook",
        "Sqlite",
    ),
];

/// A listing: command, about, columns, rows.
type Listing = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static [&'static str]],
);

const AMAZON: &str = "apache-airflow-providers-amazon";

const LISTINGS: [Listing; 7] = [
    (
        "behaviours",
        "Get information about registered connection types with custom behaviours",
        &["field_behaviours"],
        &[&["aws"], &["sqlite"]],
    ),
    (
        "links",
        "List extra links registered by the providers",
        &["extra_link_class_name"],
        &[
            &["airflow.providers.amazon.aws.links.batch.BatchJobDetailsLink"],
            &["airflow.providers.amazon.aws.links.emr.EmrClusterLink"],
            &["airflow.providers.amazon.aws.links.logs.CloudWatchEventsLink"],
        ],
    ),
    (
        "notifications",
        "Get information about notifications provided",
        &["notification_class_name"],
        &[
            &["airflow.providers.amazon.aws.notifications.sns.SnsNotifier"],
            &["airflow.providers.amazon.aws.notifications.sqs.SqsNotifier"],
        ],
    ),
    (
        "secrets",
        "Get information about secrets backends provided",
        &["secrets_backend_class_name"],
        &[
            &["airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"],
            &[
                "airflow.providers.amazon.aws.secrets.systems_manager.SystemsManagerParameterStoreBackend",
            ],
        ],
    ),
    (
        "triggers",
        "List all registered provider triggers",
        &["package_name", "class", "integration_name"],
        &[
            &[
                AMAZON,
                "airflow.providers.amazon.aws.triggers.s3",
                "Amazon Simple Storage Service (S3)",
            ],
            &[
                "apache-airflow-providers-http",
                "airflow.providers.http.triggers.http",
                "Hypertext Transfer Protocol (HTTP)",
            ],
        ],
    ),
    (
        "widgets",
        "Get information about registered connection form widgets",
        &[
            "connection_parameter_name",
            "class",
            "package_name",
            "field_type",
        ],
        &[
            &[
                "extra__aws__region_name",
                "AwsGenericHook",
                AMAZON,
                "StringField",
            ],
            &[
                "extra__aws__role_arn",
                "AwsGenericHook",
                AMAZON,
                "StringField",
            ],
        ],
    ),
    (
        "logging",
        "Get information about task logging handlers provided",
        &["logging_class_name"],
        &[
            &["airflow.providers.amazon.aws.log.cloudwatch_task_handler.CloudwatchTaskHandler"],
            &["airflow.providers.amazon.aws.log.s3_task_handler.S3TaskHandler"],
        ],
    ),
];

pub(super) fn grammar() -> Command {
    let mut commands = vec![
        command("get", "Get detailed information about a provider").args([
            positional(
                "provider_name",
                "Provider name, required to get provider information",
            ),
            switch(Some('f'), "full", "Full information about the provider"),
            output(),
        ]),
        command("hooks", "List registered provider hooks").arg(output()),
        command("list", "List installed providers").arg(output()),
        // MWAA's reference spells `triggers` so; no Airflow release does
        command("triggerer", "List all registered provider triggers").arg(output()),
    ];
    for (name, about, ..) in LISTINGS {
        commands.push(command(name, about).arg(output()));
    }
    group("providers", "Display providers", commands)
}

pub(super) fn run(name: &str, given: &ArgMatches) -> Reply {
    let rows = match name {
        "list" => {
            let mut rows = Rows::new(&["package_name", "description", "version"]);
            for (name, about, version, ..) in PROVIDERS {
                rows.push(vec![json!(name), json!(about), json!(version)]);
            }
            rows
        }
        "get" => get(given.required("provider_name"), given.has("full"))?,
        "hooks" => hooks(),
        name => {
            let name = if name == "triggerer" {
                "triggers"
            } else {
                name
            };
            let found = LISTINGS.iter().find(|listing| listing.0 == name);
            let Some((_, _, columns, values)) = found else {
                return Ok(CommandResult::printed(""));
            };
            let mut rows = Rows::new(columns);
            for row in *values {
                rows.push(row.iter().map(|value| json!(value)).collect());
            }
            rows
        }
    };
    Ok(rows.print(given.format()))
}

fn get(wanted: &str, full: bool) -> Result<Rows, CommandResult> {
    let Some((name, about, version, kind, class, _)) =
        PROVIDERS.into_iter().find(|(name, ..)| *name == wanted)
    else {
        let message = format!("No such provider installed: {wanted}");
        return Err(CommandResult::system_exit(message));
    };
    if !full {
        let mut rows = Rows::new(&["Provider", "Version"]);
        rows.push(vec![json!(name), json!(version)]);
        return Ok(rows);
    }
    let mut rows = Rows::new(&[
        "package-name",
        "description",
        "versions",
        "connection-types",
    ]);
    let types = json!([{"hook-class-name": class, "connection-type": kind}]);
    rows.push(vec![json!(name), json!(about), json!([version]), types]);
    Ok(rows)
}

fn hooks() -> Rows {
    let mut rows = Rows::new(&[
        "connection_type",
        "class",
        "conn_id_attribute_name",
        "package_name",
        "hook_name",
    ]);
    for (kind, name) in [("generic", "Generic"), ("email", "Email")] {
        rows.push(vec![
            json!(kind),
            Value::Null,
            Value::Null,
            Value::Null,
            json!(name),
        ]);
    }
    for (package, _, _, kind, class, name) in PROVIDERS {
        let attribute = format!("{kind}_conn_id");
        rows.push(vec![
            json!(kind),
            json!(class),
            json!(attribute),
            json!(package),
            json!(name),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails, ok, world};
    use super::LISTINGS;

    #[test]
    fn every_listing_prints_rows() {
        let world = world("2.10.3");
        for (name, ..) in LISTINGS {
            assert!(
                ok(&world, &["providers", name]).lines().count() > 3,
                "{name}"
            );
        }
        assert_eq!(
            ok(&world, &["providers", "triggerer"]),
            ok(&world, &["providers", "triggers"])
        );
        assert!(
            ok(&world, &["providers", "list", "-o", "json"]).contains("\"version\": \"9.0.0\"")
        );
        assert!(ok(&world, &["providers", "hooks"]).contains("AwsGenericHook"));
    }

    #[test]
    fn one_provider_is_found_by_name() {
        let world = world("3.0.6");
        let name = "apache-airflow-providers-ftp";
        assert!(ok(&world, &["providers", "get", name]).contains("| 3.11.1"));
        assert!(
            ok(&world, &["providers", "get", name, "--full", "-o", "yaml"])
                .contains("hook-class-name")
        );
        fails(
            &world,
            &["providers", "get", "nope"],
            1,
            "No such provider installed: nope\n",
        );
    }
}
