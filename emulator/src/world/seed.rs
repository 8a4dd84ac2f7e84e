//! What the world holds when it begins.

use std::collections::{BTreeMap, BTreeSet};

use super::clock::Moment;
use super::connections::Connection;
use super::state::{Dag, Pool, Task};

const EXTRACT: [Task; 3] = [
    bash("extract", "echo extracting {{ ds }}", "extracting"),
    bash("transform", "echo transforming {{ ds }}", "transforming"),
    bash("load", "echo loading {{ ds }}", "loading"),
];

const REPORT: [Task; 2] = [
    python("collect", "collected 42 rows"),
    bash("send", "echo report of {{ ds }} sent", "report sent"),
];

const HELLO: [Task; 2] = [
    bash("say", "echo hi from bash", "hi from bash"),
    python("greet", "hello from greet"),
];

const fn bash(id: &'static str, command: &'static str, prints: &'static str) -> Task {
    Task {
        id,
        operator: "BashOperator",
        template: ("bash_command", command),
        prints,
    }
}

const fn python(id: &'static str, prints: &'static str) -> Task {
    Task {
        id,
        operator: "PythonOperator",
        template: ("op_kwargs", "{}"),
        prints,
    }
}

/// The DAGs of the folder: one scheduled, one scheduled and paused, one that is only triggered.
pub(super) fn dags() -> BTreeMap<String, Dag> {
    let epoch = Moment::from_seconds(0);
    let example = Dag {
        file: "example_etl.py",
        owner: "data-team",
        tags: &["etl", "example"],
        description: Some("Extracts, transforms and loads"),
        daily_at: Some(0),
        tasks: &EXTRACT,
        paused: false,
        unpaused_at: epoch,
    };
    let report = Dag {
        file: "reports/daily_report.py",
        owner: "analytics",
        tags: &["report"],
        description: Some("Mails the figures of the day"),
        daily_at: Some(6 * 3600),
        tasks: &REPORT,
        paused: true,
        unpaused_at: epoch,
    };
    let hello = Dag {
        file: "lab_hello.py",
        owner: "airflow",
        tags: &["lab"],
        description: None,
        daily_at: None,
        tasks: &HELLO,
        paused: false,
        unpaused_at: epoch,
    };
    [
        ("example_etl", example),
        ("daily_report", report),
        ("lab_hello", hello),
    ]
    .map(|(id, dag)| (id.to_owned(), dag))
    .into()
}

/// The pool every Airflow has.
pub(super) fn pools() -> BTreeMap<String, Pool> {
    let pool = Pool {
        slots: 128,
        description: "Default pool".to_owned(),
        include_deferred: false,
    };
    BTreeMap::from([("default_pool".to_owned(), pool)])
}

/// One connection, like that of a new environment.
pub(super) fn connections() -> Vec<Connection> {
    let connection = Connection {
        id: 1,
        conn_id: "aws_default".into(),
        conn_type: "aws".into(),
        ..Default::default()
    };
    vec![connection]
}

/// The five roles of MWAA, each with a few of its permissions.
pub(super) fn roles() -> BTreeMap<String, BTreeSet<(String, String)>> {
    let permissions = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(resource, action)| ((*resource).into(), (*action).into()))
            .collect()
    };
    let read: &[(&str, &str)] = &[("DAGs", "can_read"), ("Task Instances", "can_read")];
    let edit: &[(&str, &str)] = &[
        ("DAGs", "can_edit"),
        ("DAGs", "can_read"),
        ("Task Instances", "can_read"),
    ];
    [
        ("Admin", edit),
        ("Op", edit),
        ("User", edit),
        ("Viewer", read),
        ("Public", &[]),
    ]
    .map(|(name, pairs)| (name.to_owned(), permissions(pairs)))
    .into()
}
