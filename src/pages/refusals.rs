//! The last refusals on the overview: the first place to look when something does not work.

use super::words::ago;
use maud::{Markup, html};
use std::time::Duration;

/// One request that the gateway answered with a fault of its own.
#[derive(Debug, Clone)]
pub struct RefusalRow {
    /// The time since.
    pub age: Duration,
    /// The fault's code.
    pub code: &'static str,
    /// The environment that it was for, where that was known.
    pub environment: Option<String>,
    /// The request method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// What was wrong.
    pub detail: String,
    /// The request's name.
    pub request_id: String,
}

/// The table, newest first; on a narrow screen each row becomes a block.
pub(super) fn refusals(rows: &[RefusalRow], scoped: bool) -> Markup {
    html! {
        section.refusals aria-labelledby="refusals" {
            h2 #refusals { "Last refusals" }
            @if rows.is_empty() {
                p.dim { "None so far. Requests that the gateway refuses or can't answer are listed here." }
            } @else {
                table {
                    thead {
                        tr {
                            th scope="col" { "When" }
                            th scope="col" { "Code" }
                            @if !scoped { th scope="col" { "Environment" } }
                            th scope="col" { "Request" }
                            th scope="col" { "What was wrong" }
                        }
                    }
                    tbody { @for row in rows { (one(row, scoped)) } }
                }
            }
        }
    }
}

fn one(row: &RefusalRow, scoped: bool) -> Markup {
    html! {
        tr {
            td.when { (ago(row.age)) }
            td.code { code { (row.code) } }
            @if !scoped {
                td {
                    @match &row.environment {
                        Some(environment) => (environment),
                        None => span.dim { "none" },
                    }
                }
            }
            td { code.path { (row.method) " " (row.path) } }
            td.why { (row.detail) small.id { "request " (row.request_id) } }
        }
    }
}
