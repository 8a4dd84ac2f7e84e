//! Fault codes: unique, and in the README with what each means.

use crate::tree;
use mwaa_model::code;
use std::collections::BTreeSet;

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
