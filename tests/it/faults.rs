//! Every fault code is provoked by some test, or stands here with the reason why it can't be;
//! and the README tells what each means.

use crate::tree;
use mwaa_model::code;
use std::collections::BTreeSet;

/// Codes that no integration test can provoke, and why.
const OUT_OF_REACH: &[(&str, &str)] = &[
    (
        "gateway.stopping",
        "said when a thread goes away under a request, and its connections go with it",
    ),
    ("gateway.unexpected", "reserved: no room makes it so far"),
];

/// The code texts in the sources of the integration tests, as string literals.
fn tested() -> BTreeSet<String> {
    let own = ["tests/it/faults.rs", "tests/it/docs.rs"];
    let mut found = BTreeSet::new();
    for file in tree::files("tests/it", "rs") {
        if own.contains(&file.as_str()) {
            continue;
        }
        let source = tree::read(&file);
        for code in code::ALL {
            if source.contains(&format!("\"{}", code.text)) {
                found.insert(code.text.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_code_is_provoked_or_excused() {
    let tested = tested();
    for code in code::ALL {
        let excuse = OUT_OF_REACH.iter().find(|(text, _)| *text == code.text);
        match (tested.contains(code.text), excuse) {
            (true, None) => {}
            (false, Some((_, reason))) => assert!(!reason.is_empty()),
            (false, None) => panic!("no test provokes {}", code.text),
            (true, Some(_)) => panic!("{} is tested now: take its excuse away", code.text),
        }
    }
    for (text, _) in OUT_OF_REACH {
        assert!(
            code::ALL.iter().any(|code| code.text == *text),
            "{text} is no code"
        );
    }
    assert_eq!(tested.len() + OUT_OF_REACH.len(), code::ALL.len());
    assert!(tested.len() >= 29, "only {} codes seen", tested.len());
}

#[test]
fn codes_are_unique_and_documented() {
    let readme = tree::read("README.md");
    let mut texts = BTreeSet::new();
    for code in code::ALL {
        assert!(texts.insert(code.text), "{} twice", code.text);
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", code.text)))
            .unwrap_or_else(|| panic!("README.md has no row for {}", code.text));
        let status = code.status.as_u16().to_string();
        assert!(
            row.contains(&status),
            "{}: {status} is not in {row}",
            code.text
        );
    }
}
