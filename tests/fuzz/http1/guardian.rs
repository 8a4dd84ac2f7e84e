//! The requests by which AWS's `http_desync_guardian` is tested (Apache-2.0), with its verdicts. They
//! come with the crate; nothing of it is copied.

use super::LIMITS;
use http_desync_guardian::RequestSafetyTier;
use http_desync_guardian::request_analyzer::HttpRequestData;
use mwaa_http1::{Parsed, RequestError, parse_request};
use saphyr_parser::{Event, Parser};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Compliant requests that the engine refuses all the same, and its errors: names with underscores,
/// codings other than chunked, and targets that are no URL.
const STRICTER: &[(&str, RequestError)] = &[
    ("Correct TE OK", RequestError::Coding),
    (
        "Transfer-Encoding: identity and chunked OK",
        RequestError::Coding,
    ),
    (
        "Multiple transfer encoding headers in a single request OK",
        RequestError::Coding,
    ),
    ("TE with custom parameters OK", RequestError::Coding),
    ("Different Transfer-Encoding headers", RequestError::Coding),
    (
        "Different Transfer-Encoding headers combined",
        RequestError::Coding,
    ),
    (
        "Transfer-Encoding with a param: chunked;custom_param",
        RequestError::Coding,
    ),
    (
        "Valid custom header with tchar in name and obs-text",
        RequestError::Underscore,
    ),
    (
        "Valid custom header with underscore in name",
        RequestError::Underscore,
    ),
    ("Compliant URL", RequestError::Target),
    ("International in URI", RequestError::Target),
    ("Empty URI", RequestError::RequestLine),
];

#[test]
fn the_engine_refuses_what_is_severe_or_ambiguous() {
    let cases = cases();
    let count = |tier: &str| cases.iter().filter(|case| case.tier == tier).count();
    assert_eq!(
        ["Severe", "Ambiguous", "Compliant"].map(count),
        [58, 58, 28]
    );

    let mut with_dropped_bodies = 0;
    for case in &cases {
        // the bytes are the case that its file describes
        let verdict = HttpRequestData::analyze_raw_request(&case.bytes);
        let is_compliant = verdict.tier == RequestSafetyTier::Compliant;
        assert_eq!(is_compliant, case.tier == "Compliant", "{}", case.name);

        let result = parse_request(&case.bytes, 0, LIMITS);
        let is_accepted = matches!(result, Ok(Parsed::Complete(..)));
        let bytes = case.bytes.escape_ascii();
        match case.tier.as_str() {
            "Compliant" => {
                let error = STRICTER.iter().find(|(name, _)| *name == case.name);
                let error = error.map(|(_, error)| *error);
                assert_eq!(result.err(), error, "{}: {bytes}", case.name);
                assert_eq!(is_accepted, error.is_none(), "{}: {bytes}", case.name);
            }
            "Severe" | "Ambiguous" if case.has_dropped_body() => {
                with_dropped_bodies += u64::from(is_accepted);
            }
            "Severe" | "Ambiguous" => assert!(result.is_err(), "{}: {bytes}", case.name),
            // what is acceptable may be refused
            _ => {}
        }
    }
    assert_eq!(with_dropped_bodies, 6);
}

struct Case {
    name: String,
    tier: String,
    reason: String,
    bytes: Vec<u8>,
}

impl Case {
    /// Returns true for a GET or HEAD with a body. It is ambiguous if the body is forwarded: the
    /// gateway reads it as it is framed and drops it (RFC 9110 section 9.3.1).
    fn has_dropped_body(&self) -> bool {
        self.reason.starts_with("Undefined")
            && (self.bytes.starts_with(b"GET ") || self.bytes.starts_with(b"HEAD "))
    }
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
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let guardian = packages
        .iter()
        .find(|package| package["name"] == "http_desync_guardian")
        .expect("the crate in the metadata");
    let manifest = guardian["manifest_path"].as_str().unwrap();
    PathBuf::from(manifest).with_file_name("tests")
}

/// A value of YAML, as far as these files use it.
enum Value {
    Text(String),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
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
        let (method, uri, version) =
            (case.text("method"), case.text("uri"), case.text("version"));
        let fields = case.get("headers").map(Value::list).unwrap_or_default();
        let fields = fields
            .iter()
            .map(|field| format!("{}: {}\r\n", field.text("name"), field.text("value")));
        let fields: String = fields.collect();
        let text = format!("{method} {uri} {version}\r\n{fields}\r\n");
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
