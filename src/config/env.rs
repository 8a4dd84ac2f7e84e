//! The environment variables that the program looks at; the only reader of them. (The flags'
//! own variables, `MWAA_GATEWAY_LISTEN` and so on, are read by the command line parser.)

use crate::runtime::platform;
use std::ffi::OsString;
use std::path::PathBuf;

/// A variable and what it does: for the README's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, one sentence.
    pub doc: &'static str,
}

/// Every variable that changes what the program does, in the README's order. What the AWS chain
/// reads besides (keys, role, container, IMDS) is AWS's to document.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: CONFIG,
        doc: "The configuration file, as `--config`.",
    },
    Variable {
        name: ENVIRONMENT,
        doc: "The environment of `airflow`, `open`, `explain` and `commands`, as `-e`. It does not change what `serve` serves.",
    },
    Variable {
        name: REGION,
        doc: "The AWS region, as `--region`.",
    },
    Variable {
        name: PROFILE,
        doc: "The AWS profile, as `--profile`.",
    },
    Variable {
        name: LISTEN,
        doc: "The address to listen on, as `--listen`.",
    },
    Variable {
        name: MANAGEMENT,
        doc: "The management address, as `--management`.",
    },
    Variable {
        name: LOG,
        doc: "What to log, as in `info` or `mwaa_gateway=debug`.",
    },
    Variable {
        name: NO_COLOR,
        doc: "No colour when set to anything (no-color.org).",
    },
    Variable {
        name: TERM,
        doc: "`dumb` or not set: progress is told in lines that stay.",
    },
    Variable {
        name: "AWS_PROFILE",
        doc: "The AWS profile where none is configured. Unlike one that is, it gives way to keys in the environment.",
    },
    Variable {
        name: AWS_CA_BUNDLE,
        doc: "A PEM file with more trust roots for the AWS APIs.",
    },
    Variable {
        name: HTTPS_PROXY,
        doc: "The proxy to AWS and to the web servers, unless `proxy.url` is set. Its URL may contain user and password. `https_proxy` likewise.",
    },
    Variable {
        name: ALL_PROXY,
        doc: "The same, where HTTPS_PROXY is not set; `all_proxy` likewise.",
    },
    Variable {
        name: NO_PROXY,
        doc: "Hosts that are reached without it, separated by commas: names with all below them, addresses, networks, or `*`; `no_proxy` likewise.",
    },
    Variable {
        name: BROWSER,
        doc: "The program that `open` and `demo` start.",
    },
    Variable {
        name: DISPLAY,
        doc: "Whether there is a desktop on which `demo` can open a browser; `WAYLAND_DISPLAY` likewise.",
    },
    Variable {
        name: XDG_CONFIG_HOME,
        doc: "The user's configuration folder; default `~/.config`, and on macOS `~/Library/Application Support` after it.",
    },
    Variable {
        name: XDG_STATE_HOME,
        doc: "The user's state folder, where an import notes how far it came; default `~/.local/state`, on macOS `~/Library/Application Support`.",
    },
    Variable {
        name: HOME,
        doc: "The user's home folder.",
    },
];

/// The configuration file, as `--config`.
pub const CONFIG: &str = "MWAA_GATEWAY_CONFIG";
/// The environment of a single command, as `-e`.
pub const ENVIRONMENT: &str = "MWAA_GATEWAY_ENVIRONMENT";
/// The AWS region, as `--region`.
pub const REGION: &str = "MWAA_GATEWAY_REGION";
/// The AWS profile, as `--profile`.
pub const PROFILE: &str = "MWAA_GATEWAY_PROFILE";
/// The address to listen on, as `--listen`.
pub const LISTEN: &str = "MWAA_GATEWAY_LISTEN";
/// The management address, as `--management`.
pub const MANAGEMENT: &str = "MWAA_GATEWAY_MANAGEMENT";
/// What to log, as `--log`.
pub const LOG: &str = "MWAA_GATEWAY_LOG";
const NO_COLOR: &str = "NO_COLOR";
const TERM: &str = "TERM";
const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";
const HTTPS_PROXY: &str = "HTTPS_PROXY";
const ALL_PROXY: &str = "ALL_PROXY";
const NO_PROXY: &str = "NO_PROXY";
const BROWSER: &str = "BROWSER";
const DISPLAY: &str = "DISPLAY";
const WAYLAND_DISPLAY: &str = "WAYLAND_DISPLAY";
const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
const HOME: &str = "HOME";

/// The user's home folder, if it is an absolute path.
pub fn home() -> Option<PathBuf> {
    folder(read(HOME))
}

/// The user's configuration folders, the first to look into first; a relative one is ignored, as
/// the XDG specification wants.
pub fn config_homes() -> Vec<PathBuf> {
    folder(read(XDG_CONFIG_HOME)).map_or_else(
        || home().map_or_else(Vec::new, |home| platform::config_folders(&home)),
        |chosen| vec![chosen],
    )
}

/// The user's state folder (XDG Base Directory Specification).
pub fn state_home() -> Option<PathBuf> {
    folder(read(XDG_STATE_HOME)).or_else(|| Some(platform::state_folder(&home()?)))
}

/// The environment of a single command, for those that take it otherwise than by `-e`.
pub fn environment() -> Option<String> {
    text(read(ENVIRONMENT))
}

/// Whether the user wants no colour: the variable is set and not empty (no-color.org).
pub fn no_color() -> bool {
    read(NO_COLOR).is_some()
}

/// Whether the terminal can only show line after line, as far as is known.
pub fn dumb_terminal() -> bool {
    read(TERM).is_none_or(|term| term == "dumb")
}

/// A PEM file with more trust roots for the AWS APIs.
pub fn aws_ca_bundle() -> Option<PathBuf> {
    read(AWS_CA_BUNDLE).map(PathBuf::from)
}

/// The proxy for HTTPS, with the variable's name. The lower-case spelling wins, as in curl.
/// `HTTP_PROXY` is left alone on purpose: plain HTTP is for endpoints on this machine and for the
/// credentials of instances and containers, which no proxy can reach.
pub fn https_proxy() -> Option<(&'static str, String)> {
    first(["https_proxy", HTTPS_PROXY])
}

/// The proxy for everything, with the variable's name.
pub fn all_proxy() -> Option<(&'static str, String)> {
    first(["all_proxy", ALL_PROXY])
}

/// The hosts that are reached without the proxy, separated by commas.
pub fn no_proxy() -> Option<String> {
    first(["no_proxy", NO_PROXY]).map(|(_, hosts)| hosts)
}

fn first(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    let mut set = names.into_iter();
    // what is no text is shown to be none: a proxy that is left out in silence would be bypassed
    set.find_map(|name| Some((name, read(name)?.to_string_lossy().into_owned())))
}

/// The program that shows a web page.
pub fn browser() -> Option<OsString> {
    read(BROWSER)
}

/// Whether a browser could be seen here: every Mac has a desktop, other systems say so.
pub fn has_desktop() -> bool {
    platform::HAS_DESKTOP
        || [BROWSER, DISPLAY, WAYLAND_DISPLAY]
            .iter()
            .any(|name| read(name).is_some())
}

/// Whether expected files are to be rewritten by the tests that compare with them.
#[cfg(test)]
pub(crate) fn update_expected() -> bool {
    read("UPDATE_EXPECTED").is_some()
}

/// The variable's content; an empty one counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn folder(value: Option<OsString>) -> Option<PathBuf> {
    value.map(PathBuf::from).filter(|path| path.is_absolute())
}

fn text(value: Option<OsString>) -> Option<String> {
    value?.into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_unique_and_documented() {
        let mut names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(VARIABLES.iter().all(|variable| variable.doc.ends_with('.')));
    }

    #[test]
    fn relative_folders_are_ignored() {
        assert_eq!(folder(Some("here".into())), None);
        assert_eq!(folder(Some("/here".into())), Some("/here".into()));
        assert_eq!(read("MWAA_GATEWAY_NEVER_SET"), None);
    }
}
