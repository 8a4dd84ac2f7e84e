//! The wire out: sends a [`Keyed`](crate::credential::Keyed) request to its web server and
//! makes [`Answered`].

mod answered;
mod dial;
mod error;
mod pool;
mod request;
mod trust;

pub use answered::{Answered, ReplyBody};
pub use dial::probe;
pub use error::UpstreamError;
pub use pool::Upstream;
pub use trust::{Trust, TrustError, Trusts};

use std::time::Duration;

/// The limits of the wire out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Resolving a name.
    pub dns: Duration,
    /// Connecting, to all addresses together.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// From the request to the head of the reply.
    pub first_byte: Duration,
    /// Silence within the body of the reply.
    pub body_idle: Duration,
    /// A connection is reused only so long after its last use.
    pub pool_idle: Duration,
    /// A connection is reused only so long after it was opened.
    pub pool_age: Duration,
}
