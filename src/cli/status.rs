//! `status` and `wait`: ask the management address of a running gateway.

use crate::client::ConnectError;
use crate::config_args::{ConfigArgs, config_flags};
use crate::output::{OutputArgs, OutputFormat, format_with_headings};
use crate::running::{self, run_blocking};
use crate::sanitize::sanitize;
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult};
use clap::Args;
use http::StatusCode;
use mwaa_runtime::Timestamp;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// The options of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    config: ConfigArgs<ManagementFlags>,
    #[command(flatten)]
    print: OutputArgs,
}

/// The options of `wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The longest time to wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    config: ConfigArgs<ManagementFlags>,
}

config_flags! {
    struct ManagementFlags;
    Management: "The management address of the gateway",
}

/// Prints the status of the running gateway.
pub(crate) fn run(args: &StatusArgs, terminal: &Terminal) -> RunResult {
    let address = args.config.management_address(terminal)?;
    let (body, status) = load_status(address).map_err(|error| {
        let hint = "start one with `mwaa-gateway serve`, or set its address with --management";
        terminal.fail(ExitStatus::Unavailable, &error, Some(hint))
    })?;

    match args.print.output {
        // as it came: programs know the fields of the gateway that runs
        OutputFormat::Json => terminal.print_untrusted(format_args!("{body}\n")),
        OutputFormat::Table => terminal.print(format_status(&status)),
    }
    Ok(ExitStatus::Success)
}

/// Returns the status of the gateway at this address, as it came and parsed.
fn load_status(address: SocketAddr) -> Result<(String, Value), StatusError> {
    let response = run_blocking(running::get(address, "/status", STATUS_TIMEOUT));
    match response.unwrap_or_else(|error| Err(ConnectError::Unreachable(error))) {
        Ok((StatusCode::OK, body)) => match serde_json::from_str(&body) {
            Ok(status) => Ok((body, status)),
            Err(_not_json) => Err(StatusError::Foreign(address)),
        },
        // a TLS port closes the connection, another server answers 404
        Ok(_) | Err(ConnectError::Foreign) => Err(StatusError::Foreign(address)),
        Err(error) => Err(StatusError::NotRunning(address, error)),
    }
}

/// Waits until the gateway is ready.
pub(crate) fn wait(args: &WaitArgs, terminal: &Terminal) -> RunResult {
    let address = args.config.management_address(terminal)?;
    let ready = run_blocking(wait_until_ready(address, args.timeout))
        .unwrap_or_else(|error| Err(error.to_string()));
    match ready {
        Ok(()) => Ok(ExitStatus::Success),
        Err(reason) => {
            let hint = "is the gateway running, and is this its management address?";
            let timeout = args.timeout;
            let error = StatusError::NotReady { timeout, reason };
            Err(terminal.fail(ExitStatus::Failure, &error, Some(hint)))
        }
    }
}

/// Asks until the gateway is ready. Fails with its last reason after `timeout`.
async fn wait_until_ready(address: SocketAddr, timeout: Duration) -> Result<(), String> {
    let started = Timestamp::now();
    loop {
        let left = timeout.saturating_sub(started.age(Timestamp::now()));
        // a gateway that hangs must not use up all the time
        let limit = left.clamp(INTERVAL, READY_TIMEOUT);
        let reason = match running::get(address, "/readyz", limit).await {
            Ok((StatusCode::OK, _)) => return Ok(()),
            Ok((_, body)) => truncate_reason(body),
            Err(ConnectError::Silent) => format!("{address}: no response"),
            Err(ConnectError::Foreign) => {
                format!("{address}: the response is not from a gateway")
            }
            Err(ConnectError::Unreachable(error)) => format!("{address}: {error}"),
        };

        // after the call, so that there is always one
        if started.age(Timestamp::now()) >= timeout {
            return Err(reason);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Returns the beginning of the reason: a program that is no gateway may say anything.
fn truncate_reason(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(MAX_REASON) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

/// Formats a status for people. A field that is missing is one that this program knows and the
/// gateway that runs does not, or the other way round: it is left out.
fn format_status(status: &Value) -> String {
    let mut text = format!("mwaa-gateway {}", format_value(&status["version"]));
    if let Some(url) = status["url"].as_str() {
        text.extend([" at ", &sanitize(url)]);
    }
    // a gateway that drains answers too
    if status["stopping"] == true {
        text.push_str(", stopping");
    }
    text.push('\n');

    let environments = to_slice(&status["environments"]).iter();
    let rows = environments.clone().map(environment_row);
    let refusals = to_slice(&status["refusals"]).iter().map(refusal_row);
    let ways = environments.clone().filter_map(format_ways);
    let notes = environments.flat_map(format_notes);
    for (count, part) in [
        (rows.len(), format_with_headings(ENVIRONMENT_HEADINGS, rows)),
        (1, ways.collect()),
        (1, notes.collect()),
        (1, format_troubles(status)),
        (
            refusals.len(),
            format_with_headings(REFUSAL_HEADINGS, refusals),
        ),
    ] {
        // headings alone say nothing
        if count > 0 && !part.is_empty() {
            text.extend(["\n", &part]);
        }
    }
    text
}

fn environment_row(one: &Value) -> [String; 7] {
    let format_secret = |state: &Value, busy: &str, doing: &str| {
        if state["live"] == true {
            format!("{} old", format_seconds(&state["age_seconds"]))
        } else if state[busy] == true {
            doing.to_owned()
        } else {
            "none".to_owned()
        }
    };

    let queue = &one["queue"];
    let running = format_value(&queue["running"]);
    let waiting = format_value(&queue["waiting"]);

    [
        format_value(&one["local"]),
        format_value(&one["airflow_version"]),
        format_value(&one["status"]),
        if one["ready"] == true { "yes" } else { "no" }.to_owned(),
        format_secret(&one["cli_token"], "minting", "minting"),
        format_secret(&one["session"], "signing_in", "logging in"),
        format!("{running} running, {waiting} waiting"),
    ]
}

/// Formats a line with the ways to an environment's web server and to AWS; `None` means that both
/// are direct.
fn format_ways(one: &Value) -> Option<String> {
    let indirect = |way: &Value| {
        let way = way.as_str().filter(|&way| way != "directly")?;
        Some(sanitize(way).into_owned())
    };
    let web = indirect(&one["way"]).map(|way| match one["tunnel"].as_str() {
        Some(tunnel) => format!("web server {way} ({})", sanitize(tunnel)),
        None => format!("web server {way}"),
    });
    let aws = indirect(&one["way_to_aws"]).map(|way| format!("AWS {way}"));

    let both: Vec<_> = web.into_iter().chain(aws).collect();
    let local = format_value(&one["local"]);
    (!both.is_empty()).then(|| format!("{local}: {}\n", both.join(", ")))
}

/// Formats a line for each note about an environment.
fn format_notes(one: &Value) -> Vec<String> {
    let local = format_value(&one["local"]);
    let notes = to_slice(&one["notes"]).iter().filter_map(Value::as_str);
    notes
        .map(|note| format!("{local}: {}\n", sanitize(note)))
        .collect()
}

/// Formats a line for each environment, and each search for environments, that has trouble.
fn format_troubles(status: &Value) -> String {
    let environments = to_slice(&status["environments"]).iter().map(|one| {
        let local = format_value(&one["local"]);
        (local, &one["trouble"])
    });
    let searches = to_slice(&status["discovery"]).iter().map(|place| {
        let region = format_value(&place["region"]);
        (format!("environments of {region}"), &place["trouble"])
    });
    let failure = status.pointer("/configuration/failure");
    let failure = failure.map(|failure| ("configuration not reloaded".to_owned(), failure));
    environments
        .chain(searches)
        .chain(failure)
        .filter_map(|(subject, text)| {
            Some(format!("{subject}: {}\n", sanitize(text.as_str()?)))
        })
        .collect()
}

fn refusal_row(one: &Value) -> [String; 5] {
    [
        format!("{} ago", format_seconds(&one["age_seconds"])),
        format_value(&one["code"]),
        format_value(&one["environment"]),
        format!(
            "{} {}",
            format_value(&one["method"]),
            format_value(&one["path"])
        ),
        format_value(&one["detail"]),
    ]
}

fn to_slice(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Formats a text or a number; anything else is not known, and becomes a dash.
fn format_value(value: &Value) -> String {
    match value {
        Value::String(text) => sanitize(text).replace('\n', " "),
        Value::Number(number) => number.to_string(),
        _ => "-".to_owned(),
    }
}

/// Formats whole seconds for people.
fn format_seconds(seconds: &Value) -> String {
    // a gateway of another version may send anything
    let seconds = seconds.as_f64().unwrap_or_default().max(0.0);
    let whole = Duration::try_from_secs_f64(seconds.floor()).unwrap_or_default();
    humantime::format_duration(whole).to_string()
}

/// The gateway has no status, or is not ready.
#[derive(Debug, thiserror::Error)]
enum StatusError {
    #[error("{0} is not a gateway's management address")]
    Foreign(SocketAddr),
    #[error("no gateway is running at {0}")]
    NotRunning(SocketAddr, #[source] ConnectError),
    #[error("not ready after {}: {reason}", humantime::format_duration(*.timeout))]
    NotReady { timeout: Duration, reason: String },
}

const ENVIRONMENT_HEADINGS: [&str; 7] = [
    "ENVIRONMENT",
    "AIRFLOW",
    "STATUS",
    "READY",
    "TOKEN",
    "SESSION",
    "QUEUE",
];
const REFUSAL_HEADINGS: [&str; 5] =
    ["LAST REFUSALS", "CODE", "ENVIRONMENT", "REQUEST", "DETAIL"];
/// A gateway that runs answers at once.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);
/// The limit of one of several requests.
const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// The time between requests.
const INTERVAL: Duration = Duration::from_millis(100);
/// More than the reasons of a few environments, in characters.
const MAX_REASON: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_status_is_formatted_for_people() {
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
        let text = format_status(&status);
        for line in [
            "mwaa-gateway 1.2.3 at http://127.0.0.1:8080",
            "ENVIRONMENT  AIRFLOW  STATUS     READY  TOKEN    SESSION     QUEUE",
            "demo         2.10.3   AVAILABLE  no     12s old  logging in  1 running, 0 waiting",
            "demo: web server through the tunnel `ssh` (up for 3m), AWS through http://proxy:3128",
            "environments of eu-west-1: aws.throttled: wait",
            "1m 1s ago      guard.secret  -            POST /aws_mwaa/cli  no secret",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        assert!(
            text.contains("demo: aws.denied") && !text.contains('\u{1b}'),
            "{text}"
        );
        // of a gateway that is older or later
        assert_eq!(format_status(&json!({})), "mwaa-gateway -\n");
    }
}
