//! Forbidden commands in every disguise, against a witness that shares nothing with the policy; and
//! in `http1`, messages of HTTP/1.1 against another reader.
//!
//! `FUZZ_COUNT` says how many, `FUZZ_SEED` which: each input follows from the seed and its own
//! number, on any machine. `.github/check.sh fuzz` runs ten million of each.

#![cfg(test)]

mod argparse;
mod disguise;
mod http1;
mod python;
mod quoting;
mod scenario;

use mwaa_policy::Command;
use scenario::Scenario;
use std::collections::HashSet;
use std::thread;

/// Disguises of a run that says nothing else: what a debug build does in seconds.
const COUNT: u64 = 100_000;

/// Lines for one Python process.
const BATCH: usize = 200_000;

#[test]
fn no_disguise_of_a_forbidden_command_is_forwarded() {
    let count = setting("FUZZ_COUNT").unwrap_or(COUNT);
    let seed = setting("FUZZ_SEED").unwrap_or(4);
    let threads = thread::available_parallelism().map_or(2, std::num::NonZero::get);
    println!("fuzz: {count} disguises, FUZZ_SEED={seed}, {threads} threads");
    let scenarios = Scenario::all();
    let (mut forwarded, mut compared) = (0, 0);
    thread::scope(|scope| {
        let runs: Vec<_> = (0..count)
            .take(threads)
            .map(|first| {
                let scenarios = &scenarios;
                scope.spawn(move || run(scenarios, seed, (first..count).step_by(threads)))
            })
            .collect();
        for run in runs {
            let (passed, lines) = run.join().expect("a run without a finding");
            forwarded += passed;
            compared += lines;
        }
    });
    println!(
        "fuzz: {forwarded} were harmless and forwarded, {compared} of them different lines"
    );
    assert!(
        forwarded > count / 100,
        "only {forwarded} passed: too few to mean anything"
    );
    assert!(
        forwarded < count / 2,
        "{forwarded} passed: these are no disguises"
    );
}

#[expect(clippy::disallowed_methods, reason = "a test has no other settings")]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// Returns the random numbers of one input.
fn numbered(seed: u64, number: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// Checks the disguises of these numbers. Returns how many were forwarded, and how many different
/// lines of those were compared with Python's reading.
fn run(scenarios: &[Scenario], seed: u64, numbers: impl Iterator<Item = u64>) -> (u64, u64) {
    let (mut forwarded, mut compared) = (0, 0);
    let mut known = HashSet::new();
    let mut batch = Vec::new();
    for number in numbers {
        let mut random = numbered(seed, number);
        let scenario = random.choice(scenarios).expect("a scenario");
        let forbidden = random.choice(&scenario.forbidden).expect("a command");
        let body = disguise::disguise(forbidden, &mut random);
        let Ok(allowed) = Command::read(&body)
            .and_then(|command| scenario.policy().check(&command, scenario.version))
        else {
            continue;
        };
        let line = std::str::from_utf8(allowed.line()).expect("UTF-8 is forwarded");
        let finding = match quoting::take_apart(line) {
            None => Some("it is not in our own quoting".to_owned()),
            Some(words) => scenario.finding(&words),
        };
        if let Some(finding) = finding {
            panic!(
                "FUZZ_SEED={seed}, number {number}, {scenario}: {forbidden:?} as {:?} was forwarded as {line:?}: {finding}",
                String::from_utf8_lossy(&body)
            );
        }
        forwarded += 1;
        if known.insert(fnv(line)) {
            compared += 1;
            batch.push(line.to_owned());
        }
        if batch.len() == BATCH {
            python::compare(&batch);
            batch.clear();
        }
    }
    python::compare(&batch);
    (forwarded, compared)
}

/// A number for a line (FNV-1a), so that the lines themselves need not be kept.
fn fnv(line: &str) -> u64 {
    line.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// The condition for the run above to mean anything: undisguised, each of these commands is a finding.
#[test]
fn the_witness_finds_each_forbidden_command() {
    for scenario in Scenario::all() {
        assert!(scenario.forbidden.len() > 20, "{scenario}");
        for words in &scenario.forbidden {
            let line = quoting::put_together(words);
            let read = quoting::take_apart(&line);
            assert_eq!(read.as_ref(), Some(words), "{line}");
            assert!(scenario.finding(words).is_some(), "{scenario}: {line}");
        }
    }
}
