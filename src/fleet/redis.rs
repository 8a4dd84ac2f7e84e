//! Redis and Valkey: a record is a hash with a version and a value. Each call is one script, which
//! also returns the server's time.

use crate::limited_stream::LimitedStream;
use crate::record::Version;
use crate::store::{Call, NewRecord, Store, StoreError, StoredRecord, WriteResult};
use mwaa_egress::{Connector, tls};
use mwaa_model::{RedisAddress, Secret, StorePlace, error_chain};
use mwaa_runtime::{BackgroundTasks, RuntimeTimer, boot_clock};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisConnectionInfo};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

/// A Redis server, over one connection.
pub struct RedisStore {
    address: RedisAddress,
    password: RedisPassword,
    connector: Connector,
    tls: Arc<rustls::ClientConfig>,
    background: BackgroundTasks,
    /// The connection, and the boot clock when it was opened.
    connection: Mutex<Option<(MultiplexedConnection, Duration)>>,
}

/// The password of a login.
#[derive(Debug)]
pub enum RedisPassword {
    /// No password.
    None,
    /// One that does not change.
    Fixed(Secret<String>),
    /// One that is made for each connection, which is not used for longer than 11 hours: ElastiCache
    /// closes it after 12 (ElastiCache User Guide, "Authenticating with IAM").
    Made(Box<dyn PasswordSource>),
}

/// Makes passwords.
pub trait PasswordSource: fmt::Debug + Send + Sync {
    /// Returns a password for a connection that is opened now.
    fn password(&self) -> Call<'_, Secret<String>>;
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisStore({})", self.address)
    }
}

impl RedisStore {
    /// Creates a client, which connects when it is first used. Its connection runs as a task of
    /// `background`.
    pub fn new(
        address: RedisAddress,
        password: RedisPassword,
        connector: Connector,
        background: BackgroundTasks,
    ) -> Self {
        let mut tls = tls::client_config(tls::system_roots().clone());
        // it is not HTTP
        tls.alpn_protocols.clear();
        Self {
            address,
            password,
            connector,
            tls: Arc::new(tls),
            background,
            connection: Mutex::new(None),
        }
    }

    /// Runs a script, which may be run twice: the server may have been restarted since the last call. A
    /// connection that broke is replaced.
    async fn run<T: FromRedisValue>(&self, script: &redis::Cmd) -> Result<T, StoreError> {
        let (mut connection, is_new) = self.connection().await?;
        let mut result = script.query_async(&mut connection).await;
        let is_dropped = |error: &redis::RedisError| error.is_connection_dropped();
        if !is_new && result.as_ref().is_err_and(is_dropped) {
            self.reset();
            let (mut connection, _is_new) = self.connection().await?;
            result = script.query_async(&mut connection).await;
        }
        result.map_err(|error: redis::RedisError| {
            // the server has refused the call, and the connection is good
            if error.is_unrecoverable_error() || error.is_io_error() {
                self.reset();
                return StoreError::Connect(explain(&error));
            }
            StoreError::Refused(explain(&error))
        })
    }

    /// Returns the connection, and true if it was opened now.
    async fn connection(&self) -> Result<(MultiplexedConnection, bool), StoreError> {
        let mut open = self.connection.lock().await;
        let is_timed = matches!(self.password, RedisPassword::Made(_));
        if let Some((connection, opened)) = &*open
            && !(is_timed && boot_clock().saturating_sub(*opened) > LOGIN)
        {
            return Ok((connection.clone(), false));
        }
        let connection = self.connect().await?;
        *open = Some((connection.clone(), boot_clock()));
        Ok((connection, true))
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let place = &self.address.place;
        let stream = self.connector.connect_to_store(place, &RuntimeTimer);
        let stream = stream
            .await
            .map_err(|error| StoreError::Connect(explain(&error)))?;

        match place {
            StorePlace::Tcp {
                host, tls: true, ..
            } => {
                let config = Arc::clone(&self.tls);
                // the call has a limit, which is shorter
                let stream = tls::connect(host, stream, config, HANDSHAKE, &RuntimeTimer);
                let stream = stream.await.map_err(|error| StoreError::Explained {
                    detail: format!("no trusted TLS connection to {host}: {error}"),
                    hint: "the system must trust the store's authority, or a file with all \
                           authorities that SSL_CERT_FILE names"
                        .to_owned(),
                })?;
                self.log_in(stream).await
            }
            StorePlace::Tcp { .. } | StorePlace::Unix(_) => self.log_in(stream).await,
        }
    }

    async fn log_in<S>(&self, stream: S) -> Result<MultiplexedConnection, StoreError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut info = RedisConnectionInfo::default()
            .set_db(self.address.database.into())
            .set_skip_set_lib_name();
        if let Some(user) = &self.address.user {
            info = info.set_username(user);
        }
        match &self.password {
            RedisPassword::None => {}
            RedisPassword::Fixed(password) => info = info.set_password(password.reveal()),
            RedisPassword::Made(source) => {
                let password = source.password().await?;
                info = info.set_password(password.reveal());
            }
        }

        // the limit is that of the whole call
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let stream = LimitedStream::new(stream, MAX_REPLY);
        let connected = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = connected.map_err(|error| self.explain(&error))?;
        let span = tracing::debug_span!("redis");
        self.background.spawn(span, driver);
        Ok(connection)
    }
}

impl RedisStore {
    /// Returns the error of a login that failed.
    fn explain(&self, error: &redis::RedisError) -> StoreError {
        let detail = explain(error);
        let is_refused = error.kind() == redis::ErrorKind::AuthenticationFailed;
        if is_refused && matches!(self.password, RedisPassword::Made(_)) {
            let hint = "allow elasticache:Connect on the replication group and the user for this \
                        identity; the user's name and id must be the same, and iam in fleet.store is \
                        the id of the group";
            return StoreError::Explained {
                detail,
                hint: hint.to_owned(),
            };
        }
        StoreError::Connect(detail)
    }
}

impl Store for RedisStore {
    fn read<'a>(&'a self, record: &'a str) -> Call<'a, StoredRecord> {
        Box::pin(async move {
            let mut script = redis::cmd("EVAL");
            script.arg(READ).arg(1).arg(record);
            let (seconds, micros, version, value): RawRecord = self.run(&script).await?;
            let record = match (version, value) {
                (Some(version), Some(value)) => {
                    let version = Version::parse(&version);
                    let wrong = "a record in the store has no valid version";
                    let version =
                        version.ok_or_else(|| StoreError::Unreadable(wrong.to_owned()))?;
                    Some((version, value))
                }
                (None, None) => None,
                // no write would match its version
                (Some(_), None) | (None, Some(_)) => {
                    let wrong = "a record in the store is incomplete";
                    return Err(StoreError::Unreadable(wrong.to_owned()));
                }
            };
            let time = to_time(seconds, micros)?;
            Ok(StoredRecord { record, time })
        })
    }

    fn write<'a>(
        &'a self,
        record: &'a str,
        base: Option<Version>,
        new: NewRecord,
    ) -> Call<'a, WriteResult> {
        Box::pin(async move {
            let mut script = redis::cmd("EVAL");
            script.arg(WRITE).arg(1).arg(record);
            script.arg(base.map(|base| base.to_string()).unwrap_or_default());
            script.arg(new.version.to_string()).arg(new.value);
            script.arg(u64::try_from(new.life.as_millis()).unwrap_or(u64::MAX));
            let (seconds, micros, done): (u64, u64, u8) = self.run(&script).await?;
            Ok(WriteResult {
                is_done: done == 1,
                time: to_time(seconds, micros)?,
            })
        })
    }

    fn reset(&self) {
        // a call that connects now holds the lock, and its connection is new
        if let Ok(mut connection) = self.connection.try_lock() {
            *connection = None;
        }
    }
}

/// Seconds and microseconds of the server's time, version and value.
type RawRecord = (u64, u64, Option<String>, Option<Vec<u8>>);

/// Fails for a time that no clock shows: sums with it would overflow.
fn to_time(seconds: u64, micros: u64) -> Result<Duration, StoreError> {
    let time = Duration::from_secs(seconds).checked_add(Duration::from_micros(micros));
    time.filter(|time| *time < LATEST_TIME)
        .ok_or_else(|| StoreError::Unreadable("the time of the store is wrong".to_owned()))
}

/// Returns what the error says, in one line of printable characters: the store can have chosen the words.
fn explain(error: &dyn std::error::Error) -> String {
    let text = error_chain(error);
    text.chars()
        .map(|one| if is_plain(one) { one } else { '\u{fffd}' })
        .take(MAX_ERROR)
        .collect()
}

/// Returns true for a printable character.
fn is_plain(one: char) -> bool {
    matches!(one, '"' | '\'' | '\\') || one.escape_debug().len() == 1
}

/// About the year 10,000, since 1970.
const LATEST_TIME: Duration = Duration::from_hours(24 * 365 * 8_000);
/// The longest text of an error, in characters.
const MAX_ERROR: usize = 300;

/// Returns the time, and the version and value of a record.
const READ: &str = "local t = redis.call('TIME') \
     local r = redis.call('HMGET', KEYS[1], 'v', 'd') \
     return {tonumber(t[1]), tonumber(t[2]), r[1], r[2]}";

/// Writes a record if it has the version of the first argument. The others are the new version,
/// its value, and its life in milliseconds. A record that has the new version was written by the
/// first of two tries.
const WRITE: &str = "local t = redis.call('TIME') \
     local v = redis.call('HGET', KEYS[1], 'v') or '' \
     if v ~= ARGV[1] then \
       return {tonumber(t[1]), tonumber(t[2]), v == ARGV[2] and 1 or 0} \
     end \
     redis.call('HSET', KEYS[1], 'v', ARGV[2], 'd', ARGV[3]) \
     redis.call('PEXPIRE', KEYS[1], ARGV[4]) \
     return {tonumber(t[1]), tonumber(t[2]), 1}";

/// The most bytes of a reply. Several calls can wait for theirs at once.
const MAX_REPLY: usize = 4 << 20;
/// The longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The longest use of a connection whose login expires.
const LOGIN: Duration = Duration::from_hours(11);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_shows_is_an_error() {
        let time = Duration::from_micros(1_800_000_000_000_007);
        assert_eq!(to_time(1_800_000_000, 7), Ok(time));
        assert!(to_time(u64::MAX, u64::MAX).is_err());
        assert!(to_time(1 << 40, 0).is_err());
    }

    #[test]
    fn an_error_of_the_store_is_one_line() {
        let text = explain(&std::io::Error::other("'é'\n2026 INFO \u{1b}[31m\u{202e}"));
        assert_eq!(text, "'é'\u{fffd}2026 INFO \u{fffd}[31m\u{fffd}");
    }
}
