//! The rules of the fair queue, checked against a list of all events.

use super::super::fair_queue::{Enqueued, FairQueue};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter(u8),
    /// One of those who wait goes away.
    Leave(prop::sample::Index),
    /// One of those who run is done.
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PRINCIPALS).prop_map(Step::Enter),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
        3 => Just(Step::Release),
    ]
}

/// Somebody in queue: whose it is, and at how many ends of others it has looked on since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waits {
    who: u8,
    number: u64,
    own_before: usize,
    ends_seen: usize,
}

#[derive(Debug)]
struct World {
    queue: FairQueue<u8, u32>,
    slots: usize,
    size: usize,
    running: usize,
    waiting: BTreeMap<u32, Waits>,
    born: u32,
}

impl World {
    fn enter(&mut self, who: u8) {
        let name = self.born;
        self.born += 1;
        let own = self.waiting.values().filter(|one| one.who == who).count();
        let mut others: Vec<_> = self.waiting.values().map(|one| one.who).collect();
        others.sort_unstable();
        others.dedup();
        match self.queue.enqueue(who, || (name, ())) {
            Enqueued::Acquired => {
                assert!(self.running < self.slots && self.waiting.is_empty());
                self.running += 1;
            }
            Enqueued::Waiting(number, ()) => {
                assert_eq!(self.running, self.slots, "a slot was free");
                let waits = Waits {
                    who,
                    number,
                    own_before: own,
                    ends_seen: 0,
                };
                self.waiting.insert(name, waits);
            }
            Enqueued::Full if own > 0 => assert!(self.waiting.len() >= self.size),
            Enqueued::Full => assert!(others.len() >= self.size),
        }
    }

    fn leave(&mut self, index: prop::sample::Index) {
        if self.waiting.is_empty() {
            return;
        }
        let name = *index.get(&self.waiting.keys().copied().collect::<Vec<_>>());
        let gone = self.waiting.remove(&name).unwrap();
        assert_eq!(self.queue.remove(&gone.who, gone.number), Some(name));
        assert_eq!(self.queue.remove(&gone.who, gone.number), None);
        assert_eq!(self.queue.position(&gone.who, gone.number), None);
    }

    fn release(&mut self) -> Option<u32> {
        if self.running == 0 {
            return None;
        }
        let next = self.queue.release();
        let Some(name) = next else {
            assert!(self.waiting.is_empty(), "somebody was forgotten");
            self.running -= 1;
            return None;
        };
        let served = self.waiting.remove(&name).expect("served once");
        let mut own = self.waiting.iter().filter(|(_, one)| one.who == served.who);
        assert!(own.all(|(other, _)| *other > name), "out of order");
        // each turn of its own comes after at most one of every other
        let most = (served.own_before + 1) * usize::from(PRINCIPALS);
        assert!(served.ends_seen < most, "starved: {served:?}");
        for one in self.waiting.values_mut() {
            one.ends_seen += 1;
        }
        next
    }

    fn check(&self) {
        assert_eq!(self.queue.running(), self.running);
        assert!(self.running <= self.slots);
        assert_eq!(self.queue.waiting(), self.waiting.len());
        assert!(self.waiting.len() < (2 * self.size).max(1));
        let mut seen: Vec<_> = self.queue.items().copied().collect();
        seen.sort_unstable();
        assert!(seen.iter().eq(self.waiting.keys()));
    }
}

proptest! {
    #[test]
    fn slots_and_waiting_items_are_never_lost(
        slots in 1..4_usize,
        size in 0..9_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World {
            queue: FairQueue::new(slots, size),
            slots,
            size,
            running: 0,
            waiting: BTreeMap::new(),
            born: 0,
        };
        for step in steps {
            match step {
                Step::Enter(who) => world.enter(who),
                Step::Leave(index) => world.leave(index),
                Step::Release => drop(world.release()),
            }
            world.check();
        }
        // the clients are then served in the order of their reported positions
        let waits = world.waiting.iter();
        let mut told: Vec<_> = waits
            .map(|(name, one)| (world.queue.position(&one.who, one.number).unwrap(), *name))
            .collect();
        told.sort_unstable();
        for (place, (said, name)) in told.into_iter().enumerate() {
            prop_assert_eq!(said, place + 1);
            prop_assert_eq!(world.release(), Some(name));
        }
        while world.running > 0 {
            world.release();
        }
        world.check();
    }
}

/// Numbers of one client's commands: 10 and up for the first, 20 and up for the second.
fn order(queue: &mut FairQueue<char, u32>) -> Vec<u32> {
    std::iter::from_fn(|| queue.release()).collect()
}

#[test]
fn clients_take_turns_and_a_single_client_gets_every_slot() {
    let mut queue = FairQueue::new(1, 32);
    assert_eq!(queue.enqueue('a', || (0, ())), Enqueued::Acquired);
    for number in 10..14 {
        queue.enqueue('a', || (number, ()));
    }
    queue.enqueue('b', || (20, ()));
    queue.enqueue('b', || (21, ()));
    queue.enqueue('c', || (30, ()));
    assert_eq!(order(&mut queue), [10, 20, 30, 11, 21, 12, 13]);
}

#[test]
fn the_backlog_of_one_client_does_not_block_others() {
    let mut queue = FairQueue::new(1, 3);
    assert_eq!(queue.enqueue('a', || (0, ())), Enqueued::Acquired);
    for number in 10..13 {
        assert!(matches!(
            queue.enqueue('a', || (number, ())),
            Enqueued::Waiting(_, ())
        ));
    }
    assert_eq!(queue.enqueue('a', || (13, ())), Enqueued::Full);
    assert!(matches!(
        queue.enqueue('b', || (20, ())),
        Enqueued::Waiting(_, ())
    ));
    assert_eq!(queue.enqueue('b', || (21, ())), Enqueued::Full);
    assert!(matches!(
        queue.enqueue('c', || (30, ())),
        Enqueued::Waiting(_, ())
    ));
    assert_eq!(queue.enqueue('d', || (40, ())), Enqueued::Full);
    assert_eq!(order(&mut queue), [10, 20, 30, 11, 12]);
}

const PRINCIPALS: u8 = 5;
