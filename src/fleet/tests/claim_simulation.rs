//! A simulated fleet that needs one token all the time: replicas with clocks of their own, a store,
//! AWS, and random faults. A seed decides everything.

use crate::claims::{
    Claim, ClaimResult, ClaimSettings, ClaimStep, ItemRecord, SharedFailure, SharedItem,
};
use crate::record::{ReplicaId, Versioned};
use crate::tests::{find_trouble, seeds};
use std::collections::BTreeMap;
use std::time::Duration;

/// The use of a token.
const USE: Duration = Duration::from_secs(50);
/// A call of the store ends after this.
const CALL: Duration = Duration::from_millis(500);
const END: Duration = Duration::from_mins(5);

#[derive(Debug, Clone, Copy)]
struct Faults {
    lost: f64,
    pause: f64,
    kill: f64,
    flush: f64,
    /// The part of mints that take seconds.
    slow: f64,
    /// The longest of them, in seconds.
    longest: f64,
    /// True if the time of the store has whole seconds, as DynamoDB's.
    coarse: bool,
}

impl Faults {
    /// Returns how much an age by the time of the store may be wrong.
    fn error(&self) -> Duration {
        Duration::from_secs(self.coarse.into())
    }
}

/// A token, which knows when AWS made it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    minted: Duration,
}

enum Event {
    Need(usize, u64),
    Store(usize, u64, ClaimStep<Token>, Duration),
    Answer(usize, u64, Answer),
    Continue(usize, u64),
    Renew(usize, u64, u64),
    Minted(usize, u64, u64, Token),
    Fault(u8),
}

enum Answer {
    Read(Duration, Option<Versioned<ItemRecord<Token>>>, Duration),
    Write(Versioned<ItemRecord<Token>>, bool),
    Lost,
}

struct Replica {
    id: ReplicaId,
    life: u64,
    offset: Duration,
    rate: f64,
    paused_until: Duration,
    known: Option<u64>,
    claim: Option<Claim<Token>>,
    /// The mint that runs.
    mint: u64,
    /// The token in use, and the local time from which its age counts.
    token: Option<(Token, Duration)>,
    /// The local time before the last read.
    looked: Duration,
    /// The local time at which the search began.
    began: Duration,
}

struct World {
    rng: fastrand::Rng,
    settings: ClaimSettings,
    faults: Faults,
    now: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    record: Option<Versioned<ItemRecord<Token>>>,
    replicas: Vec<Replica>,
    mints: Vec<Duration>,
    /// The times of faults, each of which may cost a mint.
    broken: Vec<Duration>,
    trouble: Option<String>,
}

fn settings() -> ClaimSettings {
    ClaimSettings {
        claim: Duration::from_secs(3),
        patience: Duration::from_secs(6),
        pause: Duration::from_millis(100),
        fresh: 0.5,
    }
}

impl World {
    fn new(seed: u64, settings: ClaimSettings, faults: Faults) -> Self {
        let mut world = Self {
            rng: fastrand::Rng::with_seed(seed),
            settings,
            faults,
            now: Duration::ZERO,
            events: BTreeMap::new(),
            sequence: 0,
            record: None,
            replicas: Vec::new(),
            mints: Vec::new(),
            broken: Vec::new(),
            trouble: None,
        };
        for index in 0..world.rng.usize(2..=20) {
            let replica = world.create(0);
            world.replicas.push(replica);
            let start = Duration::from_secs_f64(world.rng.f64());
            world.push(start, Event::Need(index, 0));
        }
        for (kind, rate) in [(0, faults.pause), (1, faults.kill), (2, faults.flush)] {
            let mut at = 0.0;
            while rate > 0.0 && at < END.as_secs_f64() {
                at -= world.rng.f64().max(1e-9).ln() / rate;
                world.push(Duration::from_secs_f64(at), Event::Fault(kind));
            }
        }
        world
    }

    fn create(&mut self, life: u64) -> Replica {
        Replica {
            id: ReplicaId(self.rng.u64(..)),
            life,
            offset: Duration::from_secs_f64(self.rng.f64() * 100_000.0),
            rate: 0.99 + 0.02 * self.rng.f64(),
            paused_until: Duration::ZERO,
            known: None,
            claim: None,
            mint: 0,
            token: None,
            looked: Duration::ZERO,
            began: Duration::ZERO,
        }
    }

    fn push(&mut self, at: Duration, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    fn run(mut self) -> Result<(), String> {
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at > END {
                break;
            }
            self.now = at;
            self.handle(event);
            if let Some(trouble) = self.trouble.take() {
                return Err(format!("at {at:?}: {trouble}"));
            }
        }
        self.check_mints()
    }

    /// There are at most two mints in the use of a token, and one more for each fault.
    fn check_mints(&self) -> Result<(), String> {
        // those that wait make their own tries
        if self.faults.longest > settings().patience.as_secs_f64() {
            return Ok(());
        }
        // the clocks of the replicas differ by a hundredth
        let window = USE.mul_f64(0.98).saturating_sub(self.faults.error() * 2);
        for start in &self.mints {
            let end = *start + window;
            let mints = self.mints.iter();
            let mints = mints.filter(|mint| *mint >= start && **mint < end);
            let faults = self.broken.iter();
            let faults = faults.filter(|at| **at + USE >= *start && **at < end);
            let (mints, faults) = (mints.count(), faults.count());
            if mints > 2 + faults {
                let all = &self.mints;
                return Err(format!(
                    "{mints} mints from {start:?}, {faults} faults: {all:?}"
                ));
            }
        }
        Ok(())
    }

    fn clock(&self, index: usize) -> Duration {
        let replica = &self.replicas[index];
        replica.offset + self.now.mul_f64(replica.rate)
    }

    fn handle(&mut self, event: Event) {
        let (index, life) = match &event {
            Event::Need(index, life)
            | Event::Answer(index, life, _)
            | Event::Continue(index, life)
            | Event::Renew(index, life, _)
            | Event::Minted(index, life, ..) => (*index, *life),
            Event::Store(index, life, ..) => {
                let (index, life) = (*index, *life);
                return self.at_store(index, life, event);
            }
            Event::Fault(kind) => return self.break_something(*kind),
        };
        if self.replicas[index].life != life {
            return;
        }
        let until = self.replicas[index].paused_until;
        if until > self.now {
            return self.push(until, event);
        }
        match event {
            Event::Need(..) => self.need(index),
            Event::Continue(..) => self.drive(index),
            Event::Answer(_, _, answer) => self.answer(index, answer),
            Event::Renew(_, _, mint) => self.renew(index, mint),
            Event::Minted(_, _, mint, token) => self.minted(index, mint, token),
            Event::Store(..) | Event::Fault(_) => {}
        }
    }

    fn break_something(&mut self, kind: u8) {
        let index = self.rng.usize(..self.replicas.len());
        self.broken.push(self.now);
        match kind {
            0 => {
                let long = Duration::from_secs_f64(self.rng.f64() * 20.0);
                self.replicas[index].paused_until = self.now + long;
            }
            1 => {
                let life = self.replicas[index].life + 1;
                self.replicas[index] = self.create(life);
                self.push(self.now, Event::Need(index, life));
            }
            _ => self.record = None,
        }
    }

    /// The replica uses its token, and looks for another one when that is due.
    fn need(&mut self, index: usize) {
        let clock = self.clock(index);
        let part = 0.5 + 0.1 * self.rng.f64();
        let replica = &self.replicas[index];
        let life = replica.life;
        if let Some((token, requested)) = &replica.token {
            let age = clock.saturating_sub(*requested);
            // 1 % of its clock
            let most = USE.mul_f64(1.02) + self.faults.error();
            if age < USE && self.now.saturating_sub(token.minted) > most {
                self.trouble = Some(format!("a token of {:?} is in use", token.minted));
            }
            if age < USE.mul_f64(part) {
                let pause = Duration::from_secs_f64(0.5 + self.rng.f64());
                return self.push(self.now + pause, Event::Need(index, life));
            }
        }
        let replica = &mut self.replicas[index];
        if replica.claim.is_none() {
            let settings = self.settings.clone();
            let claim = Claim::new(replica.id, settings, replica.known, clock);
            replica.claim = Some(claim);
            replica.began = clock;
            self.drive(index);
        }
    }

    fn drive(&mut self, index: usize) {
        let life = self.replicas[index].life;
        let clock = self.clock(index);
        let replica = &mut self.replicas[index];
        let Some(claim) = &mut replica.claim else {
            return;
        };
        let waited = clock.saturating_sub(replica.began);
        // its patience, and some tries to write a claim
        let longest = settings().patience * 3 / 2 + Duration::from_secs(2);
        if waited > longest && self.faults.pause == 0.0 {
            self.trouble = Some(format!("replica {index} has waited for {waited:?}"));
        }
        match claim.next_step() {
            ClaimStep::Wait(pause) => self.push(self.now + pause, Event::Continue(index, life)),
            ClaimStep::Use(SharedItem { id, value, .. }, age) => {
                let replica = &mut self.replicas[index];
                let looked = replica.looked;
                replica.known = Some(id);
                replica.claim = None;
                replica.token = Some((value, looked.saturating_sub(age)));
                self.push(self.now, Event::Need(index, life));
            }
            ClaimStep::Fail(_) => self.trouble = Some("AWS has not failed".to_owned()),
            ClaimStep::Make | ClaimStep::MakeAlone => self.mint(index),
            step @ (ClaimStep::Read | ClaimStep::Write(..)) => self.call(index, step),
        }
    }

    fn call(&mut self, index: usize, step: ClaimStep<Token>) {
        let clock = self.clock(index);
        let life = self.replicas[index].life;
        if self.rng.f64() < self.faults.lost {
            self.broken.push(self.now);
            self.push(self.now + CALL, Event::Answer(index, life, Answer::Lost));
            // the request is lost, or the response
            if self.rng.bool() {
                return;
            }
            let lost = Event::Store(index, u64::MAX, step, clock);
            return self.push(self.now + Duration::from_millis(1), lost);
        }
        let delay = Duration::from_secs_f64(self.rng.f64() * 0.01);
        self.push(self.now + delay, Event::Store(index, life, step, clock));
    }

    fn at_store(&mut self, index: usize, life: u64, event: Event) {
        let Event::Store(_, _, step, clock) = event else {
            return;
        };
        let mut time = Duration::from_hours(500_000) + self.now;
        if self.faults.coarse {
            time = Duration::from_secs(time.as_secs());
        }
        let answer = match step {
            ClaimStep::Write(base, new) => {
                let version = self.record.as_ref().map(|record| record.version);
                let is_done = version == base;
                if is_done {
                    self.record = Some(new.clone());
                }
                Answer::Write(new, is_done)
            }
            _ => Answer::Read(clock, self.record.clone(), time),
        };
        let delay = Duration::from_secs_f64(self.rng.f64() * 0.01);
        self.push(self.now + delay, Event::Answer(index, life, answer));
    }

    fn answer(&mut self, index: usize, answer: Answer) {
        let clock = self.clock(index);
        let replica = &mut self.replicas[index];
        let Some(claim) = &mut replica.claim else {
            return;
        };
        if replica.mint > 0 {
            if let Answer::Write(new, true) = answer {
                claim.on_renewed(new);
            }
            return;
        }
        match answer {
            Answer::Read(started, record, time) => {
                claim.on_read(started, clock, record, time);
                // the moment from which an age counts
                replica.looked = started;
            }
            Answer::Write(new, is_done) => claim.on_write(new, is_done),
            Answer::Lost => claim.on_failure(),
        }
        self.drive(index);
    }

    fn mint(&mut self, index: usize) {
        let slow = self.rng.f64() < self.faults.slow;
        let longest = if slow { self.faults.longest } else { 0.5 };
        let took = Duration::from_secs_f64(0.05 + self.rng.f64() * longest);
        // AWS makes it at some moment of the call
        let minted = self.now + took.mul_f64(self.rng.f64());
        self.mints.push(self.now);
        self.sequence += 1;
        let mint = self.sequence;
        let replica = &mut self.replicas[index];
        replica.mint = mint;
        // the age counts from the request
        let requested = replica.offset + self.now.mul_f64(replica.rate);
        replica.token = Some((Token { minted }, requested));
        let life = replica.life;
        self.push(
            self.now + took,
            Event::Minted(index, life, mint, Token { minted }),
        );
        let renew = Event::Renew(index, life, mint);
        self.push(self.now + Duration::from_secs(1), renew);
    }

    fn renew(&mut self, index: usize, mint: u64) {
        let replica = &self.replicas[index];
        if replica.mint != mint {
            return;
        }
        let life = replica.life;
        if let Some(claim) = &replica.claim {
            let step = claim.renew();
            self.call(index, step);
        }
        self.push(
            self.now + Duration::from_secs(1),
            Event::Renew(index, life, mint),
        );
    }

    fn minted(&mut self, index: usize, mint: u64, token: Token) {
        let id = self.rng.u64(1..);
        let replica = &mut self.replicas[index];
        if replica.mint != mint {
            return;
        }
        replica.mint = 0;
        replica.known = Some(id);
        let life = replica.life;
        if let Some(mut claim) = replica.claim.take() {
            let made = ClaimResult::Made {
                id,
                value: token,
                usable: USE,
            };
            if self.rng.f64() >= self.faults.lost {
                self.publish(&mut claim, &made);
            } else {
                self.broken.push(self.now);
            }
        }
        self.push(self.now, Event::Need(index, life));
    }
}

impl World {
    /// Writes the result of a claim, and once more if the claim was renewed in between.
    fn publish(&mut self, claim: &mut Claim<Token>, made: &ClaimResult<Token>) {
        for _ in 0..2 {
            let ClaimStep::Write(base, new) = claim.publish(made) else {
                return;
            };
            let version = self.record.as_ref().map(|record| record.version);
            if version == base {
                self.record = Some(new);
                return;
            }
            if !claim.rebase(self.record.clone()) {
                return;
            }
        }
    }
}

/// The kinds of trouble, one for each seed in turn.
fn faults(seed: u64) -> Faults {
    let none = Faults {
        lost: 0.0,
        pause: 0.0,
        kill: 0.0,
        flush: 0.0,
        slow: 0.1,
        longest: 5.0,
        coarse: seed % 8 < 4,
    };
    match seed % 6 {
        0 | 1 => none,
        2 => Faults {
            pause: 0.1,
            kill: 0.05,
            ..none
        },
        3 => Faults {
            kill: 0.02,
            flush: 0.02,
            ..none
        },
        // longer than a replica waits for another one
        4 => Faults {
            longest: 20.0,
            kill: 0.02,
            lost: 0.01,
            ..none
        },
        _ => Faults {
            lost: 0.02,
            pause: 0.05,
            kill: 0.05,
            flush: 0.02,
            ..none
        },
    }
}

fn run(seed: u64, change: impl Fn(&mut ClaimSettings)) -> Result<(), String> {
    let mut settings = settings();
    change(&mut settings);
    World::new(seed, settings, faults(seed)).run()
}

#[test]
fn a_token_is_minted_at_most_twice_in_its_use_and_never_used_for_longer() {
    assert_eq!(find_trouble(seeds(), |seed| run(seed, |_| ())), None);
}

#[test]
fn a_broken_protocol_mints_too_often() {
    type Change = fn(&mut ClaimSettings);
    let without: [(&str, Change); 4] = [
        ("claims", |it| it.claim = Duration::ZERO),
        ("patience", |it| it.patience = Duration::ZERO),
        ("an end of patience", |it| it.patience = USE * 100),
        ("an end of freshness", |it| it.fresh = 0.1),
    ];
    for (rule, change) in without {
        assert!(
            find_trouble(0..1_000, |seed| run(seed, change)).is_some(),
            "no seed needs {rule}"
        );
    }
}

#[test]
fn a_failure_is_returned_by_the_others_for_a_while() {
    let second = Duration::from_secs;
    let claim = |id| Claim::<Token>::new(ReplicaId(id), settings(), None, second(0));
    let mut first = claim(1);
    first.on_read(second(0), second(0), None, second(100));
    let ClaimStep::Write(_, written) = first.next_step() else {
        panic!("no claim");
    };
    first.on_write(written, true);
    let failure = SharedFailure {
        owner: ReplicaId(1),
        code: "aws.throttled".to_owned(),
        detail: "slow down".to_owned(),
        hint: String::new(),
        until: 0,
    };
    let ClaimStep::Write(_, failed) = first.publish(&ClaimResult::Failed(failure)) else {
        panic!("no write");
    };
    let ask = |id, time| {
        let mut other = claim(id);
        other.on_read(second(1), second(1), Some(failed.clone()), second(time));
        other.next_step()
    };
    assert!(matches!(ask(2, 101), ClaimStep::Fail(_)));
    assert!(matches!(ask(2, 103), ClaimStep::Write(..)), "it is over");
    assert!(
        matches!(ask(2, 90), ClaimStep::Write(..)),
        "the clock went back"
    );
    assert!(matches!(ask(1, 101), ClaimStep::Write(..)), "its own retry");
}
