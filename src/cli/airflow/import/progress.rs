//! How far an import is, shown on a terminal that can move.

use super::request::Request;
use crate::cli::airflow::attend::Watch;
use crate::cli::client::Step;
use crate::cli::terminal::{Talk, Terminal};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar; hidden where nobody sees it move.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(request: &Request, total: usize, terminal: &Terminal) -> Self {
        let target = match terminal.talk() {
            Talk::Live => ProgressDrawTarget::stderr(),
            Talk::Piped | Talk::Plain => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        let style =
            ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} · {elapsed} {msg}");
        let bar = bar.with_style(style.unwrap_or_else(|_bad| ProgressStyle::default_bar()));
        bar.set_prefix(request.kind.word());
        Self(bar)
    }

    /// So many names have been looked at.
    pub(super) fn reached(&self, count: usize) {
        self.0.set_position(count as u64);
    }

    /// Takes the bar off the terminal.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Watch for Progress {
    fn step(&mut self, step: Step) {
        self.0.set_message(match step {
            Step::Queued { place: 0 | 1, .. } => "next in the queue".to_owned(),
            Step::Queued { place, .. } => format!("{} before it in the queue", place - 1),
            Step::Sent | Step::Taken(_) => String::new(),
        });
    }

    fn tick(&mut self) {
        self.0.tick();
    }
}
