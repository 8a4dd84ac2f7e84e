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
        let (word, argument) = kind.split_once(':').unwrap_or((kind, ""));
        let effect = match (target, word) {
            (Target::Aws(find), "Slow") => {
                Effect::Aws(find, ControlFault::Slow(delay(argument)?))
            }
            (Target::Web(find), "Slow") => Effect::Web(find, WebFault::Slow(delay(argument)?)),
            (Target::Web(find), "Status") => {
                let status = argument.parse().ok();
                let status = status.filter(|status| (400..600).contains(status));
                let form = "write it as Status:CODE with a code from 400 to 599";
                Effect::Web(find, WebFault::html(status.ok_or(form)?))
            }
            (Target::Aws(find), _) => Effect::Aws(find, fault(name, kind, &AWS, "")?),
            (Target::Web(find), _) => {
                // the faults of a command's output do nothing to a login
                let known = if name == "login" { &WEB[..3] } else { &WEB };
                Effect::Web(find, fault(name, kind, known, ", Status:CODE")?)
            }
        };
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
            Effect::Aws(find, fault) => find(script).set(fault, self.times),
            Effect::Web(find, fault) => find(script).set(fault, self.times),
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
    let slow = |delay| format!("Slow:{}", humantime::format_duration(delay));
    let found = NAMES.into_iter().filter_map(|(name, target)| {
        let (kind, times) = match target {
            Target::Aws(find) => match find(script).peek()? {
                (ControlFault::Slow(delay), times) => (slow(delay), times),
                (fault, times) => (word(&fault, &AWS), times),
            },
            Target::Web(find) => match find(script).peek()? {
                (WebFault::Slow(delay), times) => (slow(delay), times),
                (WebFault::Status { status, .. }, times) => (format!("Status:{status}"), times),
                (fault, times) => (word(&fault, &WEB), times),
            },
        };
        Some((name, kind, times))
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

fn find_target(name: &str) -> Result<Target, String> {
    let found = NAMES.into_iter().find(|(known, _)| *known == name);
    let names = NAMES.map(|(name, _)| name).join(", ");
    let target = found.map(|(_, target)| target);
    target.ok_or_else(|| format!("the names of faults are {names}"))
}

/// The fault that a word names. Fails with a text that lists the kinds, `more` among them.
fn fault<T: Clone>(
    name: &str,
    kind: &str,
    known: &[(&str, T)],
    more: &str,
) -> Result<T, String> {
    let found = known.iter().find(|(word, _)| *word == kind);
    let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
    found.map(|(_, fault)| fault.clone()).ok_or_else(|| {
        format!(
            "the kinds of faults of {name} are {}, Slow:TIME{more}",
            words.join(", ")
        )
    })
}

/// The word for a fault.
fn word<T: PartialEq>(fault: &T, known: &[(&str, T)]) -> String {
    let found = known.iter().find(|(_, known)| known == fault);
    found.map_or("Other", |(word, _)| word).to_owned()
}

fn delay(argument: &str) -> Result<Duration, String> {
    humantime::parse_duration(argument)
        .map_err(|_unclear| "write it as Slow:TIME, for example Slow:5s".to_owned())
}

/// What can fail: an operation of AWS, a route of the web servers, or all requests to them.
const NAMES: [(&str, Target); 8] = [
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
        "InvokeRestApi",
        Target::Aws(|script| &script.rest_api_fault),
    ),
    (
        "ListEnvironments",
        Target::Aws(|script| &script.list_environments_fault),
    ),
    ("command", Target::Web(|script| &script.command_fault)),
    ("login", Target::Web(|script| &script.login_fault)),
    ("web", Target::Web(|script| &script.web_fault)),
];

/// The faults of calls to AWS that a word names.
const AWS: [(&str, ControlFault); 11] = [
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

/// The faults of requests to the web servers that a word names. The first three are for all
/// requests, the others for the output of a command.
const WEB: [(&str, WebFault); 6] = [
    ("Drop", WebFault::Drop),
    ("Hang", WebFault::Hang),
    ("Reset", WebFault::Reset),
    ("BadBase64", WebFault::BadBase64),
    ("CutBody", WebFault::CutBody),
    ("NotJson", WebFault::NotJson),
];
