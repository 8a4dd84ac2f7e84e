//! The pages of Airflow 2: the list of DAGs, a DAG's grid, a task's log, the users.

use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::super::session::Session;
use super::super::super::web::{Reply, Visit};
use super::super::super::world::DagView;
use super::super::rest::{Outcome, plain};
use super::super::users as user_list;
use super::{csrf_field, data, page};

/// The list of DAGs.
pub(super) fn home(visit: Visit<'_>, session: &Session) -> Reply {
    let dags = visit.environment.world.dags();
    let content = html! {
        h1 { "DAGs" }
        p.lead { "What this environment runs, and how it went lately." }
        div.card.scroll {
            table.list {
                thead {
                    tr {
                        th { } th { "DAG" } th { "Owner" } th { "Schedule" } th { "Runs" } th { }
                    }
                }
                tbody {
                    @for dag in &dags {
                        tr {
                            td { (switch(dag)) }
                            td {
                                a.name href=(format!("/dags/{}/grid", dag.dag_id)) { (dag.dag_id) }
                                div.sub { (dag.description.unwrap_or(&dag.fileloc)) }
                                @for tag in dag.tags { span.tag { (tag) } }
                            }
                            td { (dag.owner) }
                            td.mono { (dag.schedule.as_deref().unwrap_or("triggered")) }
                            td { div.counts data-counts=(dag.dag_id) { (counts(visit, dag)) } }
                            td { (trigger(session, dag, "/home")) }
                        }
                    }
                }
            }
        }
    };
    page(visit, session, "DAGs", &content)
}

/// A DAG's runs and tasks, which a script draws and keeps up to date.
pub(super) fn grid(visit: Visit<'_>, session: &Session, dag_id: &str) -> Outcome {
    let Some(dag) = visit.environment.world.dag(dag_id) else {
        return Err(Reply::page(404, "there is no such DAG"));
    };
    let back = format!("/dags/{dag_id}/grid");
    let content = html! {
        div.head {
            div {
                h1 { (dag.dag_id) }
                p.sub { (dag.description.unwrap_or(&dag.fileloc)) }
            }
            (switch(&dag))
            (trigger(session, &dag, &back))
        }
        div.split {
            div #grid.card.pad.scroll data-dag=(dag.dag_id) { "…" }
            aside #details.card.pad { "Pick a run or a task." }
        }
    };
    Ok(page(visit, session, &dag.dag_id, &content))
}

/// The log of one task instance.
pub(super) fn log(visit: Visit<'_>, session: &Session) -> Outcome {
    let wanted = data::Instance::of(visit)?;
    let query: String = [
        ("dag_id", &wanted.dag_id),
        ("run_id", &wanted.run_id),
        ("task_id", &wanted.task_id),
    ]
    .map(|(name, value)| format!("{name}={}&", utf8_percent_encode(value, NON_ALPHANUMERIC)))
    .concat();
    let source = format!("/get_logs_with_metadata?{query}try_number=1");
    let content = html! {
        div.head {
            div {
                h1 { "Log of " (wanted.task_id) }
                p.sub.mono { (wanted.run_id) }
            }
            a.button href=(format!("{source}&format=file")) { "Download" }
            a.button href=(format!("/dags/{}/grid", wanted.dag_id)) { "Back to the grid" }
        }
        div.card {
            pre #log.log tabindex="0" data-source=(source) data-ended=(wanted.ended) {
                (plain(&wanted.lines))
            }
        }
    };
    Ok(page(visit, session, "Log", &content))
}

/// Who may sign in.
pub(super) fn users(visit: Visit<'_>, session: &Session) -> Reply {
    page(visit, session, "Users", &user_list::table(visit))
}

fn switch(dag: &DagView) -> Markup {
    html! {
        button.switch type="button" role="switch" data-dag=(dag.dag_id)
            aria-checked=(!dag.is_paused) aria-label={ (dag.dag_id) " is scheduled" } {}
    }
}

/// The form that triggers a run and comes back.
fn trigger(session: &Session, dag: &DagView, origin: &str) -> Markup {
    html! {
        form.inline method="post" action=(format!("/dags/{}/trigger", dag.dag_id)) {
            (csrf_field(session))
            input type="hidden" name="origin" value=(origin);
            button.primary type="submit" data-trigger=(dag.dag_id) { "Trigger" }
        }
    }
}

fn counts(visit: Visit<'_>, dag: &DagView) -> Markup {
    html! {
        @for (state, count) in data::counts(visit, &dag.dag_id) {
            span.state data-state=(state) data-count=(count) title=(state) { (count) }
        }
    }
}
