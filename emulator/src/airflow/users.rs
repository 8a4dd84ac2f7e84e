//! The list of users: a page of Flask AppBuilder in both majors, in a frame in Airflow 3.

use maud::{Markup, html};

use super::super::web::Visit;

/// Everybody whom IAM may send here, as a table.
pub(super) fn table(visit: Visit<'_>) -> Markup {
    html! {
        h1 { "Users" }
        p.lead { "Whoever may sign in with AWS, and as what." }
        div.card.scroll {
            table.list {
                thead { tr { th { "User" } th { "IAM identity" } th { "Role" } } }
                tbody {
                    @for credential in &visit.shared.credentials {
                        tr {
                            td.name { (credential.airflow_identity()) }
                            td.mono { (credential.iam_identity) }
                            td {
                                @match credential.role {
                                    Some(role) => span.tag { (role.name()) },
                                    None => "none",
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
