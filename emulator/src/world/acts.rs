//! What people do in the UI and programs by REST: trigger a run, pause a DAG, read a log.

use serde_json::{Map, Value};

use super::World;
use super::clock::Moment;
use super::state::Run;
use super::trigger::{self, Asked};
use super::view::RunView;

/// What a trigger by REST or form may say.
#[derive(Debug, Default)]
pub(crate) struct TriggerRequest {
    pub(crate) run_id: Option<String>,
    /// In ISO 8601.
    pub(crate) logical_date: Option<String>,
    pub(crate) conf: Map<String, Value>,
}

/// Why a run was not triggered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotTriggered {
    NoSuchDag,
    /// The logical date can't be read.
    Date,
    /// There is a run of this id or date.
    Exists(String),
}

/// One line of a task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogLine {
    pub(crate) at: String,
    pub(crate) level: &'static str,
    pub(crate) logger: &'static str,
    pub(crate) text: String,
}

impl World {
    /// Triggers a run. Its id counts microseconds, as two clicks in one second must differ.
    pub(crate) fn trigger(
        &self,
        dag_id: &str,
        asked: &TriggerRequest,
    ) -> Result<RunView, NotTriggered> {
        let given = asked.logical_date.as_deref();
        let date = given
            .map(|text| Moment::parse(text).ok_or(NotTriggered::Date))
            .transpose()?;
        self.now(|state| {
            if !state.dags.contains_key(dag_id) {
                return Err(NotTriggered::NoSuchDag);
            }
            let three = state.release.is_three();
            let named = |at: Moment| format!("manual__{}", at.iso());
            let date = date.or_else(|| (!three).then_some(state.now));
            let run_id = asked
                .run_id
                .clone()
                .unwrap_or_else(|| named(date.unwrap_or(state.now)));
            let conf = Value::Object(asked.conf.clone()).to_string();
            let words = Asked {
                run_id: Some(&run_id),
                conf: Some(&conf),
                date,
                exact: false,
            };
            // the DAG is there and the configuration an object: what is left is a clash
            let run = trigger::trigger(state, dag_id, &words)
                .map_err(|_clash| NotTriggered::Exists(run_id.clone()))?;
            Ok(RunView::of(&run, state))
        })
    }

    /// Pauses or resumes a DAG; false if there is none.
    pub(crate) fn set_paused(&self, dag_id: &str, paused: bool) -> bool {
        self.now(|state| {
            let now = state.now;
            let dag = state.dags.get_mut(dag_id);
            dag.map(|dag| dag.set_paused(paused, now)).is_some()
        })
    }

    /// What a task of a run has logged so far; `None` if there is no such task instance.
    pub(crate) fn log(
        &self,
        dag_id: &str,
        run_id: &str,
        task_id: &str,
    ) -> Option<Vec<LogLine>> {
        self.now(|state| {
            let known = |run: &&Run| run.dag_id == dag_id && run.run_id == run_id;
            let run = state.runs.iter().find(known)?;
            let instance = run.tasks.iter().find(|task| task.task_id == task_id)?;
            let task = state.dags.get(dag_id)?.task(task_id)?;
            let Some(start) = instance.start else {
                return Some(Vec::new());
            };
            let name = format!("{dag_id}.{task_id} {run_id} [queued]");
            let line = |at: Moment, logger, level, text: String| LogLine {
                at: at.iso(),
                level,
                logger,
                text,
            };
            let runner = "airflow.task.runner";
            let mut lines = vec![
                line(start, runner, "INFO", format!("Dependencies all met for <TaskInstance: {name}>")),
                line(start, runner, "INFO", "Starting attempt 1 of 1".to_owned()),
                line(start, runner, "INFO", format!("Executing <Task({}): {task_id}>", task.operator)),
            ];
            if let Some(end) = instance.end {
                let failed = instance.state == Some("failed");
                if failed {
                    let text = "the source did not answer within 30 s".to_owned();
                    lines.push(line(end, "airflow.task", "ERROR", text));
                } else {
                    lines.push(line(end, "airflow.task", "INFO", task.prints.to_owned()));
                }
                let outcome = if failed { "FAILED" } else { "SUCCESS" };
                let text = format!("Marking task as {outcome}. dag_id={dag_id}, task_id={task_id}, run_id={run_id}");
                lines.push(line(end, runner, "INFO", text));
            }
            Some(lines)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_here_is_seen_by_the_command_line_and_back() {
        let world = World::new("2.10.5");
        assert!(world.set_paused("lab_hello", true) && !world.set_paused("nope", true));
        assert!(world.dag("lab_hello").unwrap().is_paused);
        let asked = TriggerRequest {
            run_id: Some("r1".to_owned()),
            ..TriggerRequest::default()
        };
        let run = world.trigger("lab_hello", &asked).unwrap();
        assert_eq!((run.state, run.run_type), ("queued", "manual"));
        let again = world.trigger("lab_hello", &asked);
        assert_eq!(again.unwrap_err(), NotTriggered::Exists("r1".to_owned()));
        let missing = world.trigger("nope", &TriggerRequest::default());
        assert_eq!(missing.unwrap_err(), NotTriggered::NoSuchDag);
        let bad = TriggerRequest {
            logical_date: Some("soon".to_owned()),
            ..TriggerRequest::default()
        };
        assert_eq!(
            world.trigger("lab_hello", &bad).unwrap_err(),
            NotTriggered::Date
        );
        let words =
            ["dags", "state", "lab_hello", &run.logical_date.unwrap()].map(str::to_owned);
        assert_eq!(world.run(&words).stdout, "queued\n");
        assert_eq!(world.log("lab_hello", "r1", "say"), Some(Vec::new()));
        assert_eq!(world.log("lab_hello", "r1", "nope"), None);
    }

    #[test]
    fn a_run_s_log_grows_with_it() {
        let world = World::new("3.0.6");
        let run = world.runs("example_etl").remove(0);
        assert_eq!(run.state, "success");
        let log = world.log("example_etl", &run.run_id, "load").unwrap();
        assert!(log.iter().any(|line| line.text == "loading"));
        assert!(log.last().unwrap().text.contains("SUCCESS"));
    }
}
