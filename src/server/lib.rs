//! Listening sockets and their connections. Opens the sockets, accepts connections, and passes
//! each request on them to a function; what that function does is unknown here.

mod accept;
mod bind;
mod connection;
pub mod management;
mod stream;
mod timeouts;
mod tls;

pub use accept::Server;
pub use bind::{Address, BindError, BoundListener, ListenerConfig};
pub use connection::{
    BadHead, Body, BoxError, BusyGuard, IncomingRequest, RequestHandler, Settings,
};
pub use tls::{CertificateStatus, TlsConfig, TlsFiles};
