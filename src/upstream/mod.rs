//! The wire out: sends a [`Keyed`](crate::credential::Keyed) command, or a request that is
//! [`SignedIn`](crate::credential::SignedIn), to its web server and makes [`Answered`].

mod answered;
mod body;
mod dial;
mod error;
mod idle;
mod payload;
mod pool;
mod request;
mod sign_in;
mod trust;

pub use answered::{Answered, Unanswered};
pub use body::ReplyBody;
pub use dial::probe;
pub use error::UpstreamError;
pub use payload::{Payload, Progress, Upload, UploadFate};
pub use pool::Upstream;
pub use sign_in::LoginDoor;
pub use trust::{Trust, TrustError, Trusts};

use std::time::Duration;

/// The limits of the wire out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The TLS handshake.
    pub tls: Duration,
    /// From a command to the head of its reply.
    pub cli_first_byte: Duration,
    /// From the last byte of any other request to the head of its reply.
    pub first_byte: Duration,
    /// Silence within the body of the reply.
    pub body_idle: Duration,
    /// A connection is reused only so long after its last use.
    pub pool_idle: Duration,
    /// A connection is reused only so long after it was opened.
    pub pool_age: Duration,
}
