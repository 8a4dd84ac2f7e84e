//! A command that is remembered has the same permit as after a new check.

use super::*;
use mwaa_http1::Headers;
use mwaa_http1::name::MWAA_GATEWAY_REPEATABLE;
use mwaa_model::{Entry, EntryId, EnvName, Environment, ListenerPolicy};
use proptest::prelude::*;
use proptest::sample::select;
use std::rc::Rc;
use std::sync::Arc;

const VERSION: AirflowVersion = AirflowVersion::new(2, 10, 3);

fn entry(policy: Policy) -> Arc<Entry> {
    let name = EnvName::new("a").expect("a name");
    let mut environment = Environment::new(name, "a");
    environment.policy = policy;
    Arc::new(Entry::new(EntryId(0), environment))
}

fn listener() -> Rc<ListenerPolicy> {
    Rc::new(ListenerPolicy {
        name: "listener".to_owned(),
        environment: None,
        rules: None,
    })
}

fn permit(line: &str, entry: &Arc<Entry>) -> Option<CommandPermit> {
    let command = Command::read(line.as_bytes()).ok()?;
    permit_command(entry, None, &Headers::new(), &command, VERSION).ok()
}

fn describe(permit: &CommandPermit) -> String {
    format!("{permit:?} {:?}", permit.line())
}

proptest! {
    #[test]
    fn it_has_the_permit_of_a_new_check(
        parts in proptest::collection::vec(
            select(vec![
                "version", "dags", "list", "list-runs", "trigger", "variables", "get", "-d", "x",
                "-o", "json", "-ojson", "--output", "'a b'", "airflow", "--subdir", "tasks",
            ]),
            1..6,
        ),
        policy in select(vec![Policy::All, Policy::Supported, Policy::ReadOnly]),
    ) {
        let line = parts.join(" ");
        let (entry, listener, memory) = (entry(policy), listener(), CommandMemory::default());
        if let Some(fresh) = permit(&line, &entry) {
            memory.keep(line.as_bytes(), &fresh, &listener, VERSION);
            if let Some(known) = memory.find(line.as_bytes(), &entry, &listener) {
                let again = known.permit(VERSION).expect("the same version");
                prop_assert_eq!(describe(&again), describe(&fresh));
                prop_assert!(Arc::ptr_eq(again.entry(), &entry));
            }
        }
    }
}

#[test]
fn only_the_same_command_under_the_same_rules_is_found() {
    let (here, own, memory) = (
        entry(Policy::Supported),
        listener(),
        CommandMemory::default(),
    );
    let line = b"dags list-runs -d x -o json";
    let fresh = permit("dags list-runs -d x -o json", &here).expect("a permit");
    memory.keep(line, &fresh, &own, VERSION);

    let known = memory.find(line, &here, &own).expect("it was kept");
    assert!(known.permit(AirflowVersion::new(3, 0, 6)).is_none());
    // rules that are equal now may be changed later
    assert!(memory.find(line, &entry(Policy::Supported), &own).is_none());
    assert!(memory.find(line, &here, &listener()).is_none());
    for other in [
        &b"dags list-runs -d x -o jso"[..],
        b"dags list-runs -d y -o json",
        b"",
    ] {
        assert!(memory.find(other, &here, &own).is_none());
    }
}

#[test]
fn what_changes_something_or_may_hold_a_secret_is_not_kept() {
    let (entry, listener, memory) = (entry(Policy::All), listener(), CommandMemory::default());
    let long = format!("dags list-runs -d {}", "x".repeat(256));
    for line in [
        "dags trigger x",
        "variables set a b",
        "variables get a",
        "connections add a --conn-uri b",
        "plugin a b",
        "--help",
        &long,
    ] {
        let fresh = permit(line, &entry).expect("a permit");
        memory.keep(line.as_bytes(), &fresh, &listener, VERSION);
        assert!(
            memory.find(line.as_bytes(), &entry, &listener).is_none(),
            "{line}"
        );
    }

    let mut headers = Headers::new();
    headers.append(MWAA_GATEWAY_REPEATABLE, "?1");
    let line = "dags trigger x --run-id a --no-replace-microseconds";
    let command = Command::read(line.as_bytes()).expect("a command");
    let fresh = permit_command(&entry, None, &headers, &command, VERSION).expect("a permit");
    memory.keep(line.as_bytes(), &fresh, &listener, VERSION);
    assert!(memory.find(line.as_bytes(), &entry, &listener).is_none());
}

#[test]
fn the_oldest_command_is_replaced() {
    let (entry, listener, memory) = (
        entry(Policy::Supported),
        listener(),
        CommandMemory::default(),
    );
    let lines: Vec<_> = (0..=8)
        .map(|number| format!("dags list-runs -d {number}"))
        .collect();
    for line in &lines {
        let fresh = permit(line, &entry).expect("a permit");
        memory.keep(line.as_bytes(), &fresh, &listener, VERSION);
    }
    let known = lines
        .iter()
        .map(|line| memory.find(line.as_bytes(), &entry, &listener).is_some());
    assert!(known.eq((0..=8).map(|number| number > 0)));
}
