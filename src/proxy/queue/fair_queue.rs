//! The order in which waiting commands get slots. Pure: no clock, no lock, no wake-up.
//!
//! Clients take turns (round robin), and the commands of one client are served first in,
//! first out. A client that waits alone gets every slot.

use std::collections::VecDeque;

/// A number of slots, and the items that wait for one. `K` is a client, `T` an item.
#[derive(Debug)]
pub(super) struct FairQueue<K, T> {
    slots: usize,
    /// True if each slot comes from elsewhere, by [`FairQueue::grant`].
    is_granted: bool,
    size: usize,
    running: usize,
    waiting: usize,
    next_number: u64,
    /// The clients that wait, in the order of their next turns. Each has an item.
    ring: VecDeque<Turn<K, T>>,
}

#[derive(Debug)]
struct Turn<K, T> {
    client: K,
    /// Items in the order in which they came, under growing numbers.
    items: VecDeque<(u64, T)>,
}

/// The result of [`FairQueue::enqueue`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Enqueued<H> {
    /// A slot was free and is taken now.
    Acquired,
    /// The item waits, under this number; the handle was made with it.
    Waiting(u64, H),
    /// The queue is full.
    Full,
}

impl<K: PartialEq, T> FairQueue<K, T> {
    pub(super) fn new(slots: usize, size: usize) -> Self {
        Self {
            slots,
            is_granted: false,
            size,
            running: 0,
            waiting: 0,
            next_number: 0,
            ring: VecDeque::new(),
        }
    }

    /// Makes every item wait until [`grant`](Self::grant) is called for it.
    pub(super) fn wait_for_grants(&mut self) {
        self.is_granted = true;
        self.resize(self.slots, self.size);
    }

    /// Gives a slot from elsewhere to the item whose turn it is. `None` if none waits.
    pub(super) fn grant(&mut self) -> Option<T> {
        let next = self.pop()?;
        self.running += 1;
        Some(next)
    }

    /// Takes a free slot, or adds the item that `make_item` returns with a handle for the caller.
    ///
    /// `size` items may wait. A client that has none waiting may exceed that, as long as fewer
    /// than `size` clients wait: one client's backlog must not lock the others out.
    pub(super) fn enqueue<H>(
        &mut self,
        client: K,
        make_item: impl FnOnce() -> (T, H),
    ) -> Enqueued<H> {
        if !self.is_granted && self.running < self.slots {
            self.running += 1;
            return Enqueued::Acquired;
        }

        let own = self.ring.iter().position(|turn| turn.client == client);
        let taken = match own {
            Some(_) => self.waiting,
            None => self.ring.len(),
        };
        if taken >= self.size {
            return Enqueued::Full;
        }

        let number = self.next_number;
        self.next_number += 1;
        self.waiting += 1;
        let (item, handle) = make_item();
        let item = (number, item);
        match own.and_then(|at| self.ring.get_mut(at)) {
            Some(turn) => turn.items.push_back(item),
            None => self.ring.push_back(Turn {
                client,
                items: VecDeque::from([item]),
            }),
        }
        Enqueued::Waiting(number, handle)
    }

    /// Removes and returns a waiting item. `None` means that it no longer waits.
    pub(super) fn remove(&mut self, client: &K, number: u64) -> Option<T> {
        let at = self.find(client)?;
        let turn = self.ring.get_mut(at)?;
        let index = turn.index(number)?;
        let (_, item) = turn.items.remove(index)?;
        // a client without items has no turn
        if turn.items.is_empty() {
            self.ring.remove(at);
        }
        self.waiting -= 1;
        Some(item)
    }

    /// Removes and returns all waiting items.
    pub(super) fn clear(&mut self) -> Vec<T> {
        self.waiting = 0;
        let turns = std::mem::take(&mut self.ring).into_iter();
        turns
            .flat_map(|turn| turn.items.into_iter().map(|(_, item)| item))
            .collect()
    }

    /// Frees a slot. Returns the item that the slot passes to, if one waits and there are not more
    /// slots taken than there shall be.
    pub(super) fn release(&mut self) -> Option<T> {
        self.running -= 1;
        self.acquire()
    }

    /// Changes the number of slots and the room for items. What has a slot or a place keeps it.
    pub(super) fn resize(&mut self, slots: usize, size: usize) {
        self.slots = slots;
        // those that a slot of its own would have had at once wait too
        self.size = if self.is_granted { size + slots } else { size };
    }

    /// Gives a free slot to the next item and returns it; `None` if no slot is free, or no item waits.
    pub(super) fn acquire(&mut self) -> Option<T> {
        if self.is_granted || self.running >= self.slots {
            return None;
        }
        let next = self.pop()?;
        self.running += 1;
        Some(next)
    }

    /// Removes the item whose turn it is.
    fn pop(&mut self) -> Option<T> {
        let mut turn = self.ring.pop_front()?;
        let first = turn.items.pop_front();
        // to the end of the ring: it is the next client's turn
        if !turn.items.is_empty() {
            self.ring.push_back(turn);
        }
        self.waiting -= 1;
        first.map(|(_, item)| item)
    }

    /// Returns an item's distance from a slot, 1 for the next one, if no other item came or
    /// left. `None` means that it no longer waits.
    pub(super) fn position(&self, client: &K, number: u64) -> Option<usize> {
        let at = self.find(client)?;
        // as many turns of its own client come first
        let rounds = self.ring.get(at)?.index(number)?;

        // each other client has a turn in every round, and one more if it is ahead in the ring
        let others = self.ring.iter().enumerate().filter(|(i, _)| *i != at);
        let ahead: usize = others
            .map(|(i, turn)| turn.items.len().min(rounds + usize::from(i < at)))
            .sum();
        Some(ahead + rounds + 1)
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

    /// All waiting items, in no order.
    pub(super) fn items(&self) -> impl Iterator<Item = &T> {
        self.ring
            .iter()
            .flat_map(|turn| turn.items.iter().map(|(_, item)| item))
    }

    fn find(&self, client: &K) -> Option<usize> {
        self.ring.iter().position(|turn| turn.client == *client)
    }
}

impl<K, T> Turn<K, T> {
    /// The index of an item; the numbers grow, so it is found by bisection.
    fn index(&self, number: u64) -> Option<usize> {
        self.items
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()
    }
}
