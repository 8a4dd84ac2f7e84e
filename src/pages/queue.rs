//! The commands of an environment on its card: what runs and how many wait. Arguments are
//! never shown.

use super::words::{ago, span};
use maud::{Markup, html};
use std::time::Duration;

/// What is known of an environment's queue.
#[derive(Debug, Clone, Default)]
pub struct QueueState {
    /// The commands that have a slot, the oldest first.
    pub running: Vec<RunningCommand>,
    /// How many wait for one.
    pub waiting: usize,
    /// How long the one that has waited longest has waited.
    pub longest_wait: Option<Duration>,
}

/// A command that has a slot.
#[derive(Debug, Clone)]
pub struct RunningCommand {
    /// Its name without its arguments.
    pub name: &'static str,
    /// How long it has its slot.
    pub age: Duration,
    /// The request's name.
    pub request_id: String,
    /// Whether its client has gone away.
    pub client_left: bool,
}

pub(super) fn commands(queue: &QueueState) -> Markup {
    html! {
        (queue.running.len()) " running, " (queue.waiting) " waiting"
        @if let Some(longest) = queue.longest_wait { " (the longest for " (span(longest)) ")" }
        @for run in &queue.running {
            br;
            code { (run.name) } " began " (ago(run.age)) ", request " code { (run.request_id) }
            @if run.client_left { "; its client left" }
        }
    }
}
