//! Runs of earlier days, so that the UI has something to show.

use super::World;
use super::clock::{DAY, Moment};
use super::state::{Dag, Run, State, TaskInstance};

impl World {
    /// Adds runs of so many days before the last one to every scheduled DAG.
    pub(crate) fn remember(&self, days: u16) {
        self.now(|state| {
            for dag in state.dags.clone() {
                let Some((start, _)) = dag.last_interval(state.now) else {
                    continue;
                };
                for back in 1..=i64::from(days) {
                    let begin = start.plus(-back * DAY);
                    if let Some(run) = past(&dag, begin, state) {
                        state.runs.push(run);
                    }
                }
            }
        });
    }
}

/// A run that ended long ago; one in seven failed in its last task.
fn past(dag: &Dag, start: Moment, state: &State) -> Option<Run> {
    let run_id = format!("scheduled__{}", start.iso());
    let known = |run: &Run| run.dag_id == dag.id && run.run_id == run_id;
    if state.runs.iter().any(known) {
        return None;
    }
    let end = start.plus(DAY);
    let mut run = Run::new(dag, run_id, "scheduled");
    let day = start.seconds().div_euclid(DAY);
    let seed = dag.id.bytes().map(i64::from).sum::<i64>();
    let failed = (day + seed) % 7 == 3;
    run.state = if failed { "failed" } else { "success" };
    run.queued_at = end;
    run.logical = Some(start);
    run.interval = Some((start, end));
    run.start = Some(end.plus(1));
    let last = run.tasks.len();
    let mut at = end.plus(1);
    for (index, task) in (1..).zip(&mut run.tasks) {
        let seconds = 2 + (day + seed) % 5;
        let TaskInstance {
            state, start, end, ..
        } = task;
        (*start, *end) = (Some(at), Some(at.plus(seconds)));
        let broken = failed && index == last;
        *state = Some(if broken { "failed" } else { "success" });
        at = at.plus(seconds);
    }
    run.end = Some(at);
    Some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_days_are_added_once() {
        let world = World::new("2.10.5", &[]);
        let before = world.runs("example_etl").len();
        world.remember(14);
        world.remember(14);
        let runs = world.runs("example_etl");
        assert_eq!(runs.len(), before + 14);
        let failed = runs.iter().filter(|run| run.state == "failed").count();
        assert_eq!(failed, 2);
        assert!(runs.iter().all(|run| run.end.is_some()));
        assert_eq!(world.runs("lab_hello").len(), 0);
    }
}
