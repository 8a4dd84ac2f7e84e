//! The generated parts of the documents. With `UPDATE_EXPECTED=1` they are written again.

use super::documents;
use super::session::Session;
use crate::tree;
use mwaa_config::reference;
use mwaa_model::{ALWAYS_FORWARDED, FORWARDED, code};
use mwaa_proxy::response::{ADDED_TO_PAGES, REMOVED};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

/// Returns every generated part: its name and its text.
fn generated() -> Vec<(&'static str, String)> {
    vec![
        ("configuration", reference::options_table()),
        ("variables", reference::variables_table()),
        ("faults", code::render_table()),
        ("causes", code::render_causes()),
        ("metrics", metrics()),
        ("exit-codes", exit_codes()),
        ("forwarded-headers", forwarded_headers()),
        ("removed-headers", removed_headers()),
        ("added-headers", added_headers()),
        ("command-line", command_line()),
    ]
}

#[test]
fn generated_parts_are_current() {
    let mut texts: Vec<_> = documents()
        .into_iter()
        .map(|document| {
            let text = tree::read(&document);
            (document, text)
        })
        .collect();
    for (name, part) in generated() {
        let opening = format!("<!-- generated: {name} -->\n");
        let mut places = texts.iter_mut().filter(|(_, text)| text.contains(&opening));
        let (document, text) = places.next().expect(&opening);
        let (before, rest) = text.split_once(&opening).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").expect("an end");
        assert!(!after.contains(&opening), "{document} has two of {name}");
        *text = format!("{before}{opening}\n{part}\n<!-- end -->{after}");
        assert_eq!(places.count(), 0, "{name} is in two documents");
    }
    let mut seen = 0;
    for (document, text) in texts {
        seen += text.matches("<!-- generated: ").count();
        if update_expected() {
            fs::write(tree::root().join(&document), &text).unwrap();
        }
        assert!(
            tree::read(&document) == text,
            "{document} is stale: run the tests with UPDATE_EXPECTED=1"
        );
    }
    assert_eq!(
        seen,
        generated().len(),
        "a part has a name that is not known"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "the switch that all tests with expected files share"
)]
fn update_expected() -> bool {
    std::env::var_os("UPDATE_EXPECTED").is_some_and(|value| !value.is_empty())
}

/// Returns the table of metrics as a gateway shows them that has had a command, a refusal and a
/// request for the REST API.
fn metrics() -> String {
    let mut session = Session::set_up("demo").unwrap();
    let post = "curl -sS http://127.0.0.1:8080/aws_mwaa/cli -H 'Content-Type: text/plain' -d";
    for request in [
        format!("{post} 'dags list'"),
        format!("{post} 'users list'"),
        "curl -sS http://127.0.0.1:8080/api/v1/dags".to_owned(),
    ] {
        session.execute(&request).unwrap();
    }
    let shown = session
        .execute("curl -sS http://127.0.0.1:9180/metrics")
        .unwrap();
    let lines: Vec<_> = shown.output.lines().collect();

    let mut table =
        "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n".to_owned();
    let types = lines.iter().filter_map(|line| line.strip_prefix("# TYPE "));
    for (name, kind) in types.filter_map(|line| line.split_once(' ')) {
        let help = format!("# HELP {name} ");
        let help = lines
            .iter()
            .find_map(|line| line.strip_prefix(&help))
            .unwrap();
        let labels: BTreeSet<_> = lines
            .iter()
            .filter_map(|line| line.strip_prefix(name)?.split_once('{'))
            .filter(|(suffix, _)| ["", "_bucket"].contains(suffix))
            .flat_map(|(_, labels)| {
                labels
                    .split("=\"")
                    .filter_map(|part| part.rsplit(['"', ',']).next())
            })
            .filter(|label| {
                *label != "le"
                    && label.chars().all(|c| c.is_ascii_lowercase())
                    && !label.is_empty()
            })
            .map(|label| format!("`{label}`"))
            .collect();
        let labels = Vec::from_iter(labels).join(", ");
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    table
}

/// Returns the table of exit codes: the docs of the program's enum.
fn exit_codes() -> String {
    let source = tree::read("src/cli/lib.rs");
    let (_, rest) = source.split_once("pub enum ExitStatus {\n").unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let mut rows = String::new();
    let mut doc = String::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
            continue;
        }
        // a code of another program has no number
        if let Some((number, meaning)) = doc.trim().split_once(": ") {
            writeln!(rows, "| {number} | {} |", meaning.trim_end_matches('.')).unwrap();
        }
        doc.clear();
    }
    assert_eq!(rows.lines().count(), 6, "{rows}");
    format!("| exit code | meaning |\n| --- | --- |\n{rows}")
}

fn forwarded_headers() -> String {
    let always = ALWAYS_FORWARDED.iter().map(|name| (name, "every request"));
    let others = FORWARDED
        .iter()
        .map(|name| (name, "requests for the UI and the REST API"));
    let rows = always.chain(others);
    let rows = rows.map(|(name, with)| format!("| `{name}` | {with} |\n"));
    let head = "| header | forwarded with |\n| --- | --- |\n";
    head.to_owned() + &rows.collect::<String>()
}

fn removed_headers() -> String {
    let rows = REMOVED.iter().map(|name| format!("| `{name}` |\n"));
    "| header |\n| --- |\n".to_owned() + &rows.collect::<String>()
}

fn added_headers() -> String {
    let rows = ADDED_TO_PAGES
        .iter()
        .map(|(name, value)| format!("| `{name}` | `{value}` |\n"));
    "| header | value |\n| --- | --- |\n".to_owned() + &rows.collect::<String>()
}

/// Returns the help of the program and of each command.
fn command_line() -> String {
    let mut session = Session::new();
    let help = program_help(&mut session, "mwaa-gateway");
    let mut text = section("mwaa-gateway", &help);
    for command in subcommands(&help) {
        let command = format!("mwaa-gateway {command}");
        let help = program_help(&mut session, &command);
        text.push_str(&section(&command, &help));
        for nested in subcommands(&help) {
            let command = format!("{command} {nested}");
            let help = program_help(&mut session, &command);
            text.push_str(&section(&command, &help));
        }
    }
    text.trim_end().to_owned() + "\n"
}

fn section(command: &str, help: &str) -> String {
    format!("## {command}\n\n```text\n{help}\n```\n\n")
}

/// Returns the long help of a command.
pub(super) fn program_help(session: &mut Session, command: &str) -> String {
    let help = session
        .execute(&format!("{command} --help"))
        .unwrap()
        .output;
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Returns the commands that a help lists.
pub(super) fn subcommands(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // the second line of a description has a larger indent
        .filter(|line| !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}
