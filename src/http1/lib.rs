//! Reads and writes HTTP/1.1 (RFC 9112), strictly: a message that RFC 9112 leaves open to two
//! readings is an error, in requests and in responses.
//!
//! [`parse_request`] and [`parse_response`] read a head and decide the framing of its body in the
//! same pass; [`BodyDecoder`] takes the body out of the bytes that follow; [`encode`] writes heads
//! and chunks into a buffer of the caller.
//!
//! The crate is pure: it reads no clock, opens no connection and logs nothing. The caller owns the
//! buffers, so an idle connection needs none.

mod body;
pub mod encode;
mod head;
mod headers;
mod memory;
pub mod name;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod usual;

pub use body::{BodyDecoder, BodyError, Decoded};
pub use head::{Framing, Parsed};
pub use headers::{Header, Headers, is_visible, to_str};
pub use memory::HeadMemory;
pub use name::{Name, NameSet};
pub use request::{RequestError, RequestHead, RequestLimits, parse_request};
pub use response::{ResponseError, ResponseHead, parse_response};
