//! The commands that the policies grant, and the changes by `allow` and `deny`.

use super::*;

#[test]
fn each_policy_grants_its_classes() {
    let cases = [
        ("version", true, true),
        ("cheat-sheet", true, true),
        ("dags list", true, true),
        ("dags show x", true, true),
        ("dags state x 2024-01-01", true, true),
        ("tasks states-for-dag-run x y", true, true),
        ("variables get k", false, true),
        ("variables list", false, true),
        ("tasks render x y 2024-01-01", false, true),
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
        "to allow it, set allow = [\"dags delete\"] for this environment"
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
fn allow_adds_commands_and_deny_removes_commands() {
    let rules = Rules {
        policy: Policy::ReadOnly,
        allow: &words(&["pools set", "dags", "my-plugin sync", "users"]),
        deny: &words(&["dags delete", "variables", "users delete", "roles list all"]),
        ..Rules::default()
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
        allow: &[Vec::new()],
        deny: &[Vec::new()],
        ..Rules::default()
    };
    assert!(verdict("dags list", "2.10.3", &empty).is_ok());
    assert_eq!(verdict("users list", "2.10.3", &empty), Err(UNSUPPORTED));
    let denied_everywhere = Rules {
        policy: Policy::All,
        allow: &[],
        deny: &words(&["my-plugin", "db reset"]),
        ..Rules::default()
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

/// A listener serves environments of several versions, and environments are upgraded.
#[test]
fn a_denied_command_stays_denied_under_another_spelling() {
    let denied = |rule: &str, line: &str, airflow: &str| {
        let deny = words(&[rule]);
        let rules = Rules {
            policy: Policy::All,
            deny: &deny,
            ..Rules::default()
        };
        verdict(line, airflow, &rules) == Err(COMMAND)
    };
    for (rule, line, airflow) in [
        ("dags backfill", "backfill create --dag-id x", "3.0.6"),
        ("backfill create", "dags backfill x", "2.10.3"),
        ("backfill create", "backfill x", "1.10.12"),
        ("dags delete", "delete_dag x -y", "1.10.12"),
        ("dags delete x", "delete_dag x -y", "1.10.12"),
        ("db upgrade", "db migrate", "3.0.6"),
    ] {
        assert!(denied(rule, line, airflow), "{rule}: {line}");
    }
    // a group is the group of this name only
    assert!(!denied("dags", "backfill create --dag-id x", "3.0.6"));
    assert!(!denied("dags delete", "dags backfill x", "2.10.3"));
}

#[test]
fn a_command_of_no_table_cannot_bypass_a_deny_rule() {
    let deny = words(&["dags delete", "plugin act now"]);
    let rules = Rules {
        policy: Policy::All,
        deny: &deny,
        ..Rules::default()
    };
    for line in ["plugin act now x", "plugin -- act now", "plugin act -v now"] {
        assert_eq!(verdict(line, "2.10.3", &rules), Err(COMMAND), "{line}");
    }
    for line in ["plugin", "plugin act", "plugin other -v now"] {
        assert_eq!(verdict(line, "2.10.3", &rules), Ok(line.to_owned()));
    }
    for line in [
        "airflow airflow dags delete x -y",
        "airflow airflow version",
    ] {
        assert_eq!(verdict(line, "2.10.3", &rules), Err(UNSUPPORTED), "{line}");
    }
}
