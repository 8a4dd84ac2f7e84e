//! The response to a command, in the format that the client asked for.

use super::events;
use super::{Response, ResponseBody, forward};
use super::{from_head, set_request_id, strip};
use crate::upstream::{UpstreamBody, UpstreamResponse};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt as _;
use mwaa_http1::name::{
    CONTENT_LENGTH, CONTENT_TYPE, MWAA_GATEWAY_REPEATED, MWAA_GATEWAY_SUCCEEDED,
};
use mwaa_http1::{Headers, ResponseHead};
use mwaa_model::{MediaRange, RequestId};
use mwaa_output::{
    CliOutput, CliResult, CommandFacts, OutputError, SuccessStatus, is_load_balancer_status,
};

/// The formats of a command's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Events as they happen, one JSON object a line, the decoded result last.
    Events,
    /// Decoded, as `{"stdout","stderr","succeeded"}`.
    Json,
    /// The full result: `detail=full`.
    Full,
    /// Decoded stdout without warnings and colour codes: `detail=output`.
    Output,
    /// MWAA's own JSON, byte for byte.
    Raw,
    /// Decoded stdout; stderr if the command failed.
    Text,
}

impl OutputFormat {
    /// Returns the format that the client gives the highest weight (RFC 9110 section 12.5.1); `*/*`
    /// and unknown media types mean MWAA's own.
    pub fn from_headers(headers: &Headers) -> Self {
        let mut best = Self::Raw;
        let mut best_weight = 0.0;
        for range in MediaRange::from_headers(headers) {
            let media_type = range.media_type().to_ascii_lowercase();
            let detail = range.parameter("detail").unwrap_or_default();
            let format = match (media_type.as_str(), detail.to_ascii_lowercase().as_str()) {
                ("text/plain", "output") => Self::Output,
                ("text/plain" | "text/*", _) => Self::Text,
                (events::MEDIA_TYPE, _) => Self::Events,
                (CLI_JSON, "full") => Self::Full,
                (CLI_JSON, _) => Self::Json,
                ("application/json" | "application/*" | "*/*", _) => Self::Raw,
                _ => continue,
            };

            // the first of the same weight
            if range.weight() > best_weight {
                best = format;
                best_weight = range.weight();
            }
        }
        best
    }
}

/// Returns the response to a command in the client's format. Fails if it is no command's output or
/// larger than the limit. A load balancer's answer in place of the web server is an error in every
/// format.
pub async fn from_command(
    upstream: UpstreamResponse,
    format: OutputFormat,
    facts: &CommandFacts,
    id: RequestId,
    limit: usize,
) -> Result<Response, OutputError> {
    // MWAA's own JSON streams, unless its result must be known
    let is_raw = format == OutputFormat::Raw;
    if is_raw && !facts.repeated && !is_load_balancer_status(upstream.status()) {
        return Ok(forward(upstream, id));
    }

    let (mut head, body) = upstream.into_parts();
    strip(&mut head.headers);
    set_request_id(&mut head.headers, id);
    let (raw, output) = read_output(head.status, body, facts, limit).await?;
    if facts.repeated {
        add_repeated(&mut head.headers, output.as_ref().ok());
    }

    // the bytes are MWAA's, also if they were read
    if is_raw {
        return Ok(with_body(head, raw));
    }
    Ok(match check_output(head.status, output, limit)? {
        Some(output) => encode(head, output, format),
        None => with_body(head, raw),
    })
}

/// Returns the full result of a command and the response's status; in place of the result the
/// response's body if it is an error page of the web server. Fails like [`from_command`].
pub async fn read_result(
    upstream: UpstreamResponse,
    facts: &CommandFacts,
    limit: usize,
) -> Result<(StatusCode, Result<CliResult, Bytes>), OutputError> {
    let (head, body) = upstream.into_parts();
    let (raw, output) = read_output(head.status, body, facts, limit).await?;
    let output = check_output(head.status, output, limit)?;
    Ok((head.status, output.map(CliOutput::into_result).ok_or(raw)))
}

/// Returns the success of the command, as a decoded response has it; `None` for any other response.
pub fn get_success(response: &Response) -> Option<SuccessStatus> {
    let value = response.headers.get(MWAA_GATEWAY_SUCCEEDED)?;
    let all = [
        SuccessStatus::Yes,
        SuccessStatus::No,
        SuccessStatus::Unknown,
    ];
    all.into_iter()
        .find(|status| value == status.as_str().as_bytes())
}

/// Reads the whole response, and parses the command's output in it if there is any.
async fn read_output(
    status: StatusCode,
    body: Box<UpstreamBody>,
    facts: &CommandFacts,
    limit: usize,
) -> Result<(Bytes, Result<CliOutput, OutputError>), OutputError> {
    let raw = collect_body(body, limit).await;
    let read = raw.map(|raw| {
        let output = CliOutput::parse(&raw, status, facts);
        (raw, output)
    });

    match read {
        // whatever is in its page, and even if that broke off
        Ok((_, Err(_))) | Err(_) if is_load_balancer_status(status) => {
            tracing::debug!(%status, "the load balancer responded instead of the web server");
            Err(OutputError::LoadBalancer {
                status,
                facts: *facts,
            })
        }
        read => read,
    }
}

/// Reads a whole response that may hold `limit` bytes of decoded output. Fails if it is much
/// longer; the exact size is known only after decoding.
async fn collect_body(mut body: Box<UpstreamBody>, limit: usize) -> Result<Bytes, OutputError> {
    // base64 and JSON around it take a third more
    let max_size = limit.saturating_add(limit / 2).saturating_add(1024);
    let mut raw = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(OutputError::Broken)?;
        if let Some(data) = frame.data_ref() {
            if raw.len() + data.len() > max_size {
                return Err(OutputError::TooLarge { limit });
            }
            raw.extend_from_slice(data);
        }
    }
    Ok(raw.freeze())
}

/// Returns the output; `None` for an error page of the web server, which is passed on unchanged.
/// Fails if the output is larger than the limit, or if a success has none.
fn check_output(
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

/// Adds that the command was sent twice (a boolean, RFC 9651 section 3.3.6), and its success as the
/// gateway determined it.
fn add_repeated(headers: &mut Headers, output: Option<&CliOutput>) {
    let succeeded = output.map_or(SuccessStatus::Unknown, |output| output.succeeded);
    headers.set(MWAA_GATEWAY_REPEATED, "?1");
    headers.set(MWAA_GATEWAY_SUCCEEDED, succeeded.as_str());
}

/// Returns the response with a decoded output.
fn encode(mut head: ResponseHead, output: CliOutput, format: OutputFormat) -> Response {
    let succeeded = output.succeeded.as_str();
    let (media_type, body) = match format {
        OutputFormat::Json => (CLI_JSON, output.to_json()),
        OutputFormat::Full => (CLI_JSON_FULL, output.into_result().to_json()),
        OutputFormat::Output => (TEXT, output.into_result().into_text().into()),
        OutputFormat::Events | OutputFormat::Raw | OutputFormat::Text => {
            (TEXT, output.into_text().into())
        }
    };

    head.headers.set(CONTENT_TYPE, media_type);
    head.headers.set(MWAA_GATEWAY_SUCCEEDED, succeeded);
    with_body(head, body)
}

/// Returns the response with a body in memory, whose length is its own.
fn with_body(mut head: ResponseHead, body: Bytes) -> Response {
    head.headers.remove(CONTENT_LENGTH);
    from_head(head, ResponseBody::from_bytes(body))
}

/// The media type of decoded output as text.
const TEXT: &str = "text/plain; charset=utf-8";
/// Of decoded output as JSON.
const CLI_JSON: &str = "application/vnd.mwaa-gateway.cli+json";
/// Of the full result.
const CLI_JSON_FULL: &str = "application/vnd.mwaa-gateway.cli+json; detail=full";

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_http1::name::ACCEPT;

    #[test]
    fn the_media_type_with_the_highest_weight_is_used() {
        for (accept, format) in [
            ("*/*", OutputFormat::Raw),
            ("", OutputFormat::Raw),
            ("text/plain", OutputFormat::Text),
            ("Text/Plain, */*;q=0.1", OutputFormat::Text),
            ("text/plain;q=0.5, application/json", OutputFormat::Raw),
            ("application/vnd.mwaa-gateway.cli+json", OutputFormat::Json),
            (
                "application/vnd.mwaa-gateway.cli-events+ndjson, application/json;q=0.5",
                OutputFormat::Events,
            ),
            (
                "application/vnd.mwaa-gateway.cli+json; detail=full",
                OutputFormat::Full,
            ),
            (
                "application/vnd.mwaa-gateway.cli+json;q=0.9;Detail=\"Full\", text/plain;q=0.1",
                OutputFormat::Full,
            ),
            (
                "application/vnd.mwaa-gateway.cli+json; detail=more",
                OutputFormat::Json,
            ),
            ("text/plain;detail=output", OutputFormat::Output),
            ("text/plain;detail=output;q=0", OutputFormat::Raw),
            ("image/png", OutputFormat::Raw),
            ("text/plain;q=0", OutputFormat::Raw),
        ] {
            let mut headers = Headers::new();
            headers.set(ACCEPT, accept);
            assert_eq!(OutputFormat::from_headers(&headers), format, "{accept:?}");
        }
        assert_eq!(
            OutputFormat::from_headers(&Headers::new()),
            OutputFormat::Raw
        );
    }
}
