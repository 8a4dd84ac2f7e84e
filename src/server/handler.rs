//! A request as it came in, and the function that answers it.

use super::request_body::RequestBody;
use super::response::Response;
use bytes::Bytes;
use mwaa_http1::{RequestError, RequestHead};
use mwaa_model::{Client, RequestId, debug_fields};
use std::error::Error;
use std::rc::Rc;

/// Any error of a response body.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A request as it came in. Its form is HTTP/1.1; nothing else in it has been checked yet.
pub struct IncomingRequest {
    /// Its id in logs, in responses and towards the web server.
    pub id: RequestId,
    /// The client that sent it, and the listener that it came in by.
    pub client: Client,
    /// Set if the connection is TLS: URLs on it begin with `https:`.
    pub secure: bool,
    /// Request line and header section. Shared: the request's context keeps it too.
    pub head: Rc<RequestHead>,
    /// True if the same bytes came before and `head` is the one that was read then. Nothing in it can be
    /// secret.
    pub is_repeated: bool,
    /// The body, unread.
    pub body: RequestBody,
}

debug_fields!(IncomingRequest: id, client, secure);

/// A head that does not become a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// It breaks HTTP/1.1, or a limit of heads.
    #[error(transparent)]
    Http(RequestError),
    /// Plain HTTP on a port that speaks TLS.
    #[error("the client sent plain HTTP to a TLS port")]
    PlainOnTls,
    /// The gateway stops before the head is complete.
    #[error("the gateway is stopping; nothing was sent")]
    Stopping,
    /// A reload has closed the listener, or it would not accept this connection now.
    #[error("a new configuration of the listener ended the connection; nothing was done")]
    Reloaded,
    /// TLS on a port that speaks plain HTTP.
    #[error("the client sent TLS to a plain HTTP port")]
    TlsOnPlain,
}

/// The reason to close a connection on which no request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// The gateway stops.
    Stopping,
    /// A reload has closed the listener, or it would not accept this connection now.
    Reloaded,
}

/// A function that answers a request, `Fn(IncomingRequest) -> impl Future<Output =
/// Response<_>>`. Its future is dropped if the client leaves before the response, and the body of
/// the response if it leaves before the end: all guards of a request rest on that.
///
/// Every such function implements it; the trait gives its bounds one name.
pub trait RequestHandler: 'static {
    /// The body of its responses.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static;

    /// Resolves to the response.
    type Future: Future<Output = Response<Self::Body>> + 'static;

    /// Starts to answer the request.
    fn call(&self, request: IncomingRequest) -> Self::Future;
}

impl<H, F, B> RequestHandler for H
where
    H: Fn(IncomingRequest) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static,
{
    type Body = B;
    type Future = F;

    fn call(&self, request: IncomingRequest) -> F {
        self(request)
    }
}
