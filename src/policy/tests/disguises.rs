//! The properties: nothing shown carries an argument, and no disguise of a forbidden command
//! passes.

use super::python::shlex_split;
use super::*;
use crate::command::texts;

#[test]
fn permits_and_refusals_show_no_argument() {
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
                of(policy).check(&command, version("2.10.3"))
            });
            let shown = match &outcome {
                Ok(permit) => format!("{permit:?} {}", permit.name()),
                Err(refusal) => format!("{refusal:?} {refusal} {}", refusal.hint()),
            };
            assert!(!shown.contains(secret), "{line}: {shown}");
        }
    }
}

fn random_line(random: &mut fastrand::Rng, alphabet: &[&str]) -> String {
    (0..random.usize(0..24))
        .map(|_| *random.choice(alphabet).expect("not empty"))
        .collect()
}

#[test]
fn a_disguised_forbidden_command_is_refused() {
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
        deny: &words(&["dags delete"]),
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
            && let Ok(permit) = rules.check(&command, version("2.10.3"))
        {
            let sent = String::from_utf8(permit.line().to_vec()).expect("UTF-8");
            assert_eq!(sent, command.to_line());
            let words = texts(command.words());
            passed.push((line, sent, words));
        }
    }
    assert!(
        passed.len() > 100,
        "only {} passed: too few to mean anything",
        passed.len()
    );
    let lines: Vec<_> = passed.iter().map(|(_, sent, _)| sent.clone()).collect();
    for ((line, sent, ours), theirs) in passed.iter().zip(shlex_split(&lines)) {
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
