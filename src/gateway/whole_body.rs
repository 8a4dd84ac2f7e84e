//! Reads a request body whole: bounded in size and in time.

use crate::guard::Body;
use crate::names::{Code, Fault, code};
use crate::runtime::{Pace, Sweeper, uptime};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::fmt;

/// A request body that was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// It ended before its length, or its chunks are broken.
    Broken,
    /// Nothing came for too long, or it came too slowly.
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
            Self::TooLarge { .. } => &code::TOO_LARGE,
        }
    }

    fn ends_connection(&self) -> bool {
        true
    }
}

/// Reads it, at most `limit` bytes, at this pace. Trailers are dropped.
pub(super) async fn read(
    body: &mut Body,
    limit: usize,
    pace: Pace,
    sweeper: &Sweeper,
) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large);
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut begun = None;
    loop {
        let frame = sweeper
            .within(pace.idle, body.frame())
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
        if first.is_none() {
            // nearly every body comes in one piece and is never copied
            first = Some(data);
            continue;
        }
        rest.extend_from_slice(&data);
        let now = uptime();
        let waited = now.saturating_sub(*begun.get_or_insert(now));
        if !pace.is_kept((so_far + data.len()) as u64, waited) {
            return Err(BodyError::Timeout);
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
