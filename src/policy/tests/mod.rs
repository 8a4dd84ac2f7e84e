//! The policy from outside: what each part of it promises, in files of their own.

mod acceptance;
mod arguments;
mod disguises;
mod flag_style;
mod forms;
mod grants;
mod hints;
mod memory;
mod python;
mod reading;
mod shlex;

use super::*;
use crate::command::check::Rules;
use mwaa_model::{AirflowVersion, Fault, Policy};

fn version(text: &str) -> AirflowVersion {
    text.parse().expect("a version")
}

fn words(entries: &[&str]) -> Vec<Vec<String>> {
    entries
        .iter()
        .map(|entry| entry.split(' ').map(str::to_owned).collect())
        .collect()
}

/// The canonical line, or the fault's code.
fn verdict(line: &str, airflow: &str, rules: &Rules<'_>) -> Result<String, &'static str> {
    Command::read(line.as_bytes())
        .and_then(|command| rules.check(&command, version(airflow)))
        .map(|allowed| String::from_utf8(allowed.line().to_vec()).expect("UTF-8"))
        .map_err(|refusal| refusal.code().text)
}

fn refusal(line: &str, airflow: &str, rules: &Rules<'_>) -> PolicyError {
    let command = Command::read(line.as_bytes());
    command
        .and_then(|c| rules.check(&c, version(airflow)))
        .expect_err(line)
}

fn of(policy: Policy) -> Rules<'static> {
    Rules {
        policy,
        ..Rules::default()
    }
}

const UNREADABLE: &str = "policy.unreadable_command";
const UNSUPPORTED: &str = "policy.unsupported_command";
const COMMAND: &str = "policy.forbidden_command";
const OPTION: &str = "policy.forbidden_option";
const QUESTION: &str = "policy.needs_confirmation";
