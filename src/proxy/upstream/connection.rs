//! One connection to a web server: sends a request and reads the head of its response, then the
//! bytes of its body.

use super::head_memory;
use super::request::{OutgoingBody, UploadState};
use bytes::{Buf as _, Bytes, BytesMut};
use http::Method;
use mwaa_egress::Stream;
use mwaa_http1::{BodyDecoder, Parsed, ResponseError, ResponseHead, encode, parse_response};
use mwaa_runtime::{
    READ_SIZE, Timestamp, WideRead, return_input_buffer, return_write_buffer,
    take_input_buffer, take_write_buffer, with_read_buffer,
};
use rustls::ClientConnection;
use std::future::poll_fn;
use std::io::{self, BufRead as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncBufRead as _, AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_rustls::client::TlsStream;

/// An open connection. Boxed wherever it is kept: it is moved with each request.
pub(super) struct Connection {
    stream: TlsStream<Stream>,
    /// The bytes that have come and were not used yet; none while the connection is idle.
    input: BytesMut,
    /// The error behind the input.
    error: Option<io::Error>,
    /// Held while there may be more input than [`READ_SIZE`].
    wide: Option<WideRead>,
    /// The interim responses of this exchange.
    interims: u32,
    pub(super) host: Arc<str>,
    pub(super) opened: Timestamp,
    pub(super) last_used: Timestamp,
}

/// An exchange that failed on its connection.
#[derive(Debug)]
pub(super) enum ExchangeError {
    /// Nothing of the request was sent.
    Unsent(OutgoingBody, io::Error),
    /// The connection broke after (some of) the request was sent.
    Broken(io::Error),
    /// The response cannot be passed on.
    Malformed(ResponseError),
    /// The client's upload failed.
    Upload(UploadState),
}

impl Connection {
    pub(super) fn new(stream: TlsStream<Stream>, host: &Arc<str>) -> Self {
        let now = Timestamp::now();
        Self {
            stream,
            input: BytesMut::new(),
            error: None,
            wide: None,
            interims: 0,
            host: Arc::clone(host),
            opened: now,
            last_used: now,
        }
    }

    /// Ready if an idle connection cannot be used any more: the web server has closed it, or has
    /// sent something without a request. The task is woken when that happens.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.error.is_some() {
            return Poll::Ready(());
        }
        ready!(self.poll_input(cx));
        Pin::new(&mut self.stream).poll_fill_buf(cx).map(drop)
    }

    /// Ready if a read may return something. That costs less than a read, and most of the time there
    /// is nothing yet.
    fn poll_input(&self, cx: &mut Context<'_>) -> Poll<()> {
        let (stream, tls) = self.stream.get_ref();
        // it reads no more while it holds what was not taken, or the end
        if tls.wants_read() {
            stream.poll_input(cx)
        } else {
            Poll::Ready(())
        }
    }

    /// Returns true if an idle connection cannot be used any more. `exactly` also looks for what the
    /// runtime has not noticed yet, which costs a system call.
    pub(super) fn has_ended(&mut self, exactly: bool) -> bool {
        let (stream, tls) = self.stream.get_ref();
        if self.error.is_none() && tls.wants_read() && !stream.may_have_input() {
            return exactly && stream.has_input();
        }
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_ended(&mut cx).is_ready() || (exactly && self.stream.get_ref().0.has_input())
    }

    /// Prepares the connection to be idle. Returns false if there are bytes that belong to no response.
    pub(super) fn clear(&mut self) -> bool {
        let is_clear = self.input.is_empty();
        // an idle connection has no buffer
        return_input_buffer(std::mem::take(&mut self.input));
        self.wide = None;
        is_clear
    }

    /// Sends a request whose head, up to the framing, is in `out`, and returns the head of the
    /// response. If that comes before the end of the request, the response is the connection's last.
    pub(super) async fn exchange(
        &mut self,
        mut out: Vec<u8>,
        body: OutgoingBody,
        method: &Method,
    ) -> Result<Box<ResponseHead>, ExchangeError> {
        self.interims = 0;
        encode_framing(&mut out, &body, method);
        let mut sending = Sending {
            out,
            written: 0,
            body: Some(body),
            error: None,
        };

        let result = poll_fn(|cx| {
            if let Err(error) = sending.poll_write(&mut self.stream, cx) {
                return Poll::Ready(Err(error));
            }
            self.poll_head(cx, method).map_err(|error| match error {
                // why the request could not be sent says more than the end that follows
                ExchangeError::Broken(end) => {
                    ExchangeError::Broken(sending.error.take().unwrap_or(end))
                }
                error => error,
            })
        })
        .await;

        // the rest of the request may follow on the connection, so no other request may
        let is_sent = sending.is_complete();
        return_write_buffer(sending.out);
        result.map(|mut head| {
            head.keep_alive &= is_sent;
            head
        })
    }

    /// Reads until the head of the final response is complete.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
    ) -> Poll<Result<Box<ResponseHead>, ExchangeError>> {
        loop {
            let seen = self.input.len();
            ready!(self.poll_fill(cx)).map_err(ExchangeError::Broken)?;
            if self.input.len() == seen {
                let end = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "connection closed before the response was complete",
                );
                return Poll::Ready(Err(ExchangeError::Broken(end)));
            }
            let head = take_head(&mut self.input, seen, method, &mut self.interims);
            if let Some(head) = head.map_err(ExchangeError::Malformed)? {
                return Poll::Ready(Ok(head));
            }
        }
    }

    /// Takes the next data of the body out of what has come, and reads more if there is none. Empty
    /// data is the end of the connection, or of the body.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        decoder: &mut BodyDecoder,
    ) -> Poll<io::Result<Bytes>> {
        loop {
            if !self.input.is_empty() {
                let decoded = decoder.decode(&self.input).map_err(io::Error::other)?;
                self.input.advance(decoded.skip);
                if decoded.data > 0 {
                    return Poll::Ready(Ok(self.take(decoded.data, decoder)));
                }
            }
            if decoder.is_complete() {
                return Poll::Ready(Ok(Bytes::new()));
            }

            ready!(self.poll_fill(cx))?;
            if self.input.is_empty() {
                decoder
                    .end()
                    .map_err(|error| io::Error::new(io::ErrorKind::UnexpectedEof, error))?;
            }
        }
    }

    /// Reads what has come, decrypts it and adds it to the input: nothing at the end of the
    /// connection. Many records are read at once, where the stream itself reads parts of one.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.error.take() {
            return Poll::Ready(Err(error));
        }
        // the input of the last time is written
        self.wide = None;
        ready!(self.poll_input(cx));
        let before = self.input.len();
        with_read_buffer(WideRead::SIZE, |buffer| {
            loop {
                let (stream, session) = self.stream.get_mut();
                // what a handshake or the watch of an idle connection has left is first
                let has_ended =
                    !session.wants_read() && take_plaintext(session, &mut self.input)?;
                if has_ended || self.input.len() > before {
                    return Poll::Ready(Ok(()));
                }

                let wide = WideRead::begin();
                let limit = wide.as_ref().map_or(READ_SIZE, |_| WideRead::SIZE);
                let mut buffer = ReadBuf::new(buffer);
                let mut records = buffer.take(limit);
                ready!(Pin::new(stream).poll_read(cx, &mut records))?;
                let size = records.filled().len();
                self.wide = wide.filter(|_| size > READ_SIZE);

                if self.input.capacity() == 0 {
                    self.input = take_input_buffer();
                }
                // slow clients keep what they have not taken, so it has little room to spare
                self.input.reserve(size);
                if let Err(error) = decrypt(session, records.filled(), &mut self.input) {
                    // the alert goes out, if the web server takes it at once
                    let _sent = Pin::new(&mut self.stream).poll_flush(cx);
                    // what came before it is passed on
                    if self.input.len() == before {
                        return Poll::Ready(Err(error));
                    }
                    self.error = Some(error);
                }
            }
        })
    }

    /// Takes the data at the start of the input, and that of the chunks behind it: small chunks cost
    /// as little as large ones.
    fn take(&mut self, size: usize, decoder: &mut BodyDecoder) -> Bytes {
        let (mut end, mut next) = (size, size);
        while let Some(rest) = self.input.get(next..).filter(|rest| !rest.is_empty())
            && !decoder.is_complete()
            // the error comes again with the next data
            && let Ok(decoded) = decoder.decode(rest)
        {
            let start = next + decoded.skip;
            next = start + decoded.data;
            self.input.copy_within(start..next, end);
            end += decoded.data;
        }

        if next == self.input.len() {
            self.input.truncate(end);
            // copying a little is cheaper than a buffer that the client keeps
            if end <= SHORT {
                let data = Bytes::copy_from_slice(&self.input);
                self.input.clear();
                return data;
            }
            return std::mem::take(&mut self.input).freeze();
        }
        let data = self.input.split_to(end).freeze();
        self.input.advance(next - end);
        data
    }
}

/// Decrypts records and adds their data to `out`. Fails after the data of the records before if one
/// is not authentic or not allowed.
fn decrypt(
    session: &mut ClientConnection,
    mut records: &[u8],
    out: &mut BytesMut,
) -> io::Result<()> {
    loop {
        // it takes some of them at a time; no bytes are the end of the connection
        let taken = session.read_tls(&mut records)?;
        let processed = session.process_new_packets();
        // at the end of the connection the session says if that was cut
        if taken == 0 || !session.wants_read() {
            take_plaintext(session, out)?;
        }
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if taken == 0 || records.is_empty() {
            return Ok(());
        }
    }
}

/// Moves the data of decrypted records to `out`. Returns true at the end of the connection; fails if
/// that was cut.
fn take_plaintext(session: &mut ClientConnection, out: &mut BytesMut) -> io::Result<bool> {
    loop {
        let mut reader = session.reader();
        let data = match reader.fill_buf() {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        if data.is_empty() {
            return Ok(true);
        }
        out.extend_from_slice(data);
        let size = data.len();
        reader.consume(size);
        // an error that says that there is no more costs more than this question
        if session.wants_read() {
            return Ok(false);
        }
    }
}

/// Takes the head of the final response out of the input, whose first bytes were seen before. `None`
/// if it is not complete. Interim responses are counted and passed over (RFC 9110 section 15.2).
fn take_head(
    input: &mut BytesMut,
    mut seen: usize,
    method: &Method,
    interims: &mut u32,
) -> Result<Option<Box<ResponseHead>>, ResponseError> {
    loop {
        if let Some((head, size)) = head_memory::find(input, method) {
            input.advance(size);
            return Ok(Some(head));
        }

        let (head, size) = match parse_response(input, seen, method)? {
            Parsed::Partial => return Ok(None),
            Parsed::Complete(head, size) => (head, size),
        };
        if !head.status.is_informational() {
            head_memory::keep(input.get(..size).unwrap_or_default(), method, &head);
            input.advance(size);
            return Ok(Some(head));
        }

        input.advance(size);
        seen = 0;
        *interims += 1;
        if *interims > MAX_INTERIMS {
            return Err(ResponseError::Interim);
        }
    }
}

/// Writes the end of a request's head, and a body in memory.
fn encode_framing(out: &mut Vec<u8>, body: &OutgoingBody, method: &Method) {
    match body {
        OutgoingBody::Stream(upload) => match upload.size() {
            Some(size) => encode::content_length(out, size),
            None => encode::chunked(out),
        },
        // a method that usually has a body (RFC 9110 section 8.6)
        OutgoingBody::Whole(bytes) if bytes.is_empty() => {
            if [Method::POST, Method::PUT, Method::PATCH].contains(method) {
                encode::content_length(out, 0);
            }
        }
        OutgoingBody::Whole(bytes) => encode::content_length(out, bytes.len() as u64),
    }
    encode::end_head(out);
    if let OutgoingBody::Whole(bytes) = body {
        out.extend_from_slice(bytes);
    }
}

/// A request that is being sent.
struct Sending {
    /// The encoded bytes, and how many of them are written.
    out: Vec<u8>,
    written: usize,
    /// The rest of an upload; a body in memory, which is encoded behind the head, until something is
    /// written. `None` if all of it is encoded.
    body: Option<OutgoingBody>,
    /// The error of a write. The web server may have answered before it closed the connection.
    error: Option<io::Error>,
}

impl Sending {
    /// Returns true if all of the request was written.
    fn is_complete(&self) -> bool {
        let is_encoded = !matches!(self.body, Some(OutgoingBody::Stream(_)));
        is_encoded && self.out.is_empty() && self.error.is_none()
    }

    /// Writes as much as the web server takes and the client has sent.
    fn poll_write(
        &mut self,
        stream: &mut TlsStream<Stream>,
        cx: &mut Context<'_>,
    ) -> Result<(), ExchangeError> {
        while self.error.is_none() {
            if let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
                match Pin::new(&mut *stream).poll_write(cx, rest) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Ok(0)) => self.error = Some(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(written)) => {
                        self.written += written;
                        if let Some(OutgoingBody::Whole(_)) = self.body {
                            self.body = None;
                        }
                    }
                    Poll::Ready(Err(error)) => self.on_error(error)?,
                }
                continue;
            }

            // all of it is written
            self.out.clear();
            self.written = 0;
            if !self.encode_upload(cx)? {
                // TLS keeps bytes back
                if let Poll::Ready(Err(error)) = Pin::new(&mut *stream).poll_flush(cx) {
                    self.error = Some(error);
                }
                // other requests can have the buffer while this one waits for its response
                return_write_buffer(std::mem::take(&mut self.out));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Keeps the error of a write. Fails if it is certain that nothing was sent: the first write of
    /// one TLS record is one system call.
    fn on_error(&mut self, error: io::Error) -> Result<(), ExchangeError> {
        let is_one_record = self.written == 0 && self.out.len() <= READ_SIZE;
        let has_begun = |body: &OutgoingBody| matches!(body, OutgoingBody::Stream(upload) if upload.has_begun());
        match self.body.take() {
            Some(body) if is_one_record && !has_begun(&body) => {
                Err(ExchangeError::Unsent(body, error))
            }
            _ => {
                self.error = Some(error);
                Ok(())
            }
        }
    }

    /// Encodes the next data of the upload. Returns false if there is none at the moment, or none
    /// any more. Fails if the upload does.
    fn encode_upload(&mut self, cx: &mut Context<'_>) -> Result<bool, ExchangeError> {
        let Some(OutgoingBody::Stream(upload)) = &mut self.body else {
            return Ok(false);
        };

        let is_chunked = upload.size().is_none();
        let data = match upload.poll_data(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(state)) => return Err(ExchangeError::Upload(state)),
            Poll::Ready(Ok(data)) => data,
        };
        if self.out.capacity() == 0 {
            self.out = take_write_buffer();
        }
        match data {
            Some(data) if is_chunked => {
                encode::chunk_size(&mut self.out, data.len());
                self.out.extend_from_slice(&data);
                self.out.extend_from_slice(encode::CHUNK_END);
            }
            Some(data) => self.out.extend_from_slice(&data),
            None => {
                if is_chunked {
                    self.out.extend_from_slice(encode::LAST_CHUNK);
                }
                self.body = None;
            }
        }
        Ok(true)
    }
}

/// Data up to this size is copied, in bytes.
const SHORT: usize = 4 * 1024;
/// The most interim responses before the final one.
const MAX_INTERIMS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_http1::name::{DATE, SERVER};

    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nServer: a\r\n\r\n";
    const FINAL: &str = "HTTP/1.1 200 OK\r\nDate: b\r\nContent-Length: 3\r\n\r\n";

    #[test]
    fn a_head_that_came_before_is_read_like_a_new_one() {
        // twice each: the second time the final head is known
        for _ in 0..2 {
            let mut input = BytesMut::from(format!("{INTERIM}{FINAL}abc").as_bytes());
            let mut interims = 0;
            let head = take_head(&mut input, 0, &Method::GET, &mut interims);
            let head = head.unwrap().unwrap();
            assert_eq!((head.status.as_u16(), interims), (200, 1));
            assert!(head.headers.contains(DATE) && !head.headers.contains(SERVER));
            assert_eq!(input, "abc");
        }

        let (first, rest) = FINAL.split_at(FINAL.len() - 1);
        let mut input = BytesMut::from(first);
        let head = take_head(&mut input, 0, &Method::GET, &mut 0).unwrap();
        assert!(head.is_none(), "it is not complete");
        input.extend_from_slice(rest.as_bytes());
        let head = take_head(&mut input, first.len(), &Method::GET, &mut 0).unwrap();
        assert!(head.is_some() && input.is_empty());
    }

    #[test]
    fn interim_responses_have_an_end() {
        let many = INTERIM.repeat(MAX_INTERIMS as usize + 1) + FINAL;
        let mut input = BytesMut::from(many.as_bytes());
        let error = take_head(&mut input, 0, &Method::GET, &mut 0).unwrap_err();
        assert_eq!(error, ResponseError::Interim);
    }
}
