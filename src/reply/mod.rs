//! The way back: a web server's reply, or a fault, becomes the response to the client.
#![deny(clippy::wildcard_enum_match_arm)]

mod accept;
mod body;
mod cli_output;
mod events;
mod forwarded;
mod headers;
mod links;
mod location;
mod page;
mod problem;
mod redirect;
mod screen;
mod shield;
mod token;

pub use accept::CliForm;
pub use body::ReplyStream;
use cli_output::is_load_balancers;
pub use cli_output::{Asked, CliOutput, CliResult, OutputError, Succeeded};
pub use events::{Event, Events, LastLine, done_line, events, fault_line};
pub use forwarded::forward;
pub use links::Relinked;
pub use location::leads_to_sign_in;
pub use page::{asset, fault_page, page};
pub use redirect::{handover, redirect, see_other};
pub use screen::Screened;
pub use token::token;

use crate::names::{Fault, RequestId};
use crate::upstream::{Answered, ReplyBody};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};

/// A response to the client.
pub type Reply = Response<ReplyStream>;

/// The web server's reply as it is: its status, its headers less what is not for the client,
/// its body byte for byte and as it comes.
pub fn pass(answered: Answered, id: RequestId) -> Reply {
    let (mut head, body) = answered.into_parts();
    headers::strip(&mut head.headers);
    stamp(&mut head.headers, id);
    Response::from_parts(head, ReplyStream::Upstream(Box::new(body)))
}

/// The reply to a command in the form that the client asked for: raw as it is, else decoded.
///
/// What a load balancer answers in place of the web server is an error in every form.
pub async fn command(
    answered: Answered,
    form: CliForm,
    asked: &Asked,
    id: RequestId,
    limit: usize,
) -> Result<Reply, OutputError> {
    if form == CliForm::Raw && !asked.repeated && !is_load_balancers(answered.status()) {
        return Ok(pass(answered, id));
    }
    let (mut head, body) = answered.into_parts();
    headers::strip(&mut head.headers);
    stamp(&mut head.headers, id);
    let (raw, output) = read(head.status, body, asked, limit).await?;
    if asked.repeated {
        repeated(&mut head.headers, output.as_ref().ok());
    }
    if form == CliForm::Raw {
        return Ok(whole(head, raw));
    }
    Ok(match understood(head.status, output, limit)? {
        Some(output) => decoded(head, output, form),
        None => whole(head, raw),
    })
}

/// Says that the command was written twice, and what came of it.
fn repeated(headers: &mut http::HeaderMap, output: Option<&CliOutput>) {
    let succeeded = output.map_or(Succeeded::Unknown, |output| output.succeeded);
    headers.insert(REPEATED, HeaderValue::from_static("?1"));
    headers.insert(SUCCEEDED, HeaderValue::from_static(succeeded.word()));
}

/// The full result of a command and the reply's status, or the reply's body where it is no
/// command's output: an error page of the web server.
pub async fn result(
    answered: Answered,
    asked: &Asked,
    limit: usize,
) -> Result<(StatusCode, Result<CliResult, Bytes>), OutputError> {
    let (head, body) = answered.into_parts();
    let (raw, output) = read(head.status, body, asked, limit).await?;
    let output = understood(head.status, output, limit)?;
    Ok((head.status, output.map(CliOutput::full).ok_or(raw)))
}

/// Reads a reply whole: its body, and the command's output if it holds one.
async fn read(
    status: StatusCode,
    body: ReplyBody,
    asked: &Asked,
    limit: usize,
) -> Result<(Bytes, Result<CliOutput, OutputError>), OutputError> {
    let raw = body::collect(body, limit).await;
    let read = raw.map(|raw| {
        let output = CliOutput::read(&raw, status, asked);
        (raw, output)
    });
    match read {
        // whatever its page says, and whether or not it came whole
        Ok((_, Err(_))) | Err(_) if is_load_balancers(status) => {
            Err(OutputError::LoadBalancer {
                status,
                asked: *asked,
            })
        }
        read => read,
    }
}

/// The output, if it is within the limit; `None` for an error page of the web server, which is
/// not ours to change.
fn understood(
    status: StatusCode,
    output: Result<CliOutput, OutputError>,
    limit: usize,
) -> Result<Option<CliOutput>, OutputError> {
    match output {
        Ok(output) if output.size() > limit => Err(OutputError::TooLarge { limit }),
        Ok(output) => Ok(Some(output)),
        Err(_) if !status.is_success() => Ok(None),
        Err(error) => Err(error),
    }
}

fn decoded(mut head: Parts, output: CliOutput, form: CliForm) -> Reply {
    let succeeded = output.succeeded.word();
    let (media, body) = match form {
        CliForm::Json => (CLI_JSON, output.json()),
        CliForm::Full => (CLI_JSON_FULL, output.full().json()),
        CliForm::Output => (TEXT, Bytes::from(output.full().into_text())),
        CliForm::Events | CliForm::Raw | CliForm::Text => {
            (TEXT, Bytes::from(output.text().clone()))
        }
    };
    head.headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(media));
    head.headers
        .insert(SUCCEEDED, HeaderValue::from_static(succeeded));
    whole(head, body)
}

/// Whether the command worked, as a decoded reply says it.
pub fn succeeded(reply: &Reply) -> Option<Succeeded> {
    let said = reply.headers().get(SUCCEEDED)?;
    let all = [Succeeded::Yes, Succeeded::No, Succeeded::Unknown];
    all.into_iter().find(|one| said == one.word())
}

fn whole(mut head: Parts, body: Bytes) -> Reply {
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, ReplyStream::Whole(Some(body)))
}

/// The response that a fault becomes (RFC 9457).
pub fn fault(fault: &dyn Fault, id: RequestId) -> Reply {
    let mut response = problem::response(fault, id);
    stamp(response.headers_mut(), id);
    response
}

/// The same as bytes, for a head that could not become a request; the connection closes after it.
pub fn fault_bytes(fault: &dyn Fault, id: RequestId) -> Bytes {
    problem::bytes(fault, id)
}

fn stamp(headers: &mut http::HeaderMap, id: RequestId) {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
}

/// Names the request, on every reply.
const REQUEST_ID: HeaderName = HeaderName::from_static("mwaa-gateway-request-id");
/// On the reply to a command that was written twice.
const REPEATED: HeaderName = HeaderName::from_static("mwaa-gateway-repeated");
/// Whether the command worked, on decoded replies: the gateway's own reading.
const SUCCEEDED: HeaderName = HeaderName::from_static("mwaa-gateway-succeeded");
/// Decoded output as text.
const TEXT: &str = "text/plain; charset=utf-8";
/// Decoded output as JSON.
const CLI_JSON: &str = "application/vnd.mwaa-gateway.cli+json";
/// The same with all that is known.
const CLI_JSON_FULL: &str = "application/vnd.mwaa-gateway.cli+json; detail=full";
