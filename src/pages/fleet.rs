//! The fleet on the overview: its replicas, the slots that they hold, and its store.

use super::format::format_sentence;
use maud::{Markup, html};
use std::time::Duration;

/// The fleet, as this gateway sees it.
#[derive(Debug, Clone, Default)]
pub struct FleetInfo {
    /// The name of this replica.
    pub me: String,
    /// The names of the replicas that were seen last.
    pub replicas: Vec<String>,
    /// The error of the store's last call, for people.
    pub trouble: Option<String>,
    /// The slots of each environment.
    pub slots: Vec<SharedSlots>,
    /// The tokens and sessions that other replicas had made.
    pub shared: u64,
    /// The calls of the store since the start.
    pub calls: u64,
    /// Those that failed.
    pub errors: u64,
    /// The mean time of a call.
    pub mean: Option<Duration>,
}

/// The slots of one environment that are held.
#[derive(Debug, Clone, Default)]
pub struct SharedSlots {
    /// The local name of the environment.
    pub environment: String,
    /// A replica for each slot.
    pub held_by: Vec<String>,
    /// True if this gateway gives slots without the store.
    pub is_alone: bool,
}

/// Renders the state of the fleet.
pub(super) fn render_fleet(fleet: &FleetInfo) -> Markup {
    html! {
        @if let Some(trouble) = &fleet.trouble {
            p.note { "This gateway works without the others: " (format_sentence(trouble)) }
        }
        p {
            "This is replica " code { (fleet.me) } ". Seen last: "
            @if fleet.replicas.is_empty() { "none yet" }
            @for (index, replica) in fleet.replicas.iter().enumerate() {
                @if index > 0 { ", " }
                code { (replica) }
            }
            ". " (fleet.shared) " tokens and sessions came from other replicas. The store answered "
            (fleet.calls.saturating_sub(fleet.errors)) " of " (fleet.calls) " calls"
            @if let Some(mean) = fleet.mean { ", in " (format_millis(mean)) " on average" }
            "."
        }
        @if !fleet.slots.is_empty() { (render_slots(&fleet.slots)) }
    }
}

fn render_slots(slots: &[SharedSlots]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Environment" } th scope="col" { "Slots held by" } } }
            tbody {
                @for one in slots {
                    tr {
                        td { (one.environment) }
                        td {
                            @if one.is_alone { "this gateway uses its share, without the store" }
                            @else if one.held_by.is_empty() { span.dim { "none" } }
                            @else {
                                @for (index, replica) in one.held_by.iter().enumerate() {
                                    @if index > 0 { ", " }
                                    code { (replica) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn format_millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
