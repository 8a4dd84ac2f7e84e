//! What `Cargo.lock` may hold: versions below which a flaw that matters here is known, one of
//! each part of the request path, and no second TLS or crypto library.

use crate::tree;
use serde::Deserialize;
use std::process::Command;

/// The lowest version of a crate, if it is linked at all, and the reason.
const FLOORS: &[(&str, Version, &str)] = &[
    (
        "hyper",
        (1, 11, 0),
        "hyper#4123 Content-Length beside Transfer-Encoding; hyper#4018",
    ),
    (
        "hyper-util",
        (0, 1, 18),
        "timers under paused time; hyper-util#150 retry loop",
    ),
    ("h2", (0, 4, 16), "RUSTSEC-2026-0258"),
    ("rustls", (0, 23, 45), "RUSTSEC-2026-0285"),
    (
        "rustls-webpki",
        (0, 103, 13),
        "RUSTSEC-2026-0049, -0098, -0099, -0104",
    ),
    ("idna", (1, 0, 3), "RUSTSEC-2024-0421"),
    ("url", (2, 5, 4), "RUSTSEC-2024-0421"),
    ("tracing-subscriber", (0, 3, 20), "RUSTSEC-2025-0055"),
    ("shlex", (1, 3, 0), "RUSTSEC-2024-0006"),
    (
        "aws-config",
        AWS_2026_01,
        "GHSA-g59m-gf8j-gjf5: a region becomes part of a host name",
    ),
];

/// `aws-config` of January 2026.
const AWS_2026_01: Version = (1, 8, 12);

/// Crates that must be in the tree, once: two of them would mean two behaviours.
const ONCE: &[&str] = &["hyper", "rustls", "tokio-rustls", "http"];

/// One crypto provider (aws-lc-rs), and no library of the system.
const BANNED: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls"];

/// Every package is someone else's code to trust. 15 of them come with criterion, which is only in
/// the benchmarks, 3 with listenfd for Windows, where nothing here is built.
const MAX_PACKAGES: usize = 372;

type Version = (u64, u64, u64);

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
}

fn packages() -> Vec<Package> {
    let lock: Lock = toml::from_str(&tree::read("Cargo.lock")).unwrap();
    assert!(
        lock.package.len() > 100,
        "only {} packages seen",
        lock.package.len()
    );
    lock.package
}

/// The three numbers, and whether it is a release: a pre-release sorts below (`semver.org`
/// rule 11).
fn version(text: &str) -> (Version, bool) {
    let number = text.split(['-', '+']).next().unwrap_or(text);
    let parts: Vec<u64> = number
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    ((parts[0], parts[1], parts[2]), !text.contains('-'))
}

fn below_floor(name: &str, found: &str) -> Option<&'static str> {
    let (_, floor, reason) = FLOORS.iter().find(|(floored, ..)| *floored == name)?;
    (version(found) < (*floor, true)).then_some(*reason)
}

#[test]
fn no_package_is_below_its_minimum_version() {
    let mut seen = 0;
    for package in packages() {
        let low = below_floor(&package.name, &package.version);
        assert_eq!(low, None, "{} {}", package.name, package.version);
        seen += usize::from(FLOORS.iter().any(|(name, ..)| *name == package.name));
    }
    assert!(seen >= 5, "only {seen} of the crates with a floor seen");
}

#[test]
fn a_version_below_its_minimum_is_detected() {
    for (name, found) in [
        ("hyper", "1.10.9"),
        ("hyper", "0.14.32"),
        ("hyper", "1.11.0-rc.1"),
        ("rustls", "0.23.44"),
        ("rustls-webpki", "0.103.9"),
        ("idna", "0.5.0"),
    ] {
        assert!(below_floor(name, found).is_some(), "{name} {found}");
    }
    for (name, found) in [
        ("hyper", "1.11.0"),
        ("rustls", "0.24.0"),
        ("serde", "0.0.1"),
    ] {
        assert_eq!(below_floor(name, found), None, "{name} {found}");
    }
}

#[test]
fn crates_of_the_request_path_have_one_version() {
    for name in ONCE {
        let found: Vec<_> = packages().into_iter().filter(|p| p.name == *name).collect();
        let versions: Vec<_> = found.iter().map(|p| &p.version).collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

/// The crates that are built on this machine, with tests, a line each in `cargo tree`'s `format`.
/// `Cargo.lock` is not enough: it lists `ring` because `rustls-webpki` has an optional feature
/// for it.
fn built(format: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--prefix=none",
            "--format",
            format,
        ])
        .current_dir(tree::root())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout.lines().map(str::to_owned).collect()
}

#[test]
fn only_one_crypto_library_is_built() {
    let built: Vec<_> = built("{lib}")
        .iter()
        .map(|name| name.replace('_', "-"))
        .collect();
    for needed in ["aws-lc-rs", "rustls", "hyper"] {
        assert!(
            built.iter().any(|name| name == needed),
            "{needed} is not seen as built"
        );
    }
    for banned in BANNED {
        assert!(
            !built.iter().any(|name| name == banned),
            "{banned} is built"
        );
    }
    for package in packages() {
        let found = &*package.name;
        assert!(
            found == "ring" || !BANNED.contains(&found),
            "{found} is in the lock"
        );
    }
}

/// Returns true for the packages of the workspace, which have no source in the lock file.
fn is_ours(package: &Package) -> bool {
    package.source.is_none() && package.name.starts_with("mwaa-")
}

#[test]
fn every_package_comes_from_the_registry() {
    for package in packages() {
        let ours = is_ours(&package);
        let registry = package
            .source
            .as_deref()
            .is_some_and(|s| s.starts_with("registry+"));
        assert!(
            ours || registry,
            "{} comes from {:?}",
            package.name,
            package.source
        );
    }
}

/// The license check of `cargo deny` in the public CI, here without `cargo deny`. An expression is
/// read as strictly as SPDX does: each part of a conjunction needs an alternative that is allowed.
#[test]
fn every_license_is_allowed() {
    let settings: toml::Table = tree::read(".deny.toml").parse().unwrap();
    let allowed: Vec<_> = settings["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|license| license.as_str().unwrap())
        .collect();
    let is_allowed = |expression: &str| {
        let mut parts = expression.split(" AND ");
        parts.all(|part| {
            let words = part.replace('/', " OR ").replace(['(', ')'], "");
            words
                .split(" OR ")
                .any(|license| allowed.contains(&license.trim()))
        })
    };
    assert!(is_allowed("(GPL-3.0 OR MIT) AND Unicode-3.0"));
    assert!(!is_allowed("(GPL-3.0 OR MIT) AND OpenSSL"));

    let licenses = built("{l}\t{p}");
    assert!(licenses.len() > 100, "{licenses:?}");
    for line in licenses.iter().filter(|line| !line.is_empty()) {
        // a package that was listed before is marked behind its name
        let (license, package) = line.split_once('\t').unwrap();
        assert!(is_allowed(license), "{package}: {license:?}");
    }
}

#[test]
fn the_number_of_dependencies_is_limited() {
    let count = packages()
        .iter()
        .filter(|package| !is_ours(package))
        .count();
    assert!(count <= MAX_PACKAGES, "{count} packages");
}
