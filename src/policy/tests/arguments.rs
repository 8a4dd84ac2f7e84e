//! The arguments of commands: options that reach into the web server, questions that no one can
//! answer, files that are somewhere else.

use super::*;
use crate::tables::arguments::ArgumentEntry;
use crate::tables::commands::command_table;

#[test]
fn a_command_that_would_prompt_needs_yes() {
    let cases = [
        ("dags delete x", "2.10.3", Some("--yes")),
        ("dags delete x --yes", "2.10.3", None),
        ("dags delete -y x", "2.0.2", None),
        ("dags delete x --ye", "3.3.1", None),
        ("dags delete x -vy", "2.10.3", None),
        ("dags delete x -- -y", "2.10.3", Some("--yes")),
        ("dags delete x --help", "2.10.3", None),
        ("tasks clear x -s 2024-01-01", "3.0.6", Some("--yes")),
        (
            "db clean --clean-before-timestamp 2024-01-01",
            "2.10.3",
            Some("--yes"),
        ),
        (
            "db clean --clean-before-timestamp 2024-01-01 --dry-run",
            "2.10.3",
            None,
        ),
        ("dags backfill x", "2.10.3", None),
        ("dags backfill x --reset-dagruns", "2.10.3", Some("--yes")),
        ("dags backfill x --reset-dagruns --dry-run", "2.10.3", None),
        ("dags pause x", "2.10.3", None),
        (
            "dags pause x --treat-dag-id-as-regex",
            "2.10.3",
            Some("--yes"),
        ),
        // without the option there is no answer
        ("dags pause x --treat-dag-id-as-regex", "2.0.2", None),
        ("clear x", "1.10.12", Some("--no_confirm")),
        ("clear x -c", "1.10.12", None),
        ("backfill x --reset_dagruns", "1.10.12", Some("--yes")),
        ("delete_dag x", "1.10.12", Some("--yes")),
    ];
    for (line, airflow, answer) in cases {
        let got = verdict(line, airflow, &Rules::default());
        match answer {
            None => assert!(got.is_ok(), "{line} on {airflow}: {got:?}"),
            Some(answer) => {
                assert_eq!(got, Err(QUESTION), "{line} on {airflow}");
                let hint = format!("add {answer} if you are sure");
                assert_eq!(refusal(line, airflow, &Rules::default()).hint(), hint);
            }
        }
    }
    assert!(verdict("dags delete x", "2.10.3", &of(Policy::All)).is_ok());
    // what the policy forbids needs no other advice
    assert_eq!(
        verdict("dags delete x", "2.10.3", &of(Policy::Operator)),
        Err(COMMAND)
    );
}

#[test]
fn an_option_can_be_allowed_for_one_command() {
    let rules = Rules {
        allow: &words(&["dags list --subdir", "dags show --save"]),
        ..Rules::default()
    };
    let cases = [
        ("dags list --subdir /x", Ok(())),
        ("dags list -S/x", Ok(())),
        ("dags report --subdir /x", Err(OPTION)),
        ("dags show x --save f", Ok(())),
        ("dags show x --save f --subdir /x", Err(OPTION)),
    ];
    for (line, expected) in cases {
        assert_eq!(
            verdict(line, "2.10.3", &rules).map(drop),
            expected,
            "{line}"
        );
    }
    let refusal = refusal("dags list -vS/x", "2.10.3", &Rules::default());
    assert_eq!(
        refusal.to_string(),
        "`dags list` cannot be used with --subdir: \
         it reads DAG files from a path on the web server"
    );
    assert_eq!(
        refusal.hint(),
        "remove --subdir, or set allow = [\"dags list --subdir\"] for this environment"
    );
    // naming an option does not let the command in
    let rules = Rules {
        policy: Policy::ReadOnly,
        allow: &words(&["dags test --subdir"]),
        ..Rules::default()
    };
    assert_eq!(verdict("dags test x -S /x", "2.10.3", &rules), Err(COMMAND));
}

#[test]
fn options_that_python_versions_parse_differently_are_refused() {
    for line in [
        "dags list -vo=json",
        "dags list -v=o",
        "dags list --output=--",
        "dags list --out=--",
        "dags list -o--",
        "dags list -vo--",
        "dags list -vvo=json",
    ] {
        assert_eq!(
            verdict(line, "2.10.3", &Rules::default()),
            Err(UNREADABLE),
            "{line}"
        );
    }
    for line in [
        "dags list -o=json",
        "dags list -vojson",
        "dags list --output=---",
        "dags list -o ---",
        "dags list -- -o--",
        "dags list -voj=n",
        "dags list --out=json",
    ] {
        assert!(verdict(line, "2.10.3", &Rules::default()).is_ok(), "{line}");
    }
}

#[test]
fn the_hint_for_a_file_command_names_a_working_alternative() {
    let cases = [
        (
            "variables import f.json",
            "2.10.3",
            UNSUPPORTED,
            "mwaa-gateway airflow -- variables import FILE",
        ),
        (
            "connections import f.json",
            "3.0.6",
            UNSUPPORTED,
            "mwaa-gateway airflow -- connections import FILE",
        ),
        (
            "pools import f.json",
            "2.10.3",
            UNSUPPORTED,
            "allow = [\"pools set\"]",
        ),
        (
            "variables export f.json",
            "2.10.3",
            UNSUPPORTED,
            "`variables list`",
        ),
        (
            "variables -i f.json",
            "1.10.12",
            OPTION,
            "`variables --set KEY VALUE`",
        ),
        ("pool -e f.json", "1.10.12", OPTION, "`pool --get NAME`"),
        // not yet a command there
        (
            "variables import f.json",
            "1.10.12",
            UNSUPPORTED,
            "`variables` with options",
        ),
    ];
    for (line, airflow, code, hint) in cases {
        let refusal = refusal(line, airflow, &Rules::default());
        assert_eq!(refusal.code().text, code, "{line}");
        assert!(refusal.hint().contains(hint), "{line}: {}", refusal.hint());
    }
    for line in include_str!("../tables/alternatives.csv").lines().skip(1) {
        let (name, hint) = line.split_once(',').expect("a hint");
        let (command, option) = name.split_once(" --").unwrap_or((name, ""));
        let entry = command_table().get(command).expect(name);
        let options = &entry.arguments.options;
        let known = |row: &ArgumentEntry| row.name.strip_prefix("--") == Some(option);
        assert!(option.is_empty() || options.iter().any(known), "{name}");
        assert!(!hint.is_empty(), "{name}");
    }
}
