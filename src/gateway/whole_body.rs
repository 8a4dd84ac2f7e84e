//! Reads a request body whole: bounded in size and in time.

use crate::guard::Body;
use crate::names::{Code, Fault, code};
use crate::runtime::{Pace, Sweeper, uptime};
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

/// Reads it, at most `limit` bytes, at this pace. Trailers are dropped.
pub(super) async fn read(
    body: &mut Body,
    limit: usize,
    pace: Pace,
    sweeper: &Sweeper,
) -> Result<Bytes, BodyError> {
    let mut pieces = Pieces::of(body, limit, pace, sweeper)?;
    // nearly every body comes in one piece and is never copied
    let Some(first) = pieces.next().await? else {
        return Ok(Bytes::new());
    };
    let mut rest = BytesMut::new();
    while let Some(piece) = pieces.next().await? {
        rest.extend_from_slice(&piece);
    }
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
    pace: Pace,
    sweeper: &Sweeper,
) -> Result<(), BodyError> {
    let mut pieces = Pieces::of(body, limit, pace, sweeper)?;
    while pieces.next().await?.is_some() {}
    Ok(())
}

/// A body piece by piece, within its limits.
struct Pieces<'a> {
    body: &'a mut Body,
    limit: usize,
    pace: Pace,
    sweeper: &'a Sweeper,
    taken: usize,
    /// The uptime at which the second piece came: the first one is never late.
    begun: Option<Duration>,
}

impl<'a> Pieces<'a> {
    /// Refuses a body that says itself that it is too large, before any of it is asked for (RFC
    /// 9110 section 10.1.1).
    fn of(
        body: &'a mut Body,
        limit: usize,
        pace: Pace,
        sweeper: &'a Sweeper,
    ) -> Result<Self, BodyError> {
        if body.size_hint().lower() > limit as u64 {
            return Err(BodyError::TooLarge { limit });
        }
        Ok(Self {
            body,
            limit,
            pace,
            sweeper,
            taken: 0,
            begun: None,
        })
    }

    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = self
                .sweeper
                .within(self.pace.idle, self.body.frame())
                .await
                .map_err(|_elapsed| BodyError::Timeout)?;
            let Some(frame) = frame else { return Ok(None) };
            let Ok(data) = frame.map_err(|_broken| BodyError::Broken)?.into_data() else {
                continue;
            };
            let is_first = self.taken == 0;
            self.taken += data.len();
            if self.taken > self.limit {
                return Err(BodyError::TooLarge { limit: self.limit });
            }
            if !is_first {
                let now = uptime();
                let waited = now.saturating_sub(*self.begun.get_or_insert(now));
                if !self.pace.is_kept(self.taken as u64, waited) {
                    return Err(BodyError::Timeout);
                }
            }
            return Ok(Some(data));
        }
    }
}
