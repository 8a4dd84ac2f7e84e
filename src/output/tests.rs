//! The reading of results, held against what real Airflows printed.

use super::*;
use base64::Engine as _;

const FACTS: CommandFacts = CommandFacts {
    command: "version",
    json: false,
    version: AirflowVersion::new(2, 10, 5),
    repeated: false,
};

fn raw(stdout: &str, stderr: &str) -> Vec<u8> {
    let (stdout, stderr) = (BASE64.encode(stdout), BASE64.encode(stderr));
    serde_json::json!({"stderr": stderr, "stdout": stdout})
        .to_string()
        .into_bytes()
}

#[test]
fn a_body_without_output_is_an_error() {
    let ok = StatusCode::OK;
    for raw in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"stdout": 3}"#,
        r#"{"stdout": "***", "stderr": ""}"#,
    ] {
        assert!(
            matches!(
                CliOutput::parse(raw.as_bytes(), ok, &FACTS),
                Err(OutputError::Malformed(_))
            ),
            "{raw}"
        );
    }
    let lone = CliOutput::parse(br#"{"stdout": "/w==", "stderr": null}"#, ok, &FACTS).unwrap();
    assert_eq!(lone.stdout, "\u{fffd}");
}

/// A command of a real Airflow as tests/real/outcomes/outcomes.py recorded it.
#[derive(serde::Deserialize)]
struct Recorded {
    case: String,
    code: i32,
    stdout: String,
    stderr: String,
}

fn recorded() -> Vec<(AirflowVersion, Recorded)> {
    let files = [
        (
            AirflowVersion::new(2, 10, 5),
            include_str!("../../tests/fixtures/outcomes/2.10.5.json"),
        ),
        (
            AirflowVersion::new(3, 0, 6),
            include_str!("../../tests/fixtures/outcomes/3.0.6.json"),
        ),
        (
            AirflowVersion::new(3, 3, 2),
            include_str!("../../tests/fixtures/outcomes/3.3.2.json"),
        ),
    ];
    files
        .into_iter()
        .flat_map(|(version, file)| {
            let cases: Vec<Recorded> = serde_json::from_str(file).expect("a list of records");
            cases.into_iter().map(move |case| (version, case))
        })
        .collect()
}

impl Recorded {
    /// The last command of the case, as the gateway knows it.
    fn facts(&self, version: AirflowVersion) -> CommandFacts {
        let last = self.case.split(";;").last().unwrap_or_default();
        let names: Vec<&str> = last
            .split(' ')
            .take(2)
            .take_while(|word| !word.starts_with('-'))
            .collect();
        let name: &'static str = names.join(" ").leak();
        CommandFacts {
            command: if name.starts_with("version") {
                "version"
            } else {
                name
            },
            json: last.contains("-o json"),
            version,
            repeated: false,
        }
    }
}

/// With status 200 only the texts say: no status may be wrong, and hardly one may be missing.
#[test]
fn the_success_status_equals_the_exit_code_of_real_airflow() {
    let (mut known, mut unknown) = (0, Vec::new());
    for (version, case) in recorded() {
        let facts = case.facts(version);
        let raw = raw(&case.stdout, &case.stderr);
        let read = CliOutput::parse(&raw, StatusCode::OK, &facts).unwrap();
        let right = if case.code == 0 {
            SuccessStatus::Yes
        } else {
            SuccessStatus::No
        };
        if read.succeeded == SuccessStatus::Unknown {
            unknown.push(format!("{version} {}: {:?}", case.case, read.reason));
        } else {
            assert_eq!(
                read.succeeded, right,
                "{version} {}: {:?}\n{}\n{}",
                case.case, read.reason, case.stdout, case.stderr
            );
            known += 1;
        }
        if case.code != 0 {
            let read = CliOutput::parse(&raw, StatusCode::BAD_REQUEST, &facts).unwrap();
            assert_eq!(read.succeeded, SuccessStatus::No, "{}", case.case);
        }
    }
    assert!(known > 750, "only {known} known");
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// What stays of real output is what the command printed itself, and its JSON is found.
#[test]
fn real_output_comes_out_clean() {
    let (mut documents, mut shown) = (0, String::new());
    for (version, case) in recorded() {
        let facts = case.facts(version);
        let read = CliOutput::parse(&raw(&case.stdout, &case.stderr), StatusCode::OK, &facts);
        let full = read.unwrap().into_result();
        assert!(!full.output.contains('\u{1b}'), "{}", case.case);
        if facts.output_kind() == OutputKind::Command {
            for line in full.output.lines().chain(full.errors.lines()) {
                assert!(
                    !line.contains("] {")
                        && !line.contains("Z [")
                        && !line.contains("Warning: "),
                    "{version} {}: {line}",
                    case.case
                );
            }
        }
        if facts.json && case.code == 0 {
            let json = full.json.as_ref().expect("JSON was requested");
            assert!(json.is_array(), "{version} {}: {}", case.case, full.stdout);
            assert_eq!(
                Some(json),
                serde_json::from_str(&full.output).ok().as_ref(),
                "the output is the document"
            );
            documents += 1;
        }
        assert_eq!(facts.json, full.json.is_some(), "{}", case.case);
        if SHOWN.contains(&case.case.as_str()) {
            let _ok = std::fmt::Write::write_fmt(
                &mut shown,
                format_args!(
                    "# {version} airflow {}\n--- output\n{}\n--- errors\n{}\n--- warnings\n{}\n\n",
                    case.case,
                    full.output,
                    full.errors,
                    full.warnings.join("\n"),
                ),
            );
        }
    }
    assert!(documents > 40, "only {documents} documents");
    insta::assert_snapshot!(shown);
}

/// The cases that are shown whole.
const SHOWN: &[&str] = &[
    "connections add c --conn-type http --conn-host h",
    "dags delete lab_hello --yes",
    "dags list --columns nosuch",
    "dags list -o json",
    "dags next-execution lab_hello",
    "dags pause lab_hello -o json",
    "dags reserialize",
    "dags trigger lab_hello -o json -r r1 -c {\"a\":[1,2]}",
    "dags trigger nosuch",
    "db clean --clean-before-timestamp 2020-01-01 --tables nosuch --yes",
    "tasks list nosuch",
    "tasks test lab_params work -t {\"lines\":2}",
    "variables get nosuch",
    "variables set k v;;variables list -o yaml",
];
