//! Tokens and sessions that the gateways of a fleet share: made once, and found by the others in the
//! fleet's store. Without a fleet nothing here runs.

use super::error::MintError;
use super::lifetime::Expiring as _;
use super::single_flight::Source;
use crate::aws::{AwsError, AwsErrorKind};
use mwaa_fleet::{ClaimResult, ClaimSettings, Fleet, Found, ReplicaId, SharedFailure};
use mwaa_model::{Entry, Fault as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// A secret in a record of the store, which is encrypted. Its memory is wiped on drop.
#[derive(Clone)]
pub(super) struct StoredSecret(pub(super) Zeroizing<String>);

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl StoredSecret {
    pub(super) fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl Serialize for StoredSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StoredSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Finds an item of another gateway, or makes one that the others find. `known` is the id of the
/// last one that was used here; it is never used again, because it is due or was refused.
pub(super) async fn find_or_make<S: Source>(
    source: &S,
    fleet: &Arc<Fleet>,
    entry: &Entry,
    known: &AtomicU64,
    mint_total: Duration,
) -> Result<S::Item, MintError> {
    let settings = ClaimSettings {
        fresh: S::FRESH,
        ..claim_settings(mint_total)
    };
    let last = Some(known.load(Ordering::Relaxed));
    let found = fleet.find(&entry.environment, S::KIND, last, settings);

    match found.await {
        Found::Item {
            id,
            value,
            requested,
            usable,
        } => {
            let Some(item) = source.import(entry, value, requested, usable) else {
                // from another version of the gateway, or for a host that is not trusted here
                return make(source, entry).await;
            };
            known.store(id, Ordering::Relaxed);
            source.count(entry, "shared");
            Ok(item)
        }
        Found::Failure(failure) => Err(MintError::Aws(read_failure(&failure))),
        Found::Alone => make(source, entry).await,
        Found::Claimed(mut claim) => {
            let made = claim.keep(make(source, entry)).await;
            let result = match &made {
                Ok(item) => {
                    let id = fastrand::u64(1..);
                    known.store(id, Ordering::Relaxed);
                    ClaimResult::Made {
                        id,
                        value: source.export(item),
                        usable: item.lifetime().usable(),
                    }
                }
                Err(MintError::Aws(error)) if error.is_transient() => {
                    ClaimResult::Failed(write_failure(error))
                }
                Err(_) => ClaimResult::Nothing,
            };
            claim.publish(result).await;
            made
        }
    }
}

/// Returns the settings for a search that takes so long at most.
pub(super) fn claim_settings(limit: Duration) -> ClaimSettings {
    ClaimSettings {
        claim: DEAD,
        // enough is left for a try of its own
        patience: limit / 2,
        pause: PAUSE,
        fresh: 1.0,
    }
}

/// Makes an item, and counts it.
pub(super) async fn make<S: Source>(source: &S, entry: &Entry) -> Result<S::Item, MintError> {
    let made = source.make(entry).await;
    if made.is_ok() {
        source.count(entry, "ok");
    }
    made
}

pub(super) fn write_failure(error: &AwsError) -> SharedFailure {
    SharedFailure {
        // the claim fills them in
        owner: ReplicaId(0),
        until: 0,
        code: error.code().text.to_owned(),
        detail: error.to_string(),
        hint: error.hint().into_owned(),
    }
}

pub(super) fn read_failure(failure: &SharedFailure) -> AwsError {
    let kind = if failure.code == mwaa_model::code::AWS_THROTTLED.text {
        AwsErrorKind::Throttled
    } else {
        AwsErrorKind::Unavailable
    };
    let detail = format!("{} (another gateway of the fleet called)", failure.detail);
    AwsError::new(kind, &detail, failure.hint.clone())
}

/// A claim that is not renewed for this time is passed over; it is renewed every second.
const DEAD: Duration = Duration::from_secs(3);
/// The pause between two looks while another gateway makes an item.
const PAUSE: Duration = Duration::from_millis(100);
