//! What the world remembers: DAGs, runs, variables, pools, connections, roles; and how runs progress.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::clock::{DAY, Moment};
use super::release::Release;
use super::seed;

/// How long a task runs, in seconds.
const TASK_SECONDS: i64 = 2;

/// Everything that lasts from one command to the next.
#[derive(Debug)]
pub(super) struct State {
    pub(super) version: String,
    pub(super) release: Release,
    /// The time of the command being run.
    pub(super) now: Moment,
    /// When the world began; its scheduler runs since.
    pub(super) began: Moment,
    pub(super) dags: BTreeMap<String, Dag>,
    pub(super) runs: Vec<Run>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) pools: BTreeMap<String, Pool>,
    pub(super) connections: Vec<super::connections::Connection>,
    /// Each role with its permissions, as pairs of resource and action.
    pub(super) roles: BTreeMap<String, BTreeSet<(String, String)>>,
}

/// A DAG and what the metadata database holds of it.
#[derive(Debug, Clone)]
pub(super) struct Dag {
    pub(super) file: &'static str,
    pub(super) owner: &'static str,
    pub(super) tags: &'static [&'static str],
    pub(super) description: Option<&'static str>,
    /// The second of the day at which a daily interval ends; none: only triggered.
    pub(super) daily_at: Option<i64>,
    pub(super) tasks: &'static [Task],
    pub(super) paused: bool,
    pub(super) unpaused_at: Moment,
}

/// A task; each depends on the one before it.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: &'static str,
    pub(super) operator: &'static str,
    /// The templated property and its source.
    pub(super) template: (&'static str, &'static str),
    /// What a run of it prints.
    pub(super) prints: &'static str,
}

/// A pool of task slots.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) slots: i64,
    pub(super) description: String,
    pub(super) include_deferred: bool,
}

/// One run of a DAG.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "the names of Airflow's columns")]
pub(super) struct Run {
    pub(super) dag_id: String,
    pub(super) run_id: String,
    pub(super) run_type: &'static str,
    pub(super) state: &'static str,
    pub(super) conf: Map<String, Value>,
    pub(super) queued_at: Moment,
    /// The logical date; a manual run has none in Airflow 3 unless it was given.
    pub(super) logical: Option<Moment>,
    pub(super) interval: Option<(Moment, Moment)>,
    pub(super) start: Option<Moment>,
    pub(super) end: Option<Moment>,
    pub(super) tasks: Vec<TaskInstance>,
}

/// One task within a run.
#[derive(Debug, Clone)]
pub(super) struct TaskInstance {
    pub(super) task_id: &'static str,
    pub(super) state: Option<&'static str>,
    pub(super) start: Option<Moment>,
    pub(super) end: Option<Moment>,
}

impl Run {
    /// A queued run of a DAG, with an instance of each task.
    pub(super) fn new(dag_id: &str, dag: &Dag, run_id: String, run_type: &'static str) -> Self {
        let instance = |task: &Task| TaskInstance {
            task_id: task.id,
            state: None,
            start: None,
            end: None,
        };
        Self {
            dag_id: dag_id.to_owned(),
            run_id,
            run_type,
            state: "queued",
            conf: Map::new(),
            queued_at: Moment::from_seconds(0),
            logical: None,
            interval: None,
            start: None,
            end: None,
            tasks: dag.tasks.iter().map(instance).collect(),
        }
    }

    /// Queues the run again from the start.
    pub(super) fn clear(&mut self, now: Moment) {
        self.state = "queued";
        self.queued_at = now;
        (self.start, self.end) = (None, None);
        for task in &mut self.tasks {
            (task.state, task.start, task.end) = (None, None, None);
        }
    }

    /// Brings the run to where it stands now, its first task having begun at `begin`.
    fn advance(&mut self, begin: Moment, now: Moment) {
        self.start = Some(begin);
        self.state = "running";
        let mut at = begin;
        for task in &mut self.tasks {
            let done = at.plus(TASK_SECONDS);
            if now < at {
                task.state = None;
            } else if now < done {
                (task.state, task.start) = (Some("running"), Some(at));
            } else {
                (task.state, task.start, task.end) = (Some("success"), Some(at), Some(done));
            }
            at = done;
        }
        if now >= at {
            self.state = "success";
            self.end = Some(at);
        }
    }
}

impl State {
    /// A world as it stands when it is first looked at.
    pub(super) fn new(version: &str, now: Moment) -> Self {
        let mut state = Self {
            version: version.to_owned(),
            release: Release::parse(version),
            now,
            began: now,
            dags: seed::dags(),
            runs: Vec::new(),
            variables: BTreeMap::new(),
            pools: seed::pools(),
            connections: seed::connections(),
            roles: seed::roles(),
        };
        state.settle(now);
        state
    }

    /// Does what the scheduler did since the last command: new scheduled runs, progress of runs.
    pub(super) fn settle(&mut self, now: Moment) {
        self.now = now;
        for (dag_id, dag) in self.dags.iter().filter(|(_, dag)| !dag.paused) {
            if let Some((start, end)) = dag.last_interval(now) {
                let run_id = format!("scheduled__{}", start.iso());
                let known = |run: &Run| run.dag_id == *dag_id && run.run_id == run_id;
                if !self.runs.iter().any(known) {
                    let mut run = Run::new(dag_id, dag, run_id, "scheduled");
                    run.queued_at = end;
                    run.logical = Some(start);
                    run.interval = Some((start, end));
                    self.runs.push(run);
                }
            }
            let open = |run: &&mut Run| {
                run.dag_id == *dag_id && matches!(run.state, "queued" | "running")
            };
            for run in self.runs.iter_mut().filter(open) {
                let begin = run
                    .start
                    .unwrap_or_else(|| run.queued_at.max(dag.unpaused_at).plus(1));
                if now >= begin {
                    run.advance(begin, now);
                }
            }
        }
    }

    /// The runs of a DAG, newest first.
    pub(super) fn runs_of(&self, dag_id: &str) -> Vec<&Run> {
        let mut runs: Vec<&Run> = self
            .runs
            .iter()
            .filter(|run| run.dag_id == dag_id)
            .collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.logical.unwrap_or(run.queued_at)));
        runs
    }

    /// The run of a DAG that an argument means: its run id, or its logical date.
    pub(super) fn find_run(&self, dag_id: &str, meant: &str) -> Option<&Run> {
        let date = Moment::parse(meant);
        self.runs.iter().find(|run| {
            run.dag_id == dag_id
                && (run.run_id == meant || (date.is_some() && run.logical == date))
        })
    }
}

impl Dag {
    /// The path of the file that defines the DAG.
    pub(super) fn fileloc(&self) -> String {
        format!("/usr/local/airflow/dags/{}", self.file)
    }

    /// The last daily interval that has ended.
    pub(super) fn last_interval(&self, now: Moment) -> Option<(Moment, Moment)> {
        let at = self.daily_at?;
        let end = (now.seconds() - at).div_euclid(DAY) * DAY + at;
        Some((Moment::from_seconds(end - DAY), Moment::from_seconds(end)))
    }

    /// The task of this name.
    pub(super) fn task(&self, task_id: &str) -> Option<&'static Task> {
        self.tasks.iter().find(|task| task.id == task_id)
    }
}
