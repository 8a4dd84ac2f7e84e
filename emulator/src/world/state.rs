//! What lasts from one command to the next, and how runs make progress.

use serde_json::{Map, Value};

use super::super::made_up;
use super::clock::{DAY, Moment};
use super::connections::Connection;
use super::texts::Release;

/// How long a task runs, in seconds.
const TASK_SECONDS: i64 = 2;

/// Everything that lasts from one command to the next.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) version: String,
    /// None for 1.10.
    pub(crate) release: Option<Release>,
    /// The time of the command being run.
    pub(crate) now: Moment,
    /// In the order in which they were added.
    pub(crate) dags: Vec<Dag>,
    pub(crate) runs: Vec<Run>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) connections: Vec<Connection>,
}

/// A DAG and what the metadata database holds of it.
#[derive(Debug, Clone)]
pub(crate) struct Dag {
    pub(crate) id: String,
    pub(crate) file: String,
    pub(crate) owner: &'static str,
    pub(crate) tags: &'static [&'static str],
    pub(crate) description: Option<&'static str>,
    /// The second of the day at which a daily interval ends; none for a DAG that is only triggered.
    pub(crate) daily_at: Option<i64>,
    pub(crate) tasks: &'static [Task],
    pub(crate) paused: bool,
    pub(crate) unpaused_at: Moment,
}

/// A task; each depends on the one before it.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: &'static str,
    pub(crate) operator: &'static str,
    /// What a run of it prints.
    pub(crate) prints: &'static str,
}

/// One run of a DAG.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "the names of Airflow's columns")]
pub(crate) struct Run {
    pub(crate) dag_id: String,
    pub(crate) run_id: String,
    pub(crate) run_type: &'static str,
    pub(crate) state: &'static str,
    pub(crate) conf: Map<String, Value>,
    pub(crate) queued_at: Moment,
    /// The logical date; a manual run has none in Airflow 3 unless it was given.
    pub(crate) logical: Option<Moment>,
    pub(crate) interval: Option<(Moment, Moment)>,
    pub(crate) start: Option<Moment>,
    pub(crate) end: Option<Moment>,
    pub(crate) tasks: Vec<TaskInstance>,
}

/// One task within a run.
#[derive(Debug, Clone)]
pub(crate) struct TaskInstance {
    pub(crate) task_id: &'static str,
    pub(crate) state: Option<&'static str>,
    pub(crate) start: Option<Moment>,
    pub(crate) end: Option<Moment>,
}

/// What a trigger asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) run_id: Option<String>,
    pub(crate) conf: Map<String, Value>,
    pub(crate) date: Option<Moment>,
}

/// Why there is no new run.
#[derive(Debug)]
pub(crate) enum Clash {
    RunId(String),
    LogicalDate,
}

impl Run {
    /// A queued run of a DAG, with an instance of each task.
    pub(crate) fn new(dag: &Dag, run_id: String, run_type: &'static str) -> Self {
        let instance = |task: &Task| TaskInstance {
            task_id: task.id,
            state: None,
            start: None,
            end: None,
        };
        Self {
            dag_id: dag.id.clone(),
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

    /// Brings the run up to date; its first task began at `begin`.
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
    /// The state at the start.
    pub(crate) fn new(version: &str, dags: Vec<Dag>, now: Moment) -> Self {
        Self {
            version: version.to_owned(),
            release: Release::parse(version),
            now,
            dags,
            runs: Vec::new(),
            variables: Vec::new(),
            connections: vec![Connection {
                conn_id: "aws_default".to_owned(),
                conn_type: "aws".to_owned(),
                ..Connection::default()
            }],
        }
    }

    /// The DAG of this ID.
    pub(crate) fn dag(&self, dag_id: &str) -> Option<&Dag> {
        self.dags.iter().find(|dag| dag.id == dag_id)
    }

    /// Pauses or unpauses a DAG; false if there is none of this ID.
    pub(crate) fn set_paused(&mut self, dag_id: &str, paused: bool) -> bool {
        let Some(dag) = self.dags.iter_mut().find(|dag| dag.id == dag_id) else {
            return false;
        };
        if dag.paused && !paused {
            dag.unpaused_at = self.now;
        }
        dag.paused = paused;
        true
    }

    /// One of the texts with which commands of this release fail.
    pub(crate) fn failure(&self, name: &str, values: &[(&str, &str)]) -> String {
        let release = self.release.unwrap_or(Release::Two);
        release.failure(name, values)
    }

    /// The ID of a manual run of now, or of its logical date before Airflow 3.
    pub(crate) fn manual_run_id(&self, date: Option<Moment>) -> String {
        match self.release {
            Some(Release::Three) if date.is_none() => {
                format!("manual__{}_{}", self.now.iso(), made_up::letters(8))
            }
            Some(Release::Three | Release::ThreeTwo) => format!("manual__{}", self.now.iso()),
            _ => format!("manual__{}", date.unwrap_or(self.now).iso()),
        }
    }

    /// What keeps a run from being created, if anything does.
    pub(crate) fn clash(&self, dag_id: &str, wanted: &Wanted) -> Option<Clash> {
        let three = self.release > Some(Release::Two);
        let run_id = wanted.run_id.clone();
        let run_id = run_id.unwrap_or_else(|| self.manual_run_id(wanted.date));
        let mut runs = self.runs.iter().filter(|run| run.dag_id == dag_id);
        let same_date = |run: &Run| wanted.date.is_some() && run.logical == wanted.date;
        let found = runs.find(|run| run.run_id == run_id || same_date(run))?;
        Some(if three && found.run_id != run_id {
            Clash::LogicalDate
        } else {
            Clash::RunId(run_id)
        })
    }

    /// Adds a manual run that clashes with no other, and returns it.
    pub(crate) fn add_run(&mut self, dag_id: &str, wanted: Wanted) -> Option<Run> {
        let run_id = wanted.run_id;
        let run_id = run_id.unwrap_or_else(|| self.manual_run_id(wanted.date));
        let dag = self.dag(dag_id)?;
        let mut run = Run::new(dag, run_id, "manual");
        run.conf = wanted.conf;
        run.queued_at = self.now;
        run.logical = wanted.date;
        // Airflow 3 takes the interval from now, also when a logical date is given
        let three = self.release > Some(Release::Two);
        let at = |date| if three { self.now } else { date };
        run.interval = wanted
            .date
            .map(at)
            .map(|date| dag.last_interval(date).unwrap_or((date, date)));
        self.runs.push(run.clone());
        Some(run)
    }

    /// Does what the scheduler did since the last command: it adds scheduled runs, and open runs
    /// make progress.
    pub(crate) fn settle(&mut self, now: Moment) {
        self.now = now;
        for dag in self.dags.iter().filter(|dag| !dag.paused) {
            let run = dag
                .last_interval(now)
                .map(|(start, _)| dag.scheduled_run(start));
            let known = |new: &Run| {
                let mut runs = self.runs.iter();
                runs.any(|run| run.dag_id == new.dag_id && run.run_id == new.run_id)
            };
            self.runs.extend(run.filter(|run| !known(run)));
            let open = |run: &&mut Run| {
                run.dag_id == dag.id && matches!(run.state, "queued" | "running")
            };
            for run in self.runs.iter_mut().filter(open) {
                let queued = run.queued_at.max(dag.unpaused_at).plus(1);
                let begin = run.start.unwrap_or(queued);
                if now >= begin {
                    run.advance(begin, now);
                }
            }
        }
    }

    /// Adds runs of so many days before the last one to every scheduled DAG, so that the UI has
    /// something to show. One in seven failed in its last task.
    pub(crate) fn remember(&mut self, days: u16) {
        for dag in &self.dags {
            let Some((last, _)) = dag.last_interval(self.now) else {
                continue;
            };
            for back in 1..=i64::from(days) {
                let mut run = dag.scheduled_run(last.plus(-back * DAY));
                run.advance(run.queued_at.plus(1), self.now);
                let day = run.queued_at.seconds().div_euclid(DAY);
                let seed: i64 = dag.id.bytes().map(i64::from).sum();
                if (day + seed) % 7 == 3
                    && let Some(task) = run.tasks.last_mut()
                {
                    (run.state, task.state) = ("failed", Some("failed"));
                }
                self.runs.push(run);
            }
        }
    }

    /// The DAGs, by ID.
    pub(crate) fn dags_by_id(&self) -> Vec<&Dag> {
        let mut dags: Vec<&Dag> = self.dags.iter().collect();
        dags.sort_by_key(|dag| &dag.id);
        dags
    }

    /// The run of a DAG with this ID.
    pub(crate) fn run(&self, dag_id: &str, run_id: &str) -> Option<&Run> {
        let mut runs = self.runs.iter();
        runs.find(|run| run.dag_id == dag_id && run.run_id == run_id)
    }

    /// The runs of a DAG, newest first.
    pub(crate) fn runs_of(&self, dag_id: &str) -> Vec<&Run> {
        let mut runs: Vec<&Run> = self
            .runs
            .iter()
            .filter(|run| run.dag_id == dag_id)
            .collect();
        let two = self.release <= Some(Release::Two);
        let date = |run: &Run| run.logical.filter(|_| two).unwrap_or(run.queued_at);
        runs.sort_by_key(|run| std::cmp::Reverse(date(run)));
        runs
    }
}

impl Dag {
    /// The queued run of the daily interval that begins at `start`.
    fn scheduled_run(&self, start: Moment) -> Run {
        let mut run = Run::new(self, format!("scheduled__{}", start.iso()), "scheduled");
        run.queued_at = start.plus(DAY);
        run.logical = Some(start);
        run.interval = Some((start, run.queued_at));
        run
    }

    /// The path of the file that defines the DAG.
    pub(crate) fn fileloc(&self) -> String {
        format!("/usr/local/airflow/dags/{}", self.file)
    }

    /// The schedule as a cron expression.
    pub(crate) fn schedule(&self) -> Option<String> {
        let at = self.daily_at?;
        Some(format!("{} {} * * *", at % 3600 / 60, at / 3600))
    }

    /// The last daily interval that has ended.
    pub(crate) fn last_interval(&self, now: Moment) -> Option<(Moment, Moment)> {
        let at = self.daily_at?;
        let end = (now.seconds() - at).div_euclid(DAY) * DAY + at;
        Some((Moment::from_seconds(end - DAY), Moment::from_seconds(end)))
    }

    /// The task of this name.
    pub(crate) fn task(&self, task_id: &str) -> Option<&'static Task> {
        self.tasks.iter().find(|task| task.id == task_id)
    }
}
