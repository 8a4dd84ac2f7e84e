//! The documents against the program: generated tables, links, code blocks, names. With
//! `UPDATE_EXPECTED=1` the tables in the README are written anew.

mod console;

use crate::support::Authority;
use crate::tree;
use console::Session;
use mwaa_config::{Overrides, SearchPath, reference};
use mwaa_model::code;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every document, as paths from the root.
fn documents() -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for folder in ["src", "tests", "deploy", "docs", "certs"] {
        found.extend(tree::files(folder, "md"));
    }
    assert!(found.len() >= 6, "only {found:?} seen");
    found
}

/// The fenced blocks of a language, without their fences.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else {
            continue;
        };
        let inside = lines.by_ref().take_while(|line| *line != "```");
        let text: String = inside.flat_map(|line| [line, "\n"]).collect();
        if fence == language {
            found.push(text);
        }
    }
    found
}

/// What stands between backquotes, outside the blocks.
fn code_words(markdown: &str) -> Vec<String> {
    let mut inside = false;
    let prose = markdown.lines().filter(|line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    prose
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// The first cells of the rows of every table, as they stand between backquotes.
fn first_cells(markdown: &str) -> BTreeSet<&str> {
    let rows = markdown.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

/// What stands between a heading and the next of its level.
fn section<'a>(markdown: &'a str, heading: &str) -> &'a str {
    let (_, rest) = markdown
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no section {heading:?}"));
    rest.split("\n## ").next().unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the switch that all tests with expected files share"
)]
fn update_expected() -> bool {
    std::env::var_os("UPDATE_EXPECTED").is_some_and(|value| !value.is_empty())
}

#[test]
fn generated_tables_are_current() {
    let mut readme = tree::read("README.md");
    for (name, table) in [
        ("options", reference::options_table()),
        ("variables", reference::variables_table()),
        ("faults", code::render_table()),
    ] {
        let opening = format!("<!-- generated: {name} -->\n");
        let (before, rest) = readme.split_once(&opening).expect(&opening);
        let (_, after) = rest.split_once("<!-- end -->").expect("an end");
        readme = format!("{before}{opening}\n{table}\n<!-- end -->{after}");
    }
    if update_expected() {
        fs::write(tree::root().join("README.md"), &readme).unwrap();
    }
    assert!(
        tree::read("README.md") == readme,
        "the README's tables are stale: run the tests with UPDATE_EXPECTED=1"
    );
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for document in documents() {
        let text = tree::read(&document);
        let folder = tree::root().join(Path::new(&document).parent().unwrap());
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            // rustdoc checks paths of items
            if target.is_empty() || target.contains("://") || target.contains("::") {
                continue;
            }
            seen += 1;
            assert!(folder.join(target).exists(), "{document} links to {target}");
        }
    }
    assert!(seen >= 6, "only {seen} links seen");
}

/// What a configuration with TLS names, where the README says that it lies.
fn certificates(folder: &Path) {
    let (folder, authority) = (folder.join("certs"), Authority::new());
    let pair = authority.pair(&["airflow.corp.example"]);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("gateway.pem"), pair.certificate).unwrap();
    fs::write(folder.join("gateway.key"), pair.key).unwrap();
    fs::write(folder.join("clients.pem"), authority.pem()).unwrap();
}

#[test]
fn configurations_in_documents_load() {
    let mut texts: Vec<_> = documents()
        .iter()
        .flat_map(|document| {
            let found = blocks(&tree::read(document), "toml");
            found.into_iter().map(|text| (document.clone(), text))
        })
        .collect();
    let files = tree::files("deploy", "toml");
    texts.extend(
        files
            .into_iter()
            .map(|file| (file.clone(), tree::read(&file))),
    );
    assert_eq!(
        texts.len(),
        15,
        "a configuration is missing, or this count is old"
    );
    for (place, text) in texts {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mwaa-gateway.toml");
        fs::write(&file, text).unwrap();
        certificates(folder.path());
        let nowhere = SearchPath {
            folder: folder.path().join("none"),
            user: Vec::new(),
            system: folder.path().join("none"),
        };
        match mwaa_config::load(Some(&file), &Overrides::default(), &nowhere) {
            // a listener alone is an example too
            Ok(config) => assert!(
                !config.environments.is_empty() || config.listener.tls.is_some(),
                "{place}"
            ),
            Err(problems) => panic!("{place}: {problems}"),
        }
    }
}

#[test]
fn the_policy_is_json_and_grants_three_actions() {
    let policies = blocks(&tree::read("README.md"), "json");
    let [policy] = policies.as_slice() else {
        panic!("{policies:?}")
    };
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    assert_eq!(
        policy["Statement"],
        serde_json::json!([{
            "Effect": "Allow",
            "Action": ["airflow:CreateCliToken", "airflow:GetEnvironment"],
            "Resource": "arn:aws:airflow:REGION:ACCOUNT:environment/NAME",
        }, {
            "Effect": "Allow",
            "Action": "airflow:CreateWebLoginToken",
            "Resource": "arn:aws:airflow:REGION:ACCOUNT:role/NAME/User",
        }])
    );
}

/// Whatever looks like a fault code or a key of the configuration is one.
#[test]
fn codes_and_keys_exist() {
    let mut known: BTreeSet<_> = reference::key_paths()
        .map(|path| path.replace('*', "NAME"))
        .collect();
    let tables: BTreeSet<_> = known
        .iter()
        .filter_map(|key| key.split('.').next().map(str::to_owned))
        .collect();
    known.extend(code::ALL.iter().map(|code| code.text.to_owned()));
    let rooms: BTreeSet<_> = code::ALL
        .iter()
        .filter_map(|code| code.text.split('.').next())
        .collect();
    let mut seen = 0;
    for document in documents() {
        for word in code_words(&tree::read(&document)) {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
            let Some((table, key)) = word.split_once('.') else {
                continue;
            };
            // a file of this repository is not meant
            let file = ["toml", "rs", "md"].contains(&key);
            if !word.chars().all(plain)
                || file
                || !(rooms.contains(table) || tables.contains(table))
            {
                continue;
            }
            seen += 1;
            assert!(known.contains(&word), "{document}: there is no `{word}`");
        }
    }
    assert!(seen > known.len(), "only {seen} codes and keys seen");
}

#[test]
fn the_table_of_commands_is_that_of_the_help() {
    let help = Session::new().output("mwaa-gateway --help");
    let listed: BTreeSet<_> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    let readme = tree::read("README.md");
    assert_eq!(
        first_cells(section(&readme, "Commands of the program")),
        listed
    );
}

#[test]
fn the_table_of_metrics_is_what_a_gateway_shows() {
    let mut session = Session::new();
    session.serve("mwaa-gateway demo --listen 127.0.0.1:0", &[]);
    let post = "curl -sS http://127.0.0.1:8080/aws_mwaa/cli -H 'Content-Type: text/plain' -d";
    session.output(&format!("{post} 'dags list'"));
    session.output(&format!("{post} 'users list'"));
    session.output("curl -sS http://127.0.0.1:8080/api/v1/dags");
    let text = session.output("curl -sS http://127.0.0.1:9180/metrics");
    let shown: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("`{name}_total` | {kind}"),
            _ => format!("`{name}` | {kind}"),
        })
        .collect();
    let readme = tree::read("README.md");
    let listed: BTreeSet<_> = section(&readme, "Watching it")
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter(|row| row.starts_with("`mwaa_gateway_"))
        .map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" | "))
        .collect();
    assert_eq!(listed, shown);
    let paths = first_cells(section(&readme, "Watching it"));
    for path in paths.iter().filter(|name| name.starts_with('/')) {
        let status = session.output(&format!(
            "curl -sS -o /dev/null -w '%{{http_code}}' http://127.0.0.1:9180{path}"
        ));
        assert_eq!(status, "200", "{path}");
    }
}

/// The command lines of the units and of the manifest, as words.
fn deployed() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for unit in tree::files("deploy", "service") {
        for line in tree::read(&unit).lines() {
            if let Some(command) = line.strip_prefix("ExecStart=") {
                found.push(command.split(' ').skip(1).map(str::to_owned).collect());
            }
        }
    }
    for manifest in tree::files("deploy", "yaml") {
        for line in tree::read(&manifest).lines() {
            let Some((key, list)) = line.trim().split_once(": [") else {
                continue;
            };
            let mut words: Vec<String> = serde_json::from_str(&format!("[{list}")).unwrap();
            match key {
                "args" => found.push(words),
                "command" if words.len() > 1 => {
                    assert!(words.remove(0).ends_with("/mwaa-gateway"), "{manifest}");
                    found.push(words);
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn deployed_commands_exist() {
    let commands = deployed();
    assert_eq!(commands.len(), 3, "{commands:?}");
    for words in commands {
        let [name, arguments @ ..] = words.as_slice() else {
            panic!("a command without a name")
        };
        let help = Session::new().output(&format!("mwaa-gateway {name} --help"));
        for flag in arguments.iter().filter(|word| word.starts_with("--")) {
            let shown = help.contains(&format!(" {flag} <"));
            assert!(shown, "`{name}` has no {flag}");
        }
    }
}

#[test]
fn fixtures_say_where_they_come_from() {
    let text = tree::read("tests/fixtures/README.md");
    let mut seen = 0;
    for name in tree::names("tests/fixtures") {
        if name != "README.md" {
            seen += 1;
            assert!(
                text.contains(&format!("`{name}")),
                "tests/fixtures/README.md says nothing of {name}"
            );
        }
    }
    assert!(seen > 0, "no fixtures seen");
}

#[test]
fn the_first_commands_of_the_readme_are_those_promised() {
    let readme = tree::read("README.md");
    let mut commands = readme.lines().filter_map(|line| line.strip_prefix("$ "));
    assert_eq!(commands.next(), Some("cargo run --release -- demo"));
    assert_eq!(commands.next(), Some("tests/run"));
}
