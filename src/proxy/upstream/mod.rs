//! Requests to the environments' web servers: verified TLS, one pool of connections for each
//! worker thread, at most one write for each command.

mod client;
mod connection;
mod error;
mod head_memory;
mod login;
mod pool;
mod request;
mod response;
mod trust;

pub use client::{ConnectionChoice, UpstreamClient};
pub use error::UpstreamError;
pub use login::WebLoginClient;
pub use pool::check_connection;
pub use request::{OutgoingBody, Upload, UploadProgress, UploadState};
pub use response::{UpstreamBody, UpstreamResponse};
pub use trust::{Trust, TrustStore};

use std::time::Duration;

/// The limits of requests to web servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The TLS handshake.
    pub tls: Duration,
    /// From a command to the head of its response.
    pub cli_first_byte: Duration,
    /// From the last byte of any other request to the head of its response.
    pub first_byte: Duration,
    /// Silence within the body of the response.
    pub body_idle: Duration,
    /// A connection is reused only for this time after its last use.
    pub pool_idle: Duration,
    /// A connection is reused only for this time after it was opened.
    pub pool_age: Duration,
}
