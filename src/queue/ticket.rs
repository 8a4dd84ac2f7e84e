//! A command on its way to a slot. Dropped, it leaves the line.

use super::QueueError;
use super::environment::{Came, Queue, Standing};
use super::run::{Run, Slot, What};
use crate::names::{Entry, Principal};
use crate::policy::Permitted;
use crate::runtime::Sweeper;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A permitted command that has a slot. The slot is free again when this is dropped.
#[derive(Debug)]
pub struct Seated {
    permitted: Permitted,
    slot: Slot,
}

impl Seated {
    /// The command.
    pub fn permitted(&self) -> &Permitted {
        &self.permitted
    }

    /// Its environment.
    pub fn entry(&self) -> &Arc<Entry> {
        self.permitted.entry()
    }

    /// What is known of it while it has its slot.
    pub fn run(&self) -> &Arc<Run> {
        self.slot.run()
    }
}

/// A permitted command that has a slot or a place in line.
#[derive(Debug)]
pub struct Ticket {
    permitted: Permitted,
    spot: Spot,
}

impl Ticket {
    pub(super) fn new(
        queue: &Arc<Queue>,
        permitted: Permitted,
        limit: Duration,
    ) -> Result<Self, QueueError> {
        let who = permitted.caller().principal();
        let what = What {
            id: permitted.id(),
            name: permitted.name(),
        };
        let spot = Spot::find(queue, who, what, limit)?;
        Ok(Self { permitted, spot })
    }

    /// The command.
    pub fn permitted(&self) -> &Permitted {
        &self.permitted
    }

    /// Waits for the slot.
    pub async fn seat(self, sweeper: &Sweeper) -> Result<Seated, QueueError> {
        let Self { permitted, spot } = self;
        let slot = spot.wait(sweeper).await?;
        Ok(Seated { permitted, slot })
    }

    /// Waits for the slot, and tells `moved` where it stands, now and whenever that changes.
    pub async fn seat_telling(
        self,
        sweeper: &Sweeper,
        moved: impl Fn(Standing),
    ) -> Result<Seated, QueueError> {
        let Self { permitted, spot } = self;
        let slot = spot.wait_telling(sweeper, moved).await?;
        Ok(Seated { permitted, slot })
    }
}

/// A slot, or a place in line for one.
#[derive(Debug)]
pub(super) enum Spot {
    Seat(Slot),
    Line(Place),
}

/// A place in line. It is free again when this is dropped, and so is a slot that has come and
/// was not taken.
#[derive(Debug)]
pub(super) struct Place {
    queue: Arc<Queue>,
    who: Principal,
    number: u64,
    seat: oneshot::Receiver<Slot>,
    limit: Duration,
    /// Whether it ended otherwise than by its client's leaving.
    over: bool,
}

impl Spot {
    pub(super) fn find(
        queue: &Arc<Queue>,
        who: Principal,
        what: What,
        limit: Duration,
    ) -> Result<Self, QueueError> {
        match queue.enter(who, what) {
            Came::Seated(slot) => Ok(Self::Seat(slot)),
            Came::Waits { number, seat } => Ok(Self::Line(Place {
                queue: Arc::clone(queue),
                who,
                number,
                seat,
                limit,
                over: false,
            })),
            Came::Full { waiting } => {
                queue.metrics.full.inc();
                let retry = queue.retry_after();
                Err(QueueError::Full { waiting, retry })
            }
        }
    }

    pub(super) async fn wait(self, sweeper: &Sweeper) -> Result<Slot, QueueError> {
        match self {
            Self::Seat(slot) => Ok(slot),
            Self::Line(mut place) => {
                let arrived = sweeper.within(place.limit, &mut place.seat).await;
                place.arrived(arrived.ok().and_then(Result::ok))
            }
        }
    }

    pub(super) async fn wait_telling(
        self,
        sweeper: &Sweeper,
        moved: impl Fn(Standing),
    ) -> Result<Slot, QueueError> {
        match self {
            Self::Seat(slot) => Ok(slot),
            Self::Line(mut place) => {
                let arrived = sweeper.within(place.limit, place.watched(moved)).await;
                place.arrived(arrived.ok().flatten())
            }
        }
    }
}

impl Place {
    async fn watched(&mut self, moved: impl Fn(Standing)) -> Option<Slot> {
        let mut changes = self.queue.changes();
        let mut told = None;
        loop {
            let standing = self.queue.standing(&self.who, self.number);
            if let Some(standing) = standing.filter(|now| told != Some(*now)) {
                told = Some(standing);
                moved(standing);
            }
            tokio::select! {
                biased;
                slot = &mut self.seat => return slot.ok(),
                _ = changes.changed() => {}
            }
        }
    }

    fn arrived(&mut self, slot: Option<Slot>) -> Result<Slot, QueueError> {
        self.over = true;
        slot.ok_or_else(|| {
            self.queue.leave(&self.who, self.number);
            self.queue.metrics.timeout.inc();
            QueueError::Timeout {
                after: self.limit,
                retry: self.queue.retry_after(),
            }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.over {
            self.queue.metrics.left.inc();
        }
        self.queue.leave(&self.who, self.number);
    }
}
