//! Checks that the tests of `tests/it` have provoked every fault code. `.github/check.sh tests` runs
//! it after them.

use mwaa_model::code;
use std::collections::BTreeSet;
use std::path::Path;

/// Codes that no test can provoke, and why.
const OUT_OF_REACH: &[(&str, &str)] =
    &[("gateway.unexpected", "reserved: nothing makes it so far")];

#[test]
fn every_code_is_provoked_or_excused() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("provoked");
    let noted = std::fs::read_dir(&folder).unwrap_or_else(|error| {
        panic!(
            "{}: {error}: run `cargo test --test it` first",
            folder.display()
        )
    });
    let mut covered: BTreeSet<_> = noted
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for (excused, why) in OUT_OF_REACH {
        assert!(
            covered.insert((*excused).to_owned()),
            "{excused} is provoked, although {why}"
        );
    }
    let known: BTreeSet<_> = code::ALL.iter().map(|code| code.text.to_owned()).collect();
    assert_eq!(covered, known);
}
