//! A small Airflow in memory, whose command line answers like the real one's.
//!
//! DAGs, runs, variables, pools and connections live as long as the world; a scheduler's progress
//! is worked out from the clock whenever a command looks. Spellings and columns follow the
//! release: flat names for 1.10, groups for 2.x, and the renamed dates of 3.x.

mod acts;
mod arguments;
mod assets;
mod backfill;
mod cheat_sheet;
mod clock;
mod connections;
mod dag_list;
mod dags;
mod dags_grammar;
mod database;
mod history;
mod jobs;
mod json;
mod legacy;
mod legacy_grammar;
mod new_connection;
mod output;
mod pausing;
mod pools;
mod providers;
mod python;
mod release;
mod removed;
mod reply;
mod roles;
mod runs;
mod seed;
mod state;
mod table;
mod task_instances;
mod tasks;
mod trigger;
mod uri;
mod usage;
mod variables;
mod view;

use std::sync::{Mutex, PoisonError};

use clap::{ArgMatches, Command};

pub(crate) use self::acts::{LogLine, NotTriggered, TriggerRequest};
use self::arguments::command;
use self::clock::Moment;
use self::release::Release;
pub(crate) use self::reply::CommandResult;
use self::reply::Reply;
use self::state::State;
pub(crate) use self::view::{ConnectionView, DagView, InstanceView, RunView};

/// An Airflow installation and its metadata database, in memory.
#[derive(Debug)]
pub(crate) struct World {
    grammar: Command,
    state: Mutex<State>,
}

impl World {
    /// Makes a world that speaks the dialect of this Airflow release, such as `2.10.3`.
    pub(crate) fn new(airflow_version: &str) -> Self {
        Self::beginning_at(airflow_version, Moment::now())
    }

    /// Runs a command line, given as its words without the leading `airflow`.
    pub(crate) fn run(&self, words: &[String]) -> CommandResult {
        self.run_at(Moment::now(), words)
    }

    /// Looks at the state, or changes it, as the scheduler has left it by now.
    fn now<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(Moment::now());
        act(&mut state)
    }

    fn beginning_at(version: &str, now: Moment) -> Self {
        let state = State::new(version, now);
        Self {
            grammar: grammar(state.release),
            state: Mutex::new(state),
        }
    }

    fn run_at(&self, now: Moment, words: &[String]) -> CommandResult {
        let matches = match usage::parse(&self.grammar, words) {
            Ok(matches) => matches,
            Err(usage) => return usage,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(now);
        self.dispatch(&mut state, &matches)
            .unwrap_or_else(|failed| failed)
    }

    fn dispatch(&self, state: &mut State, matches: &ArgMatches) -> Reply {
        let Some((group, given)) = matches.subcommand() else {
            return Ok(CommandResult::printed(""));
        };
        if group == "version" {
            return Ok(CommandResult::line(&state.version));
        }
        if state.release.is_flat() {
            return legacy::run(state, group, given);
        }
        let (name, inner) = given.subcommand().unwrap_or((group, given));
        match group {
            "assets" => assets::run(state, name, inner),
            "backfill" => backfill::create(state, inner),
            "connections" => connections::run(state, name, inner),
            "dags" => dags::run(state, name, inner),
            "db" => database::clean(state, inner),
            "pools" => pools::run(state, name, inner),
            "providers" => providers::run(name, inner),
            "roles" => roles::run(state, name, inner),
            "tasks" => tasks::run(state, name, inner),
            "variables" => variables::run(state, name, inner),
            _ => Ok(cheat_sheet::print(&self.grammar)),
        }
    }
}

/// The commands of a release.
fn grammar(release: Release) -> Command {
    let version = command("version", "Show the version");
    let mut commands = if release.is_flat() {
        legacy_grammar::grammar()
    } else {
        vec![
            command("cheat-sheet", "Display cheat sheet"),
            connections::grammar(),
            dags_grammar::grammar(release),
            database::grammar(),
            pools::grammar(),
            providers::grammar(),
            roles::grammar(),
            tasks::grammar(release),
            variables::grammar(),
        ]
    };
    if release.is_three() {
        commands.extend([assets::grammar(), backfill::grammar()]);
    }
    commands.push(version);
    arguments::group("airflow", "", commands)
}

#[cfg(test)]
mod tests;
