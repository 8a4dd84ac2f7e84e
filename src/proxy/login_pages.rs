//! The pages where a person would log in and out, and the hand-over to the real host. The gateway
//! logs in by itself: the login page redirects back, and logging out drops the gateway's session.

use crate::admission::ValidatedRequest;
use crate::body::{self, ReadError};
use crate::context::RequestContext;
use crate::error::ProxyError;
use crate::local_tokens;
use crate::response::{self, Response};
use crate::routing::{RoutedRequest, RoutingError};
use crate::state::ReverseProxy;
use crate::web::prepare_body;
use dashmap::DashMap;
use http::Method;
use mwaa_auth::login_loop;
use mwaa_model::{BrowserMode, EntryId, Fault as _, RequestSource};
use mwaa_policy::{check_handover, permit_logout};
use mwaa_runtime::Timestamp;
use std::time::Duration;

/// Answers a request for Airflow's login page: redirects to the page that the browser wanted. Fails
/// for a browser that comes back again and again, which is in a redirect loop.
///
/// A login form is not read: its password must not be forwarded, so the browser continues with a GET.
pub(crate) fn login(
    proxy: &ReverseProxy,
    routed: &RoutedRequest,
    ctx: &RequestContext,
) -> Result<Response, ProxyError> {
    let request = &routed.request;
    let entry = &routed.entry;
    let posted = *request.method() == Method::POST;
    let visits = &proxy.state.login_visits;
    if !posted && visits.add(entry.id, Timestamp::now()) {
        return Err(login_loop("it keeps redirecting the browser to its login page").into());
    }

    let host = proxy.state.credentials.session_host(entry);
    let next = next(request, ctx, host.as_deref());
    let next = next.as_deref().unwrap_or("/");
    Ok(if posted {
        response::see_other(next, ctx.id())
    } else {
        response::redirect(next, ctx.id())
    })
}

/// Answers a request to log out: Airflow ends the session, if there is one, and the gateway drops
/// it.
pub(crate) async fn logout(
    proxy: &ReverseProxy,
    routed: RoutedRequest,
    ctx: &RequestContext,
) -> Result<Response, ProxyError> {
    let entry = routed.entry;
    let request = routed.request;
    let credentials = &proxy.state.credentials;
    let permit = permit_logout(&entry, request.method(), request.target())?;
    let has_cookie = local_tokens::has_cookie(request.headers());

    // without a session there is nothing that Airflow could end
    if credentials.session_state(&entry).age.is_some() {
        let (head, body) = request.into_head_and_body();
        let body = prepare_body(proxy, permit.method(), body, None).await?;
        let session = credentials.session(&entry).await?;
        let exchange = ctx.begin_exchange();
        let sent = proxy
            .upstream
            .send_web(&permit, &session, &head.headers, ctx, body)
            .await;
        drop(exchange);
        // this session is dropped anyway
        if let Err(error) = sent {
            tracing::debug!(id = %ctx.id(), error = error.detail(), "Airflow's session could not be ended");
        }
    }

    credentials.sign_out(&entry);
    let mut response = response::see_other(SIGNED_OUT, ctx.id());
    if has_cookie {
        response::clear_local_cookies(&mut response);
    }
    Ok(response)
}

/// Returns true for a person's visit to the UI of an environment in redirect mode.
pub(crate) fn is_handed_over(routed: &RoutedRequest, ctx: &RequestContext) -> bool {
    routed.entry.environment.browser == BrowserMode::Redirect
        // a read-only client remains here
        && check_handover(&routed.entry, ctx.listener()).is_ok()
        && *routed.request.method() == Method::GET
        && ctx.user_agent().wants_page
}

/// Answers `/aws_mwaa/aws-console-sso`: in redirect mode the browser is redirected to the
/// environment's own host with a web token. In proxy mode the UI is at `/` here, so the browser is
/// redirected there; an explicit request for a hand-over fails.
pub(crate) async fn hand_over(
    proxy: &ReverseProxy,
    routed: &RoutedRequest,
    ctx: &RequestContext,
) -> Result<Response, ProxyError> {
    let request = &routed.request;
    let entry = &routed.entry;
    let wanted = entry.environment.browser == BrowserMode::Redirect
        || *request.method() == Method::POST
        || query(request, "handover").is_some_and(|value| value == "1");
    if !wanted {
        return Ok(response::redirect("/", ctx.id()));
    }
    check_handover(entry, ctx.listener())?;

    // a link on another page must not be enough to hand a session out
    if ctx.user_agent().fetch.request_source() == RequestSource::Elsewhere {
        let page = mwaa_pages::render_handover(entry.environment.local.as_str());
        return Ok(response::from_page(page, ctx.id()));
    }
    let address = proxy.state.credentials.handover(entry).await?;
    Ok(response::handover(&address, ctx.id()))
}

/// Answers `/auth/token` of an Airflow 3 environment: the client logs in, and gets a token that
/// grants nothing.
///
/// The body, which holds a password, is read to its end so that the connection can be reused, and
/// is not kept. Airflow 2 has no such route: clients recognise it by its 404.
pub(crate) async fn token(
    proxy: &ReverseProxy,
    routed: RoutedRequest,
    ctx: &RequestContext,
) -> Result<Response, ProxyError> {
    let mut request = routed.request;
    let version = proxy.state.versions.resolve(&routed.entry).await?;
    if version.major < 3 {
        return Err(RoutingError::NoLogin {
            path: request.target().path().to_owned(),
        }
        .into());
    }

    let pace = proxy.state.limits.body_pace;
    body::discard(request.body_mut(), MAX_LOGIN, pace, &proxy.timer)
        .await
        .map_err(|error| match error {
            ReadError::TooLarge { limit } => ReadError::LongLogin { limit },
            error => error,
        })?;
    let now = Timestamp::now().wall();
    Ok(response::create_token(request.method(), now, ctx.id()))
}

/// Returns `next` of a login page as a path of ours. `None` for an address that could be on another
/// host, and for the login page itself.
fn next(
    request: &ValidatedRequest,
    ctx: &RequestContext,
    host: Option<&str>,
) -> Option<String> {
    let next = query(request, "next")?;
    // Airflow writes the address at which it was called: ours, or the web server's own
    let theirs = host.map(|host| format!("https://{host}"));
    let path = next
        .strip_prefix(&ctx.origin())
        .or_else(|| next.strip_prefix(theirs.as_deref()?))
        .unwrap_or(&next);

    // `//host` and `/\host` are addresses of other hosts to a browser
    let ours = path.starts_with('/')
        && !path
            .get(1..2)
            .is_some_and(|second| matches!(second, "/" | "\\"))
        && !path.contains("/login")
        && path.bytes().all(|b| b.is_ascii_graphic());
    ours.then(|| path.to_owned())
}

fn query(request: &ValidatedRequest, name: &str) -> Option<String> {
    let query = request.target().query()?;
    form_urlencoded::parse(query.as_bytes())
        .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// The recent visits to each environment's login page.
#[derive(Debug, Default)]
pub struct LoginVisits(DashMap<EntryId, (Timestamp, u32)>);

impl LoginVisits {
    /// Counts a visit. Returns true if there were too many: the browser is in a redirect loop.
    fn add(&self, id: EntryId, now: Timestamp) -> bool {
        let mut visits = self.0.entry(id).or_insert((now, 0));
        let (since, count) = visits.value_mut();
        if since.age(now) > VISIT_WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count > MAX_VISITS
    }
}

/// Our page after signing out.
const SIGNED_OUT: &str = "/-/signed-out";
/// The time in which visits are counted.
const VISIT_WINDOW: Duration = Duration::from_secs(10);
/// The most visits in that time: several tabs may come at once.
const MAX_VISITS: u32 = 6;
/// Any form with a user name and a password is shorter, in bytes.
const MAX_LOGIN: usize = 64 * 1024;
