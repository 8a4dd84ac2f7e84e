//! Sends a response: its head, the framing of its body, and the body as it comes.

use super::client_io::ClientIo;
use super::handler::BoxError;
use super::response::Response;
use super::watch::ClientWatch;
use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::{Body, Frame};
use mwaa_http1::Headers;
use mwaa_http1::encode;
use mwaa_http1::name::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use mwaa_runtime::{READ_SIZE, Timestamp, return_write_buffer, take_write_buffer};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::UNIX_EPOCH;

/// The facts that a response depends on beside itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The connection stays open after it.
    pub(super) keep_alive: bool,
    /// The request is HEAD, so there is no body.
    pub(super) is_head: bool,
    /// The client's version.
    pub(super) version: Version,
}

/// The end of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it was sent. The connection stays open after it if the settings say so, and if the end
    /// of the connection is not the end of the body.
    Complete { keep_alive: bool },
    /// Its body failed.
    Broken,
    /// The client left, or did not take it in time.
    Refused,
}

/// The framing of a body that is sent (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyFraming {
    /// There is no body, whatever the fields say about one.
    None,
    /// This many bytes are still to be sent.
    Length(u64),
    Chunked,
    /// The connection's end is the body's: for HTTP/1.0.
    UntilClose,
}

/// Returns true if the response is the last of its connection.
pub(super) fn closes(headers: &Headers) -> bool {
    headers
        .get(CONNECTION)
        .is_some_and(|value| value.eq_ignore_ascii_case(b"close"))
}

/// Sends the response. What there is of its body at once goes out with the head.
pub(super) async fn send<B>(
    io: &ClientIo,
    response: Response<B>,
    settings: Settings,
    watch: &mut ClientWatch<'_>,
) -> Sent
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let Response {
        status,
        headers,
        body,
        half_close_cancels: _,
    } = response;
    let declared = headers.content_length();
    let framing = decide_framing(status, declared, &body, settings);
    let settings = Settings {
        keep_alive: settings.keep_alive && framing != BodyFraming::UntilClose,
        ..settings
    };
    let mut out = take_write_buffer();
    let is_declared = declared.is_some();
    encode_head(&mut out, status, &headers, framing, is_declared, settings);
    drop(headers);

    let mut writer = Writer {
        io,
        out,
        framing,
        keep_alive: settings.keep_alive,
    };
    let ends_with_connection = framing == BodyFraming::UntilClose;
    if ends_with_connection {
        // an HTTP/1.0 client takes an orderly close for the end of the response
        io.with_stream(|stream| stream.set_reset_on_close(true));
    }
    let sent = writer.send_body(body, watch).await;
    if ends_with_connection && matches!(sent, Sent::Complete { .. }) {
        io.with_stream(|stream| stream.set_reset_on_close(false));
    }
    return_write_buffer(writer.out);
    sent
}

fn decide_framing(
    status: StatusCode,
    declared: Option<u64>,
    body: &impl Body,
    settings: Settings,
) -> BodyFraming {
    let is_bodiless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if is_bodiless || settings.is_head {
        return BodyFraming::None;
    }

    match declared.or_else(|| body.size_hint().exact()) {
        Some(length) => BodyFraming::Length(length),
        // it does not know chunks
        None if settings.version == Version::HTTP_10 => BodyFraming::UntilClose,
        None => BodyFraming::Chunked,
    }
}

fn encode_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &Headers,
    framing: BodyFraming,
    is_declared: bool,
    settings: Settings,
) {
    encode::status_line(out, status);
    // HEAD and 304 have the length of the body that a GET has
    let has_length = match framing {
        BodyFraming::None => status != StatusCode::NO_CONTENT,
        BodyFraming::Length(_) => is_declared,
        BodyFraming::Chunked | BodyFraming::UntilClose => false,
    };
    headers.encode(out, |name| match name {
        // these are the connection's
        Some(CONNECTION | TRANSFER_ENCODING) => false,
        Some(CONTENT_LENGTH) => has_length,
        _ => true,
    });

    match framing {
        BodyFraming::Length(length) if !has_length => encode::content_length(out, length),
        BodyFraming::Chunked => encode::chunked(out),
        BodyFraming::Length(_) | BodyFraming::None | BodyFraming::UntilClose => {}
    }
    if !settings.keep_alive {
        encode::field(out, "connection", b"close");
    } else if settings.version == Version::HTTP_10 {
        encode::field(out, "connection", b"keep-alive");
    }
    if !headers.contains(DATE) {
        let now = httpdate::fmt_http_date(UNIX_EPOCH + Timestamp::now().wall());
        encode::field(out, "date", now.as_bytes());
    }
    encode::end_head(out);
}

/// Writes a response to its client.
struct Writer<'a> {
    io: &'a ClientIo,
    /// The bytes that are encoded and not written yet.
    out: Vec<u8>,
    framing: BodyFraming,
    keep_alive: bool,
}

impl Writer<'_> {
    /// Sends the body. It is dropped, and so counted, before its last bytes are on their way: a client
    /// that has all of a response finds it in the metrics.
    async fn send_body<B>(&mut self, body: B, watch: &mut ClientWatch<'_>) -> Sent
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        let mut body = Some(body).filter(|_| self.framing != BodyFraming::None);
        while let Some(rest) = body.as_mut().filter(|body| !body.is_end_stream()) {
            let data = match self.next_frame(rest, watch).await {
                Err(_refused) => return Sent::Refused,
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(Some(Err(_))) => return self.fail().await,
                Ok(None) => break,
            };

            if rest.is_end_stream() {
                body = None;
            }
            match self.add(data).await {
                Ok(true) => {}
                Ok(false) => return self.fail().await,
                Err(_refused) => return Sent::Refused,
            }
        }
        drop(body);

        match self.framing {
            // the body is shorter than it was declared
            BodyFraming::Length(1..) => return self.fail().await,
            BodyFraming::Chunked => self.out.extend_from_slice(encode::LAST_CHUNK),
            BodyFraming::Length(0) | BodyFraming::None | BodyFraming::UntilClose => {}
        }
        match self.flush().await {
            Ok(()) => Sent::Complete {
                keep_alive: self.keep_alive,
            },
            Err(_) => Sent::Refused,
        }
    }

    /// Waits for the next frame. What is encoded is written first, unless the frame is there. Fails
    /// if the client leaves meanwhile.
    async fn next_frame<B>(
        &mut self,
        body: &mut B,
        watch: &mut ClientWatch<'_>,
    ) -> io::Result<Option<Result<Frame<Bytes>, B::Error>>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let at_once = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
        if let Poll::Ready(frame) = at_once {
            return Ok(frame);
        }

        self.flush().await?;
        poll_fn(|cx| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(Ok(frame));
            }
            self.io.wake_at_shutdown(cx);
            let left = watch.poll_left(cx);
            left.map(|()| Err(io::ErrorKind::ConnectionAborted.into()))
        })
        .await
    }

    /// Encodes some of the body, and writes it unless it is short. Returns false if it is more than
    /// was declared.
    async fn add(&mut self, data: Bytes) -> io::Result<bool> {
        if data.is_empty() {
            return Ok(true);
        }
        match &mut self.framing {
            BodyFraming::Length(left) => match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => return Ok(false),
            },
            BodyFraming::Chunked => encode::chunk_size(&mut self.out, data.len()),
            BodyFraming::None | BodyFraming::UntilClose => {}
        }

        // copying a little is cheaper than a second system call
        if data.len() <= SHORT {
            self.out.extend_from_slice(&data);
        } else {
            self.io.write_all(&self.out, &data).await?;
            self.out.clear();
        }
        if self.framing == BodyFraming::Chunked {
            self.out.extend_from_slice(encode::CHUNK_END);
        }
        if self.out.len() >= READ_SIZE {
            self.flush().await?;
        }
        Ok(true)
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            self.io.write_all(&self.out, &[]).await?;
            self.out.clear();
        }
        Ok(())
    }

    /// Ends a response that cannot be completed. What there is of it is written: a client that has
    /// seen nothing of it may take the close for that of an idle connection, and send its request
    /// again.
    async fn fail(&mut self) -> Sent {
        match self.flush().await {
            Ok(()) => Sent::Broken,
            Err(_) => Sent::Refused,
        }
    }
}

/// Data up to this size is copied behind what is encoded, in bytes.
const SHORT: usize = 4 * 1024;
