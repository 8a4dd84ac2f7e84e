//! The directions of imports. Cargo enforces them between crates; this reads the manifests, so
//! that a new edge is a decision, and the modules of the proxy, which Cargo does not see.

use crate::tree;
use std::collections::BTreeMap;

/// Each crate and the crates of ours that it may depend on, the lowest first.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    // an independent witness: if it shared code with the gateway, tests against it would prove
    // nothing
    ("emulator", &[]),
    ("http1", &[]),
    ("model", &["http1"]),
    ("pages", &["model"]),
    ("policy", &["http1", "model"]),
    ("output", &["model"]),
    ("runtime", &["model"]),
    ("telemetry", &["model", "runtime"]),
    ("egress", &["model", "runtime"]),
    ("fleet", &["model", "runtime", "telemetry", "egress"]),
    (
        "auth",
        &["http1", "model", "runtime", "telemetry", "egress", "fleet"],
    ),
    ("server", &["http1", "model", "runtime", "telemetry"]),
    (
        "proxy",
        &[
            "http1",
            "model",
            "pages",
            "policy",
            "output",
            "runtime",
            "telemetry",
            "egress",
            "fleet",
            "auth",
            "server",
        ],
    ),
    ("config", &["model", "runtime", "telemetry", "policy"]),
    (
        "app",
        &[
            "model",
            "runtime",
            "telemetry",
            "egress",
            "fleet",
            "policy",
            "auth",
            "server",
            "proxy",
            "config",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "runtime",
            "telemetry",
            "egress",
            "output",
            "policy",
            "auth",
            "config",
            "app",
            "emulator",
        ],
    ),
];

/// Crates without I/O, clock and logging, and the crates that would give them some.
const PURE: &[&str] = &["http1", "model", "output", "pages", "policy"];
const IMPURE: &[&str] = &["hyper", "rustix", "rustls", "tokio", "tracing"];

/// The modules of the proxy that stand for a step, and the modules of the proxy that each may
/// import. A step never imports a later one.
const STEPS: &[(&str, &[&str])] = &[
    ("admission", &[]),
    ("routing", &["admission", "context"]),
    ("queue", &[]),
    ("upstream", &["context", "queue", "steps"]),
    ("response", &["context", "upstream"]),
];

/// Returns the names under `[dependencies]` of a crate's manifest.
fn dependencies(name: &str) -> Vec<String> {
    // the emulator is no part of the gateway, and has a folder of its own
    let folder = if name == "emulator" { "" } else { "src/" };
    let manifest = tree::read(&format!("{folder}{name}/Cargo.toml"));
    let manifest: toml::Table = manifest.parse().unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap();
    dependencies.keys().cloned().collect()
}

#[test]
fn crates_depend_on_lower_crates_only() {
    let order: BTreeMap<_, _> = MAY_DEPEND_ON
        .iter()
        .map(|(name, _)| *name)
        .zip(0..)
        .collect();
    for (name, allowed) in MAY_DEPEND_ON {
        for lower in *allowed {
            assert!(order[lower] < order[name], "{name} -> {lower} points up");
        }
        for dependency in dependencies(name) {
            if let Some(ours) = dependency.strip_prefix("mwaa-") {
                assert!(allowed.contains(&ours), "{name} depends on {ours}");
            }
        }
    }
}

#[test]
fn every_folder_of_the_source_is_a_crate() {
    for name in tree::names("src") {
        let known = MAY_DEPEND_ON
            .iter()
            .any(|(crate_name, _)| *crate_name == name)
            || name == "main.rs";
        assert!(known, "src/{name} has no place in the table");
    }
}

#[test]
fn pure_crates_have_no_io() {
    for name in PURE {
        for dependency in dependencies(name) {
            assert!(
                !IMPURE.iter().any(|impure| dependency.starts_with(impure)),
                "{name} depends on {dependency}"
            );
        }
    }
}

/// Returns the modules of its own crate that a source file imports by `crate::`.
fn imported_modules(source: &str) -> Vec<&str> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|path| {
            path.split(|c: char| c != '_' && !c.is_alphanumeric())
                .next()
                .unwrap()
        })
        .filter(|module| module.starts_with(|c: char| c.is_lowercase()))
        .collect()
}

#[test]
fn steps_of_a_request_import_no_later_step() {
    let mut seen = 0;
    for (step, allowed) in STEPS {
        for file in tree::files(&format!("src/proxy/{step}"), "rs") {
            let source = tree::read(&file);
            for module in imported_modules(&source) {
                seen += 1;
                let known = module == *step || allowed.contains(&module);
                assert!(known, "{file} imports {module}");
            }
        }
    }
    assert!(seen > 10, "only {seen} imports were seen");
}

/// Returns the words of a source file that ask for the operating system, or that only one has.
fn system_words(source: &str) -> Vec<&str> {
    const WORDS: [&str; 6] = [
        "target_os",
        "target_vendor",
        "target_env",
        "netlink",
        "linux",
        "macos",
    ];
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    // a text in quotes may name a system, as a hint does; a path below /proc may not
    code.flat_map(|line| {
        let quoted = line.split('"').enumerate();
        quoted.flat_map(|(i, part)| {
            let words = part.split(|c: char| c != '_' && !c.is_alphanumeric());
            words
                .filter(move |word| i % 2 == 0 && WORDS.contains(word))
                .chain((i % 2 == 1 && part.starts_with("/proc")).then_some("/proc"))
        })
    })
    .collect()
}

#[test]
fn only_the_platform_module_checks_the_operating_system() {
    let mut found = 0;
    for file in tree::files("src", "rs") {
        let source = tree::read(&file);
        let words = system_words(&source);
        if file.starts_with("src/runtime/platform/") {
            found += words.len();
        } else {
            assert_eq!(words, Vec::<&str>::new(), "{file}");
        }
    }
    assert!(found > 10, "only {found} words were found in the module");
    for seeded in [
        "#[cfg(target_os = \"linux\")] fn f() {}",
        "fn f() -> bool { cfg!(target_vendor = \"apple\") }",
        "use std::os::linux::fs::MetadataExt;",
        "fn f() { read(\"/proc/self/status\"); }",
    ] {
        assert_eq!(system_words(seeded).len(), 1, "{seeded}");
    }
}
