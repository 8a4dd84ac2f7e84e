//! Records with their values in the clear: encrypts and decrypts them, and limits each call.

use crate::record::{Version, Versioned};
use crate::seal::FleetKeys;
use crate::store::{NewRecord, Store, StoreError};
use mwaa_model::Secret;
use mwaa_runtime::boot_clock;
use mwaa_telemetry::Metrics;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// The store, with the keys of the fleet.
#[derive(Debug)]
pub(crate) struct SealedStore {
    pub(crate) store: Box<dyn Store>,
    pub(crate) keys: FleetKeys,
    /// The longest call.
    pub(crate) limit: Duration,
    pub(crate) metrics: Arc<Metrics>,
}

impl SealedStore {
    /// Reads a record. Returns it with the time of the store.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<(Option<Versioned<T>>, Duration), StoreError> {
        let stored = self.call("read", self.store.read(name)).await?;
        let Some((version, sealed)) = stored.record else {
            return Ok((None, stored.time));
        };
        let unreadable = |text: String| StoreError::Unreadable(text);
        let opened = self.keys.open(name, &version.to_string(), &sealed);
        let opened = opened.map_err(|error| unreadable(error.to_string()))?;
        // its text would quote the value
        let value = serde_json::from_slice(opened.reveal()).map_err(|_error| {
            unreadable("a value in the store is from another version of the gateway".to_owned())
        })?;
        Ok((Some(Versioned { version, value }), stored.time))
    }

    /// Writes a record if it still has the version `base`. Returns true if it was written.
    pub(crate) async fn write<T: Serialize>(
        &self,
        name: &str,
        base: Option<Version>,
        record: &Versioned<T>,
    ) -> Result<bool, StoreError> {
        let value = serde_json::to_vec(&record.value).unwrap_or_default();
        let version = record.version.to_string();
        let new = NewRecord {
            version: record.version,
            value: self.keys.seal(name, &version, Secret::new(value)),
            life: LIFE,
        };
        let written = self
            .call("write", self.store.write(name, base, new))
            .await?;
        Ok(written.is_done)
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let started = boot_clock();
        let result = tokio::time::timeout(self.limit, call).await;
        let took = boot_clock().saturating_sub(started);
        let result = result.unwrap_or_else(|_elapsed| {
            self.store.reset();
            Err(StoreError::Slow)
        });
        self.metrics
            .count_store_call(operation, result.is_ok(), took);
        if let Err(error) = &result {
            tracing::debug!(operation, ?took, %error, "a call of the fleet's store failed");
        }
        result
    }
}

/// A record that is not written expires after this time. It is longer than every lease.
const LIFE: Duration = Duration::from_hours(24);
