//! Request bodies on their way out: whole ones, which can be sent again, and streamed ones.

use crate::runtime::{Deadline, Pace, RequestBody, Sweeper, uptime};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A request body.
pub enum Payload {
    /// Passed on as the client sends it. Boxed: few requests have one, and all are moved about.
    Stream(Box<Upload>),
    /// At hand; empty for most requests.
    Whole(Bytes),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(upload) => upload.fmt(f),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
        }
    }
}

impl Payload {
    /// The same body for another try, if it is still at hand. A reference count, not a copy.
    pub fn again(&self) -> Option<Self> {
        match self {
            Self::Stream(_) => None,
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
        }
    }
}

/// A client's body that is passed on as it comes, bounded in size and in time.
#[derive(Debug)]
pub struct Upload {
    incoming: RequestBody,
    left: u64,
    came: u64,
    pace: Pace,
    /// Since when the client has been waited for, and how long before that.
    waiting: Option<Duration>,
    waited: Duration,
    deadline: Option<Deadline>,
    sweeper: Sweeper,
    progress: Rc<Progress>,
}

/// How far an upload is.
#[derive(Debug)]
pub struct Progress {
    fate: Cell<UploadFate>,
    moved: Cell<Duration>,
}

impl Progress {
    /// What has become of the upload.
    pub fn fate(&self) -> UploadFate {
        self.fate.get()
    }

    /// When some of it was last passed on, by [`uptime`].
    pub fn moved(&self) -> Duration {
        self.moved.get()
    }
}

/// What has become of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadFate {
    /// The client broke it off.
    Broken,
    /// All of it was passed on.
    Complete,
    /// It is longer than it may be.
    TooLarge,
    /// The client fell silent, or sends too slowly.
    Silent,
    /// It is on its way.
    Underway,
}

impl fmt::Display for UploadFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the client broke its request off",
            Self::Complete => "the request was sent",
            Self::TooLarge => "the request's body is too large",
            Self::Silent => "the client fell silent within its request, or sends it too slowly",
            Self::Underway => "the request is on its way",
        })
    }
}

impl std::error::Error for UploadFate {}

impl Upload {
    /// Passes on at most `limit` bytes, which must arrive at this pace.
    pub fn new(incoming: RequestBody, limit: u64, pace: Pace, sweeper: &Sweeper) -> Self {
        Self {
            incoming,
            left: limit,
            came: 0,
            pace,
            waiting: None,
            waited: Duration::ZERO,
            deadline: None,
            sweeper: sweeper.clone(),
            progress: Rc::new(Progress {
                fate: Cell::new(UploadFate::Underway),
                moved: Cell::new(uptime()),
            }),
        }
    }

    /// Says later how far it is.
    pub fn progress(&self) -> Rc<Progress> {
        Rc::clone(&self.progress)
    }

    fn moves(&self, fate: UploadFate) {
        self.progress.fate.set(fate);
        self.progress.moved.set(uptime());
    }

    fn ended(&self, fate: UploadFate) -> Poll<Option<Result<Frame<Bytes>, UploadFate>>> {
        self.moves(fate);
        Poll::Ready(match fate {
            UploadFate::Complete => None,
            failed => Some(Err(failed)),
        })
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = UploadFate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadFate>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(upload) => Pin::new(upload.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(upload) => upload.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(upload) => upload.incoming.size_hint(),
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadFate;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadFate>>> {
        let this = &mut *self;
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
                let (sweeper, idle) = (&this.sweeper, this.pace.idle);
                this.waiting.get_or_insert_with(uptime);
                let deadline = this.deadline.get_or_insert_with(|| {
                    let deadline = sweeper.deadline();
                    deadline.arm(idle);
                    deadline
                });
                ready!(deadline.poll_expired(cx));
                return this.ended(UploadFate::Silent);
            };
            this.deadline = None;
            // only time that the client takes, not the web server's
            if let Some(since) = this.waiting.take() {
                this.waited += uptime().saturating_sub(since);
            }
            let data = match frame {
                None => return this.ended(UploadFate::Complete),
                Some(Err(_broken)) => return this.ended(UploadFate::Broken),
                // trailers are dropped: nobody here has judged them
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_trailers) => continue,
                },
            };
            match this.left.checked_sub(data.len() as u64) {
                Some(left) => this.left = left,
                None => return this.ended(UploadFate::TooLarge),
            }
            this.came += data.len() as u64;
            if !this.pace.is_kept(this.came, this.waited) {
                return this.ended(UploadFate::Silent);
            }
            this.moves(if this.incoming.is_end_stream() {
                UploadFate::Complete
            } else {
                UploadFate::Underway
            });
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }
}
