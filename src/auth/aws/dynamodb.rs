//! DynamoDB as the store of a fleet: each record is an item of one table.

use super::AwsError;
use super::client::{AwsClient, Call};
use crate::run_in_background;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use mwaa_fleet::{
    Call as StoreCall, NewRecord, Store, StoreError, StoredRecord, Version, WriteResult,
};
use mwaa_model::{Environment, Fault as _};
use mwaa_runtime::{BackgroundTasks, Timestamp};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A table. Its key is the string `id`; its time to live is the number `expires`.
///
/// Needs `dynamodb:GetItem` and `dynamodb:PutItem` on the table.
pub struct DynamoDbStore {
    table: Arc<Table>,
    background: BackgroundTasks,
}

struct Table {
    aws: Arc<AwsClient>,
    /// The table's name, in place of an environment's, with region and identity.
    place: Environment,
}

impl fmt::Debug for DynamoDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamoDbStore({})", self.table.place.name)
    }
}

impl DynamoDbStore {
    /// Creates a client of the table that `place` names, with the identity and region of `place`. A
    /// call that takes too long for its caller continues as a task of `background`, because it may
    /// be waiting for credentials.
    pub fn new(aws: Arc<AwsClient>, place: Environment, background: BackgroundTasks) -> Self {
        let table = Arc::new(Table { aws, place });
        Self { table, background }
    }
}

impl Store for DynamoDbStore {
    fn read<'a>(&'a self, record: &'a str) -> StoreCall<'a, StoredRecord> {
        let table = Arc::clone(&self.table);
        let record = record.to_owned();
        let call = async move { table.read(record).await };
        Box::pin(in_background(&self.background, call))
    }

    fn write<'a>(
        &'a self,
        record: &'a str,
        base: Option<Version>,
        new: NewRecord,
    ) -> StoreCall<'a, WriteResult> {
        let table = Arc::clone(&self.table);
        let record = record.to_owned();
        let call = async move { table.write(record, base, new).await };
        Box::pin(in_background(&self.background, call))
    }

    // a call that hangs keeps its connection, and the next one takes another
    fn reset(&self) {}
}

impl Table {
    async fn read(&self, record: String) -> Result<StoredRecord, StoreError> {
        let call = self.call("GetItem").await?;
        let request = call
            .client
            .dynamodb()?
            .get_item()
            .table_name(self.place.name.as_ref())
            .key(ID, AttributeValue::S(record))
            .consistent_read(true)
            .customize()
            .interceptor(call.record.clone());
        let found = self.aws.send(&call, Box::pin(request.send())).await;
        let item = found?.item;

        let time = date(&call)?;
        let record = item.map(|item| read_item(&item)).transpose()?;
        Ok(StoredRecord { record, time })
    }

    async fn write(
        &self,
        record: String,
        base: Option<Version>,
        new: NewRecord,
    ) -> Result<WriteResult, StoreError> {
        let call = self.call("PutItem").await?;
        let expires = Timestamp::now().wall() + new.life;
        let mut request = call
            .client
            .dynamodb()?
            .put_item()
            .table_name(self.place.name.as_ref())
            .item(ID, AttributeValue::S(record))
            .item(VERSION, AttributeValue::S(new.version.to_string()))
            .item(VALUE, AttributeValue::B(Blob::new(new.value)))
            .item(EXPIRES, AttributeValue::N(expires.as_secs().to_string()))
            .expression_attribute_names("#version", VERSION)
            .return_values_on_condition_check_failure(
                ReturnValuesOnConditionCheckFailure::AllOld,
            );
        request = match base {
            Some(base) => request
                .condition_expression("#version = :base")
                .expression_attribute_values(":base", AttributeValue::S(base.to_string())),
            None => request.condition_expression("attribute_not_exists(#version)"),
        };

        let request = request.customize().interceptor(call.record.clone());
        let is_done = match Box::pin(request.send()).await {
            Ok(_written) => true,
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refusal)) => {
                    // something on the way has sent the write twice
                    let version = refusal.item().and_then(read_version);
                    version == Some(new.version)
                }
                _ => return Err(self.aws.convert_error(&call, &error).await.into()),
            },
        };
        let time = date(&call)?;
        Ok(WriteResult { is_done, time })
    }

    async fn call(&self, operation: &'static str) -> Result<Call<'_>, StoreError> {
        Ok(self.aws.call(operation, &self.place).await?)
    }
}

fn read_item(item: &HashMap<String, AttributeValue>) -> Result<(Version, Vec<u8>), StoreError> {
    let value = item.get(VALUE).and_then(|value| value.as_b().ok());
    match (read_version(item), value) {
        (Some(version), Some(value)) => Ok((version, value.as_ref().to_vec())),
        _ => Err(StoreError::Unreadable(
            "an item of the table has no valid version or no value".to_owned(),
        )),
    }
}

fn read_version(item: &HashMap<String, AttributeValue>) -> Option<Version> {
    Version::parse(item.get(VERSION)?.as_s().ok()?)
}

/// Returns the time of the server that answered a call, in whole seconds.
fn date(call: &Call<'_>) -> Result<Duration, StoreError> {
    let date = call
        .record
        .date()
        .map(|date| date.duration_since(UNIX_EPOCH));
    match date {
        Some(Ok(date)) => Ok(date),
        Some(Err(_)) | None => Err(StoreError::Refused(
            "a response of DynamoDB has no valid date".to_owned(),
        )),
    }
}

impl From<AwsError> for StoreError {
    fn from(error: AwsError) -> Self {
        Self::Explained {
            detail: error.to_string(),
            hint: error.hint().into_owned(),
        }
    }
}

/// Runs a call that continues if its caller does not wait for it.
pub(super) async fn in_background<T: Send + 'static>(
    background: &BackgroundTasks,
    call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let result = run_in_background(background, call).await;
    result.unwrap_or(Err(StoreError::Slow))
}

const ID: &str = "id";
const VERSION: &str = "version";
const VALUE: &str = "value";
const EXPIRES: &str = "expires";
