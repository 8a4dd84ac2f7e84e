//! A request as it came in, a head that could not become a request, and the function that answers
//! requests.

use super::connection::BusyGuard;
use bytes::Bytes;
use http::Response;
use http::request::Parts;
use mwaa_model::{Client, RequestId, debug_fields};
use std::error::Error;

/// The body of a request, unread.
pub type Body = mwaa_runtime::RequestBody;

/// Any error of a response body.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A request as it came in. Nothing in it has been checked yet.
pub struct IncomingRequest {
    /// Its id in logs, in responses and towards the web server.
    pub id: RequestId,
    /// The client that sent it, and the listener that it came in by.
    pub client: Client,
    /// Set if the connection is TLS: URLs on it begin with `https:`.
    pub secure: bool,
    /// Request line and header section.
    pub head: Parts,
    /// The body, unread.
    pub body: Body,
}

debug_fields!(IncomingRequest: id, client, secure);

/// A head that could not become a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHead {
    /// HTTP/2 with prior knowledge.
    Http2,
    /// It is not HTTP/1.1.
    Malformed,
    /// Plain HTTP on a port that speaks TLS.
    PlainOnTls,
    /// The request line is longer than any that is read.
    TargetTooLong,
    /// TLS on a port that speaks plain HTTP.
    TlsOnPlain,
    /// It is larger than the limit.
    TooLarge,
}

/// A function that answers a request, `Fn(IncomingRequest, BusyGuard) -> impl Future<Output =
/// Response<_>>`. It keeps the guard as long as the connection is busy with the request, best in the
/// body of the response.
///
/// Every such function implements it; the trait gives its bounds one name.
pub trait RequestHandler: 'static {
    /// The body of its responses.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static;

    /// Resolves to the response.
    type Future: Future<Output = Response<Self::Body>> + 'static;

    /// Starts to answer the request.
    fn call(&self, request: IncomingRequest, guard: BusyGuard) -> Self::Future;
}

impl<H, F, B> RequestHandler for H
where
    H: Fn(IncomingRequest, BusyGuard) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static,
{
    type Body = B;
    type Future = F;

    fn call(&self, request: IncomingRequest, guard: BusyGuard) -> F {
        self(request, guard)
    }
}
