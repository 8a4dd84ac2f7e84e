//! The shape of the tree: what a reader may count on before opening a file.

use crate::tree;

/// The entries at the top level. The visible part is what a visitor sees first.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "CHANGELOG.md",
    "LICENSE",
    "NOTICE",
    "README.md",
    "benches",
    "certs",
    "config.toml",
    "deploy",
    "docs",
    "emulator",
    "src",
    "tests",
];

/// Names that begin with a dot: settings of tools, and what tools leave behind.
const DOTTED: &[&str] = &[
    ".ci",
    ".cargo",
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
fn every_file_opens_with_a_module_comment() {
    let mut files = tree::files("src", "rs");
    files.extend(tree::files("emulator", "rs"));
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

/// The longest function, in lines.
const MAX_FUNCTION: usize = 60;

/// Words that open a question: a doc comment says what there is, and what a function returns.
const QUESTIONS: &[&str] = &["How", "What", "Where", "Whether", "Who", "Whom", "Whose"];

/// Words of an older English, which readers stumble over.
const BANNED: &[&str] = &[
    "came about",
    "go on",
    "goes on",
    "has no say",
    "lead to",
    "leads to",
    "led away",
    "lets go",
    "nobody",
    "of late",
    "stands",
    "tell",
    "tells",
    "told",
    "whoever",
    "whom",
];

/// A function of a source file: its name, its lines and its body.
struct Function<'a> {
    name: &'a str,
    lines: usize,
    body: Vec<&'a str>,
}

/// Returns the functions of a source file as rustfmt leaves them: a body closes at the column of
/// its first line.
fn functions(source: &str) -> Vec<Function<'_>> {
    let lines: Vec<_> = source.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let words = line.trim_start();
        let indent = line.strip_suffix(words).unwrap();
        let Some((before, after)) = words.split_once("fn ") else {
            continue;
        };
        let modifiers = ["async", "const", "extern", "pub", "unsafe", "\"C\""];
        let is_head = before.split_whitespace().all(|word| {
            word.starts_with("pub(") || modifiers.contains(&word) || word.ends_with(')')
        });
        let close = format!("{indent}}}");
        let rest = &lines[start..];
        let end = rest.iter().position(|line| *line == close);
        // a method of a trait may have no body
        let opens = rest.iter().position(|line| line.ends_with(['{', ';']));
        let opens = opens.filter(|&line| rest[line].ends_with('{'));
        let (Some(opens), Some(end)) = (opens, end) else {
            continue;
        };
        if is_head && opens < end {
            let name = after.split(['(', '<']).next().unwrap();
            found.push(Function {
                name,
                lines: end + 1,
                body: rest[opens + 1..end].to_vec(),
            });
        }
    }
    found
}

/// The sources of the gateway, without tests.
fn gateway_sources() -> Vec<(String, String)> {
    let files = tree::files("src", "rs").into_iter();
    files
        .filter(|file| !file.contains("tests"))
        .map(|file| {
            let source = tree::read(&file);
            let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
            (file, code.to_owned())
        })
        .collect()
}

/// Returns the lines of comments, with their files: those of the program, the emulator, the tests and
/// the benchmarks.
fn comments() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["src", "emulator", "tests", "benches"] {
        for (extension, marks) in [("rs", &["//"][..]), ("py", &["#", "\"\"\""])] {
            for file in tree::files(folder, extension) {
                let source = tree::read(&file);
                let lines = source.lines().map(str::trim_start);
                let comments =
                    lines.filter(|line| marks.iter().any(|mark| line.starts_with(mark)));
                found.extend(comments.map(|line| (file.clone(), line.to_owned())));
            }
        }
    }
    found
}

#[test]
fn functions_are_short_and_have_paragraphs() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (file, source) in gateway_sources() {
        for function in functions(&source) {
            seen += 1;
            let Function { name, lines, body } = function;
            if lines > MAX_FUNCTION {
                wrong.push(format!("{file}: {name} has {lines} lines"));
            }
            let has_paragraphs = body.iter().any(|line| line.is_empty());
            // one match or one literal is one paragraph, however long it is
            let first = body.first().copied().unwrap_or_default();
            let column = first.len() - first.trim_start().len();
            let statements = body.iter().filter(|line| {
                let at = line.len() - line.trim_start().len();
                at == column && !line.trim_start().starts_with(['}', ')', ']', '.'])
            });
            if lines >= 20 && !has_paragraphs && statements.count() != 1 {
                wrong.push(format!("{file}: {name} has {lines} lines and no paragraph"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 1000, "only {seen} functions were seen");
}

#[test]
fn no_doc_opens_with_a_question() {
    for (file, source) in gateway_sources() {
        let mut before = "";
        for line in source.lines().map(str::trim_start) {
            let is_first = line.starts_with("///") && !before.starts_with("///");
            if is_first {
                let word = line.trim_start_matches("///").split_whitespace().next();
                let word = word.unwrap_or_default().trim_end_matches(',');
                assert!(!QUESTIONS.contains(&word), "{file}: {line}");
            }
            before = line;
        }
    }
}

#[test]
fn comments_are_in_modern_english() {
    let mut seen = 0;
    for (file, comment) in comments() {
        seen += 1;
        let text: String = comment
            .to_lowercase()
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { ' ' })
            .collect();
        let text = format!(" {text} ");
        for word in BANNED {
            assert!(!text.contains(&format!(" {word} ")), "{file}: {comment}");
        }
    }
    assert!(seen > 10_000, "only {seen} lines were seen");
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
fn no_file_has_a_catch_all_name() {
    let mut files = tree::files("src", "rs");
    files.extend(tree::files("emulator", "rs"));
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
