//! What AWS answers with: a JSON object, an error type, a request id.

use std::io;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::super::Shared;

/// An answer before it becomes HTTP.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) error: Option<String>,
    /// The id of the token that it carries.
    pub(super) token: Option<String>,
    content_type: &'static str,
    body: Body,
}

pub(super) enum Body {
    Json(Value),
    Raw(&'static str),
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self {
            status: 200,
            error: None,
            token: None,
            content_type: JSON,
            body: Body::Json(body),
        }
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = Body::Json(json!({ "message": message }));
        Self {
            status,
            error: Some(code.to_owned()),
            token: None,
            content_type: JSON,
            body,
        }
    }

    /// Notes the id of the token in the answer, for the journal.
    pub(super) fn with_token(self, token: &str, shared: &Shared) -> Self {
        Self {
            token: shared.tokens.id(token),
            ..self
        }
    }

    /// An error that does not say which.
    pub(super) fn bare(status: u16, message: &str) -> Self {
        Self {
            error: None,
            ..Self::error(status, "", message)
        }
    }

    pub(super) fn raw(status: u16, content_type: &'static str, body: &'static str) -> Self {
        Self {
            status,
            error: None,
            token: None,
            content_type,
            body: Body::Raw(body),
        }
    }

    pub(super) fn with(mut self, member: &str, value: &str) -> Self {
        if let Body::Json(Value::Object(body)) = &mut self.body {
            body.insert(member.to_owned(), Value::String(value.to_owned()));
        }
        self
    }

    /// Spells the member `Message`, as the model has it for AccessDeniedException.
    pub(super) fn capitalised(mut self) -> Self {
        if let Body::Json(Value::Object(body)) = &mut self.body
            && let Some(message) = body.remove("message")
        {
            body.insert("Message".to_owned(), message);
        }
        self
    }

    pub(super) fn into_response(self, shared: &Shared) -> io::Result<Response<Full<Bytes>>> {
        let body = match self.body {
            Body::Json(value) => Bytes::from(value.to_string()),
            Body::Raw(text) => Bytes::from_static(text.as_bytes()),
        };
        let mut response = Response::builder()
            .status(StatusCode::from_u16(self.status).map_err(io::Error::other)?)
            .header(header::CONTENT_TYPE, self.content_type)
            .header(
                header::DATE,
                httpdate::fmt_http_date(shared.script.clock.now()),
            )
            .header("x-amzn-RequestId", super::super::made_up::uuid());
        if let Some(code) = self.error {
            response = response.header("x-amzn-ErrorType", code);
        }
        response.body(Full::new(body)).map_err(io::Error::other)
    }
}

/// Percent-decodes a path segment or a query value; what is not UTF-8 is replaced.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part
            .get(..2)
            .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            bytes.extend(part.bytes().skip(2));
        } else {
            bytes.push(b'%');
            bytes.extend(part.bytes());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_kept() {
        assert_eq!(percent_decoded("a%2Fb%20c"), "a/b c");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4%+1"), "%zz%4%+1");
    }
}
