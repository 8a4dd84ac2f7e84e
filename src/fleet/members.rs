//! The replicas of the fleet: each announces itself now and then.

use crate::record::{ReplicaId, millis};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The replicas that were seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MemberRecord {
    pub(crate) members: Vec<Member>,
}

/// A replica.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: ReplicaId,
    /// The time of the store when it announced itself, in milliseconds since 1970.
    seen: u64,
}

impl MemberRecord {
    /// Returns the record after `me` has announced itself. Those that were not seen for a while
    /// are left out.
    ///
    /// `known` is what `me` has written last. If the store has lost it, the others are taken from
    /// there, so that the shares without a store do not grow.
    pub(crate) fn with(&self, known: &[Member], me: ReplicaId, time: Duration) -> Self {
        let now = millis(time);
        let oldest = now.saturating_sub(millis(GONE));
        let mut members = self.members.clone();
        if members.iter().all(|one| one.id != me) {
            let is_known = |one: &Member| self.members.iter().any(|it| it.id == one.id);
            members.extend(known.iter().filter(|one| !is_known(one)));
        }
        members.retain(|one| one.id != me && one.seen >= oldest);
        for one in &mut members {
            // the store's clock was ahead: a replica that has gone since must not stay until then
            one.seen = one.seen.min(now);
        }
        members.push(Member { id: me, seen: now });
        Self { members }
    }

    /// Returns the record without `me`.
    pub(crate) fn without(&self, me: ReplicaId) -> Self {
        let members = self.members.iter().filter(|one| one.id != me);
        Self {
            members: members.copied().collect(),
        }
    }
}

/// The pause between two announcements of a replica.
pub(crate) const ANNOUNCE: Duration = Duration::from_secs(30);
/// A replica that did not announce itself for this time has gone.
const GONE: Duration = Duration::from_secs(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_are_silent_are_left_out() {
        let at = Duration::from_secs;
        let first = MemberRecord::default().with(&[], ReplicaId(1), at(0));
        let both = first.with(&[], ReplicaId(2), at(50));
        assert_eq!(both.members.len(), 2);
        let one = both.with(&both.members, ReplicaId(2), at(101));
        assert_eq!(one.members.len(), 1);
        assert!(one.without(ReplicaId(2)).members.is_empty());
    }

    #[test]
    fn replicas_from_a_time_when_the_clock_was_ahead_stay_no_longer_than_others() {
        let at = Duration::from_secs;
        let first = MemberRecord::default().with(&[], ReplicaId(1), at(1_000));
        let both = first.with(&[], ReplicaId(2), at(500));
        assert_eq!(both.members.len(), 2, "it may be there");
        let later = both.with(&both.members, ReplicaId(2), at(599));
        assert_eq!(later.members.len(), 2);
        let one = later.with(&later.members, ReplicaId(2), at(601));
        assert_eq!(one.members.len(), 1);
    }

    #[test]
    fn a_store_that_lost_the_replicas_gets_them_back() {
        let at = Duration::from_secs;
        let first = MemberRecord::default().with(&[], ReplicaId(1), at(0));
        let both = first.with(&[], ReplicaId(2), at(50));
        let again = MemberRecord::default().with(&both.members, ReplicaId(2), at(80));
        assert_eq!(again.members.len(), 2);
        // the first one has gone by then
        let late = MemberRecord::default().with(&both.members, ReplicaId(2), at(110));
        assert_eq!(late.members.len(), 1);
        // nothing is lost: it left
        let left = both.without(ReplicaId(1));
        assert_eq!(
            left.with(&both.members, ReplicaId(2), at(60)).members.len(),
            1
        );
    }
}
