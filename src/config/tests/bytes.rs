//! Properties: whatever a file contains, reading it returns a configuration or problems.

use super::*;
use proptest::prelude::*;

/// The annotated file with every key in force.
pub(super) fn uncommented() -> String {
    let is_key = |line: &str| {
        line.starts_with('[')
            || line.split_once(" = ").is_some_and(|(key, _)| {
                key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            })
    };
    let text = annotated_file();
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if is_key(rest) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_example_of_the_annotated_file_is_valid() {
    let problems = read(uncommented().as_bytes(), &Overrides::default()).expect_err("no files");
    let keys = problems.iter().map(|problem| problem.key.as_str());
    let files = [
        "listener.secret_file",
        "listener.tls.certificate",
        "listener.tls.key",
        "listener.tls.client_ca",
        "listeners.agents.secret_file",
        "proxy.user_file",
        "fleet.password_file",
        "fleet.key_file",
        "environments.prod.proxy_user_file",
        "environments.prod.ca_file",
    ];
    // it is one way of several
    let (ways, missing): (Vec<_>, Vec<_>) = keys.partition(|key| key.ends_with(".tunnel"));
    assert_eq!(ways, ["environments.prod.tunnel"], "{problems}");
    assert_eq!(missing, files, "{problems}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(read(&bytes, &Overrides::default()));
    }

    #[test]
    fn a_damaged_file_is_read_without_panic(
        at in any::<proptest::sample::Index>(),
        length in 0_usize..9,
        bytes in proptest::collection::vec(any::<u8>(), 0..9),
    ) {
        let mut text = uncommented().into_bytes();
        let start = at.index(text.len());
        let end = (start + length).min(text.len());
        text.splice(start..end, bytes);
        drop(read(&text, &Overrides::default()));
    }

    #[test]
    fn any_value_at_any_key_is_read_without_panic(
        table in prop_oneof![
            proptest::sample::select(vec![
                "listener", "aws", "limits", "management", "environments.a", "environments",
            ]).prop_map(str::to_owned),
            "\\PC{0,12}",
        ],
        key in prop_oneof![
            proptest::sample::select(reference::key_paths()
                .filter_map(|path| path.rsplit('.').next().map(str::to_owned))
                .collect::<Vec<_>>()),
            "\\PC{0,12}",
        ],
        value in prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| format!("{number:?}")),
            any::<bool>().prop_map(|flag| flag.to_string()),
            "\\PC{0,40}".prop_map(|text| format!("{text:?}")),
            "[a-z0-9:/.@#?*\\[\\]-]{0,40}".prop_map(|text| format!("{text:?}")),
            "[a-z0-9:/.@#?*\\[\\]-]{0,40}".prop_map(|text| format!("[{text:?}, {text:?}]")),
            Just("{}".to_owned()), Just("[[]]".to_owned()), Just("1979-05-27".to_owned()),
        ],
    ) {
        let text = format!("[{table}]\n{key} = {value}\n");
        if let Err(problems) = read(text.as_bytes(), &Overrides::default()) {
            prop_assert!(!problems.is_empty());
            for problem in &problems {
                let shown = problem.to_string();
                prop_assert!(shown.lines().count() <= 2, "{shown:?}");
                prop_assert!(!problem.message.is_empty() && !problem.message.ends_with('.'));
            }
        }
    }
}
