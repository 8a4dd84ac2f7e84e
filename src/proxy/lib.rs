//! The life of a request, from its arrival to the end of its response.
//!
//! [`handle`] is the entry; [`process`] has the steps in their order. Each step takes the value of
//! the one before, so none can be skipped: an [`IncomingRequest`] becomes a
//! [`ValidatedRequest`], that a [`RoutedRequest`](routing::RoutedRequest), and the policy turns
//! that into a permit, without which [`upstream`] sends nothing. Token, slot and
//! [`RequestContext`] travel beside the permit.

pub mod admission;
mod aws_api;
mod body;
mod command;
mod command_record;
mod context;
mod error;
mod health;
mod live;
mod local_pages;
mod local_tokens;
mod login_pages;
pub mod queue;
mod rejected_head;
pub mod response;
mod rest_via;
pub mod routing;
mod session_check;
mod state;
mod status;
mod steps;
mod stopping;
pub mod upstream;
mod web;

pub use body::ReadError;
pub use context::RequestContext;
pub use error::ProxyError;
pub use health::{HealthIssue, Reachability};
pub use live::Watchers;
pub use login_pages::LoginVisits;
pub use rejected_head::reject_head;
pub use response::ResponseBody;
pub use rest_via::RestRoutes;
pub use state::{Limits, ListenerUrl, ListenerUrls, ProxyState, ReverseProxy};
pub use status::EnvironmentStatus;
pub use steps::Position;
pub use stopping::say_farewell;

use admission::{AdmissionError, ValidatedRequest};
use mwaa_model::{EnvName, Fault, code};
use mwaa_server::IncomingRequest;
use mwaa_telemetry::LOCAL_PAGE;
use response::Response;
use routing::{Destination, RequestKind, RoutingError};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use steps::Step;
use tracing::Instrument as _;

/// Answers one request. The body of the response counts and logs the request at its end.
pub async fn handle(proxy: Rc<ReverseProxy>, incoming: IncomingRequest) -> Response {
    let ctx = RequestContext::new(&incoming, &proxy);
    let span = ctx.span().clone();
    let result = {
        let mut processing = pin!(process(&proxy, incoming, &ctx).instrument(span));
        poll_fn(|cx| stopping::or_cut(processing.as_mut().poll(cx), &ctx)).await
    };
    let response = match result {
        Ok(response) => response,
        Err(error) => respond_with_fault(error.fault(), &ctx),
    };
    let status = response.status.as_u16();
    response.map(|body| body.report(ctx, status))
}

/// Returns the response for a fault, in the form that the client expects.
fn respond_with_fault(fault: &dyn Fault, ctx: &RequestContext) -> Response {
    let mut response = if ctx.is_aws_path() {
        ctx.fail(fault);
        response::from_aws_fault(fault, false, ctx.id())
    } else {
        ctx.respond_with_fault(fault)
    };
    // a browser would send a bad cookie with every request
    if *fault.code() == code::LOCAL_TOKEN {
        response::clear_local_cookies(&mut response);
    }
    response
}

/// Takes a request through its steps. A request that fails before its policy check opens no
/// connection, mints no token and is not sent.
///
/// The client may disconnect at any time, which drops this future wherever it waits. All that must
/// happen then happens in `Drop`: a queue position and a slot are given up, the command's record is
/// written. Only an exchange that has begun continues, see `command::send_in_slot`.
async fn process(
    proxy: &Rc<ReverseProxy>,
    incoming: IncomingRequest,
    ctx: &RequestContext,
) -> Result<Response, ProxyError> {
    // 1. Admission: the client, the form of the request, the Host, the secret, the browser's rules.
    let request = admit(proxy, incoming, ctx)?;

    // 2. A token that the gateway has issued names its environment.
    let named = local_tokens::find_environment(proxy, &request, ctx)?;
    if named.is_some() {
        ctx.set_environment(named.clone());
    }
    let named = named.as_ref();

    // 3. Routing: the environment and the kind of the request, or what the gateway itself answers.
    let routed = match route(proxy, request, named, ctx).await {
        Ok(Destination::Environment(routed)) => routed,
        Ok(Destination::LocalPage(page)) => {
            let only = page.scope.as_ref();
            ctx.set_kind(LOCAL_PAGE, only.map(|only| &only.environment.local));
            if let Some(only) = &page.scope {
                ctx.set_entry(only);
            }
            // boxed, like every rare future, so that not every request has room for it
            return Ok(Box::pin(local_pages::respond(proxy, page, ctx)).await);
        }
        Ok(Destination::AwsCall(request, call)) => {
            return Ok(Box::pin(aws_api::respond(proxy, request, &call, ctx)).await);
        }
        Ok(Destination::LocalLogin(request)) => {
            return Box::pin(local_tokens::login(proxy, request, ctx)).await;
        }
        Err(error) => return Err(unroutable(proxy, error)),
    };
    let entry = Arc::clone(&routed.entry);
    ctx.set_kind(routed.kind.as_str(), Some(&entry.environment.local));
    ctx.set_entry(&entry);

    // 4. The rest depends on the kind: policy, queue or session, the web server, the response. What
    // is large is boxed: two small allocations are cheaper than one with room for everything.
    let result = match routed.kind {
        RequestKind::Cli => Box::pin(command::run(proxy, routed, ctx)).await,
        RequestKind::Handover => Box::pin(login_pages::hand_over(proxy, &routed, ctx)).await,
        RequestKind::Login => login_pages::login(proxy, &routed, ctx),
        RequestKind::Logout => Box::pin(login_pages::logout(proxy, routed, ctx)).await,
        RequestKind::Token => Box::pin(login_pages::token(proxy, routed, ctx)).await,
        RequestKind::Ui if login_pages::is_handed_over(&routed, ctx) => {
            Box::pin(login_pages::hand_over(proxy, &routed, ctx)).await
        }
        RequestKind::Rest | RequestKind::Ui => web::forward(proxy, routed, ctx).await,
    };

    // 5. After a fault of the web server AWS may know more about the environment.
    match result {
        Ok(response) => Ok(response),
        Err(error) => Err(Box::pin(health::explain(proxy, &entry, error)).await),
    }
}

/// Checks a request as far as that needs no environment.
fn admit(
    proxy: &ReverseProxy,
    incoming: IncomingRequest,
    ctx: &RequestContext,
) -> Result<ValidatedRequest, AdmissionError> {
    let _visit = ctx.steps().enter(Step::Admission);
    let settings = &proxy.state.admission;
    admission::validate(incoming, ctx.user_agent(), settings, &proxy.admissions)
}

/// Returns the destination of a request. An unknown name may belong to an environment that was
/// created a moment ago: AWS is asked first.
async fn route(
    proxy: &ReverseProxy,
    request: ValidatedRequest,
    named: Option<&EnvName>,
    ctx: &RequestContext,
) -> Result<Destination, RoutingError> {
    let _visit = ctx.steps().enter(Step::Routing);
    let registry = &proxy.state.registry;
    let directory = registry.snapshot();
    if routing::is_unknown(&request, named, ctx, &directory) {
        // a snapshot is not kept across an await
        drop(directory);
        // boxed, so that not every request has room for it
        Box::pin(discover(proxy)).await;
        return routing::route(request, named, ctx, &registry.snapshot());
    }
    routing::route(request, named, ctx, &directory)
}

/// Looks for new environments. What is found too late is known to the next request.
async fn discover(proxy: &ReverseProxy) {
    let Some(discovery) = &proxy.state.discovery else {
        return;
    };
    let is_first = proxy.state.registry.snapshot().entries().is_empty();
    let limit = if is_first { FIRST_DISCOVERY } else { DISCOVERY };
    let _late = proxy.timer.within(limit, discovery.refresh()).await;
}

/// Returns the error of a request without a destination. If no environment is known because AWS
/// could not be asked, that is the reason.
fn unroutable(proxy: &ReverseProxy, error: RoutingError) -> ProxyError {
    let is_unknown = matches!(error, RoutingError::UnknownEnvironment { .. });
    let discovery = proxy.state.discovery.as_ref().filter(|_| is_unknown);
    match discovery.and_then(|discovery| discovery.error()) {
        Some(fault) => fault.into(),
        None => error.into(),
    }
}

/// The longest wait of a request for an unknown environment.
const DISCOVERY: Duration = Duration::from_secs(5);
/// While there is no other environment there is more reason to wait: the AWS chain may take ten
/// seconds to find that there are no credentials.
const FIRST_DISCOVERY: Duration = Duration::from_secs(15);
