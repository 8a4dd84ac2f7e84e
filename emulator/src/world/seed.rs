//! The DAGs that an environment begins with.

use super::clock::Moment;
use super::state::{Dag, Task};

const EXTRACT: [Task; 3] = [
    task("extract", "BashOperator", "extracting"),
    task("transform", "BashOperator", "transforming"),
    task("load", "BashOperator", "loading"),
];

const REPORT: [Task; 2] = [
    task("collect", "PythonOperator", "collected 42 rows"),
    task("send", "BashOperator", "report sent"),
];

const HELLO: [Task; 2] = [
    task("say", "BashOperator", "hi from bash"),
    task("greet", "PythonOperator", "hello from greet"),
];

const fn task(id: &'static str, operator: &'static str, prints: &'static str) -> Task {
    Task {
        id,
        operator,
        prints,
    }
}

/// A DAG of each of these IDs, or the three examples if there is none: one scheduled, one
/// scheduled and paused, one that is only triggered.
pub(super) fn dags(ids: &[String]) -> Vec<Dag> {
    if !ids.is_empty() {
        return ids.iter().map(|id| hello(id)).collect();
    }
    let report = Dag {
        file: "reports/daily_report.py".to_owned(),
        owner: "analytics",
        tags: &["report"],
        description: Some("Mails the figures of the day"),
        daily_at: Some(6 * 3600),
        tasks: &REPORT,
        paused: true,
        ..hello("daily_report")
    };
    let example = Dag {
        owner: "data-team",
        tags: &["etl", "example"],
        description: Some("Extracts, transforms and loads"),
        daily_at: Some(0),
        tasks: &EXTRACT,
        ..hello("example_etl")
    };
    let lab = Dag {
        tags: &["lab"],
        ..hello("lab_hello")
    };
    vec![report, example, lab]
}

/// A DAG of two tasks that is only triggered.
pub(super) fn hello(id: &str) -> Dag {
    Dag {
        id: id.to_owned(),
        file: format!("{id}.py"),
        owner: "airflow",
        tags: &[],
        description: None,
        daily_at: None,
        tasks: &HELLO,
        paused: false,
        unpaused_at: Moment::from_seconds(0),
    }
}
