//! `dags list-jobs`: the scheduler's own job, and one for every task that ran.

use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::arguments::{Parsed, command, option, output};
use super::clock::Moment;
use super::output::Rows;
use super::reply::CommandResult;
use super::state::State;

pub(super) fn grammar() -> Command {
    let states = ["running", "success", "restarting", "failed"];
    command("list-jobs", "List the jobs").args([
        option(Some('d'), "dag-id", "The id of the dag"),
        option(
            None,
            "state",
            "Only list the jobs corresponding to the state",
        )
        .value_parser(PossibleValuesParser::new(states)),
        option(None, "limit", "Return a limited number of records")
            .value_parser(value_parser!(usize)),
        output(),
    ])
}

struct Job {
    dag_id: Option<String>,
    state: &'static str,
    kind: &'static str,
    start: Moment,
    end: Option<Moment>,
}

pub(super) fn list(state: &State, given: &ArgMatches) -> CommandResult {
    let mut jobs: Vec<Job> = all(state)
        .into_iter()
        .filter(|job| {
            given
                .text("dag-id")
                .is_none_or(|id| job.dag_id.as_deref() == Some(id))
        })
        .filter(|job| given.text("state").is_none_or(|state| job.state == state))
        .collect();
    jobs.sort_by_key(|job| std::cmp::Reverse(job.start));
    let limit = given.number::<usize>("limit").unwrap_or(usize::MAX);
    let mut rows = Rows::new(&["dag_id", "state", "job_type", "start_date", "end_date"]);
    for job in jobs.into_iter().take(limit) {
        // the command makes text of every field, so that what is missing reads "None"
        let end = job
            .end
            .map_or_else(|| "None".to_owned(), |end| end.to_string());
        rows.push(vec![
            json!(job.dag_id.as_deref().unwrap_or("None")),
            json!(job.state),
            json!(job.kind),
            Value::from(job.start.to_string()),
            Value::from(end),
        ]);
    }
    rows.print(given.format())
}

fn all(state: &State) -> Vec<Job> {
    let mut jobs = vec![Job {
        dag_id: None,
        state: "running",
        kind: "SchedulerJob",
        start: state.began,
        end: None,
    }];
    for run in &state.runs {
        for task in &run.tasks {
            let (Some(start), Some(state)) = (task.start, task.state) else {
                continue;
            };
            let dag_id = Some(run.dag_id.clone());
            jobs.push(Job {
                dag_id,
                state,
                kind: "LocalTaskJob",
                start,
                end: task.end,
            });
        }
    }
    jobs
}
