//! The REST API and the UI: a request within the environment's Airflow session, and once more when
//! the session is dead or the environment has another host.

use crate::body::{self, ReadError};
use crate::context::RequestContext;
use crate::error::ProxyError;
use crate::response::{self, Response};
use crate::rest_via;
use crate::routing::{RequestKind, RoutedRequest};
use crate::session_check::{self, SessionRefusal};
use crate::state::ReverseProxy;
use crate::steps::Step;
use crate::upstream::{OutgoingBody, Upload, UpstreamError, UpstreamResponse};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Collected, Limited};
use mwaa_auth::{Session, login_loop};
use mwaa_http1::Headers;
use mwaa_model::{Code, Fault, RestVia, code};
use mwaa_output::is_load_balancer_status;
use mwaa_policy::{WebPermit, permit_web};
use mwaa_runtime::boot_clock;
use mwaa_server::{BoxError, RequestBody};
use std::sync::Arc;
use std::time::Duration;

/// Sends a request to Airflow and returns its response.
pub(crate) async fn forward(
    proxy: &ReverseProxy,
    routed: RoutedRequest,
    ctx: &RequestContext,
) -> Result<Response, ProxyError> {
    let entry = &routed.entry;
    let request = routed.request;

    // 1. Check the policy.
    let visit = ctx.steps().enter(Step::Policy);
    let permit = permit_web(entry, ctx.listener(), request.method(), request.target())?;
    drop(visit);

    // 2. The version decides how Airflow recognises a session.
    proxy.state.versions.resolve(entry).await?;

    // 3. Read a short body, so that it can be sent twice; a longer one streams. One that AWS may send
    // is read whole.
    let is_rest = routed.kind == RequestKind::Rest;
    let rest_via = if is_rest {
        entry.environment.rest_via
    } else {
        RestVia::Direct
    };
    let (head, body) = request.into_head_and_body();
    let declared = body.remaining().unwrap_or(0);
    let whole = rest_via::find_body_limit(rest_via, declared, proxy.state.limits.request_body);
    let body = prepare_body(proxy, permit.method(), body, whole)
        .await
        .map_err(|error| rest_via::to_body_error(error, rest_via))?;

    // 4. Send it within the session, or by InvokeRestApi.
    let exchange = WebExchange {
        proxy,
        ctx,
        permit: &permit,
        headers: &head.headers,
        is_rest,
    };
    match exchange.answer(body).await {
        Ok(response) => Ok(response),
        // a person without the right to a page: Airflow says so on its first page
        Err(Failure { redirected, .. })
            if redirected && is_inner_page(&permit, routed.kind, ctx) =>
        {
            Ok(response::redirect("/", ctx.id()))
        }
        Err(failure) => Err(failure.error),
    }
}

/// Sends a request of ours to the REST API, on behalf of a client, with its JSON body. Returns the
/// status and the whole body.
pub(crate) async fn call_rest_api(
    proxy: &ReverseProxy,
    permit: &WebPermit,
    headers: &Headers,
    body: Bytes,
    ctx: &RequestContext,
) -> Result<(StatusCode, Result<Bytes, BoxError>), ProxyError> {
    let exchange = WebExchange {
        proxy,
        ctx,
        permit,
        headers,
        is_rest: true,
    };
    let answered = exchange.answer(OutgoingBody::Whole(body)).await;
    let response = answered.map_err(|failure| failure.error)?;

    let status = response.status;
    let body = Limited::new(response.body, MAX_DOCUMENT).collect().await;
    Ok((status, body.map(Collected::to_bytes)))
}

/// Returns true if a person requests a page of the UI other than the first.
fn is_inner_page(permit: &WebPermit, kind: RequestKind, ctx: &RequestContext) -> bool {
    kind == RequestKind::Ui
        && *permit.method() == Method::GET
        && ctx.user_agent().wants_page
        && !matches!(permit.target().path(), "/" | "/home")
}

/// A permitted request and its context, for one or two attempts.
struct WebExchange<'a> {
    proxy: &'a ReverseProxy,
    ctx: &'a RequestContext,
    permit: &'a WebPermit,
    headers: &'a Headers,
    is_rest: bool,
}

/// An exchange without a response for the client.
struct Failure {
    error: ProxyError,
    /// True if a session that has just been opened was redirected to a login page.
    redirected: bool,
}

impl<E: Into<ProxyError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            redirected: false,
        }
    }
}

/// A session, and the response that came within it.
type Answered = (Arc<Session>, UpstreamResponse);

impl WebExchange<'_> {
    /// Sends the request by the environment's route, and returns the response for the client.
    async fn answer(&self, body: OutgoingBody) -> Result<Response, Failure> {
        let rest_via = self.permit.entry().environment.rest_via;
        // boxed, so that no request has room for both
        match body {
            OutgoingBody::Whole(body) if self.is_rest && rest_via != RestVia::Direct => {
                Box::pin(self.answer_by_route(body)).await
            }
            body => Box::pin(self.answer_in_session(body)).await,
        }
    }

    async fn answer_in_session(&self, body: OutgoingBody) -> Result<Response, Failure> {
        let credentials = &self.proxy.state.credentials;
        let visit = self.ctx.steps().enter(Step::Auth);
        let session = credentials.session(self.permit.entry()).await?;
        drop(visit);
        let (session, upstream) = self.run(session, body).await?;
        let host = session.host();
        Ok(response::from_web(upstream, self.permit, host, self.ctx))
    }

    /// Sends the request by InvokeRestApi, or to the web server if that is the route and it can be
    /// reached.
    async fn answer_by_route(&self, body: Bytes) -> Result<Response, Failure> {
        let (permit, entry) = (self.permit, self.permit.entry());
        let routes = &self.proxy.state.rest_routes;

        let route = match routes.find(entry, boot_clock()) {
            Some(route) => route,
            None => match self
                .answer_in_session(OutgoingBody::Whole(body.clone()))
                .await
            {
                Ok(response) => return Ok(response),
                Err(failure) => {
                    match rest_via::find_detour(self.proxy, entry, &failure.error) {
                        Some(route) => route,
                        None => return Err(failure),
                    }
                }
            },
        };
        Ok(rest_via::invoke(permit, self.headers, &body, route, self.ctx).await?)
    }

    /// Sends the request, and a second time with another session where that is safe: after the
    /// session turned out to be dead, which Airflow checks before it does anything, and after its
    /// host turned out to be no longer the environment's.
    async fn run(
        &self,
        session: Arc<Session>,
        body: OutgoingBody,
    ) -> Result<Answered, Failure> {
        let credentials = &self.proxy.state.credentials;
        let entry = self.permit.entry();
        let retry_body = body.try_clone();
        let mut response = match self.send(&session, body).await {
            Ok(response) => response,
            // rare and large: boxed, so that not every request has room for it
            Err(error) => return Box::pin(self.recover(session, error, retry_body)).await,
        };

        // a live session, the usual case
        let refusal = if session_check::may_be_refusal(response.status()) {
            self.refusal(&session, &mut response).await?
        } else {
            None
        };
        let Some(refusal) = refusal else {
            if is_doubtful(response.status()) && Box::pin(self.has_moved(&session)).await {
                // a request that may have acted is not repeated; the next one uses the new host
                let Some(body) = retry_body.filter(|_| self.permit.method().is_safe()) else {
                    return Ok((session, response));
                };
                drop(response);
                let session = credentials.session(entry).await?;
                return Box::pin(self.retry(session, body)).await;
            }
            accept(&session, response.status());
            return Ok((session, response));
        };

        drop(response);
        Box::pin(self.log_in_again(session, refusal, retry_body)).await
    }

    /// Sends the request again with a new session. Airflow has refused the session before it did
    /// anything, so any method may be sent again.
    async fn log_in_again(
        &self,
        session: Arc<Session>,
        refusal: SessionRefusal,
        retry_body: Option<OutgoingBody>,
    ) -> Result<Answered, Failure> {
        tracing::debug!(
            reason = refusal.reason,
            "the session has expired; logging in again"
        );

        let credentials = &self.proxy.state.credentials;
        let entry = self.permit.entry();
        let renewed = credentials
            .renew_session(entry, &session, &refusal.reason, refusal.redirected)
            .await;
        let session = match renewed {
            Ok(session) => session,
            Err(error) => return Err(refusal.into_failure(error)),
        };
        self.retry(session, retry_body.ok_or(SessionExpired)?).await
    }

    /// Tries again after an exchange that failed, if nothing was written, or if the environment has
    /// another host by now and the method is safe.
    async fn recover(
        &self,
        session: Arc<Session>,
        error: UpstreamError,
        retry_body: Option<OutgoingBody>,
    ) -> Result<Answered, Failure> {
        let credentials = &self.proxy.state.credentials;
        let entry = self.permit.entry();
        if error.is_unsent() {
            let replaced = credentials.replace_session(entry, &session).await;
            return match (replaced, retry_body) {
                (Some(session), Some(body)) => self.retry(session, body).await,
                (Some(_), None) => Err(SessionExpired.into()),
                (None, _) => Err(error.into()),
            };
        }

        let moved = error.is_outcome_unknown() && self.has_moved(&session).await;
        match retry_body.filter(|_| moved && self.permit.method().is_safe()) {
            Some(body) => {
                let session = credentials.session(entry).await?;
                self.retry(session, body).await
            }
            None => Err(error.into()),
        }
    }

    /// Sends the request a second time, with a session that has just been opened.
    async fn retry(
        &self,
        session: Arc<Session>,
        body: OutgoingBody,
    ) -> Result<Answered, Failure> {
        let mut response = self.send(&session, body).await?;
        match self.refusal(&session, &mut response).await? {
            None => {
                accept(&session, response.status());
                Ok((session, response))
            }
            // without a text to recognise it by, the refusal may be about something else
            Some(_) if *self.permit.method() == Method::HEAD => Ok((session, response)),
            Some(refusal) => {
                let error = login_loop(&refusal.reason);
                Err(refusal.into_failure(error))
            }
        }
    }

    async fn send(
        &self,
        session: &Arc<Session>,
        body: OutgoingBody,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let entry = self.permit.entry();
        let state = &self.proxy.state;
        let exchange = self.ctx.begin_exchange();
        let response = self
            .proxy
            .upstream
            .send_web(self.permit, session, self.headers, self.ctx, body)
            .await?;
        drop(exchange);

        state.reachability.on_response(entry);
        state
            .credentials
            .update_session(entry, session, response.headers());
        Ok(response)
    }

    async fn refusal(
        &self,
        session: &Session,
        response: &mut UpstreamResponse,
    ) -> Result<Option<SessionRefusal>, UpstreamError> {
        session_check::find_refusal(self.permit, self.is_rest, session, response).await
    }

    /// Returns true if AWS names another host than the session's. AWS is asked, but not for every
    /// response of such a status: most are ordinary ones. The client waits for the answer a moment,
    /// also with a request that is not repeated: its next one then goes to the new host.
    async fn has_moved(&self, session: &Session) -> bool {
        let state = &self.proxy.state;
        let credentials = &state.credentials;
        let entry = self.permit.entry();
        let now = boot_clock();
        if credentials.is_outdated(entry, session) || !credentials.can_query_host(entry) {
            return credentials.is_outdated(entry, session);
        }

        let asking = async {
            state.versions.refresh(entry).await;
            let confirmed = entry.hosts.has_named_since(session.host(), now);
            // GetEnvironment was called recently, is not permitted, or gives another name
            if !confirmed && !credentials.is_outdated(entry, session) {
                credentials.query_host(entry).await;
            }
        };
        let _late = self.proxy.timer.within(HOST_WAIT, asking).await;
        credentials.is_outdated(entry, session)
    }
}

impl SessionRefusal {
    fn into_failure(self, error: impl Fault + 'static) -> Failure {
        Failure {
            redirected: self.redirected && error.code() == &code::LOGIN_LOOP,
            error: error.into(),
        }
    }
}

/// Records that the session works, if the response is Airflow's: a load balancer answers for web
/// servers that it cannot reach.
fn accept(session: &Session, status: StatusCode) {
    if !is_load_balancer_status(status) {
        session.accept();
    }
}

/// Returns true for the statuses of a host that is no longer the environment's.
fn is_doubtful(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Prepares a body to be sent: a short one is read, so that it can be sent twice; a longer one is
/// passed on as it comes, unless it is to be read `whole`, up to this limit. A body without a meaning
/// is read and dropped, because a web server and a proxy in front of it may disagree about it (RFC 9110
/// section 9.3.1). Fails if it is longer than the limit.
pub(crate) async fn prepare_body(
    proxy: &ReverseProxy,
    method: &Method,
    body: RequestBody,
    whole: Option<usize>,
) -> Result<OutgoingBody, ReadError> {
    if body.is_complete() {
        return Ok(OutgoingBody::Whole(Bytes::new()));
    }
    // boxed, so that a request without a body has no room for it
    Box::pin(prepare_some_body(proxy, method, body, whole)).await
}

async fn prepare_some_body(
    proxy: &ReverseProxy,
    method: &Method,
    mut body: RequestBody,
    whole: Option<usize>,
) -> Result<OutgoingBody, ReadError> {
    let limits = &proxy.state.limits;
    let timer = &proxy.timer;
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        body::discard(&mut body, limits.request_body, limits.body_pace, timer).await?;
        return Ok(OutgoingBody::Whole(Bytes::new()));
    }

    if let Some(limit) = whole {
        let read = body::read(&mut body, limit, limits.body_pace, timer);
        return read.await.map(OutgoingBody::Whole);
    }
    let size = body.remaining();
    if size.is_some_and(|size| size <= SHORT_BODY as u64) {
        return body::read(&mut body, SHORT_BODY, limits.body_pace, timer)
            .await
            .map(OutgoingBody::Whole);
    }
    let limit = limits.request_body as u64;
    if size.is_some_and(|size| size > limit) {
        return Err(ReadError::TooLarge {
            limit: limits.request_body,
        });
    }
    let upload = Upload::new(body, limit, limits.body_pace, timer);
    Ok(OutgoingBody::Stream(Box::new(upload)))
}

/// The session died under a request whose body has been passed on already.
#[derive(Debug, thiserror::Error)]
#[error("the session had expired before the request; nothing was done")]
struct SessionExpired;

impl Fault for SessionExpired {
    fn code(&self) -> &'static Code {
        &code::SESSION_EXPIRED
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn ends_connection(&self) -> bool {
        true
    }
}

/// The longest document of [`call_rest_api`], in bytes: ten times MWAA's own limit.
pub(crate) const MAX_DOCUMENT: usize = 60 * 1024 * 1024;
/// The client's longest wait for AWS's answer about the host.
const HOST_WAIT: Duration = Duration::from_secs(1);
/// The bodies of forms and of most REST calls are shorter, in bytes.
const SHORT_BODY: usize = 64 * 1024;
