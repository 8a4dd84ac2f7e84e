//! The last hour in four small charts, drawn as SVG, and as a table for those who read no charts.

use maud::{Markup, html};
use std::fmt::Write as _;

/// The activity of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ActivityMinute {
    /// Requests that were answered.
    pub requests: u64,
    /// Responses that were faults of the gateway.
    pub faults: u64,
    /// The most commands that waited at once.
    pub waiting: u64,
    /// CLI tokens that were requested from AWS.
    pub mints: u64,
}

/// One of the charts.
struct Series {
    /// The class of its colour.
    class: &'static str,
    title: &'static str,
    /// The meaning of the figure: the sum of the hour, or its highest value.
    unit: &'static str,
    /// The meaning of a bar.
    about: &'static str,
    value: fn(&ActivityMinute) -> u64,
    /// True if the sum of the hour is of interest, and not its highest value.
    is_sum: bool,
}

const SERIES: [Series; 4] = [
    Series {
        class: "requests",
        title: "Requests",
        unit: "in the last hour",
        about: "requests answered in a minute",
        value: |minute| minute.requests,
        is_sum: true,
    },
    Series {
        class: "faults",
        title: "Faults",
        unit: "in the last hour",
        about: "requests in a minute that the gateway refused or could not serve",
        value: |minute| minute.faults,
        is_sum: true,
    },
    Series {
        class: "waiting",
        title: "Queue",
        unit: "waited at once, at most",
        about: "commands that waited for a slot at once, at most",
        value: |minute| minute.waiting,
        is_sum: false,
    },
    Series {
        class: "mints",
        title: "Tokens",
        unit: "minted in the last hour",
        about: "CLI tokens requested from AWS in a minute",
        value: |minute| minute.mints,
        is_sum: true,
    },
];

/// Renders the minutes, the oldest first and the current one last.
pub(super) fn render_activity(minutes: &[ActivityMinute]) -> Markup {
    html! {
        div.charts { @for series in &SERIES { (render_chart(series, minutes)) } }
        (render_table(minutes))
    }
}

fn render_chart(series: &Series, minutes: &[ActivityMinute]) -> Markup {
    let values: Vec<_> = minutes.iter().map(series.value).collect();
    let highest = values.iter().copied().max().unwrap_or_default();
    let sum: u64 = values.iter().sum();
    let figure = if series.is_sum { sum } else { highest };
    let (title, about) = (
        format!("activity-{}", series.class),
        format!("about-{}", series.class),
    );
    let width = minutes.len() * BAR;

    html! {
        div.chart {
            p.over {
                span.label { (series.title) }
                @if series.is_sum && highest > 0 { span { "peak " (highest) } }
            }
            p.figure { strong { (figure) } " " span.dim { (series.unit) } }
            svg class=(series.class) viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none"
                role="img" aria-labelledby=(title) aria-describedby=(about) {
                title #(title) { (series.title) ", minute by minute" }
                desc #(about) { (describe(series, &values)) }
                path d=(draw_bars(&values, highest)) {}
            }
            p.axis aria-hidden="true" { span { "an hour ago" } span { "now" } }
        }
    }
}

/// Returns the content of a chart as a sentence.
fn describe(series: &Series, values: &[u64]) -> String {
    let highest = values.iter().copied().max().unwrap_or_default();
    if highest == 0 {
        return format!("None. Bars show {}.", series.about);
    }
    let active = values.iter().filter(|value| **value > 0).count();
    let ago = values.iter().rev().position(|value| *value == highest);
    let ago = match ago.unwrap_or_default() {
        0 => "in this minute".to_owned(),
        ago => format!("{ago} min ago"),
    };
    format!(
        "Bars show {}: in {active} of {} minutes there were some, at most {highest}, {ago}.",
        series.about,
        values.len()
    )
}

/// Returns the bars as the path of an SVG: a rectangle for each minute in which something happened.
fn draw_bars(values: &[u64], highest: u64) -> String {
    let mut path = String::new();
    for (place, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
        // a few among many are still to be seen
        let tall = (value * HEIGHT).div_ceil(highest.max(1)).max(LOWEST);
        let (left, wide) = (place * BAR, BAR - GAP);
        // writing to a String does not fail
        let _infallible = write!(path, "M{left} {HEIGHT}v-{tall}h{wide}v{tall}z");
    }
    path
}

/// Renders the minutes in which something happened, the newest first.
fn render_table(minutes: &[ActivityMinute]) -> Markup {
    let newest_first = minutes.iter().rev().enumerate();
    let active: Vec<_> = newest_first
        .filter(|(_, minute)| **minute != ActivityMinute::default())
        .collect();
    html! {
        details.minutes {
            summary { "Minute by minute" }
            @if active.is_empty() {
                p.dim { "Nothing in the last hour." }
            } @else {
                table {
                    thead {
                        tr {
                            th scope="col" { "Minute" }
                            @for series in &SERIES { th scope="col" { (series.title) } }
                        }
                    }

                    tbody {
                        @for (ago, minute) in active {
                            tr {
                                th scope="row" { @if ago == 0 { "now" } @else { (ago) " min ago" } }
                                @for series in &SERIES { td { ((series.value)(minute)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The height of a chart in its own units, which are scaled to the page.
const HEIGHT: u64 = 40;
/// The lowest bar.
const LOWEST: u64 = 2;
/// The width of a minute, and the part of it that is empty.
const BAR: usize = 4;
const GAP: usize = 1;
