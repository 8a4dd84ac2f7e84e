//! Responses of the MWAA API in AWS's own form (AWS restJson1 protocol, "Operation error
//! serialization").

use super::problem::get_retry_after;
use super::{Response, ResponseBody, set_request_id};
use bytes::Bytes;
use http::StatusCode;
use mwaa_http1::name::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, MWAA_GATEWAY_FAULT, RETRY_AFTER, X_AMZN_ERRORTYPE,
    X_AMZN_REQUESTID,
};
use mwaa_model::{Code, Fault, RequestId, code};
use serde_json::json;

/// Returns the document of a successful call.
pub fn from_aws(document: Bytes, id: RequestId) -> Response {
    let mut response = Response::new(ResponseBody::from_bytes(document));
    set_headers(&mut response, id);
    response
}

/// Returns an exception that carries Airflow's own response (`InvokeRestApi`).
pub fn from_aws_exception(name: &'static str, document: Bytes, id: RequestId) -> Response {
    let mut response = from_aws(document, id);
    response.status = StatusCode::BAD_REQUEST;
    response.headers.set(X_AMZN_ERRORTYPE, name);
    response
}

/// Returns a fault as an exception of MWAA's, with the hint in its message: an SDK shows nothing else.
///
/// `may_have_acted` is for a call whose outcome is not known: an SDK must not repeat it, so it is an
/// exception of Airflow's server.
pub fn from_aws_fault(fault: &dyn Fault, may_have_acted: bool, id: RequestId) -> Response {
    let exception = if may_have_acted {
        Exception {
            name: "RestApiServerException",
            status: StatusCode::BAD_REQUEST,
            member: "message",
        }
    } else {
        Exception::of(fault.code())
    };
    let message = format!(
        "{}; {} ({})",
        fault.detail(),
        fault.hint(),
        fault.code().text
    );
    let body = if may_have_acted {
        json!({
            exception.member: message,
            "RestApiStatusCode": fault.code().status.as_u16(),
            "RestApiResponse": { "detail": message },
        })
    } else {
        json!({ exception.member: message })
    };
    let mut response = Response::new(ResponseBody::from_bytes(Bytes::from(body.to_string())));
    response.status = exception.status;

    set_headers(&mut response, id);
    let headers = &mut response.headers;
    headers.set(X_AMZN_ERRORTYPE, exception.name);
    headers.set(MWAA_GATEWAY_FAULT, fault.code().text);
    if fault.ends_connection() {
        headers.set(CONNECTION, "close");
    }
    if let Some(seconds) = get_retry_after(fault) {
        headers.set(RETRY_AFTER, seconds.to_string());
    }
    response
}

fn set_headers(response: &mut Response, id: RequestId) {
    let headers = &mut response.headers;
    headers.set(CONTENT_TYPE, "application/json");
    headers.set(CACHE_CONTROL, "no-store");
    // the SDKs show AWS's name of it in their errors
    headers.set(X_AMZN_REQUESTID, id.to_string());
    set_request_id(headers, id);
}

/// An exception of the API (its reference, "Errors" of each operation).
struct Exception {
    name: &'static str,
    status: StatusCode,
    /// The member of the message: MWAA writes one of them with a capital letter.
    member: &'static str,
}

impl Exception {
    /// Returns the exception that means the same as a fault, to an SDK that decides about a retry.
    fn of(code: &Code) -> Self {
        let (name, status, member) = match *code {
            code::UNKNOWN_ENVIRONMENT | code::NO_ROUTE | code::AWS_NOT_FOUND => (
                "ResourceNotFoundException",
                StatusCode::NOT_FOUND,
                "message",
            ),
            code::AWS_THROTTLED => (
                "ThrottlingException",
                StatusCode::TOO_MANY_REQUESTS,
                "message",
            ),
            // a second try would not help
            code::AWS_DENIED | code::AWS_CREDENTIALS | code::AWS_LOGIN_NEEDED => {
                ("AccessDeniedException", StatusCode::FORBIDDEN, "Message")
            }
            _ if code.status == StatusCode::FORBIDDEN => {
                ("AccessDeniedException", StatusCode::FORBIDDEN, "Message")
            }
            // a second try would not help: 501 for a request that AWS does not pass on
            _ if code.status.is_client_error() || *code == code::INVOKE_LIMIT => {
                ("ValidationException", StatusCode::BAD_REQUEST, "message")
            }
            _ => (
                "InternalServerException",
                StatusCode::INTERNAL_SERVER_ERROR,
                "message",
            ),
        };

        Self {
            name,
            status,
            member,
        }
    }
}
