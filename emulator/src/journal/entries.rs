//! What one entry of the journal says: a call to the AWS side, a request to the web side.

use bytes::Bytes;

/// One call to the AWS side.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ControlCall {
    /// Its place among all entries.
    pub(crate) id: u64,
    /// AWS's name for the operation, `Unknown` when there is none.
    pub operation: &'static str,
    /// The environment the call names.
    pub environment: Option<String>,
    /// The access key that the `Authorization` header claims.
    pub access_key_id: Option<String>,
    /// The `Host` header as received.
    pub host: Option<String>,
    /// The status of the answer; `None` while there is none.
    pub status: Option<u16>,
    /// The error code of the answer.
    pub error: Option<String>,
    /// The `jti` of the token in the answer.
    pub token: Option<String>,
}

/// One request to the web side.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebRequest {
    /// Its place among all entries.
    pub(crate) id: u64,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// The method as received.
    pub method: String,
    /// The request target as received.
    pub target: String,
    /// The headers, names in lower case, values as bytes.
    pub headers: Vec<(String, Bytes)>,
    /// The body.
    pub body: Bytes,
    /// The `jti` of the token it carried, if that was one of ours.
    pub token: Option<String>,
    /// Whether its target or its `Referer` held a token of ours, where none belongs.
    pub token_in_url: bool,
    /// The environment it was for.
    pub environment: Option<String>,
    /// The status of the answer; `None` while there is none, and for good if it was spoilt.
    pub status: Option<u16>,
}

impl WebRequest {
    /// The first value of a header, if it is text. `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(candidate, _)| candidate == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// The two kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// For the command line endpoint.
    Cli,
    /// For signing in to the UI and the REST API.
    Web,
}
