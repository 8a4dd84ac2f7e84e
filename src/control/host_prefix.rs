//! Keeps the SDK from putting `env.` or `api.` before a custom endpoint.

use aws_sdk_mwaa::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_mwaa::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_mwaa::error::BoxError;
use aws_smithy_runtime_api::client::endpoint::EndpointPrefix;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_types::endpoint_config::EndpointUrl;

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
