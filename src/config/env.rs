//! The environment variables that the program looks at; the only reader of them. (The flags'
//! own variables, `MWAA_GATEWAY_LISTEN` and so on, are read by the command line parser.)

use mwaa_model::debug_fields;
use mwaa_runtime::platform;
use std::ffi::OsString;
use std::path::PathBuf;

/// A variable and its effect, for the documents' table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its effect, in one sentence or two.
    pub doc: &'static str,
}

impl Variable {
    const fn new(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc }
    }
}

/// Every variable that changes what the program does, in the documents' order. What the AWS chain
/// reads besides (keys, role, container, IMDS) is AWS's to document.
pub const VARIABLES: &[Variable] = &[
    Variable::new(CONFIG, "The configuration file, as `--config`."),
    Variable::new(
        ENVIRONMENT,
        "The environment of `airflow`, `exec`, `login`, `open`, `explain` and `commands`, as `-e`. It does not change what `serve` serves.",
    ),
    Variable::new(REGION, "The AWS region, as `--region`."),
    Variable::new(PROFILE, "The AWS profile, as `--profile`."),
    Variable::new(LISTEN, "The address to listen on, as `--listen`."),
    Variable::new(MANAGEMENT, "The management address, as `--management`."),
    Variable::new(LOG, "The log filter, as in `info` or `mwaa_gateway=debug`."),
    Variable::new(
        NO_COLOR,
        "If set to any value, output has no colour (no-color.org).",
    ),
    Variable::new(
        TERM,
        "If `dumb` or not set, progress is printed line by line.",
    ),
    Variable::new(
        "AWS_PROFILE",
        "The AWS profile if none is configured. Unlike a configured profile, keys in the \
         environment take precedence over it.",
    ),
    Variable::new(
        AWS_CA_BUNDLE,
        "A PEM file with additional trust roots for the AWS APIs.",
    ),
    Variable::new(
        HTTPS_PROXY,
        "The proxy to AWS and to the web servers, unless `proxy.url` is set. Its URL may contain user and password. `https_proxy` has the same meaning, and applies if both are set.",
    ),
    Variable::new(
        ALL_PROXY,
        "The same, if HTTPS_PROXY is not set; `all_proxy` applies if both are set.",
    ),
    Variable::new(
        NO_PROXY,
        "Hosts that are reached without the proxy, separated by commas: names and their \
         subdomains, addresses, networks, or `*`; `no_proxy` applies if both are set.",
    ),
    Variable::new(BROWSER, "The program that `open` and `demo` start."),
    Variable::new(
        DISPLAY,
        "If this or `WAYLAND_DISPLAY` is set, `demo` can open a browser on this desktop.",
    ),
    Variable::new(
        XDG_CONFIG_HOME,
        "The user's configuration folder; default `~/.config`, and on macOS `~/Library/Application Support` after it.",
    ),
    Variable::new(
        XDG_STATE_HOME,
        "The user's state folder, where an import records its progress; default `~/.local/state`, on macOS `~/Library/Application Support`.",
    ),
    Variable::new(HOME, "The user's home folder."),
    Variable::new(
        LISTEN_FDS,
        "The number of sockets that a service manager passes to `serve`; set with `LISTEN_PID` and `LISTEN_FDNAMES` (sd_listen_fds(3)).",
    ),
    Variable::new(
        NOTIFY_SOCKET,
        "The socket to which `serve` reports that it is ready and that it stops (sd_notify(3)); with `WATCHDOG_USEC` also that it works.",
    ),
    Variable::new(
        OTEL_ENDPOINT,
        "The collector of traces, instead of `telemetry.otlp_endpoint`; `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` takes precedence, and is the whole URL.",
    ),
    Variable::new(
        OTEL_PROTOCOL,
        "`grpc` or `http/protobuf`; default `grpc`, and `http/protobuf` for port 4318. Like the next four, it can also be set as `OTEL_EXPORTER_OTLP_TRACES_…`.",
    ),
    Variable::new(
        OTEL_HEADERS,
        "Header fields for the collector, as in `name=value,name=value`. They are never printed.",
    ),
    Variable::new(
        OTEL_TIMEOUT,
        "The longest time for one message to the collector, in milliseconds; default 10000.",
    ),
    Variable::new(
        OTEL_CERTIFICATE,
        "A PEM file with additional trust roots for the collector.",
    ),
    Variable::new(
        OTEL_SERVICE_NAME,
        "The name of the service in traces; default `mwaa-gateway`.",
    ),
    Variable::new(
        OTEL_RESOURCE_ATTRIBUTES,
        "More attributes of the service in traces, as in `name=value,name=value`.",
    ),
    Variable::new(
        OTEL_SAMPLER,
        "The traces that are recorded: `parentbased_always_on` (default), `parentbased_always_off`, `parentbased_traceidratio`, `always_on`, `always_off` or `traceidratio`; the ratio is in `OTEL_TRACES_SAMPLER_ARG`.",
    ),
    Variable::new(
        OTEL_BSP,
        "The most spans that wait for the collector; default 2048. `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` is the size of a batch (512), `OTEL_BSP_SCHEDULE_DELAY` the longest wait in milliseconds (5000).",
    ),
    Variable::new(
        OTEL_DISABLED,
        "If `true`, no traces are sent; the same as `OTEL_TRACES_EXPORTER=none`.",
    ),
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
/// The log filter, as `--log`.
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
const LISTEN_FDS: &str = "LISTEN_FDS";
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
const OTEL_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const OTEL_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const OTEL_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const OTEL_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const OTEL_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const OTEL_SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const OTEL_RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const OTEL_SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const OTEL_BSP: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const OTEL_DISABLED: &str = "OTEL_SDK_DISABLED";
const LISTEN_FD_NAMES: &str = "LISTEN_FDNAMES";

/// Returns the user's home folder, if it is an absolute path.
pub fn home() -> Option<PathBuf> {
    folder(read(HOME))
}

/// Returns the user's configuration folders, the first to search first. A relative one is ignored,
/// as the XDG specification requires.
pub fn config_homes() -> Vec<PathBuf> {
    folder(read(XDG_CONFIG_HOME)).map_or_else(
        || home().map_or_else(Vec::new, |home| platform::config_folders(&home)),
        |chosen| vec![chosen],
    )
}

/// Returns the user's state folder (XDG Base Directory Specification).
pub fn state_home() -> Option<PathBuf> {
    folder(read(XDG_STATE_HOME)).or_else(|| Some(platform::state_folder(&home()?)))
}

/// Returns the environment of a single command, for those that have no `-e`.
pub fn environment() -> Option<String> {
    text(read(ENVIRONMENT))
}

/// Returns the names of the sockets that the service manager passed, separated by colons.
pub fn listen_fd_names() -> Option<String> {
    text(read(LISTEN_FD_NAMES))
}

/// Returns the number of sockets that the service manager passed, if the variable is a number.
pub fn listen_fds() -> Option<u64> {
    text(read(LISTEN_FDS))?.parse().ok()
}

/// Returns the socket to which the service manager wants messages.
pub fn notify_socket() -> Option<PathBuf> {
    read(NOTIFY_SOCKET).map(PathBuf::from)
}

/// Returns true if the user wants no colour: the variable is set and not empty (no-color.org).
pub fn no_color() -> bool {
    read(NO_COLOR).is_some()
}

/// Returns true if the terminal can only print line by line, as far as is known.
pub fn is_dumb_terminal() -> bool {
    // cron and most build servers set none
    read(TERM).is_none_or(|term| term == "dumb")
}

/// Returns the PEM file with more trust roots for the AWS APIs.
pub fn aws_ca_bundle() -> Option<PathBuf> {
    read(AWS_CA_BUNDLE).map(PathBuf::from)
}

/// Returns the proxy for HTTPS, with the variable's name. The lower-case spelling wins, as in curl.
/// `HTTP_PROXY` is ignored on purpose: plain HTTP is for endpoints on this machine and for the
/// credentials of instances and containers, which no proxy can reach.
pub fn https_proxy() -> Option<(&'static str, String)> {
    first(["https_proxy", HTTPS_PROXY])
}

/// Returns the proxy for everything, with the variable's name.
pub fn all_proxy() -> Option<(&'static str, String)> {
    first(["all_proxy", ALL_PROXY])
}

/// Returns the hosts that are reached without the proxy, separated by commas.
pub fn no_proxy() -> Option<String> {
    first(["no_proxy", NO_PROXY]).map(|(_, hosts)| hosts)
}

fn first(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    let mut set = names.into_iter();
    // a value that is not UTF-8 becomes a bad URL: a proxy that is ignored in silence would be
    // bypassed
    set.find_map(|name| Some((name, read(name)?.to_string_lossy().into_owned())))
}

/// Returns the AWS region of the environment, as SDKs read it.
pub fn aws_region() -> Option<String> {
    text(read("AWS_REGION")).or_else(|| text(read("AWS_DEFAULT_REGION")))
}

/// The variables of OpenTelemetry, as they are written: the program that uses them parses them.
#[derive(Clone, Default)]
pub struct OtelVariables {
    /// `OTEL_SDK_DISABLED` or `OTEL_TRACES_EXPORTER` turns traces off.
    pub is_disabled: bool,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
    pub traces_endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub protocol: Option<String>,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: secrets.
    pub headers: Option<String>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`.
    pub timeout: Option<String>,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`.
    pub certificate: Option<PathBuf>,
    /// `OTEL_SERVICE_NAME`.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource_attributes: Option<String>,
    /// `OTEL_TRACES_SAMPLER`.
    pub sampler: Option<String>,
    /// `OTEL_TRACES_SAMPLER_ARG`.
    pub sampler_arg: Option<String>,
    /// `OTEL_BSP_MAX_QUEUE_SIZE`.
    pub max_queue: Option<String>,
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
    pub max_batch: Option<String>,
    /// `OTEL_BSP_SCHEDULE_DELAY`.
    pub delay: Option<String>,
}

debug_fields!(OtelVariables: is_disabled, endpoint, traces_endpoint, protocol);

/// Returns the variables of OpenTelemetry.
pub fn otel() -> OtelVariables {
    let own = |name: &str| {
        let traces = name.replacen("_OTLP_", "_OTLP_TRACES_", 1);
        read(&traces).or_else(|| read(name))
    };
    let is = |name, value: &str| {
        text(read(name)).is_some_and(|set| set.trim().eq_ignore_ascii_case(value))
    };

    OtelVariables {
        is_disabled: is(OTEL_DISABLED, "true") || is("OTEL_TRACES_EXPORTER", "none"),
        endpoint: text(read(OTEL_ENDPOINT)),
        traces_endpoint: text(read("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")),
        protocol: text(own(OTEL_PROTOCOL)),
        headers: text(own(OTEL_HEADERS)),
        timeout: text(own(OTEL_TIMEOUT)),
        certificate: own(OTEL_CERTIFICATE).map(PathBuf::from),
        service_name: text(read(OTEL_SERVICE_NAME)),
        resource_attributes: text(read(OTEL_RESOURCE_ATTRIBUTES)),
        sampler: text(read(OTEL_SAMPLER)),
        sampler_arg: text(read("OTEL_TRACES_SAMPLER_ARG")),
        max_queue: text(read(OTEL_BSP)),
        max_batch: text(read("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")),
        delay: text(read("OTEL_BSP_SCHEDULE_DELAY")),
    }
}

/// Returns the program that shows a web page.
pub fn browser() -> Option<OsString> {
    read(BROWSER)
}

/// Returns true if a browser could be seen here: every Mac has a desktop, other systems set one of
/// the variables.
pub fn has_desktop() -> bool {
    // a browser of its own needs no desktop: it may be a script
    platform::HAS_DESKTOP
        || [BROWSER, DISPLAY, WAYLAND_DISPLAY]
            .iter()
            .any(|name| read(name).is_some())
}

/// Returns true if tests write the files that they would compare with.
#[cfg(test)]
pub(crate) fn update_expected() -> bool {
    read("UPDATE_EXPECTED").is_some()
}

/// Returns the variable's content; an empty one counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn read(name: &str) -> Option<OsString> {
    // an empty variable is how a shell unsets one for a single command
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn folder(value: Option<OsString>) -> Option<PathBuf> {
    // a relative folder would be another one in each working folder
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
