//! A simulated fleet: replicas with clocks of their own, a store, and random faults in both and
//! between them. A seed decides everything, so each failure can be repeated.

use crate::record::{ReplicaId, SlotRecord, Version, Versioned};
use crate::slots::{Grant, SlotSettings, SlotStep, Slots};
use crate::tests::{find_trouble, seeds};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest command, from its first byte.
const COMMAND: Duration = Duration::from_secs(20);
/// The limit of a call of the store.
const CALL: Duration = Duration::from_millis(500);
/// Faults happen until then.
const FAULTS_END: Duration = Duration::from_secs(150);
/// The mean time for which a command has its slot, in seconds.
const MEAN: f64 = 6.0;
/// No more commands come after this.
const ARRIVALS_END: Duration = Duration::from_secs(170);
/// By then every command must have been served.
const END: Duration = Duration::from_mins(10);

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The faults of a run, as rates a second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Faults {
    /// The part of messages that are lost.
    lost: f64,
    /// The part of messages that are slow.
    slow: f64,
    pause: f64,
    kill: f64,
    outage: f64,
    /// The store does not write, although it can be read.
    stuck: f64,
    flush: f64,
    rollback: f64,
    /// The largest difference of a clock's rate.
    skew: f64,
}

const NONE: Faults = Faults {
    lost: 0.0,
    slow: 0.0,
    pause: 0.0,
    kill: 0.0,
    outage: 0.0,
    stuck: 0.0,
    flush: 0.0,
    rollback: 0.0,
    skew: 0.01,
};

#[derive(Debug)]
enum Event {
    Wake(usize, u64),
    Command(usize),
    Arrive(Call),
    Answer(Call, Answer),
    Timeout(usize, u64),
    Begin(usize, u64, Grant),
    Finish(usize, u64, u64),
    Fault(Fault),
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Pause,
    Kill,
    Outage,
    Stuck,
    Flush,
    Rollback,
}

#[derive(Debug, Clone)]
struct Call {
    replica: usize,
    id: u64,
    started: Duration,
    write: Option<(Option<Version>, Versioned<SlotRecord>)>,
}

#[derive(Debug, Clone)]
enum Answer {
    Read(Option<Versioned<SlotRecord>>),
    Write(bool),
}

struct Replica {
    slots: Slots,
    /// Grows when the process is replaced.
    life: u64,
    offset: Duration,
    rate: f64,
    paused_until: Duration,
    /// The commands that wait.
    waiting: usize,
    /// The call that is in flight.
    call: Option<Call>,
    /// The wake-up that counts.
    wake: u64,
    /// The slots that each replica got since a command began to wait here.
    passed: Vec<usize>,
}

impl Replica {
    fn clock(&self, now: Duration) -> Duration {
        self.offset + now.mul_f64(self.rate)
    }
}

/// A command that MWAA runs.
#[derive(Debug)]
struct Running {
    replica: usize,
    life: u64,
    number: u64,
    is_alone: bool,
}

struct World {
    rng: fastrand::Rng,
    settings: SlotSettings,
    faults: Faults,
    now: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    record: Option<Versioned<SlotRecord>>,
    snapshot: Option<Versioned<SlotRecord>>,
    down_until: Duration,
    stuck_until: Duration,
    replicas: Vec<Replica>,
    running: Vec<Running>,
    /// The times at which the store lost data, with the slots that each may cost.
    losses: Vec<(Duration, usize)>,
    /// The last time at which a replica went on without the store.
    last_alone: Option<Duration>,
    /// The most slots that one replica got while a command waited at another.
    most_passed: usize,
    trouble: Option<String>,
}

impl World {
    fn new(seed: u64, settings: SlotSettings, faults: Faults) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let count = rng.usize(2..=5);
        let mut world = Self {
            settings,
            faults,
            now: Duration::ZERO,
            events: BTreeMap::new(),
            sequence: 0,
            record: None,
            snapshot: None,
            down_until: Duration::ZERO,
            stuck_until: Duration::ZERO,
            replicas: Vec::new(),
            running: Vec::new(),
            losses: Vec::new(),
            last_alone: None,
            most_passed: 0,
            trouble: None,
            rng: rng.fork(),
        };
        for _ in 0..count {
            let replica = world.create_replica(0);
            world.replicas.push(replica);
        }
        world.schedule_faults();

        // all replicas together use at most nine tenths of the slots
        let slots = f64::from(u32::try_from(world.settings.slots).expect("small"));
        let replicas = f64::from(u32::try_from(count).expect("small"));
        let rate = (rng.f64() * 0.8 + 0.1) * slots / MEAN / replicas;
        for replica in 0..count {
            let mut at = world.rng.f64() * 10.0;
            while at < ARRIVALS_END.as_secs_f64() {
                world.push(secs(at), Event::Command(replica));
                at -= world.rng.f64().max(1e-9).ln() / rate;
            }
        }
        world
    }

    fn create_replica(&mut self, life: u64) -> Replica {
        let id = ReplicaId(self.rng.u64(..));
        let skew = (self.rng.f64() * 2.0 - 1.0) * self.faults.skew;
        Replica {
            slots: Slots::new(id, self.settings.clone(), self.rng.fork()),
            life,
            offset: secs(self.rng.f64() * 100_000.0),
            rate: 1.0 + skew,
            paused_until: Duration::ZERO,
            waiting: 0,
            call: None,
            wake: 0,
            passed: Vec::new(),
        }
    }

    fn schedule_faults(&mut self) {
        let Faults {
            pause,
            kill,
            outage,
            stuck,
            flush,
            rollback,
            ..
        } = self.faults;
        for (rate, fault) in [
            (pause, Fault::Pause),
            (kill, Fault::Kill),
            (outage, Fault::Outage),
            (stuck, Fault::Stuck),
            (flush, Fault::Flush),
            (rollback, Fault::Rollback),
        ] {
            let mut at = 0.0;
            while rate > 0.0 && at < FAULTS_END.as_secs_f64() {
                at -= self.rng.f64().max(1e-9).ln() / rate;
                self.push(secs(at), Event::Fault(fault));
            }
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
        let waiting: usize = self.replicas.iter().map(|one| one.waiting).sum();
        if waiting > 0 {
            return Err(format!("{waiting} commands still wait; {:?}", self.record));
        }
        if self.faults == NONE && self.most_passed > self.settings.slots + 3 {
            let passed = self.most_passed;
            return Err(format!(
                "{passed} commands of one replica passed one of another"
            ));
        }
        Ok(())
    }

    /// Returns true if the event has to wait because its replica is paused.
    fn is_held_back(&mut self, replica: usize, event: &mut Option<Event>) -> bool {
        let until = self.replicas[replica].paused_until;
        if until <= self.now {
            return false;
        }
        let event = event.take().expect("an event");
        self.push(until, event);
        true
    }

    fn handle(&mut self, event: Event) {
        let replica = match &event {
            Event::Wake(replica, _)
            | Event::Timeout(replica, _)
            | Event::Begin(replica, ..)
            | Event::Command(replica) => Some(*replica),
            Event::Answer(call, _) => Some(call.replica),
            Event::Arrive(_) | Event::Finish(..) | Event::Fault(_) => None,
        };
        let mut event = Some(event);
        if let Some(replica) = replica
            && self.is_held_back(replica, &mut event)
        {
            return;
        }
        match event.expect("an event") {
            Event::Wake(replica, wake) => {
                if self.replicas[replica].wake == wake {
                    self.drive(replica);
                }
            }
            Event::Command(replica) => {
                self.replicas[replica].waiting += 1;
                self.drive(replica);
            }
            Event::Arrive(call) => self.arrive(call),
            Event::Answer(call, answer) => self.answer(&call, answer),
            Event::Timeout(replica, id) => self.time_out(replica, id),
            Event::Begin(replica, life, grant) => self.begin(replica, life, grant),
            Event::Finish(replica, life, number) => self.finish(replica, life, number),
            Event::Fault(fault) => self.break_something(fault),
        }
    }

    fn break_something(&mut self, fault: Fault) {
        let replica = self.rng.usize(..self.replicas.len());
        let long = COMMAND.mul_f64(self.rng.f64() * 2.5);
        match fault {
            Fault::Pause => self.replicas[replica].paused_until = self.now + long,
            Fault::Kill => {
                let life = self.replicas[replica].life + 1;
                self.replicas[replica] = self.create_replica(life);
            }
            Fault::Outage => self.down_until = self.now + long,
            Fault::Stuck => self.stuck_until = self.now + long,
            Fault::Flush => {
                self.record = None;
                // replicas that run on put their leases back before anything is granted
                let Faults { kill, pause, .. } = self.faults;
                let cost = if kill + pause > 0.0 {
                    // what a cold epoch may grant, whatever this run's settings are
                    (self.settings.slots / 2).max(1)
                } else {
                    0
                };
                self.losses.push((self.now, cost));
            }
            Fault::Rollback => {
                self.record = self.snapshot.clone();
                self.losses.push((self.now, self.settings.slots));
            }
        }
    }

    /// Lets a replica do what it wants to do next.
    fn drive(&mut self, index: usize) {
        let replicas = self.replicas.len();
        let now = self.now;
        // what a call has given, before anything else is wanted
        self.hand_out(index);
        let replica = &mut self.replicas[index];
        replica.slots.set_demand(replica.waiting, Some(replicas));
        let clock = replica.clock(now);
        if self.rng.f64() < 0.05 {
            replica.slots.watch(clock);
        }
        let step = match replica.call {
            Some(_) => SlotStep::Wait(None),
            None => replica.slots.next(clock),
        };
        if replica.slots.is_alone() {
            self.last_alone = Some(now);
        }
        self.hand_out(index);

        let replica = &mut self.replicas[index];
        let write = match step {
            SlotStep::Read => None,
            SlotStep::Write { base, record } => Some((base, record)),
            SlotStep::Wait(time) => {
                replica.wake += 1;
                if let Some(time) = time {
                    let wake = Event::Wake(index, replica.wake);
                    let time = time.div_f64(replica.rate);
                    self.push(now + time.max(Duration::from_micros(10)), wake);
                }
                return;
            }
        };
        self.sequence += 1;
        let call = Call {
            replica: index,
            id: self.sequence,
            started: clock,
            write,
        };
        replica.call = Some(call.clone());
        let timeout = Event::Timeout(index, call.id);
        self.push(now + CALL, timeout);
        if let Some(delay) = self.travel() {
            self.push(now + delay, Event::Arrive(call));
        }
    }

    /// Returns the time that a message takes; `None` if it is lost.
    fn travel(&mut self) -> Option<Duration> {
        let calm = self.now > FAULTS_END;
        if !calm && self.rng.f64() < self.faults.lost {
            return None;
        }
        let slow = !calm && self.rng.f64() < self.faults.slow;
        let longest = if slow { 2.0 } else { 0.003 };
        Some(secs(0.0002 + self.rng.f64() * longest))
    }

    fn hand_out(&mut self, index: usize) {
        while let Some(grant) = self.replicas[index].slots.take_grant() {
            let replica = &mut self.replicas[index];
            if replica.waiting == 0 {
                replica.slots.end(grant.number);
                continue;
            }
            replica.waiting -= 1;
            let life = replica.life;
            self.count_turn(index);
            // the token, and the connection
            let delay = match self.rng.u8(..10) {
                0 => secs(self.rng.f64() * 6.0),
                _ => secs(self.rng.f64() * 0.05),
            };
            self.push(self.now + delay, Event::Begin(index, life, grant));
        }
    }

    /// Notes that one replica got a slot while others wait.
    fn count_turn(&mut self, index: usize) {
        let count = self.replicas.len();
        for (other, replica) in self.replicas.iter_mut().enumerate() {
            replica.passed.resize(count, 0);
            if other == index || replica.waiting == 0 {
                replica.passed.fill(0);
            } else {
                replica.passed[index] += 1;
                self.most_passed = self.most_passed.max(replica.passed[index]);
            }
        }
    }

    fn arrive(&mut self, call: Call) {
        if self.now < self.down_until {
            return;
        }
        let answer = match &call.write {
            None => Answer::Read(self.record.clone()),
            Some((base, record)) => {
                let version = self.record.as_ref().map(|record| record.version);
                let is_done = version == *base && self.now >= self.stuck_until;
                if is_done {
                    self.record = Some(record.clone());
                    if self.rng.u8(..20) == 0 {
                        self.snapshot.clone_from(&self.record);
                    }
                }
                Answer::Write(is_done)
            }
        };
        if let Some(delay) = self.travel() {
            self.push(self.now + delay, Event::Answer(call, answer));
        }
    }

    fn answer(&mut self, call: &Call, answer: Answer) {
        let replica = &mut self.replicas[call.replica];
        if replica.call.as_ref().is_none_or(|own| own.id != call.id) {
            return;
        }
        replica.call = None;
        let ended = replica.clock(self.now);
        match (answer, &call.write) {
            (Answer::Read(record), None) => {
                replica.slots.on_read(call.started, ended, record);
            }
            (Answer::Write(is_done), Some((_, written))) => {
                let written = written.clone();
                replica
                    .slots
                    .on_write(call.started, ended, written, is_done);
            }
            (Answer::Read(_), Some(_)) | (Answer::Write(_), None) => unreachable!(),
        }
        self.drive(call.replica);
    }

    fn time_out(&mut self, index: usize, id: u64) {
        let replica = &mut self.replicas[index];
        let Some(call) = replica.call.take_if(|call| call.id == id) else {
            return;
        };
        let now = replica.clock(self.now);
        match call.write {
            None => replica.slots.on_read_failure(now),
            Some(_) => replica.slots.on_write_failure(now),
        }
        self.drive(index);
    }

    fn begin(&mut self, index: usize, life: u64, grant: Grant) {
        let replica = &mut self.replicas[index];
        if replica.life != life {
            return;
        }
        let clock = replica.clock(self.now);
        if !replica.slots.send_limit().allows(&grant, clock) {
            // it is sent as a new command
            replica.slots.end(grant.number);
            replica.waiting += 1;
            self.drive(index);
            return;
        }

        self.running.push(Running {
            replica: index,
            life,
            number: grant.number,
            is_alone: grant.is_alone,
        });
        let length = match self.rng.u8(..10) {
            0 => COMMAND,
            1 => COMMAND.mul_f64(self.rng.f64()),
            _ => secs(self.rng.f64() * 3.0),
        };
        self.push(self.now + length, Event::Finish(index, life, grant.number));
        self.check();
    }

    fn finish(&mut self, index: usize, life: u64, number: u64) {
        self.running
            .retain(|one| (one.replica, one.life, one.number) != (index, life, number));
        if self.replicas[index].life != life {
            return;
        }
        let until = self.replicas[index].paused_until;
        if until > self.now {
            // MWAA is done; the paused replica notices it later
            self.push(until, Event::Finish(index, life, number));
            return;
        }
        self.replicas[index].slots.end(number);
        self.drive(index);
    }

    /// Checks the commands that run against what the documents promise.
    fn check(&mut self) {
        let slots = self.settings.slots;
        let now = self.now;
        let since = |at: Duration| now.saturating_sub(at);
        let lease = COMMAND * 3 / 2 + secs(1.0);
        let losses = self.losses.iter().filter(|(at, _)| since(*at) < lease);
        let losses: usize = losses.map(|(_, cost)| cost).sum();

        let leased = self.running.iter().filter(|one| !one.is_alone).count();
        if leased > slots + losses {
            self.trouble = Some(format!(
                "{leased} commands with a lease for {slots} slots, and losses of {losses}: {:?}; {:?}",
                self.running, self.record
            ));
        }
        // the first byte follows within a quarter of a command's time
        let was_alone = self
            .last_alone
            .is_some_and(|at| since(at) < COMMAND * 5 / 4);
        if !was_alone && self.running.len() > slots + losses {
            let running = &self.running;
            self.trouble = Some(format!(
                "more run than slots: {running:?}; {:?}",
                self.record
            ));
        }
        for (index, replica) in self.replicas.iter().enumerate() {
            let own = self
                .running
                .iter()
                .filter(|one| one.is_alone && one.replica == index && one.life == replica.life);
            if own.count() > replica.slots.share() {
                self.trouble = Some("more than its share without the store".to_owned());
            }
        }
    }
}

fn settings(slots: usize) -> SlotSettings {
    SlotSettings::new(slots, COMMAND, true)
}

/// The kinds of trouble, one for each seed in turn.
fn faults(seed: u64) -> Faults {
    let with = |change: fn(&mut Faults)| {
        let mut faults = NONE;
        change(&mut faults);
        faults
    };
    match seed % 8 {
        0 => with(|_| ()),
        1 => with(|it| (it.pause, it.kill) = (0.05, 0.02)),
        2 => with(|it| (it.lost, it.slow) = (0.02, 0.02)),
        3 => with(|it| it.flush = 0.03),
        4 => with(|it| (it.kill, it.pause, it.flush) = (0.03, 0.03, 0.02)),
        5 => with(|it| (it.rollback, it.kill) = (0.02, 0.02)),
        6 => with(|it| (it.outage, it.stuck, it.pause) = (0.01, 0.02, 0.02)),
        _ => Faults {
            lost: 0.02,
            slow: 0.02,
            pause: 0.03,
            kill: 0.02,
            outage: 0.01,
            stuck: 0.01,
            flush: 0.01,
            rollback: 0.01,
            skew: 0.01,
        },
    }
}

fn slots_of(seed: u64) -> usize {
    [1, 4, 2, 3][usize::try_from(seed / 8 % 4).expect("small")]
}

fn run(seed: u64, change: impl Fn(&mut SlotSettings)) -> Result<(), String> {
    let mut settings = settings(slots_of(seed));
    change(&mut settings);
    World::new(seed, settings, faults(seed)).run()
}

#[test]
fn no_fault_breaks_the_promises() {
    assert_eq!(find_trouble(seeds(), |seed| run(seed, |_| ())), None);
}

#[test]
fn a_broken_protocol_breaks_the_promises() {
    // each rule is needed: without it the simulation finds a seed that breaks a promise
    type Change = fn(&mut SlotSettings);
    let without: [(&str, Change); 6] = [
        ("leases that outlive commands", |it| it.lease = COMMAND / 2),
        ("a limit for the first byte", |it| it.send = COMMAND * 10),
        ("the fence", |it| it.fence = Duration::ZERO),
        ("fewer slots while cold", |it| it.cold = it.slots),
        ("turns", |it| it.turn = Duration::ZERO),
        ("turns that end", |it| it.turn = COMMAND * 1_000),
    ];
    for (rule, change) in without {
        let found = find_trouble(0..4_000, |seed| run(seed, change));
        assert!(found.is_some(), "no seed needs {rule}");
    }
}
