//! The line itself: who has a slot, who waits, and who is next. Pure: no clock, no lock, nobody
//! is woken.
//!
//! Principals take turns, and within one the first that came is the first to be served. A
//! principal that waits alone gets everything.

use std::collections::VecDeque;

/// A number of slots and the line in front of them. `K` is a principal, `T` what stands in line.
#[derive(Debug)]
pub(super) struct Line<K, T> {
    slots: usize,
    size: usize,
    running: usize,
    waiting: usize,
    next: u64,
    /// Those who wait, in the order of their next turns; none without a ticket.
    ring: VecDeque<Turn<K, T>>,
}

#[derive(Debug)]
struct Turn<K, T> {
    who: K,
    /// With growing numbers.
    tickets: VecDeque<(u64, T)>,
}

/// What became of somebody who came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// A slot was free.
    Seated,
    /// It waits, under this number.
    Waits(u64),
    /// There is no place left.
    Full,
}

impl<K: PartialEq, T> Line<K, T> {
    pub(super) fn new(slots: usize, size: usize) -> Self {
        Self {
            slots,
            size,
            running: 0,
            waiting: 0,
            next: 0,
            ring: VecDeque::new(),
        }
    }

    /// Takes a slot, or a place in line for what `ticket` makes.
    ///
    /// There are `size` places. Somebody who has none yet gets one beyond them, as long as fewer
    /// than `size` principals wait: one principal's backlog does not shut the others out.
    pub(super) fn enter(&mut self, who: K, ticket: impl FnOnce() -> T) -> Entered {
        if self.running < self.slots {
            self.running += 1;
            return Entered::Seated;
        }
        let own = self.ring.iter().position(|turn| turn.who == who);
        let taken = match own {
            Some(_) => self.waiting,
            None => self.ring.len(),
        };
        if taken >= self.size {
            return Entered::Full;
        }
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        let entry = (number, ticket());
        match own.and_then(|at| self.ring.get_mut(at)) {
            Some(turn) => turn.tickets.push_back(entry),
            None => self.ring.push_back(Turn {
                who,
                tickets: VecDeque::from([entry]),
            }),
        }
        Entered::Waits(number)
    }

    /// Takes a ticket out of the line; nothing if it is not there any more.
    pub(super) fn leave(&mut self, who: &K, number: u64) -> Option<T> {
        let at = self.ring.iter().position(|turn| turn.who == *who)?;
        let turn = self.ring.get_mut(at)?;
        let place = turn
            .tickets
            .binary_search_by_key(&number, |(n, _)| *n)
            .ok()?;
        let (_, ticket) = turn.tickets.remove(place)?;
        if turn.tickets.is_empty() {
            self.ring.remove(at);
        }
        self.waiting -= 1;
        Some(ticket)
    }

    /// Frees a slot. Whoever is next has it already.
    pub(super) fn release(&mut self) -> Option<T> {
        let Some(mut turn) = self.ring.pop_front() else {
            self.running -= 1;
            return None;
        };
        let first = turn.tickets.pop_front();
        if !turn.tickets.is_empty() {
            self.ring.push_back(turn);
        }
        self.waiting -= 1;
        first.map(|(_, ticket)| ticket)
    }

    /// How far from a slot a ticket is, from 1, if nobody else came or left.
    pub(super) fn place(&self, who: &K, number: u64) -> Option<usize> {
        let at = self.ring.iter().position(|turn| turn.who == *who)?;
        let own = self.ring.get(at)?;
        // so many turns of its own come before
        let rounds = own
            .tickets
            .binary_search_by_key(&number, |(n, _)| *n)
            .ok()?;
        let others = self.ring.iter().enumerate().filter(|(i, _)| *i != at);
        let before: usize = others
            .map(|(i, turn)| turn.tickets.len().min(rounds + usize::from(i < at)))
            .sum();
        Some(before + rounds + 1)
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// All tickets, in no order.
    pub(super) fn tickets(&self) -> impl Iterator<Item = &T> {
        self.ring
            .iter()
            .flat_map(|turn| turn.tickets.iter().map(|(_, ticket)| ticket))
    }
}
