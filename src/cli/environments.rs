//! `environments`: lists the environments, their status and their local URLs.

use crate::config_args::{ConfigArgs, config_flags, load_external_inputs};
use crate::output::{OutputArgs, OutputFormat, format_with_headings};
use crate::serve::block_on;
use crate::terminal::{Terminal, wrap_message};
use crate::{ExitStatus, RunResult};
use clap::Args;
use mwaa_app::EnvironmentListEntry;
use mwaa_auth::aws::AwsErrorKind;
use mwaa_model::EnvironmentInfo;
use serde_json::{Value, json};

/// The options of `environments`.
#[derive(Debug, Args)]
pub(crate) struct EnvironmentsArgs {
    #[command(flatten)]
    config: ConfigArgs<EnvironmentsFlags>,
    #[command(flatten)]
    print: OutputArgs,
}

config_flags! {
    struct EnvironmentsFlags;
    Environments: "List only this environment (repeatable): a local name, or a name in MWAA",
    Region: "The AWS region of environments that have none in the file",
    Profile: "The AWS profile of environments that have none in the file",
    Listen: "The gateway's address, for the URLs",
}

pub(crate) fn run(args: &EnvironmentsArgs, terminal: &Terminal) -> RunResult {
    let config = args.config.load(terminal)?;
    let inputs = load_external_inputs(terminal)?;
    Ok(block_on(terminal, async {
        let list = mwaa_app::list_environments(&config, &inputs).await?;
        match args.print.output {
            OutputFormat::Table => terminal.print(format_rows(&list.environments)),
            OutputFormat::Json => {
                let rows: Vec<_> = list.environments.iter().map(to_json).collect();
                terminal.print_json(&rows)?;
            }
        }

        // the table has no room for the reason
        for row in &list.environments {
            if let Some(reason) = row.info.as_ref().and_then(EnvironmentInfo::explain_status) {
                let line = format!("{}: {reason}", row.local);
                terminal.info(wrap_message(&line, ""));
            }
        }

        // an answer that AWS gave (1) counts less than one that it did not give (69)
        let mut exit = ExitStatus::Success;
        for error in &list.errors {
            let line = format!("{}: {}", error.subject, error.text);
            terminal.error(wrap_message(&line, ""));
            if !error.harmless && exit != ExitStatus::Unavailable {
                exit = to_exit_status(error.kind);
            }
        }

        if list.environments.is_empty() && list.errors.is_empty() {
            terminal.error("there are no environments; check the region and the profile");
            exit = ExitStatus::Failure;
        }
        Ok(exit)
    }))
}

/// Returns 1 for an answer of AWS, and 69 where it gave none.
fn to_exit_status(kind: AwsErrorKind) -> ExitStatus {
    match kind {
        AwsErrorKind::Denied | AwsErrorKind::NotFound => ExitStatus::Failure,
        AwsErrorKind::Credentials
        | AwsErrorKind::LoginNeeded
        | AwsErrorKind::NotReady
        | AwsErrorKind::Throttled
        | AwsErrorKind::Unavailable
        | AwsErrorKind::UntrustedHost => ExitStatus::Unavailable,
    }
}

fn to_json(row: &EnvironmentListEntry) -> Value {
    let info = row.info.as_ref();
    json!({
        "local": row.local,
        "name": row.name,
        "region": row.region,
        "profile": row.profile,
        "airflow_version": row.airflow_version,
        "status": info.map(|info| &info.status),
        "status_meaning": info.and_then(EnvironmentInfo::status_meaning),
        "access_mode": info.and_then(|info| info.access_mode.as_deref()),
        "default": row.default,
        "urls": row.urls,
    })
}

fn format_rows(rows: &[EnvironmentListEntry]) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let lines = rows.iter().map(|row| {
        let info = row.info.as_ref();
        // what AWS says is not ours, and may hold anything
        let status = info.map(|info| info.status.escape_debug().to_string());
        [
            row.local.clone(),
            row.name.escape_debug().to_string(),
            or_dash(row.region.clone()),
            or_dash(row.airflow_version.clone()),
            or_dash(status),
            row.urls.join(" "),
        ]
    });
    format_with_headings(HEADINGS, lines)
}

const HEADINGS: [&str; 6] = ["LOCAL", "NAME", "REGION", "AIRFLOW", "STATUS", "URL"];
