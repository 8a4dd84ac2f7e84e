//! `variables import`, `connections import` and `pools import`: MWAA's web server has no such file,
//! so the file is read here, and each name in it becomes a command of its own.

mod calls;
mod journal;
mod plan;
mod progress;
mod report;
mod request;
mod value;

pub(super) use request::{Request, Unfit};

use super::ending;
use crate::cli::Exit;
use crate::cli::client::Client;
use crate::cli::signals::Signals;
use crate::cli::terminal::Terminal;
use calls::{Called, Caller};
use journal::Journal;
use plan::{Step, plan};
use progress::Progress;
use report::Report;
use request::{Existing, Kind};
use std::collections::BTreeSet;

/// What the person said about this import, beside the command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    /// Go on where an earlier run ended.
    pub(super) resume: bool,
    /// Print the result as JSON.
    pub(super) as_json: bool,
    /// The longest command that the gateway takes, in bytes.
    pub(super) limit: usize,
}

/// Imports what the file holds, one name after the other.
pub(super) async fn run(
    request: &Request,
    text: &str,
    wishes: Wishes,
    client: &mut Client,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Exit {
    let entries = match request.entries(text) {
        Ok(entries) => entries,
        Err(unfit) => return terminal.fail(Exit::Failed, &unfit, Some(NOTHING)),
    };
    let environment = [
        client.identity(),
        client.environment().unwrap_or_default().to_owned(),
    ];
    let mut caller = Caller {
        client,
        signals,
        progress: Progress::new(request, entries.len(), terminal),
        interrupted: None,
    };
    // harmless, and says at once whether anything can be sent; the forms differ by version
    let version = match caller.version().await {
        Ok(version) => version,
        Err(called) => return stopped_early(called, &caller, terminal),
    };
    let (mut steps, mut bad) = (Vec::new(), Vec::new());
    for step in plan(request, entries, version, wishes.limit) {
        match step {
            Ok(step) => steps.push(step),
            Err(one) => bad.push(one),
        }
    }
    if !bad.is_empty() {
        caller.progress.clear();
        return report::bad(&bad, terminal);
    }
    let mut existing = match existing(request, &steps, &mut caller).await {
        Ok(existing) => existing,
        Err(called) => return stopped_early(called, &caller, terminal),
    };
    let mut journal = Journal::of(request, &environment, text);
    if wishes.resume
        && let Some(journal) = &journal
    {
        // what is there because the earlier run set it is in nobody's way
        for (number, step) in steps.iter().enumerate() {
            if journal.is_done(number) {
                existing.remove(&step.name);
            }
        }
    }
    if request.existing == Existing::Fail && !existing.is_empty() {
        caller.progress.clear();
        return report::exist(&existing, terminal);
    }
    if let Some(journal) = journal.as_mut().filter(|journal| journal.earlier() > 0) {
        let earlier = journal.earlier();
        if !wishes.resume {
            terminal.say(format_args!(
                "note: an earlier run did {earlier} of these; all are done anew (--resume goes on after them)"
            ));
            journal.forget();
        }
    }
    let mut report = Report::new(request, steps.len());
    // whether --resume will know how far this came
    let mut is_noted = journal.is_some();
    for (number, step) in steps.iter().enumerate() {
        if journal
            .as_ref()
            .is_some_and(|journal| journal.is_done(number))
        {
            report.earlier += 1;
        } else if existing.contains(step.name.as_str()) {
            report.skipped.push(step.name.clone());
        } else {
            let called = one(step, &mut caller).await;
            let done = report.take(request.kind, step, called);
            if done
                && is_noted
                && let Some(journal) = &mut journal
                && let Err(error) = journal.note(number)
            {
                is_noted = false;
                terminal.say(format_args!(
                    "note: --resume will not know how far this came: {error}"
                ));
            }
        }
        if report.ends() {
            break;
        }
        caller.progress.reached(number + 1);
    }
    caller.progress.clear();
    if report.is_complete()
        && let Some(journal) = &mut journal
    {
        journal.remove();
    }
    report.tell(request, wishes.as_json, is_noted, terminal)
}

/// Sets one name; where it has to go first, it is not there for the time between.
async fn one(step: &Step, caller: &mut Caller<'_>) -> Called {
    if let Some(before) = &step.before {
        match caller.call(before).await {
            // mostly because it was not there: the next command tells
            Called::Output(_) | Called::Odd(_) => {}
            other => return other,
        }
    }
    caller.call(&step.command).await
}

/// The names that are there already, where it matters and can be asked.
async fn existing(
    request: &Request,
    steps: &[Step],
    caller: &mut Caller<'_>,
) -> Result<BTreeSet<String>, Called> {
    if request.kind != Kind::Variables || request.existing == Existing::Overwrite {
        return Ok(BTreeSet::new());
    }
    let there = caller.variables().await?;
    let names = steps.iter().map(|step| step.name.clone());
    Ok(names.filter(|name| there.contains(name)).collect())
}

/// The questions before the first change were not answered.
fn stopped_early(called: Called, caller: &Caller<'_>, terminal: &Terminal) -> Exit {
    caller.progress.clear();
    terminal.tell("nothing was imported");
    match called {
        Called::Output(output) => {
            ending::output(&output, false, terminal);
            Exit::Failed
        }
        Called::Odd(status) => ending::odd(status, "", terminal),
        Called::Fault(problem) => ending::fault(&problem, terminal),
        Called::Lost(lost) => ending::lost(&lost, terminal),
        Called::Left(left) => Exit::Signal(left.signal),
    }
}

const NOTHING: &str = "nothing was sent";
