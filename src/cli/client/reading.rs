//! Reads a gateway's reply to a command: a stream of events, or a result in one piece.

use super::told::{Answer, Event, Step};
use super::wire::{Form, Lost};
use crate::runtime::{RuntimeTimer, Timer as _};
use bytes::{Bytes, BytesMut};
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::time::Duration;

/// Reads the reply to its end, and tells of each step. `patience` is how long the gateway may
/// be silent.
pub(super) async fn read(
    response: Response<Incoming>,
    form: Form,
    patience: Duration,
    told: &mut dyn FnMut(Step),
) -> Result<Answer, Lost> {
    if media(&response) == EVENTS {
        return events(response, patience, told).await;
    }
    let is_fault = response.headers().contains_key(FAULT);
    let status = response.status().as_u16();
    let body = RuntimeTimer.within(patience, response.into_body().collect());
    let body = body
        .await
        .map_err(|_elapsed| Lost::Broken(SILENT.to_owned()))?
        .map_err(|error| Lost::Broken(error.to_string()))?
        .to_bytes();
    whole(is_fault, status, body, form).map_err(|error| Lost::Broken(error.to_string()))
}

/// The media type, without parameters.
fn media(response: &Response<Incoming>) -> &str {
    let value = response.headers().get(CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok());
    text.and_then(|text| text.split(';').next())
        .unwrap_or_default()
        .trim()
}

/// Reads the stream of events to its end.
async fn events(
    response: Response<Incoming>,
    patience: Duration,
    told: &mut dyn FnMut(Step),
) -> Result<Answer, Lost> {
    let mut body = response.into_body();
    let mut rest = BytesMut::new();
    let mut seen = 0;
    loop {
        let frame = RuntimeTimer.within(patience, body.frame());
        let frame = frame
            .await
            .map_err(|_elapsed| Lost::Broken(SILENT.to_owned()))?
            .ok_or_else(|| Lost::Broken("it hung up".to_owned()))?
            .map_err(|error| Lost::Broken(error.to_string()))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        rest.extend_from_slice(data);
        while let Some(end) = memchr::memchr(b'\n', rest.get(seen..).unwrap_or_default()) {
            let line = rest.split_to(seen + end + 1);
            seen = 0;
            match Event::read(&line) {
                Ok(Some(Event::Step(step))) => told(step),
                Ok(Some(Event::Last(answer))) => return Ok(answer),
                Ok(None) => {}
                Err(error) => return Err(Lost::Broken(error.to_string())),
            }
        }
        seen = rest.len();
        if seen > LONGEST_LINE {
            return Err(Lost::Broken("it tells without end".to_owned()));
        }
    }
}

/// Reads a reply that came in one piece.
fn whole(is_fault: bool, status: u16, body: Bytes, form: Form) -> serde_json::Result<Answer> {
    if is_fault {
        return serde_json::from_slice(&body).map(Answer::Fault);
    }
    Ok(match form {
        Form::Raw => Answer::Raw(status, body),
        Form::Full => Answer::Odd(status, String::from_utf8_lossy(&body).into_owned()),
    })
}

/// On replies that the gateway made itself, and on no others.
const FAULT: &str = "mwaa-gateway-fault";
/// The media type of the stream of events.
const EVENTS: &str = "application/vnd.mwaa-gateway.cli-events+ndjson";
/// A line of the stream, in bytes: a result holds the output several times over.
const LONGEST_LINE: usize = 1 << 30;
/// What is said of a gateway that says nothing.
pub(super) const SILENT: &str = "it was silent for too long";
