//! The documents against the program: commands and their output, generated parts, links, blocks,
//! names.

mod blocks;
mod console;
mod generated;
mod links;
mod markdown;
mod monitoring;
mod names;
mod session;

use crate::support::Authority;
use crate::tree;
use session::Session;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Returns every document, as paths from the root.
fn documents() -> Vec<String> {
    let mut found = vec![
        "README.md".to_owned(),
        "ARCHITECTURE.md".to_owned(),
        "CHANGELOG.md".to_owned(),
    ];
    for folder in ["src", "tests", "deploy", "docs", "certs"] {
        found.extend(tree::files(folder, "md"));
    }
    assert!(found.len() >= 6, "only {found:?} seen");
    found
}

/// Writes the certificates that documents name, where they say that they are.
fn certificates(folder: &Path) {
    for secret in ["fleet-key", "fleet-password"] {
        let file = folder.join(secret);
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let (folder, authority) = (folder.join("certs"), Authority::new());
    let pair = authority.pair(&["airflow.corp.example"]);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("gateway.pem"), pair.certificate).unwrap();
    fs::write(folder.join("gateway.key"), pair.key).unwrap();
    fs::write(folder.join("clients.pem"), authority.pem()).unwrap();
}

#[test]
fn the_readme_is_short() {
    let readme = tree::read("README.md");
    let (lines, words) = (readme.lines().count(), readme.split_whitespace().count());
    assert!(lines <= 200, "{lines} lines");
    assert!(words <= 1300, "{words} words");
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
        let help =
            generated::program_help(&mut Session::new(), &format!("mwaa-gateway {name}"));
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
