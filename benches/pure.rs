//! The pure parts of a request: no socket, no clock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, Throughput};
use http::{Method, StatusCode, Uri};
use mwaa_http1::Headers;
use mwaa_model::{
    AirflowVersion, Entry, EntryId, EnvName, Environment, ListenerPolicy, Target,
};
use mwaa_output::{CliOutput, CommandFacts};
use mwaa_policy::{Command, permit_command, permit_web};
use std::hint::black_box;
use std::sync::Arc;

const VERSION: AirflowVersion = AirflowVersion::new(2, 10, 3);

/// The limit of the length of a target.
const TARGET_SIZE: usize = 8192;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    command(&mut criterion);
    target(&mut criterion);
    output(&mut criterion);
    criterion.final_summary();
}

fn entry() -> Arc<Entry> {
    let name = EnvName::new("bench").expect("a name");
    let environment = Environment::new(name, "bench");
    Arc::new(Entry::new(EntryId(0), environment))
}

/// Reads a command of 200 bytes, checks it, and quotes its words again.
fn command(criterion: &mut Criterion) {
    let entry = entry();
    let headers = Headers::new();
    let start = r#"dags trigger example --run-id 'manual run 1' --conf '{"path": "#;
    let line = format!(r#"{start}"{}"}}'"#, "p".repeat(200 - start.len() - 4));
    assert_eq!(line.len(), 200);

    let mut group = criterion.benchmark_group("command");
    group.throughput(Throughput::Bytes(200));
    group.bench_function("200 bytes", |bencher| {
        bencher.iter(|| {
            let command = Command::read(black_box(line.as_bytes())).expect("words");
            permit_command(&entry, None, &headers, &command, VERSION).expect("a permit")
        });
    });
    group.finish();
}

/// Reads the target of a REST request, and checks it.
fn target(criterion: &mut Criterion) {
    let entry = entry();
    let listener = ListenerPolicy {
        name: "listener".to_owned(),
        environment: None,
        rules: None,
    };
    let uri =
        Uri::from_static("/api/v1/dags/example/dagRuns?limit=25&order_by=-execution_date");
    criterion.bench_function("target of a REST request", |bencher| {
        bencher.iter(|| {
            let target = Target::parse(black_box(&uri), TARGET_SIZE).expect("a target");
            permit_web(&entry, &listener, &Method::GET, &target).expect("a permit")
        });
    });
}

/// Reads the web server's JSON, decodes the output, determines the success and finds the document.
fn output(criterion: &mut Criterion) {
    let run = r#"{"dag_id": "example", "run_id": "scheduled__2026-01-01", "state": "success"}"#;
    let stdout = STANDARD.encode(format!("[{}]\n", [run; 20].join(", ")));
    let body = format!(r#"{{"stdout": "{stdout}", "stderr": ""}}"#);
    let facts = CommandFacts {
        command: "dags list-runs",
        json: true,
        version: VERSION,
        repeated: false,
    };

    let mut group = criterion.benchmark_group("output of a command");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("20 DAG runs as JSON", |bencher| {
        bencher.iter(|| {
            let parsed = CliOutput::parse(black_box(body.as_bytes()), StatusCode::OK, &facts);
            parsed.expect("output").into_result()
        });
    });
    group.finish();
}
