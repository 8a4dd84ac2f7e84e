//! Reads a request body whole: bounded in size, bounded in silence.

use crate::guard::Body;
use crate::names::{Code, Fault, code};
use crate::runtime::Sweeper;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A request body that was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// It ended before its length, or its chunks are broken.
    Broken,
    /// A login is longer than the limit, which cannot be set.
    LongLogin {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Nothing came for too long.
    Timeout,
    /// It is longer than the limit.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken => f.write_str("the body is incomplete"),
            Self::LongLogin { limit } => write!(f, "the login is longer than {limit} bytes"),
            Self::Timeout => f.write_str("the body did not arrive in time"),
            Self::TooLarge { limit } => write!(f, "the body is longer than {limit} bytes"),
        }
    }
}

impl std::error::Error for BodyError {}

impl Fault for BodyError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Broken => &code::MALFORMED,
            Self::Timeout => &code::BODY_TIMEOUT,
            Self::LongLogin { .. } | Self::TooLarge { .. } => &code::TOO_LARGE,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::LongLogin { .. } => "send nothing but a user name and a password",
            Self::Broken | Self::Timeout | Self::TooLarge { .. } => self.code().advice,
        })
    }

    fn ends_connection(&self) -> bool {
        true
    }
}

/// Reads it, at most `limit` bytes, with pauses of at most `idle`. Trailers are dropped.
pub(super) async fn read(
    body: &mut Body,
    limit: usize,
    idle: Duration,
    sweeper: &Sweeper,
) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large);
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    loop {
        let frame = sweeper
            .within(idle, body.frame())
            .await
            .map_err(|_elapsed| BodyError::Timeout)?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_broken| BodyError::Broken)?.into_data() else {
            continue;
        };
        let so_far = first.as_ref().map_or(0, Bytes::len) + rest.len();
        if so_far + data.len() > limit {
            return Err(too_large);
        }
        match &first {
            // nearly every body comes in one piece and is never copied
            None => first = Some(data),
            Some(_) => rest.extend_from_slice(&data),
        }
    }
    let first = first.unwrap_or_default();
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

/// Reads it and keeps nothing, with the same limits.
pub(super) async fn discard(
    body: &mut Body,
    limit: usize,
    idle: Duration,
    sweeper: &Sweeper,
) -> Result<(), BodyError> {
    // before any of it is asked for (RFC 9110 section 10.1.1)
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge { limit });
    }
    let mut left = limit;
    while let Some(frame) = sweeper
        .within(idle, body.frame())
        .await
        .map_err(|_elapsed| BodyError::Timeout)?
    {
        let frame = frame.map_err(|_broken| BodyError::Broken)?;
        let size = frame.data_ref().map_or(0, Bytes::len);
        left = left
            .checked_sub(size)
            .ok_or(BodyError::TooLarge { limit })?;
    }
    Ok(())
}
