//! Faults by name, as the `--fault` option and the control address give them: what fails, how,
//! and how often.

use std::time::Duration;

use super::fault::{ControlFault, WebFault};
use super::script::{Script, Switch};

/// A fault: what fails, how, and how often.
#[derive(Clone, Debug)]
pub struct FaultRule {
    effect: Effect,
    /// How many times it happens; `None` until it is removed.
    times: Option<usize>,
}

#[derive(Clone, Debug)]
enum Effect {
    Aws(Find<ControlFault>, ControlFault),
    Web(Find<WebFault>, WebFault),
}

/// Finds the switch of what can fail.
#[derive(Clone, Copy)]
enum Target {
    Aws(Find<ControlFault>),
    Web(Find<WebFault>),
}

type Find<T> = fn(&Script) -> &Switch<T>;

impl FaultRule {
    /// Reads the name of what fails and the kind of the fault. Fails with a text that lists the
    /// names or the kinds if one of them is unknown.
    pub fn new(name: &str, kind: &str, times: Option<usize>) -> Result<Self, String> {
        let target = find_target(name)?;
        let (kind, argument) = kind.split_once(':').unwrap_or((kind, ""));
        let effect = match target {
            Target::Aws(find) => {
                aws_fault(kind, argument)?.map(|fault| Effect::Aws(find, fault))
            }
            Target::Web(find) => {
                web_fault(kind, argument)?.map(|fault| Effect::Web(find, fault))
            }
        };
        let effect = effect.ok_or_else(|| {
            format!(
                "the kinds of faults of {name} are {}",
                kinds(target).join(", ")
            )
        })?;
        Ok(Self { effect, times })
    }

    /// Reads `NAME=KIND`, for example `CreateCliToken=Throttling`. Fails as [`new`](Self::new) does.
    pub fn read_option(text: &str) -> Result<Self, String> {
        let (name, kind) = text.split_once('=').ok_or("write it as NAME=KIND")?;
        Self::new(name, kind, None)
    }

    /// Switches the fault on; the fault of this name that was there ends.
    pub fn apply(self, script: &Script) {
        match self.effect {
            Effect::Aws(find, fault) => set(find(script), fault, self.times),
            Effect::Web(find, fault) => set(find(script), fault, self.times),
        }
    }
}

/// Removes the fault of a name. Fails with a text that lists the names if there is no such name.
pub(crate) fn clear(name: &str, script: &Script) -> Result<(), String> {
    find_target(name).map(|target| target.off(script))
}

/// Removes all faults.
pub(crate) fn clear_all(script: &Script) {
    for (_, target) in NAMES {
        target.off(script);
    }
}

/// The faults that are on: name, kind, and the times that are left.
pub(crate) fn active(script: &Script) -> Vec<(&'static str, String, Option<usize>)> {
    let found = NAMES.into_iter().filter_map(|(name, target)| match target {
        Target::Aws(find) => {
            let (fault, times) = find(script).peek()?;
            Some((name, name_aws(&fault), times))
        }
        Target::Web(find) => {
            let (fault, times) = find(script).peek()?;
            Some((name, name_web(&fault), times))
        }
    });
    found.collect()
}

impl Target {
    fn off(self, script: &Script) {
        match self {
            Self::Aws(find) => find(script).off(),
            Self::Web(find) => find(script).off(),
        }
    }
}

fn set<T: Clone>(switch: &Switch<T>, value: T, times: Option<usize>) {
    match times {
        Some(times) => switch.next(times, value),
        None => switch.always(value),
    }
}

fn find_target(name: &str) -> Result<Target, String> {
    let found = NAMES.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, target)| target).ok_or_else(|| {
        format!(
            "the names of faults are {}",
            NAMES.map(|(name, _)| name).join(", ")
        )
    })
}

/// Returns the fault of this kind, or `None` if calls to AWS have no such fault.
fn aws_fault(kind: &str, argument: &str) -> Result<Option<ControlFault>, String> {
    if kind == SLOW {
        return Ok(Some(ControlFault::Slow(delay(argument)?)));
    }
    let found = AWS_KINDS.into_iter().find(|(name, _)| *name == kind);
    Ok(found
        .filter(|_| argument.is_empty())
        .map(|(_, fault)| fault))
}

/// Returns the fault of this kind, or `None` if requests to a web server have no such fault.
fn web_fault(kind: &str, argument: &str) -> Result<Option<WebFault>, String> {
    if kind == SLOW {
        return Ok(Some(WebFault::Slow(delay(argument)?)));
    }
    if kind == STATUS {
        let status = argument
            .parse()
            .ok()
            .filter(|status| (400..600).contains(status));
        let status = status.ok_or("write it as Status:CODE with a code from 400 to 599")?;
        return Ok(Some(WebFault::html(status)));
    }
    let found = WEB_KINDS.into_iter().find(|(name, _)| *name == kind);
    Ok(found
        .filter(|_| argument.is_empty())
        .map(|(_, fault)| fault))
}

fn delay(argument: &str) -> Result<Duration, String> {
    humantime::parse_duration(argument)
        .map_err(|_unclear| "write it as Slow:TIME, for example Slow:5s".to_owned())
}

fn slow_kind(delay: Duration) -> String {
    format!("{SLOW}:{}", humantime::format_duration(delay))
}

fn name_aws(fault: &ControlFault) -> String {
    if let ControlFault::Slow(delay) = fault {
        return slow_kind(*delay);
    }
    let found = AWS_KINDS.into_iter().find(|(_, known)| known == fault);
    found.map_or("Other", |(name, _)| name).to_owned()
}

fn name_web(fault: &WebFault) -> String {
    match fault {
        WebFault::Slow(delay) => slow_kind(*delay),
        WebFault::Status { status, .. } => format!("{STATUS}:{status}"),
        _ => {
            let found = WEB_KINDS.into_iter().find(|(_, known)| known == fault);
            found.map_or("Other", |(name, _)| name).to_owned()
        }
    }
}

/// The kinds of faults of a target, as they are written.
fn kinds(target: Target) -> Vec<&'static str> {
    match target {
        Target::Aws(_) => AWS_KINDS
            .into_iter()
            .map(|(name, _)| name)
            .chain(["Slow:TIME"])
            .collect(),
        Target::Web(_) => {
            let more = ["Slow:TIME", "Status:CODE"];
            WEB_KINDS
                .into_iter()
                .map(|(name, _)| name)
                .chain(more)
                .collect()
        }
    }
}

/// What can fail: an operation of AWS, a route of the web servers, or all requests to them.
const NAMES: [(&str, Target); 7] = [
    (
        "CreateCliToken",
        Target::Aws(|script| &script.cli_token_fault),
    ),
    (
        "CreateWebLoginToken",
        Target::Aws(|script| &script.web_login_fault),
    ),
    (
        "GetEnvironment",
        Target::Aws(|script| &script.get_environment_fault),
    ),
    (
        "ListEnvironments",
        Target::Aws(|script| &script.list_environments_fault),
    ),
    ("command", Target::Web(|script| &script.command_fault)),
    ("login", Target::Web(|script| &script.login_fault)),
    ("web", Target::Web(|script| &script.web_fault)),
];

const AWS_KINDS: [(&str, ControlFault); 11] = [
    ("AccessDenied", ControlFault::AccessDenied),
    ("BareTooManyRequests", ControlFault::BareTooManyRequests),
    ("Drop", ControlFault::Drop),
    ("ExpiredToken", ControlFault::ExpiredToken),
    ("Hang", ControlFault::Hang),
    ("InternalServer", ControlFault::InternalServer),
    ("NotFound", ControlFault::NotFound),
    ("Throttling", ControlFault::Throttling),
    ("TooManyRequests", ControlFault::TooManyRequests),
    ("Unavailable", ControlFault::HtmlServiceUnavailable),
    ("Validation", ControlFault::Validation),
];

const WEB_KINDS: [(&str, WebFault); 6] = [
    ("BadBase64", WebFault::BadBase64),
    ("CutBody", WebFault::CutBody),
    ("Drop", WebFault::Drop),
    ("Hang", WebFault::Hang),
    ("NotJson", WebFault::NotJson),
    ("Reset", WebFault::Reset),
];

const SLOW: &str = "Slow";
const STATUS: &str = "Status";
