//! `InvokeRestApi`: AWS sends a request to Airflow's REST API and returns the response in a document.
//!
//! The SDK's own documents would change numbers that have more than 64 bits, so both documents pass
//! around it, byte for byte.

use super::AwsError;
use super::http_client::ConnectError;
use aws_sdk_mwaa::config::http::HttpResponse;
use aws_sdk_mwaa::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_mwaa::config::{ConfigBag, Intercept};
use aws_sdk_mwaa::error::{BoxError, SdkError};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use http_body_util::LengthLimitError;
use mwaa_model::debug_fields;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// A request to the REST API (API reference, `InvokeRestApi`).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestApiRequest {
    /// GET, PUT, POST, PATCH or DELETE.
    #[serde(serialize_with = "write_method")]
    pub method: Method,
    /// The path below `/api/v1` or `/api/v2`, with a slash before it.
    pub path: String,
    /// The parameters: an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_parameters: Option<Box<RawValue>>,
    /// The body: an object, as JSON that was read before; empty for none. It is large, so it is not
    /// copied.
    #[serde(skip_serializing_if = "Bytes::is_empty", serialize_with = "write_json")]
    pub body: Bytes,
}

debug_fields!(RestApiRequest: method);

/// Airflow's response: its status, and its body as JSON.
pub struct RestApiResponse {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

debug_fields!(RestApiResponse: status);

/// A call without a response of Airflow's.
#[derive(Debug, Clone)]
pub enum RestApiError {
    /// AWS does not accept the call. Its words.
    Invalid(String),
    /// Nothing was sent to Airflow.
    Refused(AwsError),
    /// The response is longer than 16 MiB; AWS has sent the request to Airflow.
    LongResponse,
    /// AWS may have sent the request to Airflow.
    Unknown(AwsError),
}

/// The members of AWS's response, and of its exceptions for Airflow's errors.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    rest_api_status_code: u16,
    #[serde(borrow)]
    rest_api_response: Option<&'a RawValue>,
}

impl RestApiResponse {
    /// Reads AWS's document. `None` if it has no response of Airflow's.
    pub(super) fn read(document: &Bytes) -> Option<Self> {
        let answer: Answer<'_> = serde_json::from_slice(document).ok()?;
        let status = StatusCode::from_u16(answer.rest_api_status_code).ok()?;
        let body = answer.rest_api_response.map_or("", RawValue::get);
        // a status without a final response would hold up the client
        (!status.is_informational()).then(|| Self {
            status,
            body: document.slice_ref(body.as_bytes()),
        })
    }
}

impl RestApiRequest {
    /// Returns AWS's document.
    pub(super) fn to_document(&self) -> Bytes {
        // one allocation: the body is nearly all of it
        let mut document = Vec::with_capacity(self.body.len() + HEAD_ROOM);
        // text, and JSON that was read before: this does not fail
        let _written = serde_json::to_writer(&mut document, self);
        document.into()
    }
}

/// Returns true if nothing of the call can have reached AWS: there was no connection.
pub(super) fn is_unsent<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    has_cause::<ConnectError>(error)
}

/// Returns true if the response is longer than the client reads.
pub(super) fn is_too_long<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    has_cause::<LengthLimitError>(error)
}

fn has_cause<C: Error + 'static>(error: &dyn Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.is::<C>() {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Puts a document in the place of the call's own, before it is signed.
#[derive(Clone)]
pub(super) struct RequestDocument(pub(super) Bytes);

impl fmt::Debug for RequestDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestDocument")
    }
}

#[dyn_dispatch_hint]
impl Intercept for RequestDocument {
    fn name(&self) -> &'static str {
        "RequestDocument"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let headers = request.headers_mut();
        headers.try_insert(CONTENT_LENGTH.as_str(), self.0.len().to_string())?;
        *request.body_mut() = SdkBody::from(self.0.clone());
        Ok(())
    }
}

fn write_method<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}

fn write_json<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    let body: &RawValue = serde_json::from_slice(body).map_err(S::Error::custom)?;
    body.serialize(serializer)
}

/// The bytes of most documents without the body.
const HEAD_ROOM: usize = 512;
/// The limit of a call: AWS's own is 10 s, and its response has to come.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_byte_for_byte() {
        let read = |text: &'static str| RestApiResponse::read(&Bytes::from(text));
        let answer = read(r#"{"RestApiResponse": {"a":1e400, "a":2},"RestApiStatusCode":404}"#);
        let answer = answer.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(&*answer.body, br#"{"a":1e400, "a":2}"#);
        assert!(
            read(r#"{"RestApiStatusCode":204}"#)
                .unwrap()
                .body
                .is_empty()
        );
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"RestApiStatusCode":101}"#,
            r#"{"RestApiStatusCode":99}"#,
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
