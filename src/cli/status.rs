//! `status`: what a running gateway says of itself.

use super::columns::aligned;
use super::inputs::{Flag, Inputs, Purpose};
use super::neutral::neutral;
use super::output::{Output, OutputOption};
use super::terminal::Terminal;
use super::{Exit, management};
use clap::Args;
use serde_json::Value;
use std::fmt;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// The options of `status`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    inputs: Inputs<ToAsk>,
    #[command(flatten)]
    print: OutputOption,
}

/// For commands that ask a running gateway.
#[derive(Debug)]
pub(super) struct ToAsk;

impl Purpose for ToAsk {
    const FLAGS: &'static [(Flag, &'static str)] =
        &[(Flag::Management, "The management address of the gateway")];
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let address = match options.inputs.management(terminal) {
        Ok(address) => address,
        Err(exit) => return exit,
    };
    let told = match management::get(address, "/status", PATIENCE) {
        Ok((200, told)) => told,
        Ok(_) => {
            return terminal.fail(Exit::Unavailable, &NoStatus::Foreign(address), Some(HINT));
        }
        Err(error) if management::is_cut(&error) => {
            return terminal.fail(Exit::Unavailable, &NoStatus::Foreign(address), Some(HINT));
        }
        Err(error) => {
            let error = NoStatus::Silent(address, error.to_string());
            return terminal.fail(Exit::Unavailable, &error, Some(HINT));
        }
    };
    let Ok(status) = serde_json::from_str::<Value>(&told) else {
        return terminal.fail(Exit::Unavailable, &NoStatus::Foreign(address), Some(HINT));
    };
    match options.print.output {
        Output::Json => terminal.others(format_args!("{told}\n")),
        Output::Table => terminal.data(table(&status)),
    }
    Exit::Done
}

/// The same for people. A value that is not there is one that this program knows better than
/// the gateway that runs: it is left out.
fn table(status: &Value) -> String {
    let mut text = format!("mwaa-gateway {}", word(&status["version"]));
    if let Some(url) = status["url"].as_str() {
        text.extend([" at ", &neutral(url)]);
    }
    if status["stopping"] == true {
        text.push_str(", stopping");
    }
    text.push('\n');
    let environments = list(&status["environments"]);
    if !environments.is_empty() {
        let headings = [
            "ENVIRONMENT",
            "AIRFLOW",
            "STATUS",
            "READY",
            "TOKEN",
            "SESSION",
            "QUEUE",
        ];
        let rows = environments.iter().map(environment);
        let lines: Vec<_> = [headings.map(str::to_owned)]
            .into_iter()
            .chain(rows)
            .collect();
        text.extend(["\n", &aligned(&lines)]);
    }
    let ways: Vec<_> = environments.iter().filter_map(way).collect();
    if !ways.is_empty() {
        // writing to a String does not fail
        let _infallible = write!(text, "\n{}\n", ways.join("\n"));
    }
    let troubles = environments.iter().filter_map(|one| {
        let trouble = one["trouble"].as_str()?;
        Some(format!("{}: {}", word(&one["local"]), neutral(trouble)))
    });
    let searches = list(&status["discovery"]).iter().filter_map(|place| {
        let trouble = place["trouble"].as_str()?;
        Some(format!(
            "environments of {}: {}",
            word(&place["region"]),
            neutral(trouble)
        ))
    });
    let troubles: Vec<_> = troubles.chain(searches).collect();
    if !troubles.is_empty() {
        // writing to a String does not fail
        let _infallible = write!(text, "\n{}\n", troubles.join("\n"));
    }
    let refusals = list(&status["refusals"]);
    if !refusals.is_empty() {
        let headings = ["LAST REFUSALS", "CODE", "ENVIRONMENT", "REQUEST", "DETAIL"];
        let rows = refusals.iter().map(|one| {
            [
                format!("{} ago", time(&one["age_seconds"])),
                word(&one["code"]),
                word(&one["environment"]),
                format!("{} {}", word(&one["method"]), word(&one["path"])),
                word(&one["detail"]),
            ]
        });
        let lines: Vec<_> = [headings.map(str::to_owned)]
            .into_iter()
            .chain(rows)
            .collect();
        text.extend(["\n", &aligned(&lines)]);
    }
    text
}

/// How an environment's web server and AWS are reached, where that is not the direct way.
fn way(one: &Value) -> Option<String> {
    let indirect = |way: &Value| {
        let way = way.as_str().filter(|&way| way != "directly")?;
        Some(neutral(way).into_owned())
    };
    let web = indirect(&one["way"]).map(|way| match one["tunnel"].as_str() {
        Some(tunnel) => format!("web server {way} ({})", neutral(tunnel)),
        None => format!("web server {way}"),
    });
    let aws = indirect(&one["way_to_aws"]).map(|way| format!("AWS {way}"));
    let both: Vec<_> = web.into_iter().chain(aws).collect();
    (!both.is_empty()).then(|| format!("{}: {}", word(&one["local"]), both.join(", ")))
}

fn environment(one: &Value) -> [String; 7] {
    let live = |state: &Value, busy: &str, doing: &str| {
        if state["live"] == true {
            format!("{} old", time(&state["age_seconds"]))
        } else if state[busy] == true {
            doing.to_owned()
        } else {
            "none".to_owned()
        }
    };
    let queue = &one["queue"];
    [
        word(&one["local"]),
        word(&one["airflow_version"]),
        word(&one["status"]),
        if one["ready"] == true { "yes" } else { "no" }.to_owned(),
        live(&one["cli_token"], "minting", "being made"),
        live(&one["session"], "signing_in", "signing in"),
        format!(
            "{} running, {} waiting",
            word(&queue["running"]),
            word(&queue["waiting"])
        ),
    ]
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A word or a number, or a dash for what is not known.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => neutral(text).replace('\n', " "),
        Value::Number(number) => number.to_string(),
        _ => "-".to_owned(),
    }
}

/// Whole seconds, as people read them.
fn time(seconds: &Value) -> String {
    let seconds = seconds.as_f64().unwrap_or_default().max(0.0);
    let whole = Duration::try_from_secs_f64(seconds.floor()).unwrap_or_default();
    humantime::format_duration(whole).to_string()
}

/// Nothing at the address tells of a gateway.
#[derive(Debug)]
enum NoStatus {
    Foreign(SocketAddr),
    Silent(SocketAddr, String),
}

impl fmt::Display for NoStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(address) => {
                write!(
                    f,
                    "what answers at {address} is not a gateway's management address"
                )
            }
            Self::Silent(address, why) => write!(f, "no gateway answers at {address}: {why}"),
        }
    }
}

impl std::error::Error for NoStatus {}

const HINT: &str = "start one with `mwaa-gateway serve`, or say where it is with --management";
/// A gateway that runs answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn people_see_what_matters() {
        let status = json!({
            "version": "1.2.3",
            "stopping": false,
            "url": "http://127.0.0.1:8080",
            "environments": [{
                "local": "demo", "airflow_version": "2.10.3", "status": "AVAILABLE", "ready": false,
                "trouble": "aws.denied: no\u{1b}[31m",
                "cli_token": {"live": true, "age_seconds": 12.7},
                "session": {"live": false, "signing_in": true},
                "queue": {"running": 1, "waiting": 0},
                "way": "through the tunnel `ssh`", "tunnel": "up for 3m",
                "way_to_aws": "through http://proxy:3128",
            }],
            "discovery": [{"region": "eu-west-1", "trouble": "aws.throttled: wait"}],
            "refusals": [{
                "age_seconds": 61.5, "code": "guard.secret", "environment": null,
                "method": "POST", "path": "/aws_mwaa/cli", "detail": "no secret",
            }],
        });
        let text = table(&status);
        for line in [
            "mwaa-gateway 1.2.3 at http://127.0.0.1:8080",
            "ENVIRONMENT  AIRFLOW  STATUS     READY  TOKEN    SESSION     QUEUE",
            "demo         2.10.3   AVAILABLE  no     12s old  signing in  1 running, 0 waiting",
            "demo: web server through the tunnel `ssh` (up for 3m), AWS through http://proxy:3128",
            "environments of eu-west-1: aws.throttled: wait",
            "1m 1s ago      guard.secret  -            POST /aws_mwaa/cli  no secret",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        assert!(
            text.contains("demo: aws.denied") && !text.contains('\u{1b}'),
            "{text}"
        );
        // of a gateway that is older or later
        assert_eq!(table(&json!({})), "mwaa-gateway -\n");
    }
}
