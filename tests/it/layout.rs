//! The shape of the tree: what a reader may count on before opening a file.

use crate::tree;

/// A file is one idea, read in one sitting. A lower limit split ideas that belong together.
const MAX_LINES: usize = 450;

/// Files that are data, not logic, and so may be longer.
const TABLES: &[&str] = &["src/config/keys.rs"];

/// What stands at the top level. The visible part is what a visitor sees first.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "benches",
    "certs",
    "config.toml",
    "deploy",
    "docs",
    "src",
    "tests",
];

/// Names that begin with a dot: settings of tools, and what tools leave behind.
const DOTTED: &[&str] = &[
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".dockerignore",
    ".editorconfig",
    ".git",
    ".gitattributes",
    ".github",
    ".gitignore",
    ".idea",
    ".rustfmt.toml",
    ".vscode",
];

/// Names that say nothing about what is inside.
const EMPTY_WORDS: &[&str] = &[
    "common",
    "helper",
    "helpers",
    "manager",
    "misc",
    "util",
    "utils",
    "utilities",
];

#[test]
fn every_file_says_what_it_is() {
    let mut files = tree::files("src", "rs");
    files.extend(tree::files("tests/it", "rs"));
    for file in &files {
        let source = tree::read(file);
        let opening = source.lines().next().unwrap_or_default();
        assert!(
            opening.starts_with("//! "),
            "{file} does not open with `//!`: {opening:?}"
        );
    }
    assert!(files.len() > 10, "only {} files seen", files.len());
}

#[test]
fn files_are_short() {
    let files = tree::files("src", "rs");
    for file in &files {
        let lines = tree::read(file).lines().count();
        let table = TABLES.contains(&file.as_str());
        assert!(table || lines < MAX_LINES, "{file} has {lines} lines");
        assert!(
            !table || lines >= MAX_LINES,
            "{file} is short: take it off the list of tables"
        );
    }
    for table in TABLES {
        assert!(files.iter().any(|file| file == table), "{table} is gone");
    }
}

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    for name in tree::names(".") {
        let known = TOP.contains(&&*name) || DOTTED.contains(&&*name) || name == "target";
        assert!(
            known,
            "{name} at the top level: find it a place, or add it to the list"
        );
    }
}

#[test]
fn no_name_is_a_drawer_for_everything() {
    let mut files = tree::files("src", "rs");
    files.extend(tree::files("tests", "rs"));
    files.extend(tree::files("tests", "py"));
    for file in &files {
        for word in file.split(['/', '.', '_']) {
            assert!(
                !EMPTY_WORDS.contains(&word),
                "{file}: name it after what it does"
            );
        }
    }
}
