//! Keeps the SDK from putting `env.` or `api.` before a custom endpoint.

use aws_sdk_mwaa::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_mwaa::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_mwaa::error::BoxError;
use aws_smithy_runtime_api::client::endpoint::EndpointPrefix;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_types::endpoint_config::EndpointUrl;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

/// Takes the operation's host prefix away wherever a custom endpoint is in force: the SDK
/// would ask `env.127.0.0.1`, and it has no switch for it. AWS's own hosts keep theirs.
#[derive(Debug)]
pub(super) struct NoHostPrefix;

#[dyn_dispatch_hint]
impl Intercept for NoHostPrefix {
    fn name(&self) -> &'static str {
        "NoHostPrefix"
    }

    // the prefix is stored just before this hook and used just after it
    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<EndpointUrl>().is_some() {
            config.interceptor_state().unset::<EndpointPrefix>();
        }
        Ok(())
    }
}

/// Remembers the `Date` of the reply: AWS's clock, for the token's life and for saying how far
/// off ours is.
#[derive(Debug, Clone, Default)]
pub(super) struct ReplyDate(Arc<OnceLock<SystemTime>>);

impl ReplyDate {
    /// The date, once a reply came.
    pub(super) fn get(&self) -> Option<SystemTime> {
        self.0.get().copied()
    }
}

#[dyn_dispatch_hint]
impl Intercept for ReplyDate {
    fn name(&self) -> &'static str {
        "ReplyDate"
    }

    fn read_before_deserialization(
        &self,
        context: &aws_sdk_mwaa::config::interceptors::BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date")
            && let Ok(date) = httpdate::parse_http_date(date)
        {
            // the first reply's date is kept; there is one attempt a call
            let _first = self.0.set(date);
        }
        Ok(())
    }
}
