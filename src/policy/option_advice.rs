//! The words of a refusal that is about a command's arguments: what they would reach, and what
//! to send instead.

use super::options::Forbidden;
use super::refusal::Refusal;
use super::table::table;

/// The refusal of an option that reaches into the web server.
pub(super) fn forbidden_option(command: &'static str, found: Forbidden) -> Refusal {
    let Forbidden { option, why } = found;
    let hint = instead(&format!("{command} {option}")).map_or_else(
        || {
            let leave = format!("leave {option} out");
            match table().entry(command) {
                Some(_) => format!(
                    "{leave}, or set allow = [\"{command} {option}\"] for this environment"
                ),
                None => leave,
            }
        },
        str::to_owned,
    );
    Refusal::ForbiddenOption {
        command,
        option,
        reason: why,
        hint,
    }
}

/// The refusal of an option whose value depends on the Python that reads it.
pub(super) fn unclear_value() -> Refusal {
    Refusal::Unreadable {
        detail: "Python versions differ in the value that an option is given".into(),
        hint: "write options apart and their values as words: `-v -o json`",
    }
}

/// What works instead of a command, or of one with an option, that is about a file.
pub(super) fn instead(command: &str) -> Option<&'static str> {
    let mut lines = include_str!("instead.csv").lines().skip(1);
    lines.find_map(|line| line.strip_prefix(command)?.strip_prefix(','))
}
