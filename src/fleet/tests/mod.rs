//! Tests of the protocol.

mod claim_simulation;
mod seal;
mod slot_simulation;
mod tasks;
mod useless_store;

use std::ops::Range;

/// Returns the seeds of a simulation. `FLEET_SEEDS` says how many, `FUZZ_SEED` the first one.
fn seeds() -> Range<u64> {
    let first = setting("FUZZ_SEED").unwrap_or(0);
    let count = setting("FLEET_SEEDS").unwrap_or(SEEDS);
    first..first + count
}

/// Returns the first of these seeds whose run breaks a promise, and how.
fn find_trouble(seeds: Range<u64>, run: impl Fn(u64) -> Result<(), String>) -> Option<String> {
    seeds.into_iter().find_map(|seed| {
        let trouble = run(seed).err()?;
        Some(format!("seed {seed}: {trouble}"))
    })
}

#[expect(clippy::disallowed_methods, reason = "a test has no other settings")]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// The seeds of a run that says nothing else: what a debug build does in seconds.
const SEEDS: u64 = 200;
