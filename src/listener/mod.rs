//! Sockets in: binds, accepts, and makes [`Arrived`] of each request. It takes the corridor as
//! a function, so it never knows the gateway.

mod arrived;
mod bind;
mod conn;
mod greet;
mod patience;
mod refuse;
mod serve;
mod tls;

pub use arrived::{Arrived, BadHead, Body};
pub use bind::{Address, BindError, Bound, Door};
pub use conn::Settings;
pub use refuse::Handler;
pub use serve::{Stop, serve};
pub use tls::{Tls, TlsError, TlsFiles, Validity};
