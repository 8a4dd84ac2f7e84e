//! The store as the protocol sees it: versioned records, read and written one at a time.

use crate::record::Version;
use mwaa_model::debug_fields;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The response of a call, as a future.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store of versioned records.
pub trait Store: fmt::Debug + Send + Sync {
    /// Reads a record.
    fn read<'a>(&'a self, record: &'a str) -> Call<'a, StoredRecord>;

    /// Writes a record if it still has the version `base`, or if it does not exist and `base` is
    /// `None`. It expires after `life`. Returns true if it was written.
    fn write<'a>(
        &'a self,
        record: &'a str,
        base: Option<Version>,
        new: NewRecord,
    ) -> Call<'a, WriteResult>;

    /// Makes the next call begin with a new connection: the last one took too long.
    fn reset(&self);
}

/// A record as the store returns it.
pub struct StoredRecord {
    /// Its version and its encrypted value; `None` if it does not exist.
    pub record: Option<(Version, Vec<u8>)>,
    /// The time of the store, since 1970; it may have only whole seconds.
    pub time: Duration,
}

debug_fields!(StoredRecord: time);

/// A record that is to be written.
pub struct NewRecord {
    /// Its version.
    pub version: Version,
    /// Its encrypted value.
    pub value: Vec<u8>,
    /// It expires after this time.
    pub life: Duration,
}

debug_fields!(NewRecord: version, life);

/// The result of a write.
#[derive(Debug, Clone, Copy)]
pub struct WriteResult {
    /// False if the record had another version.
    pub is_done: bool,
    /// The time of the store, since 1970.
    pub time: Duration,
}

/// A call of the store that failed. It may have happened all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection.
    #[error("cannot connect to the store: {0}")]
    Connect(String),
    /// The store returned an error.
    #[error("the store returned an error: {0}")]
    Refused(String),
    /// No response in time.
    #[error("the store did not respond in time")]
    Slow,
    /// Each write of the list of replicas found another version.
    #[error("the list of replicas was always changed in between")]
    Conflicts,
    /// A value of another fleet, or of another version of the gateway.
    #[error("{0}")]
    Unreadable(String),
    /// An error with advice of its own.
    #[error("{detail}")]
    Explained {
        /// The reason.
        detail: String,
        /// The advice.
        hint: String,
    },
}

impl StoreError {
    /// Returns what a person can do.
    pub fn hint(&self) -> &str {
        match self {
            Self::Connect(_)
            | Self::Refused(_)
            | Self::Slow
            | Self::Conflicts
            | Self::Unreadable(_) => {
                "check fleet.store, fleet.password_file, fleet.key_file and the network"
            }
            Self::Explained { hint, .. } => hint,
        }
    }
}
