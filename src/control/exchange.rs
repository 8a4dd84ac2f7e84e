//! What is seen of a call on the wire.

use aws_sdk_mwaa::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_mwaa::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_mwaa::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// Notes whether the call was sent at all, for which it needs its keys; and the `Date` of the
/// reply: AWS's clock, for the token's life and for saying how far off ours is.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchange(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    sent: OnceLock<()>,
    date: OnceLock<SystemTime>,
}

impl Exchange {
    /// Whether the call had its keys and was sent.
    pub(super) fn was_sent(&self) -> bool {
        self.0.sent.get().is_some()
    }

    /// The date, once a reply came.
    pub(super) fn date(&self) -> Option<SystemTime> {
        self.0.date.get().copied()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Exchange {
    fn name(&self) -> &'static str {
        "Exchange"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.sent.get_or_init(|| ());
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date")
            && let Ok(date) = httpdate::parse_http_date(date)
        {
            // the first reply's date is kept; there is one attempt a call
            let _first = self.0.date.set(date);
        }
        Ok(())
    }
}
