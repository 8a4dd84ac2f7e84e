//! What pages and REST responses show: copies of the state, with dates in ISO 8601.

use serde_json::{Map, Value};

use super::World;
use super::clock::Moment;
use super::state::{Dag, Run, State, TaskInstance};

/// A DAG.
#[derive(Debug, Clone)]
pub(crate) struct DagView {
    pub(crate) dag_id: String,
    pub(crate) fileloc: String,
    pub(crate) owner: &'static str,
    pub(crate) tags: &'static [&'static str],
    pub(crate) description: Option<&'static str>,
    /// A cron expression; none for a DAG that is only triggered.
    pub(crate) schedule: Option<String>,
    pub(crate) is_paused: bool,
    pub(crate) next_run: Option<String>,
}

/// A run of a DAG.
#[derive(Debug, Clone)]
pub(crate) struct RunView {
    pub(crate) dag_id: String,
    pub(crate) run_id: String,
    pub(crate) run_type: &'static str,
    pub(crate) state: &'static str,
    pub(crate) conf: Map<String, Value>,
    pub(crate) queued_at: String,
    pub(crate) logical_date: Option<String>,
    pub(crate) data_interval: Option<(String, String)>,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    pub(crate) tasks: Vec<InstanceView>,
}

/// A task within a run.
#[derive(Debug, Clone)]
pub(crate) struct InstanceView {
    pub(crate) task_id: &'static str,
    pub(crate) operator: &'static str,
    /// None before it starts.
    pub(crate) state: Option<&'static str>,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    /// In seconds, up to now if it has not ended.
    pub(crate) duration: Option<i64>,
}

/// A connection, without its password.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionView {
    pub(crate) conn_id: String,
    pub(crate) conn_type: String,
    pub(crate) description: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) login: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) port: Option<u16>,
}

impl World {
    /// All DAGs, by id.
    pub(crate) fn dags(&self) -> Vec<DagView> {
        self.now(|state| {
            let mut dags: Vec<&Dag> = state.dags.iter().collect();
            dags.sort_by_key(|dag| &dag.id);
            dags.iter().map(|dag| DagView::of(dag, state.now)).collect()
        })
    }

    /// The DAG of this id.
    pub(crate) fn dag(&self, dag_id: &str) -> Option<DagView> {
        self.now(|state| state.dag(dag_id).map(|dag| DagView::of(dag, state.now)))
    }

    /// The runs of a DAG, newest first.
    pub(crate) fn runs(&self, dag_id: &str) -> Vec<RunView> {
        self.now(|state| {
            let runs = state.runs_of(dag_id);
            runs.into_iter()
                .map(|run| RunView::of(run, state))
                .collect()
        })
    }

    /// The run of a DAG with this id.
    pub(crate) fn find_run(&self, dag_id: &str, run_id: &str) -> Option<RunView> {
        let wanted = |run: &RunView| run.run_id == run_id;
        self.runs(dag_id).into_iter().find(wanted)
    }

    /// All variables, by key.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        self.now(|state| {
            let mut variables = state.variables.clone();
            variables.sort();
            variables
        })
    }

    /// All connections, in the order they were made.
    pub(crate) fn connections(&self) -> Vec<ConnectionView> {
        self.now(|state| {
            let known = state.connections.iter();
            known
                .map(|one| ConnectionView {
                    conn_id: one.conn_id.clone(),
                    conn_type: one.conn_type.clone(),
                    description: one.description.clone(),
                    host: one.host.clone(),
                    login: one.login.clone(),
                    schema: one.schema.clone(),
                    port: one.port,
                })
                .collect()
        })
    }
}

impl DagView {
    fn of(dag: &Dag, now: Moment) -> Self {
        Self {
            dag_id: dag.id.clone(),
            fileloc: dag.fileloc(),
            owner: dag.owner,
            tags: dag.tags,
            description: dag.description,
            schedule: dag.schedule(),
            is_paused: dag.paused,
            next_run: dag
                .last_interval(now)
                .filter(|_| !dag.paused)
                .map(|(_, end)| end.iso()),
        }
    }
}

impl RunView {
    pub(super) fn of(run: &Run, state: &State) -> Self {
        let dag = state.dag(&run.dag_id);
        let operator = |id: &str| {
            let task = dag.and_then(|dag| dag.task(id));
            task.map_or("BaseOperator", |task| task.operator)
        };
        let instance = |task: &TaskInstance| InstanceView {
            task_id: task.task_id,
            operator: operator(task.task_id),
            state: task.state,
            start: task.start.map(Moment::iso),
            end: task.end.map(Moment::iso),
            duration: task
                .start
                .map(|start| task.end.unwrap_or(state.now).seconds() - start.seconds()),
        };
        Self {
            dag_id: run.dag_id.clone(),
            run_id: run.run_id.clone(),
            run_type: run.run_type,
            state: run.state,
            conf: run.conf.clone(),
            queued_at: run.queued_at.iso(),
            logical_date: run.logical.map(Moment::iso),
            data_interval: run.interval.map(|(start, end)| (start.iso(), end.iso())),
            start: run.start.map(Moment::iso),
            end: run.end.map(Moment::iso),
            tasks: run.tasks.iter().map(instance).collect(),
        }
    }
}
