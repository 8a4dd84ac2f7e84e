//! What a person sees while a command takes its time: a line on the terminal that says where it
//! stands, and is gone before anything else is printed.

use super::attend::Watch;
use crate::cli::client::Step;
use crate::cli::terminal::{Talk, Terminal};
use crate::policy::Command;
use crate::runtime::Moment;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// The line. It comes only for commands that are not over at once.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    terminal: &'a Terminal,
    what: String,
    since: Moment,
    step: Option<Step>,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    /// Nobody looks.
    Never,
    /// Not yet.
    Soon(Talk),
    /// A line that moves.
    Moving(ProgressBar),
    /// A terminal that can't move: the last line that was said.
    Plain(String),
}

impl<'a> Waiting<'a> {
    pub(super) fn new(
        command: &Command,
        environment: Option<&str>,
        terminal: &'a Terminal,
    ) -> Self {
        let name = command.known_name().unwrap_or("the command");
        let what = environment.map_or_else(
            || name.to_owned(),
            |environment| format!("{name} on {environment}"),
        );
        let shown = match terminal.talk() {
            Talk::Piped => Shown::Never,
            talk @ (Talk::Plain | Talk::Live) => Shown::Soon(talk),
        };
        Self {
            terminal,
            what,
            since: Moment::now(),
            step: None,
            shown,
        }
    }

    fn text(&self) -> String {
        let what = &self.what;
        match self.step {
            None | Some(Step::Taken(_)) => format!("preparing {what}"),
            Some(Step::Queued { place: 0 | 1, .. }) => format!("{what} is next in the queue"),
            Some(Step::Queued { place, .. }) => {
                format!("{what} waits in the queue, {} before it", place - 1)
            }
            Some(Step::Sent) => format!("running {what}"),
        }
    }
}

impl Watch for Waiting<'_> {
    fn step(&mut self, step: Step) {
        self.step = Some(step);
    }

    fn tick(&mut self) {
        let age = self.since.age(Moment::now());
        if let Shown::Soon(talk) = self.shown
            && age >= SOON
        {
            self.shown = match talk {
                Talk::Live => Shown::Moving(bar()),
                Talk::Plain | Talk::Piped => Shown::Plain(String::new()),
            };
        }
        let text = self.text();
        match &mut self.shown {
            Shown::Never | Shown::Soon(_) => {}
            Shown::Moving(bar) => {
                bar.set_message(format!("{text} · {} s", age.as_secs()));
                bar.tick();
            }
            Shown::Plain(said) if *said == text => {}
            Shown::Plain(said) => {
                self.terminal.say(&text);
                *said = text;
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Shown::Moving(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg}")
        .unwrap_or_else(|_bad| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.with_style(style)
}

/// Commands that end before this show nothing.
const SOON: Duration = Duration::from_millis(500);
