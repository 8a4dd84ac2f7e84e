//! The acceptance list for commands, line by line, and the table of each release.

use super::*;

#[test]
fn the_acceptance_list_on_2_10_3() {
    let cases: &[(&str, Result<&str, &str>)] = &[
        // F-01, F-02: canonical form
        ("dags trigger x", Ok("dags trigger x")),
        ("dags  trigger\tx\n", Ok("dags trigger x")),
        ("\r\n dags trigger x \r\n", Ok("dags trigger x")),
        ("dags trigger 'x'\"y\"\\z", Ok("dags trigger xyz")),
        // F-03: two lines are two commands
        ("dags trigger x\nusers list", Err(UNREADABLE)),
        ("dags trigger x\rusers list", Err(UNREADABLE)),
        ("dags trigger x \\\nusers list", Err(UNREADABLE)),
        // F-06, F-07: forbidden, also in disguise
        ("users list", Err(UNSUPPORTED)),
        ("us\"\"ers list", Err(UNREADABLE)),
        ("'users' list", Err(UNREADABLE)),
        ("\\users list", Err(UNREADABLE)),
        ("\"users list\"", Err(UNREADABLE)),
        ("\"dags list\"", Err(UNREADABLE)),
        ("'' users list", Err(UNREADABLE)),
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
        ("dags\u{a0}list", Err(UNREADABLE)),
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
