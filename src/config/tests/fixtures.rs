//! The fixtures: valid files load, invalid ones report exactly the expected problems.

use super::*;
use std::collections::BTreeSet;

fn fixture_folder() -> PathBuf {
    repository().join("tests/fixtures/config")
}

fn write_secret(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, "hunter2").expect("file");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

pub(super) fn fixtures(kind: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(fixture_folder().join(kind))
        .expect("fixtures")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files
}

#[test]
fn valid_fixtures_load() {
    let files = fixtures("valid");
    assert_eq!(
        files.len(),
        10,
        "a fixture is missing, or this count is old"
    );
    // copied, because a repository does not keep the mode that a secret's file needs
    let copy = tempfile::tempdir().expect("folder");
    let folder = copy.path().join("valid");
    fs::create_dir(&folder).expect("folder");
    let bundle = fixture_folder().join("ca.pem");
    fs::copy(bundle, copy.path().join("ca.pem")).expect("ca.pem");
    write_secret(&folder.join("gateway.secret"), 0o600);
    write_secret(&folder.join("gateway.key"), 0o600);
    write_secret(&folder.join("proxy.user"), 0o600);
    let key = "-----BEGIN PRIVATE KEY-----\n";
    fs::write(folder.join("gateway.key"), key).expect("key");
    for file in files {
        let path = folder.join(file.file_name().expect("name"));
        fs::copy(&file, &path).expect("copy");
        if let Err(problems) = load(Some(&path), &Overrides::default(), &nowhere()) {
            panic!("{problems}");
        }
    }
}

#[test]
fn invalid_fixtures_report_the_expected_problems() {
    let files = fixtures("invalid");
    assert_eq!(
        files.len(),
        21,
        "a fixture is missing, or this count is old"
    );
    for file in files {
        let expected = file.with_extension("expected");
        let folder = file.parent().expect("folder").display().to_string();
        let problems = load(Some(&file), &Overrides::default(), &nowhere())
            .expect_err(&file.display().to_string());
        let said = format!("{problems}\n").replace(&format!("{folder}/"), "");
        if env::update_expected() {
            fs::write(&expected, &said).expect("expected");
        }
        let wanted = fs::read_to_string(&expected).expect("expected");
        assert_eq!(said, wanted, "{}", file.display());
        assert!(!said.contains("hunter2"), "a secret is shown: {said}");
    }
}

#[test]
fn every_key_is_used_in_a_fixture() {
    let mut seen = BTreeSet::new();
    for file in fixtures("valid") {
        let text = fs::read_to_string(file).expect("file");
        let table = text.parse::<toml::Table>().expect("TOML");
        for (table, value) in &table {
            let toml::Value::Table(keys) = value else {
                panic!("{table}")
            };
            for (key, value) in keys {
                match value {
                    toml::Value::Table(own)
                        if ["environments", "listeners"].contains(&table.as_str()) =>
                    {
                        seen.extend(own.keys().map(|key| format!("{table}.*.{key}")));
                    }
                    toml::Value::Table(own) => {
                        seen.extend(own.keys().map(|own| format!("{table}.{key}.{own}")));
                    }
                    _ => {
                        seen.insert(format!("{table}.{key}"));
                    }
                }
            }
        }
    }
    let all: BTreeSet<_> = reference::key_paths().collect();
    assert_eq!(seen, all);
}
