//! Who may import whom: inside one crate the compiler does not check the direction, so this
//! reads every `crate::` path of `src/` and holds it against one table.

use crate::tree;

/// Each room, in the order of the flow, and what it may import besides itself. Whatever is
/// not in the table is an error, so a new folder has to take its place here first.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // words and means, below every room
    ("names", &[]),
    ("pages", &["names"]),
    ("runtime", &["names"]),
    ("telemetry", &["names", "runtime"]),
    ("egress", &["names", "runtime"]),
    ("control", &["egress", "names", "runtime", "telemetry"]),
    // the flow: a room knows the one before it; `listener` takes the handler as a function
    ("listener", &["names", "runtime", "telemetry"]),
    ("guard", &["listener", "names"]),
    ("route", &["guard", "names"]),
    ("policy", &["route", "names"]),
    ("queue", &["policy", "names", "runtime", "telemetry"]),
    (
        "credential",
        &[
            "queue",
            "policy",
            "control",
            "names",
            "runtime",
            "telemetry",
        ],
    ),
    (
        "upstream",
        &[
            "credential",
            "control",
            "egress",
            "names",
            "runtime",
            "telemetry",
        ],
    ),
    (
        "reply",
        &["upstream", "credential", "names", "pages", "telemetry"],
    ),
    (
        "gateway",
        &[
            "listener",
            "guard",
            "route",
            "policy",
            "queue",
            "credential",
            "upstream",
            "reply",
            "control",
            "names",
            "pages",
            "runtime",
            "telemetry",
        ],
    ),
    // beside the flow
    ("management", &["names", "runtime", "telemetry"]),
    (
        // the settings structs of the rooms, nothing that acts
        "config",
        &[
            "listener",
            "guard",
            "policy",
            "queue",
            "credential",
            "upstream",
            "control",
            "management",
            "telemetry",
            "names",
            // paths and limits that differ between systems
            "runtime",
        ],
    ),
    (
        // the one place that knows every part
        "app",
        &[
            "listener",
            "guard",
            "route",
            "policy",
            "queue",
            "credential",
            "upstream",
            "reply",
            "gateway",
            "management",
            "control",
            "egress",
            "config",
            "names",
            "runtime",
            "telemetry",
        ],
    ),
    // an independent witness: if it shared code with the rooms, tests against it would prove
    // nothing
    ("emulator", &[]),
    (
        "cli",
        &[
            "app",
            "config",
            "control",
            "egress",
            "emulator",
            "policy",
            "reply",
            "names",
            "runtime",
            "telemetry",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Fewer than these were seen when this was last looked at: the walk has stopped seeing.
const MIN_FILES: usize = 185;
const MIN_IMPORTS: usize = 150;

/// The path from the crate's root of one import: its first name, or `*` where an import
/// takes the root itself and so would hide what it uses.
type Target = String;

fn may_import(room: &str) -> Option<&'static [&'static str]> {
    let row = MAY_IMPORT.iter().find(|(name, _)| *name == room)?;
    Some(row.1)
}

/// The room of a source file: its folder under `src/`, or its own name.
fn room_of(file: &str) -> &str {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    let first = inside.split('/').next().unwrap_or(inside);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Splits source into names and punctuation, without comments, strings and characters.
fn tokens(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let at = |i: usize| text.get(i).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = Vec::new();
    let mut i = 0;
    while i < text.len() {
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < text.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0_usize;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= text.len() {
                        break;
                    }
                }
            }
            '"' => {
                i += 1;
                while i < text.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            '\'' if at(i + 1) == '\\' => {
                i += 3; // the quote, the backslash and what it escapes, which may be a quote
                while i < text.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            ':' if at(i + 1) == ':' => {
                out.push("::".to_owned());
                i += 2;
            }
            c if word(c) => {
                let start = i;
                while word(at(i)) {
                    i += 1;
                }
                let name: String = text[start..i].iter().collect();
                let hashes = (i..text.len()).take_while(|&j| at(j) == '#').count();
                if matches!(&*name, "r" | "br" | "cr") && at(i + hashes) == '"' {
                    let close: Vec<char> = std::iter::once('"')
                        .chain(std::iter::repeat_n('#', hashes))
                        .collect();
                    i += hashes + 1;
                    while i < text.len() && !text[i..].starts_with(&close) {
                        i += 1;
                    }
                    i += close.len();
                } else {
                    out.push(name);
                }
            }
            c => {
                if !c.is_whitespace() {
                    out.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    out
}

/// Where a file stands in the tree of modules: `src/a/b.rs` and `src/a/b/mod.rs` are `a::b`.
fn module_of(file: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    let path = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if matches!(
        module.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        module.pop();
    }
    module
}

/// What a file takes from the root of the crate: by `crate::`, by a chain of `super::` that is
/// long enough to arrive there, or, in `main.rs`, by the crate's own name.
fn imports(file: &str, source: &str) -> Vec<Target> {
    let tokens = tokens(source);
    let at = |i: usize| tokens.get(i).map_or("", String::as_str);
    let depth_of_file = module_of(file).len();
    let mut found = Vec::new();
    // the braces that are open, each with whether it is that of a `mod name {`
    let mut braces = Vec::new();
    for start in 0..tokens.len() {
        let mut i = start + 1;
        match at(start) {
            "{" => {
                braces.push(start >= 2 && at(start - 2) == "mod");
                continue;
            }
            "}" => {
                braces.pop();
                continue;
            }
            "crate" => {}
            "mwaa_gateway" if room_of(file) == "main" => {}
            // a chain is read once, from its first link
            "super" if start < 2 || at(start - 2) != "super" => {
                let inline = braces.iter().filter(|module| **module).count();
                let mut links = 1;
                while at(i) == "::" && at(i + 1) == "super" {
                    (links, i) = (links + 1, i + 2);
                }
                if links < depth_of_file + inline {
                    continue;
                }
            }
            _ => continue,
        }
        if at(i) == "as" {
            found.push("*".to_owned());
        }
        if at(i) != "::" {
            continue;
        }
        for head in heads(&tokens[i + 1..]) {
            found.push(if head == "self" { "*" } else { head }.to_owned());
        }
    }
    found
}

/// The first names of what follows `crate::`: one, or those of a list in braces.
fn heads(tokens: &[String]) -> Vec<&str> {
    let Some("{") = tokens.first().map(String::as_str) else {
        return tokens.first().map(String::as_str).into_iter().collect();
    };
    let mut heads = Vec::new();
    let (mut depth, mut first) = (0_usize, true);
    for token in tokens {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," => first = first || depth == 1,
            name if first && depth == 1 => {
                heads.push(name);
                first = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

/// What is wrong with the imports of one file, and how many were looked at.
fn judge(file: &str, source: &str) -> (Vec<String>, usize) {
    let room = room_of(file);
    let Some(allowed) = may_import(room) else {
        return (vec![format!("{file}: `{room}` is not in the table")], 0);
    };
    let imports = imports(file, source);
    let wrong = imports
        .iter()
        .filter(|&target| target != room && !allowed.contains(&target.as_str()))
        .map(|target| format!("{file} imports crate::{target}"))
        .collect();
    (wrong, imports.len())
}

#[test]
fn rooms_import_along_the_flow() {
    let files = tree::files("src", "rs");
    let mut wrong = Vec::new();
    let (mut seen, mut modules, mut plain) = (0, 0, 0);
    for file in &files {
        let source = tree::read(file);
        let (found, count) = judge(file, &source);
        wrong.extend(found);
        seen += count;
        let tokens = tokens(&source);
        modules += tokens
            .windows(3)
            .filter(|w| w[0] == "mod" && w[2] == ";")
            .count();
        plain += source
            .lines()
            .filter(|line| line.starts_with("use crate::"))
            .count();
    }
    assert_eq!(wrong, Vec::<String>::new(), "imports against the flow");
    assert!(files.len() >= MIN_FILES, "only {} files seen", files.len());
    assert!(seen >= MIN_IMPORTS, "only {seen} imports seen");
    assert!(
        seen >= plain,
        "{plain} lines import by `use crate::`, {seen} imports seen"
    );
    assert_eq!(
        files.len(),
        modules + 2,
        "files that no `mod` declares, or not seen"
    );
}

#[test]
fn every_folder_has_a_place_in_the_table() {
    for name in tree::names("src") {
        assert!(
            name == "ARCHITECTURE.md" || may_import(room_of(&name)).is_some(),
            "src/{name} is not in the table"
        );
    }
}

/// What a file says that asks for the operating system, or that only one of them has.
fn system_words(source: &str) -> Vec<String> {
    const WORDS: [&str; 6] = [
        "target_os",
        "target_vendor",
        "target_env",
        "netlink",
        "linux",
        "macos",
    ];
    let tokens = tokens(source);
    tokens
        .into_iter()
        .filter(|token| WORDS.contains(&token.as_str()))
        .chain(source.contains("\"/proc").then(|| "/proc".to_owned()))
        .collect()
}

#[test]
fn only_the_door_asks_which_system_it_is() {
    let mut behind = 0;
    for file in tree::files("src", "rs") {
        let words = system_words(&tree::read(&file));
        if file.starts_with("src/runtime/platform/") {
            behind += words.len();
        } else {
            assert_eq!(words, Vec::<String>::new(), "{file}");
        }
    }
    assert!(behind > 10, "only {behind} words seen behind the door");
    for seeded in [
        "#[cfg(target_os = \"linux\")] fn f() {}",
        "fn f() -> bool { cfg!(target_vendor = \"apple\") }",
        "use std::os::linux::fs::MetadataExt;",
        "fn f() { read(\"/proc/self/status\"); }",
    ] {
        assert_eq!(system_words(seeded).len(), 1, "{seeded}");
    }
}

#[test]
fn the_table_is_a_flow_without_circles() {
    let place = |room: &str| MAY_IMPORT.iter().position(|(name, _)| *name == room);
    for (room, allowed) in MAY_IMPORT {
        assert_ne!(place(room), None);
        for target in *allowed {
            assert!(
                place(target) < place(room),
                "{room} -> {target} points forward"
            );
        }
        let wants_emulator = allowed.contains(&"emulator");
        assert_eq!(
            wants_emulator,
            *room == "cli",
            "only cli may import the emulator"
        );
    }
}

#[test]
fn a_seeded_edge_is_caught() {
    let caught = |file: &str, source: &str| judge(file, source).0;
    for (file, source, wrong) in [
        (
            "src/guard/mod.rs",
            "use crate::policy::Permitted;",
            "policy",
        ),
        (
            "src/guard/host.rs",
            "use crate::{names::Fault, policy::{Rule, Verdict}};",
            "policy",
        ),
        (
            "src/guard/host.rs",
            "fn f() { let x = crate::upstream::send(); }",
            "upstream",
        ),
        ("src/guard/mod.rs", "use super::policy::Rule;", "policy"),
        (
            "src/guard/host.rs",
            "use super::super::{names::Fault, policy};",
            "policy",
        ),
        (
            "src/guard/deep/host.rs",
            "use super::super::super::policy;",
            "policy",
        ),
        (
            "src/guard/host.rs",
            "mod a { fn f() {} } mod tests { use super::super::super::policy; }",
            "policy",
        ),
        ("src/guard/mod.rs", "use super::*;", "*"),
        (
            "src/reply/mod.rs",
            "use crate::emulator::World;",
            "emulator",
        ),
        ("src/emulator/mod.rs", "use crate::names::Fault;", "names"),
        ("src/queue/mod.rs", "use crate::{self as root};", "*"),
        ("src/queue/mod.rs", "use crate as root;", "*"),
        ("src/queue/mod.rs", "use crate::*;", "*"),
        (
            "src/main.rs",
            "fn main() { mwaa_gateway::app::run(); }",
            "app",
        ),
        (
            "src/route/mod.rs",
            "const Q: char = '\"'; use crate::reply::X; // \"",
            "reply",
        ),
        (
            "src/route/mod.rs",
            "/* /* */ */ use crate::reply::X;",
            "reply",
        ),
    ] {
        let expected = vec![format!("{file} imports crate::{wrong}")];
        assert_eq!(caught(file, source), expected, "{source}");
    }
    for (file, source) in [
        (
            "src/guard/host.rs",
            "use crate::{guard::Peer, listener::Arrived, names};",
        ),
        (
            "src/guard/host.rs",
            "// use crate::policy::X\n/* crate::policy */",
        ),
        (
            "src/guard/host.rs",
            "const A: &str = \"crate::policy\\\"crate::policy\";",
        ),
        (
            "src/guard/host.rs",
            "const A: &str = r#\"crate::policy \" crate::policy\"#;",
        ),
        (
            "src/guard/host.rs",
            "fn f<'a>(x: &'a str) {} pub(crate) fn g() {}",
        ),
        ("src/guard/host.rs", "use super::{Host, peer};"),
        // a module of the room that is called like another room
        ("src/guard/host.rs", "use super::policy::Rule;"),
        ("src/guard/deep/host.rs", "use super::super::policy::Rule;"),
        (
            "src/guard/host.rs",
            "fn f() {} mod tests { use super::super::policy::Rule; }",
        ),
    ] {
        assert_eq!(caught(file, source), Vec::<String>::new(), "{source}");
    }
    assert_eq!(
        caught("src/basement/mod.rs", "").len(),
        1,
        "a room outside the table"
    );
}
