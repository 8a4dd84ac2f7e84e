//! `environments`: which there are, how they are, and where they are reached.

use super::Exit;
use super::columns::aligned;
use super::inputs::{Flag, Inputs, Purpose, extras};
use super::output::{Output, OutputOption};
use super::serve::control;
use super::terminal::Terminal;
use crate::app::{self, Surveyed};
use crate::control::AwsErrorKind;
use crate::names::Described;
use clap::Args;
use serde_json::{Value, json};

/// The options of `environments`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    inputs: Inputs<ToList>,
    #[command(flatten)]
    print: OutputOption,
}

#[derive(Debug)]
struct ToList;

impl Purpose for ToList {
    const FLAGS: &'static [(Flag, &'static str)] = &[
        (
            Flag::Environments,
            "List only this environment (may be given several times): a name of the file, or MWAA's",
        ),
        (
            Flag::Region,
            "Ask in this AWS region, where the file names none for an environment",
        ),
        (
            Flag::Profile,
            "Ask as this AWS profile, where the file names none for an environment",
        ),
        (
            Flag::Listen,
            "The gateway's address, which the URLs are made of",
        ),
    ];
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let prepared = options
        .inputs
        .load(terminal)
        .and_then(|config| extras(terminal).map(|extras| (config, extras)));
    let (config, extras) = match prepared {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    control(terminal, async {
        let survey = app::survey(&config, &extras).await?;
        match options.print.output {
            Output::Table => terminal.data(table(&survey.environments)),
            Output::Json => {
                let rows: Vec<_> = survey.environments.iter().map(object).collect();
                terminal.data(format_args!("{:#}\n", Value::Array(rows)));
            }
        }
        for row in &survey.environments {
            if let Some(why) = row.described.as_ref().and_then(Described::why_unwell) {
                terminal.say_long(&format!("{}: {why}", row.local));
            }
        }
        let mut exit = Exit::Done;
        for trouble in &survey.troubles {
            terminal.tell_long(&format!("{}: {}", trouble.subject, trouble.text));
            if !trouble.harmless && exit != Exit::Unavailable {
                exit = exit_of(trouble.kind);
            }
        }
        if survey.environments.is_empty() && survey.troubles.is_empty() {
            terminal.tell("there is no environment; check the region and the profile");
            exit = Exit::Failed;
        }
        Ok(exit)
    })
}

/// A refusal is an answer; all else means that AWS could not be asked.
fn exit_of(kind: AwsErrorKind) -> Exit {
    match kind {
        AwsErrorKind::Denied | AwsErrorKind::NotFound => Exit::Failed,
        AwsErrorKind::Credentials
        | AwsErrorKind::LoginNeeded
        | AwsErrorKind::NotReady
        | AwsErrorKind::Throttled
        | AwsErrorKind::Unavailable
        | AwsErrorKind::UntrustedHost => Exit::Unavailable,
    }
}

fn object(row: &Surveyed) -> Value {
    let told = row.described.as_ref();
    json!({
        "local": row.local,
        "name": row.name,
        "region": row.region,
        "profile": row.profile,
        "airflow_version": row.airflow_version,
        "status": told.map(|told| &told.status),
        "status_meaning": told.and_then(Described::status_meaning),
        "access_mode": told.and_then(|told| told.access_mode.as_deref()),
        "default": row.default,
        "urls": row.urls,
    })
}

fn table(rows: &[Surveyed]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    for row in rows {
        let status = row
            .described
            .as_ref()
            .map(|told| told.status.escape_debug().to_string());
        lines.push([
            row.local.clone(),
            row.name.escape_debug().to_string(),
            or_dash(&row.region),
            or_dash(&row.airflow_version),
            or_dash(&status),
            row.urls.join(" "),
        ]);
    }
    aligned(&lines)
}

const HEADINGS: [&str; 6] = ["LOCAL", "NAME", "REGION", "AIRFLOW", "STATUS", "URL"];
