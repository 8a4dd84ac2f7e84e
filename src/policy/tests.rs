//! The acceptance list for commands, rule by rule, and the property that no disguise of a
//! forbidden command passes.

use super::words::tests::{python_split, random_line};
use super::*;
use crate::names::{AirflowVersion, Fault, Policy};

fn version(text: &str) -> AirflowVersion {
    text.parse().expect("a version")
}

fn words(entries: &[&str]) -> Vec<Vec<String>> {
    entries
        .iter()
        .map(|entry| entry.split(' ').map(str::to_owned).collect())
        .collect()
}

/// The canonical line, or the fault's code.
fn verdict(line: &str, airflow: &str, rules: &Rules) -> Result<String, &'static str> {
    Command::read(line.as_bytes())
        .and_then(|command| judge(&command, version(airflow), rules))
        .map(|permit| String::from_utf8(permit.into_line().to_vec()).expect("UTF-8"))
        .map_err(|refusal| refusal.code().text)
}

fn refusal(line: &str, airflow: &str, rules: &Rules) -> Refusal {
    let command = Command::read(line.as_bytes());
    command
        .and_then(|c| judge(&c, version(airflow), rules))
        .expect_err(line)
}

fn of(policy: Policy) -> Rules {
    Rules {
        policy,
        ..Rules::default()
    }
}

const UNREADABLE: &str = "policy.unreadable_command";
const UNSUPPORTED: &str = "policy.unsupported_command";
const COMMAND: &str = "policy.forbidden_command";
const OPTION: &str = "policy.forbidden_option";

#[test]
fn the_acceptance_list_on_2_10_3() {
    let cases: &[(&str, Result<&str, &str>)] = &[
        // F-01, F-02: canonical form
        ("dags trigger x", Ok("dags trigger x")),
        ("dags  trigger\tx\n", Ok("dags trigger x")),
        ("\r\n dags trigger x \r\n", Ok("dags trigger x")),
        ("'dags' tri\"gg\"er \\x", Ok("dags trigger x")),
        // F-03: two lines are two commands
        ("dags trigger x\nusers list", Err(UNREADABLE)),
        ("dags trigger x\rusers list", Err(UNREADABLE)),
        ("dags trigger x \\\nusers list", Err(UNREADABLE)),
        // F-06, F-07: forbidden, also in disguise
        ("users list", Err(UNSUPPORTED)),
        ("us\"\"ers list", Err(UNSUPPORTED)),
        ("'users' list", Err(UNSUPPORTED)),
        ("\\users list", Err(UNSUPPORTED)),
        ("\"users list\"", Err(UNSUPPORTED)),
        ("\"dags list\"", Err(UNSUPPORTED)),
        ("'' users list", Err(UNSUPPORTED)),
        // F-09: options before the command
        ("--verbose dags trigger x", Err(UNREADABLE)),
        ("-v dags trigger x", Err(UNREADABLE)),
        ("-- dags trigger x", Err(UNREADABLE)),
        ("dags -v trigger x", Err(UNREADABLE)),
        ("dags -- trigger x", Err(UNREADABLE)),
        ("dags --help trigger x", Err(UNREADABLE)),
        ("--help dags", Err(UNREADABLE)),
        // F-11: assignments
        ("AIRFLOW__CORE__X=1 dags list", Err(UNREADABLE)),
        ("x= dags list", Err(UNREADABLE)),
        // F-12: a leading airflow is dropped, once
        ("airflow dags list", Ok("dags list")),
        ("airflow", Err(UNREADABLE)),
        ("airflow airflow dags list", Err(UNSUPPORTED)),
        ("airflow -v dags list", Err(UNREADABLE)),
        // F-13: shell syntax is text
        (
            "dags trigger x; users list",
            Ok("dags trigger \"x;\" users list"),
        ),
        (
            "dags trigger x && users list",
            Ok("dags trigger x \"&&\" users list"),
        ),
        (
            "dags trigger x | tee y > z",
            Ok("dags trigger x \"|\" tee y \">\" z"),
        ),
        (
            "dags trigger $(id) `id`",
            Ok("dags trigger \"$(id)\" \"`id`\""),
        ),
        ("dags trigger x # y", Ok("dags trigger x \"#\" y")),
        // F-15: quotes
        ("dags trigger \"x", Err(UNREADABLE)),
        ("dags trigger 'x", Err(UNREADABLE)),
        ("dags trigger x\\", Err(UNREADABLE)),
        // F-19: no case folding, no abbreviation
        ("DAGS trigger x", Err(UNSUPPORTED)),
        ("dag trigger x", Err(UNSUPPORTED)),
        ("dags trig x", Err(UNSUPPORTED)),
        // F-20: options that reach into the web server
        ("dags trigger x --subdir /x/e", Err(OPTION)),
        ("dags trigger x --s /x/e", Err(OPTION)),
        ("dags trigger x -vS/x/e", Err(OPTION)),
        ("dags trigger x '--sub'dir=/x/e", Err(OPTION)),
        ("tasks run a b c --cfg-path /x", Err(OPTION)),
        ("tasks test a b --env-vars '{}'", Err(OPTION)),
        ("dags show x --save x.png", Err(OPTION)),
        // F-23: values arrive as they were meant
        (
            "dags trigger x --conf '{\"a\": \"b c\"}'",
            Ok("dags trigger x --conf \"{\\\"a\\\": \\\"b c\\\"}\""),
        ),
        ("variables set k 'it'\\''s'", Ok("variables set k \"it's\"")),
        ("variables set k 'a\nb'", Ok("variables set k \"a\nb\"")),
        ("variables set k \"\"", Ok("variables set k \"\"")),
        // F-25: values that start with a dash
        ("variables set k -- -1", Ok("variables set k -- -1")),
        (
            "variables set k -- --subdir",
            Ok("variables set k -- --subdir"),
        ),
        ("variables set k --subdir", Err(OPTION)),
        ("dags trigger x --conf '--subdir'", Err(OPTION)),
        // F-26: nothing
        ("", Err(UNREADABLE)),
        (" \t\n", Err(UNREADABLE)),
        // F-27: the spelling of 1.10
        ("trigger_dag x", Err(UNSUPPORTED)),
        // control characters
        ("dags\0list", Err(UNREADABLE)),
        ("dags list \u{1b}[2J", Err(UNREADABLE)),
        ("\u{feff}dags list", Err(UNREADABLE)),
        // no-break space and friends do not end a word
        ("dags\u{a0}list", Err(UNSUPPORTED)),
        // help is harmless
        ("--help", Ok("--help")),
        ("airflow -h", Ok("-h")),
        ("dags", Ok("dags")),
        ("dags --help", Ok("dags --help")),
        ("dags trigger --help", Ok("dags trigger --help")),
        ("users --help", Err(UNSUPPORTED)),
        ("help", Err(UNSUPPORTED)),
        // the alias of a name that MWAA's page gets wrong
        ("providers triggers", Ok("providers triggers")),
        ("providers triggerer", Ok("providers triggerer")),
    ];
    for (line, expected) in cases {
        let got = verdict(line, "2.10.3", &Rules::default());
        assert_eq!(got.as_deref().map_err(|code| *code), *expected, "{line:?}");
    }
    // F-18: not UTF-8
    let refusal = Command::read(b"dags list \xff").expect_err("not UTF-8");
    assert_eq!(refusal.code().text, UNREADABLE);
    assert_eq!(
        refusal.to_string(),
        "the command is not UTF-8 from byte 10 on"
    );
}

#[test]
fn a_refusal_names_the_command_the_version_and_the_way_on() {
    let cases = [
        (
            "trigger_dag x",
            "2.10.3",
            "`trigger_dag` is not a command that MWAA runs on Airflow 2.10.3",
            "send `dags trigger` instead; MWAA runs `trigger_dag` on Airflow 1.10.12",
        ),
        (
            "dags backfill x",
            "3.0.6",
            "`dags backfill` is not a command that MWAA runs on Airflow 3.0.6",
            "send `backfill create` instead; MWAA runs `dags backfill` on Airflow 2.2.2 to 2.11.2",
        ),
        (
            "backfill x -s 2024-01-01",
            "3.0.6",
            "",
            "send `backfill create` instead; MWAA runs `backfill` on Airflow 1.10.12",
        ),
        (
            "backfill create --dag-id x",
            "2.10.3",
            "",
            "send `dags backfill` instead; MWAA runs `backfill create` on Airflow 3.0.6 to 3.3.1",
        ),
        (
            "dags list",
            "1.10.12",
            "",
            "send `list_dags` instead; MWAA runs `dags list` on Airflow 2.2.2 to 2.11.2 and 3.0.6 to 3.3.1",
        ),
        (
            "dags state x",
            "1.10.12",
            "",
            "send `dag_state` instead; MWAA runs `dags state` on Airflow 2.0.2 to 2.11.2 and 3.0.6 to 3.3.1",
        ),
        (
            "variables get k",
            "1.10.12",
            "",
            "send `variables` with options instead; MWAA runs `variables get` on Airflow 2.0.2 to 2.11.2 and 3.0.6 to 3.3.1",
        ),
        (
            "variables -g k",
            "2.10.3",
            "an option stands before the command's name",
            "name the command first, then its options: `dags list --verbose`",
        ),
        (
            "db clean",
            "2.2.2",
            "",
            "MWAA runs `db clean` on Airflow 2.4.3 to 2.11.2 and 3.0.6 to 3.3.1",
        ),
        (
            "dag list",
            "2.10.3",
            "`dag list` is not a command that MWAA runs on Airflow 2.10.3",
            "did you mean `dags list`?",
        ),
        ("dags trig x", "2.10.3", "", "did you mean `dags trigger`?"),
        (
            "DAGS LIST",
            "2.10.3",
            "`DAGS LIST` is not a command that MWAA runs on Airflow 2.10.3",
            "did you mean `dags list`?",
        ),
        (
            "users list",
            "2.10.3",
            "`users list` is not a command that MWAA runs on Airflow 2.10.3",
            "MWAA takes users and roles from IAM; if your environment does run it, set allow = [\"users list\"]",
        ),
        (
            "list_users",
            "2.10.3",
            "",
            "it is `users list` now, but MWAA takes users and roles from IAM; if your environment does run it, set allow = [\"users list\"]",
        ),
        (
            "initdb",
            "3.0.6",
            "",
            "it is `db migrate` now, but MWAA manages the database itself; if your environment does run it, set allow = [\"db migrate\"]",
        ),
        ("pool -s a 1 b", "2.10.3", "", "it is `pools` now"),
        (
            "list_dag",
            "2.10.3",
            "`list_dag` is not a command that MWAA runs on Airflow 2.10.3",
            "send `dags list` instead",
        ),
        (
            "hunter2= x",
            "2.10.3",
            "the command starts with a variable assignment",
            "start with the command's name: no shell reads this line",
        ),
        (
            "dags hunter2",
            "2.10.3",
            "`dags hunter2` is not a command that MWAA runs on Airflow 2.10.3",
            "MWAA runs `dags backfill`",
        ),
        (
            "my-pass/word! hunter2",
            "2.10.3",
            "the first word is not a command that MWAA runs on Airflow 2.10.3",
            "see `mwaa-gateway commands` for those that pass",
        ),
    ];
    for (line, airflow, detail, hint) in cases {
        let refusal = refusal(line, airflow, &Rules::default());
        assert!(refusal.to_string().contains(detail), "{line}: {refusal}");
        assert!(
            refusal.hint().starts_with(hint),
            "{line}: {}",
            refusal.hint()
        );
    }
}

/// The 27 names of `COMMAND_MAP` in Airflow 2.10.5's `legacy_commands.py`. `dags status` and
/// `db init` have been renamed since; the rest stands as there.
const LEGACY: &[(&str, &str)] = &[
    ("worker", "celery worker"),
    ("flower", "celery flower"),
    ("trigger_dag", "dags trigger"),
    ("delete_dag", "dags delete"),
    ("show_dag", "dags show"),
    ("list_dag", "dags list"),
    ("dag_status", "dags state"),
    ("backfill", "dags backfill"),
    ("list_dag_runs", "dags list-runs"),
    ("pause", "dags pause"),
    ("unpause", "dags unpause"),
    ("test", "tasks test"),
    ("clear", "tasks clear"),
    ("list_tasks", "tasks list"),
    ("task_failed_deps", "tasks failed-deps"),
    ("task_state", "tasks state"),
    ("run", "tasks run"),
    ("render", "tasks render"),
    ("initdb", "db init"),
    ("resetdb", "db reset"),
    ("upgradedb", "db upgrade"),
    ("checkdb", "db check"),
    ("shell", "db shell"),
    ("pool", "pools"),
    ("list_users", "users list"),
    ("create_user", "users create"),
    ("delete_user", "users delete"),
];

#[test]
fn every_legacy_name_leads_to_its_successor() {
    for (old, new) in LEGACY {
        assert_eq!(table::table().successor(old), Some(*new), "{old}");
        let refusal = refusal(old, "2.6.3", &Rules::default());
        assert_eq!(refusal.code().text, UNSUPPORTED, "{old}");
        let new = match *new {
            // renamed again within 2.x
            "db init" | "db upgrade" => "db ",
            new => new,
        };
        assert!(refusal.hint().contains(new), "{old}: {}", refusal.hint());
    }
}

#[test]
fn each_policy_grants_its_classes() {
    let cases = [
        ("version", true, true),
        ("cheat-sheet", true, true),
        ("dags list", true, true),
        ("dags show x", true, true),
        ("dags state x 2024-01-01", true, true),
        ("tasks states-for-dag-run x y", true, true),
        ("variables get k", true, true),
        ("variables list", true, true),
        ("roles list", true, true),
        ("providers list", true, true),
        ("dags trigger x", false, true),
        ("dags pause x", false, true),
        ("dags unpause x", false, true),
        ("dags backfill x", false, true),
        ("tasks clear x --yes", false, true),
        ("tasks test x y", false, true),
        ("variables set k v", false, false),
        ("variables delete k", false, false),
        ("connections add c", false, false),
        ("connections delete c", false, false),
        ("roles create r", false, false),
        ("roles add-perms r", false, false),
        ("dags delete x --yes", false, false),
        ("dags reserialize", false, false),
        ("db clean --yes", false, false),
    ];
    for (line, reader, operator) in cases {
        assert!(verdict(line, "2.10.3", &Rules::default()).is_ok(), "{line}");
        assert!(verdict(line, "2.10.3", &of(Policy::All)).is_ok(), "{line}");
        let expected = |granted: bool| {
            if granted {
                Ok(line.to_owned())
            } else {
                Err(COMMAND)
            }
        };
        assert_eq!(
            verdict(line, "2.10.3", &of(Policy::ReadOnly)),
            expected(reader),
            "{line}"
        );
        assert_eq!(
            verdict(line, "2.10.3", &of(Policy::Operator)),
            expected(operator),
            "{line}"
        );
    }
    for policy in [Policy::ReadOnly, Policy::Operator] {
        assert_eq!(
            verdict("users list", "2.10.3", &of(policy)),
            Err(UNSUPPORTED)
        );
        assert_eq!(
            verdict("dags list -S /x", "2.10.3", &of(policy)),
            Err(OPTION)
        );
        assert!(verdict("dags delete --help", "2.10.3", &of(policy)).is_ok());
        assert_eq!(
            verdict("dags delete x --help", "2.10.3", &of(policy)),
            Err(COMMAND)
        );
    }
    let refusal = refusal("dags delete x", "2.10.3", &of(Policy::ReadOnly));
    assert_eq!(
        refusal.to_string(),
        "`dags delete` changes what Airflow stores, which policy \"read-only\" forbids"
    );
    assert_eq!(
        refusal.hint(),
        "set allow = [\"dags delete\"] for this environment if it should pass"
    );
}

#[test]
fn policy_all_leaves_the_decision_to_the_web_server() {
    for line in [
        "users list",
        "hunter2 x",
        "dags trigger x -S /x",
        "trigger_dag x",
        "users",
    ] {
        assert_eq!(
            verdict(line, "2.10.3", &of(Policy::All)).as_deref(),
            Ok(line)
        );
    }
    assert_eq!(
        verdict("-v dags list", "2.10.3", &of(Policy::All)),
        Err(UNREADABLE)
    );
    assert_eq!(
        verdict("dags -v list", "2.10.3", &of(Policy::All)),
        Err(UNREADABLE)
    );
}

#[test]
fn allow_adds_and_deny_takes_away() {
    let rules = Rules {
        policy: Policy::ReadOnly,
        allow: words(&["pools set", "dags", "my-plugin sync", "users"]),
        deny: words(&["dags delete", "variables", "users delete", "roles list all"]),
    };
    let cases = [
        ("pools set a 1 b", Ok(())),
        ("pools list", Err(UNSUPPORTED)),
        ("dags trigger x", Ok(())),
        ("dags details x", Ok(())),
        ("dags trigger x -S /x", Err(OPTION)),
        ("dags delete x", Err(COMMAND)),
        ("dags delete --help", Err(COMMAND)),
        ("variables get k", Err(COMMAND)),
        ("variables", Err(COMMAND)),
        ("users list", Ok(())),
        ("users delete x", Err(COMMAND)),
        ("users", Ok(())),
        ("tasks clear x", Err(COMMAND)),
        ("my-plugin sync --all", Ok(())),
        ("my-plugin sync --subdir /x", Err(OPTION)),
        ("my-plugin other", Err(UNSUPPORTED)),
        ("roles list", Err(COMMAND)),
        ("version", Ok(())),
    ];
    for (line, expected) in cases {
        assert_eq!(
            verdict(line, "2.10.3", &rules).map(drop),
            expected,
            "{line}"
        );
    }
    let empty = Rules {
        policy: Policy::Supported,
        allow: vec![Vec::new()],
        deny: vec![Vec::new()],
    };
    assert!(verdict("dags list", "2.10.3", &empty).is_ok());
    assert_eq!(verdict("users list", "2.10.3", &empty), Err(UNSUPPORTED));
    let denied_everywhere = Rules {
        policy: Policy::All,
        allow: Vec::new(),
        deny: words(&["my-plugin", "db reset"]),
    };
    assert_eq!(
        verdict("my-plugin sync", "2.10.3", &denied_everywhere),
        Err(COMMAND)
    );
    assert_eq!(
        verdict("db reset --yes", "2.10.3", &denied_everywhere),
        Err(COMMAND)
    );
    assert!(verdict("db check", "2.10.3", &denied_everywhere).is_ok());
}

#[test]
fn each_release_has_its_own_table() {
    let cases = [
        ("trigger_dag x", "1.10.12", true),
        ("dags trigger x", "1.10.12", false),
        ("variables --get k", "1.10.12", true),
        ("connections --list", "1.10.12", false),
        ("list_dags", "1.10.12", true),
        ("dags list", "2.0.2", true),
        ("dags backfill x", "2.0.2", true),
        ("dags backfill x", "2.11.2", true),
        ("dags backfill x", "3.0.6", false),
        ("tasks run a b c", "3.0.6", false),
        ("backfill create --dag-id x", "3.2.1", true),
        ("backfill create --dag-id x", "2.11.2", false),
        ("assets list", "3.3.1", true),
        ("assets list", "2.11.2", false),
        ("roles create x", "2.5.1", false),
        ("roles create x", "2.6.3", true),
        ("providers secrets", "2.5.1", false),
        ("assets list", "4.0.0", true),
        ("dags list", "2.10.5", true),
    ];
    for (line, airflow, passes) in cases {
        let got = verdict(line, airflow, &Rules::default());
        assert_eq!(got.is_ok(), passes, "{line} on {airflow}: {got:?}");
    }
}

#[test]
fn nothing_shown_carries_an_argument() {
    let secret = "hunter2";
    for line in [
        "variables set k hunter2",
        "connections add c --conn-password hunter2",
        "connections export hunter2",
        "nonsense hunter2",
        "dags trigger x --subdir=hunter2",
        "variables set k \"hunter2",
    ] {
        for policy in [Policy::All, Policy::Supported, Policy::ReadOnly] {
            let outcome = Command::read(line.as_bytes()).and_then(|command| {
                assert!(!format!("{command:?}").contains(secret), "{line}");
                judge(&command, version("2.10.3"), &of(policy))
            });
            let shown = match &outcome {
                Ok(permit) => format!("{permit:?} {}", permit.name()),
                Err(refusal) => format!("{refusal:?} {refusal} {}", refusal.hint()),
            };
            assert!(!shown.contains(secret), "{line}: {shown}");
        }
    }
}

#[test]
fn no_disguise_of_a_forbidden_command_passes() {
    const PIECES: &[&str] = &[
        " ", "\t", "\n", "\"", "'", "\\", "--", "-", "=", "airflow", "dags", "list", "users",
        "db", "reset", "trigger", "é", "\u{a0}", "#", ";", "", "-S", "-v", "--sub", "x",
    ];
    const FORBIDDEN: &[&str] = &[
        "users list",
        "users create -u x",
        "db reset --yes",
        "config list",
        "dags delete x",
        "dags trigger x --subdir /x",
        "connections export x",
        "webserver",
    ];
    let rules = Rules {
        deny: words(&["dags delete"]),
        ..Rules::default()
    };
    let mut random = fastrand::Rng::with_seed(23);
    let mut passed = Vec::new();
    for _ in 0..60_000 {
        let mut line = (*random.choice(FORBIDDEN).expect("one")).to_owned();
        for _ in 0..random.usize(1..6) {
            let cuts: Vec<_> = line
                .char_indices()
                .map(|(at, _)| at)
                .chain([line.len()])
                .collect();
            let at = *random.choice(&cuts).expect("a place");
            match random.u8(0..3) {
                0 => line.insert_str(at, random.choice(PIECES).expect("a piece")),
                1 => line.insert_str(at, &random_line(&mut random, &PIECES[..6])),
                _ => {
                    line.truncate(at);
                    line.push_str(random.choice(PIECES).expect("a piece"));
                }
            }
        }
        if let Ok(command) = Command::read(line.as_bytes())
            && let Ok(permit) = judge(&command, version("2.10.3"), &rules)
        {
            let sent = String::from_utf8(permit.line().to_vec()).expect("UTF-8");
            assert_eq!(sent, command.canonical());
            passed.push((line, sent, command.words().to_vec()));
        }
    }
    assert!(
        passed.len() > 100,
        "only {} passed: too few to mean anything",
        passed.len()
    );
    let lines: Vec<_> = passed.iter().map(|(_, sent, _)| sent.clone()).collect();
    for ((line, sent, ours), theirs) in passed.iter().zip(python_split(&lines)) {
        let theirs = theirs.unwrap_or_default();
        assert_eq!(&theirs, ours, "{line:?}");
        let named: Vec<_> = theirs.iter().map(String::as_str).take(2).collect();
        let forbidden = match named.as_slice() {
            ["users" | "config" | "webserver", ..]
            | ["dags", "delete"]
            | ["connections", "export"] => true,
            ["db", second] => *second != "clean" && *second != "--help" && *second != "-h",
            _ => false,
        };
        let values = theirs
            .iter()
            .position(|word| word == "--")
            .unwrap_or(theirs.len());
        let is_subdir = |word: &String| {
            let head = word.split_once('=').map_or(word.as_str(), |(head, _)| head);
            word.starts_with("-S") || head.starts_with("--s") && "--subdir".starts_with(head)
        };
        let subdir =
            named.first() == Some(&"dags") && theirs.iter().take(values).any(is_subdir);
        assert!(!forbidden && !subdir, "{line:?} was sent as {sent:?}");
    }
}
