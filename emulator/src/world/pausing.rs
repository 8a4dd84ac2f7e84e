//! `dags pause|unpause`, in the words of each release.

use serde_json::json;

use super::clock::Moment;
use super::output::{Format, Rows};
use super::reply::CommandResult;
use super::state::{Dag, State};

/// Sets whether a DAG is paused; from 2.9 the command says so in rows.
pub(super) fn set_paused(
    state: &mut State,
    dag_id: &str,
    paused: bool,
    format: Format,
) -> CommandResult {
    let in_rows = state.release.at_least(2, 9);
    let now = state.now;
    let Some(dag) = state.dags.get_mut(dag_id) else {
        return if in_rows {
            unchanged(paused)
        } else {
            CommandResult::system_exit(format_args!(
                "DAG: {dag_id} does not exist in 'dag' table"
            ))
        };
    };
    if in_rows && dag.paused == paused {
        return unchanged(paused);
    }
    dag.set_paused(paused, now);
    if !in_rows {
        let paused = if paused { "True" } else { "False" };
        return CommandResult::line(format_args!("Dag: {dag_id}, paused: {paused}"));
    }
    let mut rows = Rows::new(&["dag_id", "is_paused"]);
    rows.push(vec![json!(dag_id), json!(paused)]);
    rows.print(format)
}

fn unchanged(paused: bool) -> CommandResult {
    let state = if paused { "unpaused" } else { "paused" };
    CommandResult::line(format_args!("No {state} DAGs were found"))
}

impl Dag {
    /// Pauses or resumes; what is queued begins after it is resumed.
    pub(super) fn set_paused(&mut self, paused: bool, now: Moment) {
        if self.paused && !paused {
            self.unpaused_at = now;
        }
        self.paused = paused;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ok, world};

    #[test]
    fn pausing_is_seen_by_the_next_list() {
        let world = world("2.10.5");
        let paused = "[{\"dag_id\": \"lab_hello\", \"is_paused\": \"True\"}]\n";
        assert_eq!(
            ok(&world, &["dags", "pause", "lab_hello", "-o", "json"]),
            paused
        );
        assert_eq!(
            ok(&world, &["dags", "pause", "lab_hello"]),
            "No unpaused DAGs were found\n"
        );
        let list = [
            "dags",
            "list",
            "--columns",
            "dag_id,is_paused",
            "-o",
            "json",
        ];
        assert!(
            ok(&world, &list).contains("{\"dag_id\": \"lab_hello\", \"is_paused\": \"True\"}")
        );
        assert!(
            ok(&world, &["dags", "unpause", "lab_hello"]).contains("lab_hello | False    ")
        );
        assert_eq!(
            ok(&world, &["dags", "unpause", "nope"]),
            "No paused DAGs were found\n"
        );
    }

    #[test]
    fn older_releases_say_it_in_a_sentence() {
        let world = world("2.7.2");
        assert_eq!(
            ok(&world, &["dags", "pause", "lab_hello"]),
            "Dag: lab_hello, paused: True\n"
        );
    }
}
