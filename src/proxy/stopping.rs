//! The end of the gateway or of a connection, as a request meets it: what is not answered at the cut
//! is answered at once.

use crate::context::RequestContext;
use crate::error::ProxyError;
use crate::rejected_head::RejectedHead;
use crate::response;
use bytes::Bytes;
use mwaa_model::{Code, Fault, RESTART, RequestId, code};
use mwaa_server::{BadHead, Farewell};
use std::task::Poll;
use std::time::Duration;

/// Returns what a request's future returned, or the fault of a request that must end now.
pub(crate) fn or_cut<T>(
    polled: Poll<Result<T, ProxyError>>,
    ctx: &RequestContext,
) -> Poll<Result<T, ProxyError>> {
    match polled {
        Poll::Pending if ctx.proxy().tasks.is_closed() => {
            Poll::Ready(Err(Stopped::find(ctx).into()))
        }
        polled => polled,
    }
}

/// Returns the whole response to a request that may be on its way while its connection is closed.
pub fn say_farewell(farewell: Farewell) -> Bytes {
    let id = RequestId::next();
    // a client that asks about it has this id
    tracing::debug!(%id, "closing a connection that is idle");
    match farewell {
        Farewell::Stopping => response::encode_fault(&Stopped::Unsent, id),
        Farewell::Reloaded => response::encode_fault(&RejectedHead(BadHead::Reloaded), id),
    }
}

/// A request that the gateway's end cuts off.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(crate) enum Stopped {
    /// Nothing was sent, or nothing that changes anything.
    #[error("the gateway stopped before the request was answered; nothing was changed")]
    Unsent,
    /// It was sent, and may have taken effect.
    #[error("the gateway stopped before the web server had answered; outcome: unknown")]
    Sent,
}

impl Stopped {
    fn find(ctx: &RequestContext) -> Self {
        let is_sent = match ctx.existing_command_record() {
            Some(command) => command.is_sent(),
            None => ctx.is_change_sent(),
        };
        if is_sent { Self::Sent } else { Self::Unsent }
    }
}

impl Fault for Stopped {
    fn code(&self) -> &'static Code {
        match self {
            Self::Unsent => &code::STOPPING,
            Self::Sent => &code::INTERRUPTED,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unsent => Some(RESTART),
            Self::Sent => None,
        }
    }
}
