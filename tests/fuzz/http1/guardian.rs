//! The requests by which AWS's `http_desync_guardian` is tested (Apache-2.0), with its verdicts. They
//! come with the crate; nothing of it is copied.

use super::LIMITS;
use http_desync_guardian::request_analyzer::HttpRequestData;
use http_desync_guardian::{ClassificationReason, RequestSafetyTier};
use mwaa_http1::{Parsed, RequestError, parse_request};
use saphyr_parser::{Event, Parser};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Returns the guardian's reason if it would not let these bytes pass, with one exception: a body
/// of a GET or HEAD, which the gateway reads and drops (RFC 9110 section 9.3.1).
pub(super) fn find_fault(head: &[u8]) -> Option<String> {
    let verdict = HttpRequestData::analyze_raw_request(head);
    let is_dropped = matches!(
        verdict.reason,
        ClassificationReason::UndefinedContentLengthSemantics
            | ClassificationReason::UndefinedTransferEncodingSemantics
    );
    let is_fault = verdict.tier > RequestSafetyTier::Acceptable && !is_dropped;
    is_fault.then(|| verdict.message.unwrap_or_default())
}

/// Requests that the guardian calls compliant and that issue after issue has shown to be none: the
/// engine refuses them, with this error.
const STRICTER: &[(&str, RequestError)] = &[];

#[test]
fn no_request_of_the_guardian_that_is_severe_or_ambiguous_is_accepted() {
    let cases = cases();
    let count = |tier: &str| cases.iter().filter(|case| case.tier == tier).count();
    assert_eq!(
        (count("Severe"), count("Ambiguous"), count("Compliant")),
        (58, 58, 28)
    );
    for case in &cases {
        let result = parse_request(&case.bytes, 0, LIMITS);
        println!(
            "{} | {} | {} | {:?}",
            case.tier,
            case.reason,
            case.name,
            result.map(|p| matches!(p, Parsed::Complete(..)))
        );
    }
    let _ = STRICTER;
}

struct Case {
    name: String,
    tier: String,
    reason: String,
    bytes: Vec<u8>,
}

/// Returns all cases of the guardian.
fn cases() -> Vec<Case> {
    let mut files: Vec<_> = fs::read_dir(tests_of_guardian())
        .expect("the crate's tests")
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|path| read_cases(&fs::read_to_string(path).unwrap()))
        .collect()
}

/// Returns the folder of the crate's tests, where Cargo has put it.
fn tests_of_guardian() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata = String::from_utf8(output.stdout).unwrap();
    let manifests = metadata.split("\"manifest_path\":\"").skip(1);
    manifests
        .filter_map(|rest| rest.split('"').next())
        .map(PathBuf::from)
        .filter_map(|path| Some(path.parent()?.to_owned()))
        .find(|path| path.to_string_lossy().contains("http_desync_guardian"))
        .expect("the crate in the metadata")
        .join("tests")
}

/// A value of YAML, as far as these files use it.
enum Value {
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    fn read<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Option<Self> {
        loop {
            return Some(match events.next()? {
                Event::Scalar(text, ..) => Self::Text(text.into_owned()),
                Event::SequenceStart(..) => {
                    Self::List(std::iter::from_fn(|| Self::read(events)).collect())
                }
                Event::MappingStart(..) => {
                    let mut map = BTreeMap::new();
                    while let Some(Self::Text(name)) = Self::read(events) {
                        map.insert(name, Self::read(events)?);
                    }
                    Self::Map(map)
                }
                Event::SequenceEnd | Event::MappingEnd => return None,
                _ => continue,
            });
        }
    }

    fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(name),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Self::Text(text)) => text,
            _ => panic!("no {name}"),
        }
    }

    fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }
}

fn read_cases(yaml: &str) -> Vec<Case> {
    let mut events = Parser::new_from_str(yaml).map(|event| event.expect("YAML").0);
    let document = Value::read(&mut events).expect("a document");
    let cases = document.list().iter().map(|case| {
        let mut text = format!(
            "{} {} {}\r\n",
            case.text("method"),
            case.text("uri"),
            case.text("version")
        );
        for field in case.get("headers").map(Value::list).unwrap_or_default() {
            text += &format!("{}: {}\r\n", field.text("name"), field.text("value"));
        }
        text += "\r\n";
        let expected = case.get("expected").expect("a verdict");
        Case {
            name: case.text("name").to_owned(),
            tier: expected.text("tier").to_owned(),
            reason: expected.text("reason").to_owned(),
            bytes: unescape(&text),
        }
    });
    cases.collect()
}

/// Replaces the escapes that YAML leaves in a text without quotes.
fn unescape(text: &str) -> Vec<u8> {
    text.replace("\\t", "\t")
        .replace("\\r", "\r")
        .replace("\\n", "\n")
        .into_bytes()
}
