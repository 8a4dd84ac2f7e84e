//! The queue of an environment whose slots come from a fleet.

use super::threads::{on_a_worker, queue, spot};
use crate::queue::QueueError;
use mwaa_fleet::{CommandWaiters as _, Grant};
use std::sync::Arc;
use std::time::Duration;

fn grant(number: u64) -> Grant {
    Grant {
        number,
        send_by: Duration::MAX,
        is_alone: false,
    }
}

#[test]
fn a_command_waits_until_the_fleet_gives_a_slot() {
    let (queue, _metrics) = queue(3, 10);
    queue.state().queue.wait_for_grants();
    on_a_worker(async |timer| {
        assert!(!Arc::clone(&queue).grant(grant(1)), "no command waits");
        let [first, second, other] = [1, 1, 2].map(|who| spot(&queue, who).unwrap());
        assert_eq!(queue.waiting(), 3);

        // the clients take turns, however many slots there are here
        for (number, entry) in [(2, first), (3, other)] {
            assert!(Arc::clone(&queue).grant(grant(number)));
            drop(entry.acquire(timer).await.unwrap());
        }
        assert_eq!(queue.waiting(), 1, "a slot that ends is not given again");
        assert_eq!(queue.summary().running.len(), 0);

        // a command that has left frees its slot, and takes none
        drop(second);
        assert!(!Arc::clone(&queue).grant(grant(4)));
    });
}

#[test]
fn commands_are_refused_while_the_fleet_gives_no_slots() {
    let (queue, _metrics) = queue(1, 10);
    queue.state().queue.wait_for_grants();
    on_a_worker(async |timer| {
        let waiting = spot(&queue, 1).unwrap();
        queue.set_refusing(true);
        let refused = waiting.acquire(timer).await.unwrap_err();
        assert_eq!(refused, QueueError::Refused);
        assert_eq!(spot(&queue, 1).unwrap_err(), QueueError::Refused);

        queue.set_refusing(false);
        let waiting = spot(&queue, 1).unwrap();
        assert!(Arc::clone(&queue).grant(grant(1)));
        assert!(waiting.acquire(timer).await.unwrap().start_sending());
    });
}
