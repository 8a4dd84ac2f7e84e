//! What the UI and the REST API do: trigger a run, pause a DAG, read a log.

use serde_json::{Map, Value};

use super::World;
use super::clock::Moment;
use super::state::Run;
use super::texts::Release;
use super::trigger::Wanted;
use super::view::RunView;

/// What the UI or a REST call gives for a new run.
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
    /// The logical date is not ISO 8601.
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
            let date =
                date.or_else(|| (state.release < Some(Release::Three)).then_some(state.now));
            let wanted = Wanted {
                run_id: asked.run_id.clone(),
                conf: asked.conf.clone(),
                date,
            };
            if state.dag(dag_id).is_some() && state.clash(dag_id, &wanted).is_some() {
                let named = wanted.run_id;
                let run_id = named.unwrap_or_else(|| state.manual_run_id(date));
                return Err(NotTriggered::Exists(run_id));
            }
            let run = state
                .add_run(dag_id, wanted)
                .ok_or(NotTriggered::NoSuchDag)?;
            Ok(RunView::of(&run, state))
        })
    }

    /// Pauses or unpauses a DAG; false if there is none.
    pub(crate) fn set_paused(&self, dag_id: &str, paused: bool) -> bool {
        self.now(|state| {
            let now = state.now;
            state.set_paused(dag_id, paused, now)
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
            let task = state.dag(dag_id)?.task(task_id)?;
            let Some(start) = instance.start else {
                return Some(Vec::new());
            };
            let line = |at: Moment, logger, level, text: String| LogLine {
                at: at.iso(),
                level,
                logger,
                text,
            };
            let (runner, name) = (
                "airflow.task.runner",
                format!("{dag_id}.{task_id} {run_id}"),
            );
            let met = format!("Dependencies all met for <TaskInstance: {name} [queued]>");
            let began = format!("Executing <Task({}): {task_id}>", task.operator);
            let mut lines = vec![
                line(start, runner, "INFO", met),
                line(start, runner, "INFO", began),
            ];
            if let Some(end) = instance.end {
                let (level, text, outcome) = match instance.state {
                    Some("failed") => {
                        ("ERROR", "the source did not answer within 30 s", "FAILED")
                    }
                    _ => ("INFO", task.prints, "SUCCESS"),
                };
                let marked = format!("Marking task as {outcome}. {name}");
                lines.push(line(end, "airflow.task", level, text.to_owned()));
                lines.push(line(end, runner, "INFO", marked));
            }
            Some(lines)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_see_what_the_ui_does() {
        let world = World::new("2.10.5", &[]);
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
        let words = "dags list-runs -d lab_hello -o json".split(' ');
        let words: Vec<String> = words.map(str::to_owned).collect();
        assert!(
            world
                .run(&words)
                .stdout
                .contains("\"run_id\": \"r1\", \"state\": \"queued\"")
        );
        assert_eq!(world.log("lab_hello", "r1", "say"), Some(Vec::new()));
        assert_eq!(world.log("lab_hello", "r1", "nope"), None);
    }

    #[test]
    fn the_log_of_a_run_grows() {
        let world = World::new("3.0.6", &[]);
        let run = world.runs("example_etl").remove(0);
        assert_eq!(run.state, "success");
        let log = world.log("example_etl", &run.run_id, "load").unwrap();
        assert!(log.iter().any(|line| line.text == "loading"));
        assert!(log.last().unwrap().text.contains("SUCCESS"));
    }
}
