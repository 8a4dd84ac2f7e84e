//! Request bodies for web servers: whole ones, which can be sent again, and uploads.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mwaa_runtime::{CoarseTimer, Deadline, PaceLimit, RequestBody, boot_clock};
use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A request body.
pub enum OutgoingBody {
    /// Passed on as the client sends it. Boxed: few requests have one, and all are moved.
    Stream(Box<Upload>),
    /// In memory; empty for most requests.
    Whole(Bytes),
}

impl fmt::Debug for OutgoingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(upload) => upload.fmt(f),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
        }
    }
}

impl OutgoingBody {
    /// Returns the same body for a second request, if it is in memory. It counts a reference and
    /// copies nothing.
    pub fn try_clone(&self) -> Option<Self> {
        match self {
            Self::Stream(_) => None,
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
        }
    }

    /// Returns the progress of an upload; `None` for a body in memory.
    pub fn progress(&self) -> Option<Rc<UploadProgress>> {
        match self {
            Self::Stream(upload) => Some(upload.progress()),
            Self::Whole(_) => None,
        }
    }
}

/// A client's body that is passed on as it comes, bounded in size and in time.
#[derive(Debug)]
pub struct Upload {
    incoming: RequestBody,
    left: u64,
    came: u64,
    pace: PaceLimit,
    /// The start of the current wait for the client, and the sum of the waits before.
    waiting: Option<Duration>,
    waited: Duration,
    deadline: Option<Deadline>,
    timer: CoarseTimer,
    progress: Rc<UploadProgress>,
}

/// The progress of an upload.
#[derive(Debug)]
pub struct UploadProgress {
    state: Cell<UploadState>,
    last_moved: Cell<Duration>,
}

impl UploadProgress {
    /// The state of the upload.
    pub fn state(&self) -> UploadState {
        self.state.get()
    }

    /// The [`boot_clock`] at which some of it was last passed on.
    pub fn last_moved(&self) -> Duration {
        self.last_moved.get()
    }
}

/// The state of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadState {
    /// The client ended it too early.
    #[error("the client broke its request off")]
    Broken,
    /// All of it was passed on.
    #[error("the request was sent")]
    Complete,
    /// It is longer than the limit.
    #[error("the request's body is too large")]
    TooLarge,
    /// The client fell silent, or sends it too slowly.
    #[error("the client fell silent within its request, or sends it too slowly")]
    Silent,
    /// Some of it is still to come.
    #[error("the request is on its way")]
    InProgress,
}

impl Upload {
    /// Passes on at most `limit` bytes, which must arrive at this pace.
    pub fn new(
        incoming: RequestBody,
        limit: u64,
        pace: PaceLimit,
        timer: &CoarseTimer,
    ) -> Self {
        // shared with the exchange, which waits as long as there is progress
        let progress = Rc::new(UploadProgress {
            state: Cell::new(UploadState::InProgress),
            last_moved: Cell::new(boot_clock()),
        });

        Self {
            incoming,
            left: limit,
            came: 0,
            pace,
            waiting: None,
            waited: Duration::ZERO,
            deadline: None,
            timer: timer.clone(),
            progress,
        }
    }

    /// Returns a handle that shows the progress later.
    pub fn progress(&self) -> Rc<UploadProgress> {
        Rc::clone(&self.progress)
    }

    fn set_state(&self, state: UploadState) {
        self.progress.state.set(state);
        self.progress.last_moved.set(boot_clock());
    }

    fn end(&self, state: UploadState) -> Poll<Option<Result<Frame<Bytes>, UploadState>>> {
        self.set_state(state);
        Poll::Ready(match state {
            UploadState::Complete => None,
            failed => Some(Err(failed)),
        })
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = UploadState;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadState>>> {
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
    type Error = UploadState;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadState>>> {
        let this = &mut *self;
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
                let timer = &this.timer;
                let idle = this.pace.idle;
                this.waiting.get_or_insert_with(boot_clock);
                let deadline = this.deadline.get_or_insert_with(|| {
                    let deadline = timer.deadline();
                    deadline.arm(idle);
                    deadline
                });
                ready!(deadline.poll_expired(cx));
                return this.end(UploadState::Silent);
            };

            this.deadline = None;
            // only time that the client takes, not the web server's
            if let Some(since) = this.waiting.take() {
                this.waited += boot_clock().saturating_sub(since);
            }

            let data = match frame {
                None => return this.end(UploadState::Complete),
                Some(Err(_broken)) => return this.end(UploadState::Broken),
                // trailers are dropped: they were not checked
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_trailers) => continue,
                },
            };

            // the limits: size first, then pace
            match this.left.checked_sub(data.len() as u64) {
                Some(left) => this.left = left,
                None => return this.end(UploadState::TooLarge),
            }
            this.came += data.len() as u64;
            if !this.pace.is_kept(this.came, this.waited) {
                return this.end(UploadState::Silent);
            }

            this.set_state(if this.incoming.is_end_stream() {
                UploadState::Complete
            } else {
                UploadState::InProgress
            });
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }
}
