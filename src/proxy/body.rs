//! Reads a request body into memory, bounded in size and in time.

use bytes::{Bytes, BytesMut};
use mwaa_model::{Code, Fault, code};
use mwaa_runtime::{CoarseTimer, PaceLimit, boot_clock};
use mwaa_server::RequestBody;
use std::borrow::Cow;
use std::time::Duration;

/// A request body that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It ended before its length, or its chunks are malformed.
    #[error("the body is incomplete")]
    Broken,
    /// A login is longer than the limit, which cannot be set.
    #[error("the login form is longer than {limit} bytes")]
    LongLogin {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Nothing came for too long, or it came too slowly.
    #[error("the body did not arrive in time")]
    Timeout,
    /// It is longer than the limit.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl Fault for ReadError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Broken => &code::MALFORMED,
            Self::Timeout => &code::BODY_TIMEOUT,
            Self::LongLogin { .. } | Self::TooLarge { .. } => &code::TOO_LARGE,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::LongLogin { .. } => "send only the fields of the login",
            Self::Broken | Self::Timeout | Self::TooLarge { .. } => self.code().advice,
        })
    }

    fn ends_connection(&self) -> bool {
        true
    }
}

/// Reads the body. Fails if it is longer than `limit` bytes, ends early or comes too slowly. Trailers
/// are dropped.
pub(super) async fn read(
    body: &mut RequestBody,
    limit: usize,
    pace: PaceLimit,
    timer: &CoarseTimer,
) -> Result<Bytes, ReadError> {
    let declared = usize::try_from(body.remaining().unwrap_or(0)).unwrap_or_default();
    let mut chunks = ChunkReader::new(body, limit, pace, timer)?;

    // nearly every body comes in one chunk and is never copied
    let Some(first) = chunks.next().await? else {
        return Ok(Bytes::new());
    };

    if chunks.body.is_complete() {
        return Ok(first);
    }
    let Some(second) = chunks.next().await? else {
        return Ok(first);
    };

    // the reader has checked the declared length
    let mut whole = BytesMut::with_capacity(declared.max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(chunk) = chunks.next().await? {
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// Reads the body to its end and drops it, with the same limits.
pub(super) async fn discard(
    body: &mut RequestBody,
    limit: usize,
    pace: PaceLimit,
    timer: &CoarseTimer,
) -> Result<(), ReadError> {
    let mut chunks = ChunkReader::new(body, limit, pace, timer)?;
    while chunks.next().await?.is_some() {}
    Ok(())
}

/// A body chunk by chunk, within its limits.
struct ChunkReader<'a> {
    body: &'a mut RequestBody,
    limit: usize,
    pace: PaceLimit,
    timer: &'a CoarseTimer,
    taken: usize,
    /// The boot clock at which the second chunk came: the first one is never late.
    begun: Option<Duration>,
}

impl<'a> ChunkReader<'a> {
    /// Creates a reader. Fails if the declared length is over the limit, before any of the body is
    /// requested (RFC 9110 section 10.1.1).
    fn new(
        body: &'a mut RequestBody,
        limit: usize,
        pace: PaceLimit,
        timer: &'a CoarseTimer,
    ) -> Result<Self, ReadError> {
        if body.remaining().is_some_and(|size| size > limit as u64) {
            return Err(ReadError::TooLarge { limit });
        }
        Ok(Self {
            body,
            limit,
            pace,
            timer,
            taken: 0,
            begun: None,
        })
    }

    /// Returns the next chunk; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let data = self
            .timer
            .within(self.pace.idle, self.body.data())
            .await
            .map_err(|_elapsed| ReadError::Timeout)?;
        let Some(data) = data.map_err(|_broken| ReadError::Broken)? else {
            return Ok(None);
        };

        let is_first = self.taken == 0;
        self.taken += data.len();
        if self.taken > self.limit {
            return Err(ReadError::TooLarge { limit: self.limit });
        }

        // the pace counts from the second chunk: the first one may have come with the head
        if !is_first {
            let now = boot_clock();
            let waited = now.saturating_sub(*self.begun.get_or_insert(now));
            if !self.pace.is_kept(self.taken as u64, waited) {
                return Err(ReadError::Timeout);
            }
        }
        Ok(Some(data))
    }
}
