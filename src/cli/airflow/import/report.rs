//! What became of an import: how many are done, which failed, which nobody knows of.

use super::calls::Called;
use super::plan::{Bad, Step};
use super::request::{Existing, Kind, Request};
use crate::cli::Exit;
use crate::cli::airflow::ending;
use crate::cli::client::{Lost, Output, Problem, Succeeded};
use crate::cli::neutral::neutral;
use crate::cli::terminal::Terminal;
use std::collections::BTreeSet;

/// The tally.
#[derive(Debug)]
pub(super) struct Report {
    total: usize,
    done: usize,
    /// Done by an earlier run.
    pub(super) earlier: usize,
    /// Left as they were, because they were there.
    pub(super) skipped: Vec<String>,
    failed: Vec<(String, String)>,
    unknown: Vec<(String, String)>,
    /// How many in a row got no answer.
    silent: usize,
    stop: Option<Called>,
    overwrites: bool,
}

impl Report {
    pub(super) fn new(request: &Request, total: usize) -> Self {
        Self {
            total,
            done: 0,
            earlier: 0,
            skipped: Vec::new(),
            failed: Vec::new(),
            unknown: Vec::new(),
            silent: 0,
            stop: None,
            overwrites: request.kind == Kind::Connections
                && request.existing == Existing::Overwrite,
        }
    }

    /// Takes what became of one name; says whether that one is done for good.
    pub(super) fn take(&mut self, kind: Kind, step: &Step, called: Called) -> bool {
        let name = step.name.clone();
        self.silent = match &called {
            Called::Odd(_) => self.silent + 1,
            Called::Fault(problem) if is_no_answer(problem) => self.silent + 1,
            _ => 0,
        };
        match called {
            Called::Output(output) => return self.output(kind, name, &output),
            Called::Odd(status) => {
                let why = format!("the web server answered {status} and no command output");
                self.unknown.push((name, why));
            }
            Called::Fault(problem) if problem.code.starts_with("request.") => {
                let why = problem.detail.as_deref().unwrap_or(&problem.title);
                self.failed.push((name, why.to_owned()));
            }
            Called::Fault(problem) => {
                let is_no_answer = is_no_answer(&problem);
                if is_no_answer {
                    self.unknown.push((name, problem.title.clone()));
                }
                if !is_no_answer || self.silent >= PATIENCE {
                    self.stop = Some(Called::Fault(problem));
                }
            }
            Called::Lost(lost) => {
                if let Lost::Broken(why) = &lost {
                    self.unknown.push((name, why.clone()));
                }
                self.stop = Some(Called::Lost(lost));
            }
            Called::Left(left) => {
                if left.sent != Some(false) {
                    self.unknown.push((name, "it was interrupted".to_owned()));
                }
                self.stop = Some(Called::Left(left));
            }
        }
        false
    }

    fn output(&mut self, kind: Kind, name: String, output: &Output) -> bool {
        let why = last_words(output);
        let there = kind == Kind::Connections && why.ends_with(" already exists.");
        match output.succeeded {
            Succeeded::Yes => {
                self.done += 1;
                return true;
            }
            Succeeded::No if there && !self.overwrites => self.skipped.push(name),
            Succeeded::No => self.failed.push((name, why)),
            Succeeded::Unknown => self.unknown.push((name, why)),
        }
        false
    }

    /// Whether it makes no sense to go on.
    pub(super) fn ends(&self) -> bool {
        self.stop.is_some() || self.silent >= PATIENCE
    }

    /// Whether nothing is left to go on with.
    pub(super) fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.unknown.is_empty() && !self.ends()
    }

    fn left(&self) -> usize {
        let seen = self.done + self.earlier + self.skipped.len();
        self.total - seen - self.failed.len() - self.unknown.len()
    }

    /// Tells all of it; `is_noted` says whether `--resume` knows how far it came.
    pub(super) fn tell(
        self,
        request: &Request,
        as_json: bool,
        is_noted: bool,
        terminal: &Terminal,
    ) -> Exit {
        let kind = request.kind.word();
        if as_json {
            terminal.others(format_args!("{}\n", self.json()));
        } else {
            let done = self.done + self.earlier;
            terminal.others(format_args!("{done} of {} {kind} imported\n", self.total));
        }
        if self.earlier > 0 {
            terminal.say(format_args!("{} of them by an earlier run", self.earlier));
        }
        for (list, what) in [(&self.failed, "failed"), (&self.unknown, "unknown")] {
            for (name, why) in list {
                let (name, why) = (neutral(name), neutral(why));
                terminal.tell(format_args!("{what}: {name}: {why}"));
            }
        }
        for name in &self.skipped {
            let name = neutral(name);
            terminal.say(format_args!("skipped, because it exists: {name}"));
        }
        let left = self.left();
        if left > 0 {
            terminal.say(format_args!("{left} {kind} were not tried"));
        }
        if self.overwrites && !(self.failed.is_empty() && self.unknown.is_empty()) {
            terminal
                .tell("a connection that failed may be gone: it is deleted before it is added");
        }
        if !self.is_complete() && is_noted {
            terminal.say(
                "the same command goes on where this ended, if --resume stands before the `--`",
            );
        }
        self.exit(terminal)
    }

    fn exit(self, terminal: &Terminal) -> Exit {
        let complete = self.is_complete();
        match self.stop {
            Some(Called::Fault(problem)) => ending::fault(&problem, terminal),
            Some(Called::Lost(lost)) => ending::lost(&lost, terminal),
            Some(Called::Left(left)) => {
                terminal.tell("interrupted");
                Exit::Signal(left.signal)
            }
            Some(Called::Output(_) | Called::Odd(_)) | None if complete => Exit::Done,
            _ => Exit::Failed,
        }
    }

    fn json(&self) -> serde_json::Value {
        let list = |list: &[(String, String)]| -> Vec<_> {
            list.iter()
                .map(|(name, why)| serde_json::json!({"name": name, "why": why}))
                .collect()
        };
        serde_json::json!({
            "total": self.total,
            "done": self.done,
            "earlier": self.earlier,
            "skipped": self.skipped,
            "failed": list(&self.failed),
            "unknown": list(&self.unknown),
            "not_tried": self.left(),
        })
    }
}

/// The last line of what a command said.
fn last_words(output: &Output) -> String {
    let errors = output.whole.get("errors").and_then(|text| text.as_str());
    let errors = errors.unwrap_or(&output.stderr);
    let text = if errors.trim().is_empty() {
        &output.stdout
    } else {
        errors
    };
    let last = text.trim_end().lines().next_back();
    last.unwrap_or("it said nothing").to_owned()
}

/// Whether the fault leaves open what became of one name, and the next one may go well.
fn is_no_answer(problem: &Problem) -> bool {
    problem.may_have_run() || problem.code == "upstream.unavailable"
}

/// Tells of names that can't be imported.
pub(super) fn bad(bad: &[Bad], terminal: &Terminal) -> Exit {
    for Bad { name, why } in bad {
        let (name, why) = (neutral(name), neutral(why));
        terminal.tell(format_args!("can't be imported: {name}: {why}"));
    }
    terminal.tell("nothing was imported");
    Exit::Failed
}

/// Tells of names that are there and must not be.
pub(super) fn exist(names: &BTreeSet<String>, terminal: &Terminal) -> Exit {
    for name in names {
        terminal.tell(format_args!("exists already: {}", neutral(name)));
    }
    terminal.tell("nothing was imported");
    Exit::Failed
}

/// After so many names in a row without an answer, the web server has trouble of its own.
const PATIENCE: usize = 3;
