//! The blocks of the documents that are not commands: each parses in its language.

use super::markdown::{Block, blocks, texts};
use super::{certificates, documents};
use crate::tree;
use mwaa_config::{Overrides, SearchPath};
use saphyr_parser::Parser;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// Languages that no test here parses; `tests/real` runs the blocks in `bash`.
const NOT_PARSED: &[&str] = &[
    "bash",
    "text",
    "go",
    "java",
    "js",
    "ini",
    "terraform",
    "dockerfile",
];

/// Returns the blocks of all documents, with their places.
fn all_blocks() -> Vec<(String, Block)> {
    let documents = documents().into_iter();
    let blocks = documents.flat_map(|document| {
        let found = blocks(&tree::read(&document)).into_iter();
        found.map(move |block| (document.clone(), block))
    });
    blocks.collect()
}

/// Returns the texts in a language, of documents and of files, with their places.
fn all_texts(language: &str) -> Vec<(String, String)> {
    let blocks = all_blocks().into_iter();
    let mut texts: Vec<_> = blocks
        .filter(|(_, block)| block.language == language)
        .map(|(document, block)| (format!("{document}:{}", block.line), block.text))
        .collect();
    // tests/real renders those of the charts
    let files = tree::files("deploy", language).into_iter();
    for file in files.filter(|file| !file.contains("/templates/")) {
        let text = tree::read(&file);
        texts.push((file, text));
    }
    texts
}

#[test]
fn every_block_has_a_known_language() {
    for (document, Block { language, line, .. }) in all_blocks() {
        let is_tested = ["console", "sh", "toml", "json", "yaml", "python"];
        assert!(
            is_tested.contains(&&*language) || NOT_PARSED.contains(&&*language),
            "{document}:{line}: a block in {language:?}"
        );
    }
}

#[test]
fn configurations_load() {
    let texts = all_texts("toml");
    assert!(
        texts.len() >= 10,
        "only {} configurations seen",
        texts.len()
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
        let loaded = mwaa_config::load(Some(&file), &Overrides::default(), &nowhere);
        assert!(loaded.is_ok(), "{place}: {}", loaded.unwrap_err());
    }
}

#[test]
fn json_parses() {
    for (place, text) in all_texts("json") {
        let parsed = serde_json::from_str::<serde_json::Value>(&text);
        assert!(parsed.is_ok(), "{place}: {parsed:?}");
    }
}

#[test]
fn yaml_parses() {
    let texts = all_texts("yaml");
    assert!(texts.len() >= 2, "only {} seen", texts.len());
    for (place, text) in texts {
        for event in Parser::new_from_str(&text) {
            assert!(event.is_ok(), "{place}: {event:?}");
        }
    }
}

#[test]
fn python_compiles() {
    let texts = all_texts("python");
    assert!(!texts.is_empty(), "no Python seen");
    for (place, text) in texts {
        let mut python = Command::new("python3")
            .args(["-c", "import ast, sys; ast.parse(sys.stdin.read())"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        python
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let ended = python.wait_with_output().unwrap();
        let problem = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{place}: {problem}");
    }
}

#[test]
fn the_policy_grants_three_actions() {
    let policies: Vec<serde_json::Value> = documents()
        .iter()
        .flat_map(|document| texts(&tree::read(document), "json"))
        .filter(|text| text.contains("\"Statement\"") && text.contains("airflow:"))
        .map(|text| serde_json::from_str(&text).unwrap())
        .collect();
    assert!(!policies.is_empty(), "no policy seen");
    for policy in policies {
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
}
