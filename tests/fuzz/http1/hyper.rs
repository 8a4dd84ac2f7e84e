//! What hyper reads, over memory instead of a socket: no runtime, and no waiting.

use super::{Request, Response};
use ::hyper::body::{Body, Incoming};
use ::hyper::rt::{Read, ReadBufCursor, Write};
use ::hyper::service::service_fn;
use ::hyper::{client, server};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Returns the requests that hyper's server reads on a connection that ends after these bytes.
pub(super) fn read_requests(input: &[u8]) -> Vec<Request> {
    let seen: Rc<RefCell<Vec<Request>>> = Rc::default();
    let service = service_fn(|request| serve(request, Rc::clone(&seen)));
    let connection = server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .auto_date_header(false)
        .half_close(true)
        .max_headers(super::LIMITS.fields)
        .serve_connection(Wire::new(input, true), service);
    run(connection);
    seen.take()
}

/// Keeps a request, also one whose body breaks off.
async fn serve(
    request: http::Request<Incoming>,
    seen: Rc<RefCell<Vec<Request>>>,
) -> Result<http::Response<String>, Infallible> {
    let (head, body) = request.into_parts();
    let mut data = Vec::new();
    let is_complete = read_body(body, &mut data).await;
    seen.borrow_mut().push(Request {
        method: head.method,
        target: head.uri,
        version: head.version,
        fields: head.headers,
        body: data,
        is_complete,
    });

    // a tunnel is never opened
    let mut response = http::Response::new(String::new());
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    Ok(response)
}

/// Returns the response that hyper's client reads to a request with this method, if any. The
/// connection ends after these bytes, or stays open.
pub(super) fn read_response(
    input: &[u8],
    method: &http::Method,
    ends: bool,
) -> Option<Response> {
    let handshake = client::conn::http1::Builder::new()
        .max_headers(super::MAX_RESPONSE_FIELDS)
        .handshake(Wire {
            wants_write: true,
            ..Wire::new(input, ends)
        });
    let (mut sender, connection) = run(handshake)?.ok()?;
    let request = http::Request::builder()
        .method(method.clone())
        .uri("/")
        .body(String::new())
        .ok()?;

    let mut response = None;
    let mut exchange = Box::pin(async {
        let Ok(received) = sender.send_request(request).await else {
            return;
        };
        let (head, body) = received.into_parts();
        let fields = head.headers;
        let started = response.insert(Response {
            status: head.status,
            fields,
            body: Vec::new(),
            is_complete: false,
            keep_alive: false,
        });
        started.is_complete = read_body(body, &mut started.body).await;
    });
    let mut connection = Box::pin(connection);
    run(poll_fn(|cx| {
        let is_open = connection.as_mut().poll(cx).is_pending();
        let is_done = exchange.as_mut().poll(cx).is_ready();
        if is_open && !is_done {
            return Poll::Pending;
        }
        Poll::Ready(())
    }));
    drop(exchange);

    // one more poll, in which hyper looks for data that belongs to no request
    run(poll_fn(|cx| connection.as_mut().poll(cx)));
    if let Some(response) = &mut response {
        response.keep_alive = sender.is_ready();
    }
    response
}

/// Appends the data of a body as it comes. Returns true if all of it came.
async fn read_body(mut body: Incoming, data: &mut Vec<u8>) -> bool {
    loop {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => {
                if let Some(part) = frame.data_ref() {
                    data.extend_from_slice(part);
                }
            }
        }
    }
}

/// Polls a future until it is ready, or until it waits for more than memory can give.
fn run<F: Future>(future: F) -> Option<F::Output> {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    while woken.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
    }
    None
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection in memory: what the peer sends. What is sent to it is dropped.
struct Wire {
    input: Vec<u8>,
    read: usize,
    ends: bool,
    /// The reader waits until something was written: a server responds only after a request.
    wants_write: bool,
    reader: Option<Waker>,
}

impl Wire {
    fn new(input: &[u8], ends: bool) -> Self {
        Self {
            input: input.to_vec(),
            read: 0,
            ends,
            wants_write: false,
            reader: None,
        }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut target: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.input[self.read..];
        let size = rest.len().min(target.remaining());
        if self.wants_write || size == 0 && !self.ends {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        target.put_slice(&rest[..size]);
        self.read += size;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wants_write = false;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
