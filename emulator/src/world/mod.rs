//! A small Airflow in memory: DAGs, their runs, variables and connections, and the commands that
//! read and change them.
//!
//! `tests.rs` compares what commands print with recordings of real Airflows. Each command and
//! each page first brings the runs up to date.

mod arguments;
mod clock;
mod connections;
mod dags;
mod output;
mod python;
mod seed;
mod state;
mod table;
mod texts;
mod trigger;
mod variables;

use std::sync::{Mutex, PoisonError};

use self::arguments::Arguments;
pub(crate) use self::clock::Moment;
pub(crate) use self::state::{Dag, Run, State, Wanted};
use super::answers::Answer;

/// An Airflow installation and its metadata database, in memory.
#[derive(Debug)]
pub(crate) struct World(Mutex<State>);

/// How a command ends; `?` ends it early.
type Outcome = Result<Answer, Answer>;

impl World {
    /// An Airflow of this version, such as `2.10.3`, with these DAGs or its three examples.
    pub(crate) fn new(airflow_version: &str, dags: &[String]) -> Self {
        Self::with(airflow_version, seed::dags(dags), Moment::now())
    }

    /// Runs a command line, given as its words without the leading `airflow`.
    pub(crate) fn run(&self, words: &[String]) -> Answer {
        self.run_at(Moment::now(), words)
    }

    fn with(airflow_version: &str, dags: Vec<Dag>, now: Moment) -> Self {
        Self(Mutex::new(State::new(airflow_version, dags, now)))
    }

    /// Reads or changes the state as it is by now.
    pub(crate) fn now<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        self.at(Moment::now(), act)
    }

    fn at<R>(&self, now: Moment, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(now);
        act(&mut state)
    }

    fn run_at(&self, now: Moment, words: &[String]) -> Answer {
        self.at(now, |state| {
            run(state, words).unwrap_or_else(|failed| failed)
        })
    }
}

fn run(state: &mut State, words: &[String]) -> Outcome {
    if words == ["version"] {
        return Ok(Answer::stdout(format!("{}\n", state.version)));
    }
    let release = state.release.ok_or_else(|| not_simulated(words))?;
    let given = Arguments::parse(release, words)?;
    match given.command.as_str() {
        "connections add" => connections::add(state, &given),
        "connections delete" => connections::delete(state, given.text("conn_id")),
        "dags list" => dags::list(state, &given),
        "dags list-runs" => dags::list_runs(state, &given),
        "dags pause" => dags::set_paused(state, &given, true),
        "dags trigger" => trigger::run(state, &given),
        "dags unpause" => dags::set_paused(state, &given, false),
        "tasks list" => dags::list_tasks(state, &given),
        "variables delete" => Ok(variables::delete(state, given.text("key"))),
        "variables get" => variables::get(state, &given),
        "variables list" => variables::list(state, &given),
        "variables set" => Ok(variables::set(state, &given)),
        _ => Err(not_simulated(words)),
    }
}

/// The failure of a command that MWAA runs and this Airflow does not.
fn not_simulated(words: &[String]) -> Answer {
    let name = words
        .iter()
        .take_while(|word| !word.starts_with('-'))
        .take(2);
    let name: Vec<&str> = name.map(String::as_str).collect();
    let command = if name.is_empty() {
        words.join(" ")
    } else {
        name.join(" ")
    };
    Answer::failed(format!(
        "the emulator does not simulate \"{command}\"; start `mwaa-gateway emulator` with \
         --airflow-bin to run a real one, or with --answer '{command}=FILE' to give its output\n"
    ))
}

#[cfg(test)]
mod tests;
