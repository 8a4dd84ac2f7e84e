//! Compares the commands with recordings of real Airflows (`tests/fixtures/outcomes`).

use std::collections::BTreeSet;

use regex_lite::{Captures, Regex};
use serde::Deserialize;

use super::super::answers::Answer;
use super::World;
use super::clock::Moment;
use super::seed;
use super::state::{Dag, Task};

const RECORDINGS: [(&str, &str); 3] = [
    (
        "2.10.5",
        include_str!("../../../tests/fixtures/outcomes/2.10.5.json"),
    ),
    (
        "3.0.6",
        include_str!("../../../tests/fixtures/outcomes/3.0.6.json"),
    ),
    (
        "3.3.2",
        include_str!("../../../tests/fixtures/outcomes/3.3.2.json"),
    ),
];

/// The commands that are simulated, with any arguments.
const COMMANDS: [&str; 13] = [
    "connections add",
    "connections delete",
    "dags list",
    "dags list-runs",
    "dags pause",
    "dags trigger",
    "dags unpause",
    "tasks list",
    "variables delete",
    "variables get",
    "variables list",
    "variables set",
    "version",
];

/// The groups, alone or with `--help`.
const GROUPS: [&str; 5] = ["", "connections", "dags", "tasks", "variables"];

/// The cases in which this Airflow differs: versions, case and why.
const DIFFERENT: [(&[&str], &str, &str); 5] = [
    (
        &["2.10.5"],
        "dags trigger lab_hello -e 2024-05-01T02:00:00+02:00;;dags list-runs -d lab_hello -o yaml",
        "the ID of a run keeps the offset in which its date was given",
    ),
    (
        &["2.10.5", "3.0.6", "3.3.2"],
        "dags trigger lab_params -c {\"lines\":-1}",
        "the DAGs have no parameters",
    ),
    (
        &["3.0.6", "3.3.2"],
        "connections add c --conn-type http --conn-extra nonsense",
        PROVIDERS,
    ),
    (
        &["3.0.6", "3.3.2"],
        "connections add c --conn-type http --conn-host h",
        PROVIDERS,
    ),
    (
        &["3.0.6", "3.3.2"],
        "connections add c --conn-uri http://h --conn-type http",
        PROVIDERS,
    ),
];
const PROVIDERS: &str = "the lab has no HTTP provider, MWAA has one";

/// A command of a real Airflow, after those before the last `;;`.
#[derive(Deserialize)]
struct Recorded {
    case: String,
    code: i32,
    stdout: String,
    stderr: String,
}

#[test]
fn commands_answer_like_recorded_airflows() {
    let mut wrong = Vec::new();
    for (version, recordings) in RECORDINGS {
        let mut recordings: Vec<Recorded> = serde_json::from_str(recordings).unwrap();
        // a case is recorded again with a broken DAG, which this Airflow has not
        let mut seen = BTreeSet::new();
        recordings.retain(|recorded| seen.insert(recorded.case.clone()));
        recordings.retain(|recorded| recorded.case.split(";;").all(is_simulated));

        let listed = DIFFERENT
            .iter()
            .filter(|(known, ..)| known.contains(&version));
        let listed: BTreeSet<&str> = listed.map(|(_, case, _)| *case).collect();
        let order = order_of_dags(&recordings);
        let differ = |recorded: &&Recorded| {
            let real = mask(&recorded.answer());
            let ours = mask(&run_like(recorded, version, &order));
            let differs = real != ours;
            if differs && !listed.contains(recorded.case.as_str()) {
                println!("{version}: {}\n{real:#?}\n{ours:#?}", recorded.case);
            }
            differs
        };
        let different = recordings
            .iter()
            .filter(differ)
            .map(|recorded| &recorded.case);
        let different: BTreeSet<&str> = different.map(String::as_str).collect();

        let (claimed, equal) = (recordings.len(), recordings.len() - different.len());
        println!(
            "{version}: {claimed} claimed, {equal} equal, {} listed",
            listed.len()
        );
        wrong.extend(
            different
                .symmetric_difference(&listed)
                .map(|case| format!("{version}: {case}")),
        );
        assert!(
            equal * 100 >= claimed * 95,
            "{version}: {equal} of {claimed}"
        );
    }
    assert_eq!(
        wrong, [""; 0],
        "cases that differ and are not listed, or the other way round"
    );
}

fn is_simulated(command: &str) -> bool {
    let begins = |known: &str| {
        let rest = command.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let help = command.strip_suffix("--help").map(str::trim_end);
    COMMANDS.iter().any(|known| begins(known)) || GROUPS.contains(&help.unwrap_or(command))
}

/// The DAGs of the lab in the order of its database, which differs from recording to recording.
fn order_of_dags(recordings: &[Recorded]) -> Vec<&str> {
    let is_table = |recorded: &&Recorded| {
        recorded.case == "dags pause --treat-dag-id-as-regex lab.* --yes"
    };
    let table = recordings
        .iter()
        .find(is_table)
        .unwrap()
        .stdout
        .lines()
        .skip(2);
    table
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

/// Runs a case at the time of its recording, and returns what its last command answers.
fn run_like(recorded: &Recorded, version: &str, order: &[&str]) -> Answer {
    let now = recorded.time();
    let world = World::with(version, order.iter().map(|id| lab_dag(id)).collect(), now);
    let mut answer = Answer::default();
    let commands: Vec<&str> = recorded.case.split(";;").collect();
    for (at, command) in commands.iter().enumerate() {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        // the time is that of the last run
        let later_run = commands[at + 1..]
            .iter()
            .any(|later| later.starts_with("dags trigger"));
        answer = world.run_at(now.plus(if later_run { -1 } else { 0 }), &words);
    }
    Answer {
        stdout: ends(&answer.stdout, 4, 8),
        stderr: ends(&answer.stderr, 3, 6),
        ..answer
    }
}

/// A DAG of the lab, as far as commands show it.
fn lab_dag(id: &str) -> Dag {
    const fn task(id: &'static str) -> Task {
        Task {
            id,
            operator: "PythonOperator",
            prints: "",
        }
    }
    const FAILS: [Task; 3] = [task("raises"), task("exits"), task("skips")];
    const WORK: [Task; 1] = [task("work")];
    let file = if matches!(id, "lab_hello" | "lab_params") {
        id
    } else {
        "lab_outcomes"
    };
    let tasks: &[Task] = match id {
        "lab_always_fails" => &FAILS,
        "lab_params" => &WORK,
        _ => seed::hello(id).tasks,
    };
    Dag {
        file: format!("{file}.py"),
        tasks,
        ..seed::hello(id)
    }
}

impl Recorded {
    fn answer(&self) -> Answer {
        Answer {
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
            exit_code: self.code,
        }
    }

    /// When the command ran: the time of the run that it shows, else the first time in its output.
    fn time(&self) -> Moment {
        let text = format!("{}{}", self.stdout, self.stderr);
        let datetime = Regex::new(
            r"=datetime\.datetime\((\d+), (\d+), (\d+), (\d+), (\d+), (\d+)(?:, (\d+))?, tz",
        );
        if let Some(found) = datetime.unwrap().captures(&text) {
            let part = |at: usize| found.get(at).map_or("0", |part| part.as_str());
            let [year, month, day, hour] = [1, 2, 3, 4].map(part);
            let [minute, second, micros] = [5, 6, 7].map(part);
            let text = format!(
                "{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute:0>2}:{second:0>2}.{micros:0>6}"
            );
            return Moment::parse(&text).unwrap();
        }
        for pattern in [
            r"manual__(20[\dT:.-]+)\+00:00",
            r"(20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*)\+00:00",
            r"(?m)^\[(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*)\+0000",
        ] {
            if let Some(found) = Regex::new(pattern).unwrap().captures(&text) {
                return Moment::parse(&found[1]).unwrap();
            }
        }
        Moment::parse("2026-11-22").unwrap()
    }
}

/// The first and last lines of a long text, as the recordings have them.
fn ends(text: &str, head: usize, tail: usize) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.len() <= head + tail {
        return text.to_owned();
    }
    let (first, last) = (&lines[..head], &lines[lines.len() - tail..]);
    [first, last].concat().concat()
}

/// Takes out what no two Airflows have in common.
fn mask(answer: &Answer) -> Answer {
    let masked = |text: &str| {
        let mut text = text.to_owned();
        for (pattern, with) in [
            // the lab has no Fernet key, MWAA has one
            (r"(?m)^.*empty cryptography key.*\n", ""),
            // when a line is logged
            (r"(?m)^\[20[^\]]*\]", "[TIME]"),
            (r"(?m)^20[\dT:.-]*Z ", "TIME "),
            // the end of a run's ID in 3.0
            (r"\+00:00_[A-Za-z0-9]{8}", "+00:00_RANDOM"),
            // what SQLite was given
            (r"(?m)^\[parameters: \('lab_hello', .*", "[parameters]"),
            // a Python set has no order
            (
                r"\{(auto|on|off),(auto|on|off),(auto|on|off)\}",
                "{auto,on,off}",
            ),
        ] {
            text = Regex::new(pattern)
                .unwrap()
                .replace_all(&text, with)
                .into_owned();
        }
        // the recorder shortens the paths of files after the table was drawn
        if text.contains(" | /usr/local/airflow/dags/")
            || text.contains("  /usr/local/airflow/dags/")
        {
            let blanks = Regex::new(" +|=+").unwrap();
            let one = |found: &Captures<'_>| found[0].chars().take(1).collect::<String>();
            text = blanks.replace_all(&text, one).into_owned();
        }
        text
    };
    Answer {
        stdout: masked(&answer.stdout),
        stderr: masked(&answer.stderr),
        exit_code: answer.exit_code,
    }
}

#[test]
fn versions_behave_like_the_recorded_one_before_them() {
    use super::texts::Release;
    for (version, release) in [
        ("1.10.12", None),
        ("2.0.2", Some(Release::Two)),
        ("2.11.2", Some(Release::Two)),
        ("3.1.0", Some(Release::Three)),
        ("3.2.0", Some(Release::ThreeTwo)),
        ("4.0.0", Some(Release::ThreeTwo)),
    ] {
        assert_eq!(Release::parse(version), release, "{version}");
    }
}

#[test]
fn dags_can_be_named_and_words_can_be_long() {
    let world = World::new("2.10.5", &["one".to_owned(), "two".to_owned()]);
    let run = |line: &str| {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        world.run(&words).stdout
    };
    assert_eq!(
        run("dags list --columns dag_id -o json"),
        "[{\"dag_id\": \"one\"}, {\"dag_id\": \"two\"}]\n"
    );
    assert_eq!(run("tasks list two"), "greet\nsay\n");
    // a pattern longer than any id is not valid, and a key may be wider than 65535
    let pattern = "(a|b)*".repeat(50);
    assert_eq!(
        run(&format!("dags pause {pattern} --treat-dag-id-as-regex -y")),
        ""
    );
    let key = "x".repeat(70_000);
    run(&format!("variables set {key} v"));
    assert!(run("variables list -o plain").contains(&key));
}
