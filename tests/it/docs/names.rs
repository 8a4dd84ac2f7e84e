//! Names in the documents: keys, fault codes, options, headers and files exist.

use super::documents;
use super::generated::{program_help, subcommands};
use super::markdown::code_words;
use super::session::Session;
use crate::tree;
use mwaa_config::reference;
use mwaa_model::code;
use std::collections::BTreeSet;

/// Returns the words in code of all documents, with the documents.
fn all_words() -> Vec<(String, String)> {
    let documents = documents().into_iter();
    let words = documents.flat_map(|document| {
        let words = code_words(&tree::read(&document)).into_iter();
        words.map(move |word| (document.clone(), word))
    });
    words.collect()
}

/// What looks like a fault code or a key of the configuration is one.
#[test]
fn codes_and_keys_exist() {
    let mut known: BTreeSet<_> = reference::key_paths()
        .map(|path| path.replace('*', "NAME"))
        .collect();
    let mut first: BTreeSet<_> = known
        .iter()
        .filter_map(|key| key.split('.').next().map(str::to_owned))
        .collect();
    for code in code::ALL {
        known.insert(code.text.to_owned());
        first.extend(code.text.split('.').next().map(str::to_owned));
    }
    let mut seen = 0;
    for (document, word) in all_words() {
        let Some((table, key)) = word.split_once('.') else {
            continue;
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        // a file is not meant
        let is_file = ["toml", "rs", "md", "pem", "key"].contains(&key);
        if word.chars().all(is_plain) && !is_file && first.contains(table) {
            seen += 1;
            assert!(known.contains(&word), "{document}: there is no `{word}`");
        }
    }
    assert!(seen > known.len(), "only {seen} codes and keys seen");
}

#[test]
fn files_exist() {
    let folders = [
        "src/",
        "tests/",
        "docs/",
        "deploy/",
        "emulator/",
        ".github/",
        "benches/",
    ];
    let mut seen = 0;
    for (document, word) in all_words() {
        let is_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        let is_here = folders.iter().any(|folder| word.starts_with(folder));
        // what tests install is there only after a run
        if is_here && word.chars().all(is_path) && !word.starts_with("tests/.lab/") {
            seen += 1;
            let exists = tree::root().join(&word).exists();
            assert!(exists, "{document}: there is no `{word}`");
        }
    }
    assert!(seen >= 5, "only {seen} files seen");
}

/// Options of other programs that the documents name: curl's, airflowctl's and those of an MCP server.
const FOREIGN_OPTIONS: &[&str] = &[
    "--http2",
    "--cacert",
    "--data-binary",
    "--api-url",
    "--mcp-host",
];

/// What looks like an option is one of the program, or of Airflow's commands.
#[test]
fn commands_and_options_exist() {
    let mut session = Session::new();
    let program = program_help(&mut session, "mwaa-gateway");
    let commands = subcommands(&program);
    let mut helps = vec![program.clone()];
    for command in &commands {
        helps.push(program_help(
            &mut session,
            &format!("mwaa-gateway {command}"),
        ));
    }
    let airflow = tree::read("src/policy/tables/options.csv");
    let is_option = |text: &str| {
        let after = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
        let has = |all: &str| {
            let mut rests = all.split(text).skip(1);
            rests.any(|rest| rest.starts_with(after))
        };
        helps.iter().any(|help| has(help)) || has(&airflow)
    };

    let (mut seen, mut problems) = (0, Vec::new());
    for (document, word) in all_words() {
        // the history names what was
        if document == "CHANGELOG.md" || document.starts_with("src/") {
            continue;
        }
        if let Some(command) = word.strip_prefix("mwaa-gateway ") {
            let name = command.split(' ').next().unwrap_or_default();
            let is_hidden = ["complete", "tunnel-guard"].contains(&name);
            // COMMAND means any
            let is_command = name.starts_with(|c: char| c.is_ascii_lowercase());
            if is_command && !is_hidden && !commands.contains(&name) {
                problems.push(format!("{document}: there is no command `{word}`"));
            }
        }
        let option = word.split([' ', '=', '|']).next().unwrap_or_default();
        if option.starts_with("--") && option.len() > 2 {
            seen += 1;
            if !is_option(option) && !FOREIGN_OPTIONS.contains(&option) {
                problems.push(format!("{document}: there is no option `{word}`"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(seen >= 10, "only {seen} options seen");
}

/// The gateway's own headers: those of the code are in the reference, and none is invented.
#[test]
fn headers_of_the_gateway_are_those_of_the_code() {
    let find = |text: &str| -> BTreeSet<String> {
        let text = text.to_lowercase();
        let names = text.split("mwaa-gateway-").skip(1);
        let is_end = |c: char| !(c.is_ascii_lowercase() || c == '-');
        let names = names.filter_map(|rest| rest.split(is_end).next());
        names.map(str::to_owned).collect()
    };
    let mut sent = BTreeSet::new();
    for file in tree::files("src", "rs") {
        let source = tree::read(&file);
        // the names of all fields that the gateway reads and writes
        let of_names = (file == "src/http1/name.rs").then_some("\"mwaa-gateway-");
        for opening in of_names.into_iter().chain(["&str = \"mwaa-gateway-"]) {
            for rest in source.split(opening).skip(1) {
                sent.extend(rest.split('"').next().map(str::to_owned));
            }
        }
    }
    assert!(sent.len() >= 5, "only {sent:?} seen in the code");
    let reference = find(&tree::read("docs/reference/headers.md"));
    assert!(
        reference.is_superset(&sent),
        "{reference:?} lacks some of {sent:?}"
    );
    for (document, word) in all_words() {
        if word.starts_with("Mwaa-Gateway-") {
            let named = find(&word);
            assert!(
                sent.is_superset(&named),
                "{document}: there is no header `{word}`"
            );
        }
    }
}
