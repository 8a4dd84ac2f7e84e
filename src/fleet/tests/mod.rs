//! Tests of the protocol.

mod claim_simulation;
mod seal;
mod slot_simulation;

use std::ops::Range;

/// Returns the seeds of a simulation. `FLEET_SEEDS` says how many, `FUZZ_SEED` the first one.
fn seeds() -> Range<u64> {
    let first = setting("FUZZ_SEED").unwrap_or(0);
    let count = setting("FLEET_SEEDS").unwrap_or(SEEDS);
    first..first + count
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
