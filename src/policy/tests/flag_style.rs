//! The commands that Airflow 1.10 named by an option, and the hints in their errors.

use super::*;
use crate::tables::arguments::all_options;

/// Lines of 1.10, as their users wrote them, and the command since 2.0. Values are secrets.
const LINES: &[(&str, &str)] = &[
    ("variables -s k hunter2", "variables set KEY VALUE"),
    ("variables --set k hunter2", "variables set KEY VALUE"),
    ("variables -sk hunter2", "variables set KEY VALUE"),
    (
        "variables --json --set k hunter2",
        "variables set KEY VALUE",
    ),
    ("variables -j -s k hunter2", "variables set KEY VALUE"),
    ("variables -g hunter2", "variables get KEY"),
    ("variables -ghunter2", "variables get KEY"),
    ("variables --get hunter2", "variables get KEY"),
    ("variables --get=hunter2", "variables get KEY"),
    ("variables -d hunter2 -g k", "variables get KEY"),
    ("variables --default hunter2 --get k", "variables get KEY"),
    ("variables -x hunter2", "variables delete KEY"),
    ("variables --delete hunter2", "variables delete KEY"),
    ("variables --del hunter2", "variables delete KEY"),
    ("variables -i hunter2", "variables import FILE"),
    ("variables --import hunter2", "variables import FILE"),
    ("variables -e hunter2", "variables export FILE"),
    ("variables --export hunter2", "variables export FILE"),
    ("connections -l", "connections list"),
    ("connections --list", "connections list"),
    (
        "connections -a --conn_id c --conn_uri hunter2",
        "connections add CONN_ID --conn-uri URI",
    ),
    (
        "connections --add --conn_id c --conn_type http --conn_password hunter2",
        "connections add CONN_ID --conn-uri URI",
    ),
    (
        "connections --conn_id hunter2 --add",
        "connections add CONN_ID --conn-uri URI",
    ),
    (
        "connections -d --conn_id hunter2",
        "connections delete CONN_ID",
    ),
    (
        "connections --delete --conn_id hunter2",
        "connections delete CONN_ID",
    ),
    ("pool -s hunter2 1 d", "pools set NAME SLOTS DESCRIPTION"),
    ("pool --set hunter2 1 d", "pools set NAME SLOTS DESCRIPTION"),
    ("pool -g hunter2", "pools get NAME"),
    ("pool --get hunter2", "pools get NAME"),
    ("pool -x hunter2", "pools delete NAME"),
    ("pool --delete hunter2", "pools delete NAME"),
    ("pool -i hunter2", "pools import FILE"),
    ("pool --import hunter2", "pools import FILE"),
    ("pool -e hunter2", "pools export FILE"),
    ("pool --export hunter2", "pools export FILE"),
    ("pools -s hunter2 1 d", "pools set NAME SLOTS DESCRIPTION"),
    ("pools --get hunter2", "pools get NAME"),
    ("pools -x hunter2", "pools delete NAME"),
    ("pools -l", "pools list"),
    ("pools --list", "pools list"),
    ("users -l", "users list"),
    ("users --list", "users list"),
    (
        "users -c -u hunter2",
        "users create --username USERNAME --role ROLE",
    ),
    (
        "users -l hunter2 -r Admin --create",
        "users create --username USERNAME --role ROLE",
    ),
    ("users -d -u hunter2", "users delete --username USERNAME"),
    (
        "users --delete -u hunter2",
        "users delete --username USERNAME",
    ),
    (
        "users --add-role -u hunter2 -r Admin",
        "users add-role --username USERNAME --role ROLE",
    ),
    (
        "users --remove-role -u hunter2 -r Admin",
        "users remove-role --username USERNAME --role ROLE",
    ),
    ("users --import hunter2", "users import FILE"),
    ("users --export hunter2", "users export FILE"),
    ("roles -l", "roles list"),
    ("roles --list", "roles list"),
    ("roles -c hunter2", "roles create ROLE"),
    ("roles --create hunter2", "roles create ROLE"),
    ("list_dags -r", "dags report"),
    ("list_dags --report", "dags report"),
];

#[test]
fn the_refusal_of_an_old_option_names_its_successor_and_no_value() {
    for (line, successor) in LINES {
        for airflow in ["2.0.2", "2.10.3", "3.0.6", "3.3.1"] {
            let refusal = refusal(line, airflow, &Rules::default());
            let (detail, hint) = (refusal.to_string(), refusal.hint());
            assert_eq!(refusal.code().text, UNSUPPORTED, "{line}");
            let first = line.split(' ').next().unwrap();
            assert!(detail.starts_with(&format!("`{first} --")), "{detail}");
            assert!(detail.ends_with(airflow), "{detail}");
            let major = version(airflow).major;
            let on = format!("on Airflow {major}");
            assert!(hint.starts_with(&on), "{line}: {hint}");
            assert!(hint.contains(&format!("`{successor}`")), "{line}: {hint}");
            let text = format!("{detail} {hint}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}

/// The command in the hint passes, or the hint says how to allow it.
#[test]
fn the_hint_says_whether_the_successor_is_allowed() {
    let read_only = of(Policy::ReadOnly);
    let pools = words(&["pools set"]);
    let with_pools = Rules {
        allow: &pools,
        ..Rules::default()
    };
    for (line, rules, hint) in [
        (
            "variables -s k v",
            &Rules::default(),
            "on Airflow 2, send `variables set KEY VALUE`",
        ),
        (
            "variables -s k v",
            &read_only,
            "on Airflow 2 it is `variables set KEY VALUE`, which is refused too: to allow it, set \
             allow = [\"variables set\"] for this environment",
        ),
        (
            "pool -s a 1 b",
            &Rules::default(),
            "on Airflow 2 it is `pools set NAME SLOTS DESCRIPTION`, which is refused too: it is not on MWAA's \
             list, but some environments run it; if your environment runs it, set allow = \
             [\"pools set\"]",
        ),
        (
            "pools -s a 1 b",
            &with_pools,
            "on Airflow 2, send `pools set NAME SLOTS DESCRIPTION`",
        ),
        (
            "variables -i f",
            &Rules::default(),
            "on Airflow 2 it is `variables import FILE`, which is refused too: the file is not on the web \
             server: run `mwaa-gateway airflow -- variables import FILE` or send `variables \
             set KEY VALUE` for each",
        ),
    ] {
        assert_eq!(refusal(line, "2.10.3", rules).hint(), hint, "{line}");
    }
}

/// The tests above have a line for each row, and the rows have each option of 1.10's parsers
/// that is not a mere detail of another.
#[test]
fn every_option_of_1_10_has_a_row_and_every_row_a_test() {
    const DETAILS: &[&str] = &["--default", "--json"];
    let rows: Vec<(Vec<&str>, Vec<&str>, &str)> = include_str!("../tables/flag_style.csv")
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<_> = line.splitn(3, ',').collect();
            let split = |at: usize| fields[at].split('/').collect();
            (split(0), split(1), fields[2])
        })
        .collect();
    for (commands, options, successor) in &rows {
        for option in options {
            let written = |(line, new): &&(&str, &str)| {
                let mut words = line.split(' ');
                new == successor
                    && commands.contains(&words.next().unwrap())
                    && words.any(|word| word == *option)
            };
            assert!(
                LINES.iter().any(|line| written(&line)),
                "{commands:?} {option}"
            );
        }
        let judged = refusal(
            &format!("{} {}", commands[0], options[0]),
            "2.6.3",
            &Rules::default(),
        );
        assert!(judged.hint().contains(successor), "{judged:?}");
    }
    let old = all_options().filter(|row| {
        matches!(row.command, "connections" | "pool" | "variables")
            && !row.name.starts_with("--conn_")
            && !DETAILS.contains(&row.name)
    });
    let mut count = 0;
    for row in old {
        let found = rows.iter().any(|(commands, options, _)| {
            commands.contains(&row.command) && *options == row.spellings
        });
        assert!(found, "{row:?}");
        count += 1;
    }
    assert_eq!(count, 13);
}

#[test]
fn on_1_10_flag_style_commands_pass() {
    for line in [
        "variables -s k v",
        "variables --get k",
        "variables -d x -g k",
        "variables -x k",
        "pool -s a 1 b",
        "pool -g a",
        "pool --delete a",
        "list_dags -r",
    ] {
        assert_eq!(
            verdict(line, "1.10.12", &Rules::default()).as_deref(),
            Ok(line)
        );
    }
    assert_eq!(
        verdict("connections --list", "1.10.12", &Rules::default()),
        Err(UNSUPPORTED)
    );
}

/// Options that 1.10 never had stay unreadable, and a value is not taken for an option's name.
#[test]
fn an_unknown_option_before_a_command_is_unreadable() {
    for line in [
        "variables -j hunter2",
        "variables --de hunter2",
        "variables -v list",
        "dags -v list",
        "connections --conn_id c",
        "pools -o json list",
    ] {
        let refusal = refusal(line, "2.10.3", &Rules::default());
        assert_eq!(refusal.code().text, UNREADABLE, "{line}: {refusal}");
    }
}

/// Names that were commands of their own and are groups now, with an option right behind.
#[test]
fn a_command_that_became_a_group_names_its_successor() {
    for (line, airflow, hint) in [
        (
            "backfill -s 2024-01-01 x",
            "3.0.6",
            "send `backfill create` instead",
        ),
        (
            "config --color off",
            "2.10.3",
            "it is now `config list`, which MWAA does not support either: ",
        ),
        (
            "config --color off",
            "3.0.6",
            "it is now `config list`, which MWAA does not support either: ",
        ),
        (
            "kubernetes_generate_dag_yaml x",
            "2.10.3",
            "it is now `kubernetes generate-dag-yaml`, which MWAA does not support either: ",
        ),
    ] {
        let refusal = refusal(line, airflow, &Rules::default());
        assert_eq!(refusal.code().text, UNSUPPORTED, "{line}");
        assert!(
            refusal.hint().starts_with(hint),
            "{line}: {}",
            refusal.hint()
        );
    }
}
