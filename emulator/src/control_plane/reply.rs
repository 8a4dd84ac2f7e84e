//! What AWS answers with: a JSON object, an error type, a request id.

use std::io;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::super::{Shared, made_up};

/// An answer before it becomes HTTP.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) error: Option<String>,
    /// The id of the token that it carries.
    pub(super) token: Option<String>,
    content_type: &'static str,
    /// An object, or a text that is sent as it is.
    body: Value,
}

impl Reply {
    fn new(status: u16, content_type: &'static str, body: Value) -> Self {
        Self {
            status,
            error: None,
            token: None,
            content_type,
            body,
        }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::new(200, "application/json", body)
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self {
            error: Some(code.to_owned()),
            ..Self::bare(status, message)
        }
    }

    /// The same document as an error of this type.
    pub(super) fn named(self, code: &str) -> Self {
        Self {
            status: 400,
            error: Some(code.to_owned()),
            ..self
        }
    }

    /// An error that does not say which.
    pub(super) fn bare(status: u16, message: &str) -> Self {
        Self::new(status, "application/json", json!({ "message": message }))
    }

    pub(super) fn raw(status: u16, content_type: &'static str, body: &str) -> Self {
        Self::new(status, content_type, Value::from(body))
    }

    /// Notes the id of the token in the answer, for the journal.
    pub(super) fn with_token(self, token: &str, shared: &Shared) -> Self {
        Self {
            token: shared.tokens.id(token),
            ..self
        }
    }

    pub(super) fn with(mut self, member: &str, value: &str) -> Self {
        if let Value::Object(body) = &mut self.body {
            body.insert(member.to_owned(), Value::from(value));
        }
        self
    }

    /// Spells the member `Message`, as the model has it for AccessDeniedException.
    pub(super) fn capitalised(mut self) -> Self {
        if let Value::Object(body) = &mut self.body {
            let message = body.remove("message");
            body.extend(message.map(|message| ("Message".to_owned(), message)));
        }
        self
    }

    pub(super) fn into_response(self, shared: &Shared) -> io::Result<Response<Full<Bytes>>> {
        let body = match self.body {
            Value::String(text) => text,
            object => object.to_string(),
        };
        let date = httpdate::fmt_http_date(shared.script.clock.now());
        let mut response = Response::builder()
            .status(StatusCode::from_u16(self.status).map_err(io::Error::other)?)
            .header(header::CONTENT_TYPE, self.content_type)
            .header(header::DATE, date)
            .header("x-amzn-RequestId", made_up::uuid());
        if let Some(code) = self.error {
            response = response.header("x-amzn-ErrorType", code);
        }
        response.body(Full::from(body)).map_err(io::Error::other)
    }
}
