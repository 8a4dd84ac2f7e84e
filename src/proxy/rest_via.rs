//! The route of requests to the REST API: to the web server, or by AWS's `InvokeRestApi`, which needs no
//! session and no network to the web server, but has limits.

use crate::body::ReadError;
use crate::context::RequestContext;
use crate::error::ProxyError;
use crate::response::{self, Response};
use crate::routing::RoutingError;
use crate::state::ReverseProxy;
use bytes::Bytes;
use dashmap::DashMap;
use http::Method;
use mwaa_auth::aws::{AwsError, AwsErrorKind, RestApiError, RestApiRequest, RestApiResponse};
use mwaa_http1::Headers;
use mwaa_http1::name::{ACCEPT, CONTENT_ENCODING};
use mwaa_model::{Code, Entry, EntryId, Fault, MediaRange, RestVia, code};
use mwaa_policy::WebPermit;
use mwaa_runtime::boot_clock;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The environments whose web servers cannot be reached, with `rest_via = "auto"`.
#[derive(Debug, Default)]
pub struct RestRoutes(DashMap<EntryId, Outage>);

/// A web server that cannot be reached.
#[derive(Debug)]
struct Outage {
    reason: Arc<Reason>,
    /// The time by the boot clock at which it is tried again.
    next_try: Duration,
}

/// The fault of the connection that could not be opened.
#[derive(Debug, PartialEq, Eq)]
struct Reason {
    code: &'static Code,
    detail: String,
    hint: String,
    retry_after: Option<Duration>,
}

impl Reason {
    fn new(fault: &dyn Fault) -> Self {
        Self {
            code: fault.code(),
            detail: fault.detail(),
            hint: fault.hint().into_owned(),
            retry_after: fault.retry_after(),
        }
    }
}

/// The use of `InvokeRestApi` for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The reason why the web server is not used, unless the configuration says so.
    reason: Option<Arc<Reason>>,
    /// True if the web server is to be tried again meanwhile.
    is_try_due: bool,
}

impl RestRoutes {
    /// Returns how a request is sent; `None` means to the web server.
    pub(crate) fn find(&self, entry: &Entry, now: Duration) -> Option<Invocation> {
        let mut found = Invocation {
            reason: None,
            is_try_due: false,
        };

        match entry.environment.rest_via {
            RestVia::Direct => return None,
            RestVia::Invoke => {}
            RestVia::Auto => {
                let mut outage = self.0.get_mut(&entry.id)?;
                found.reason = Some(Arc::clone(&outage.reason));
                if now >= outage.next_try {
                    // of many requests one tries
                    outage.next_try = now + PAUSE;
                    found.is_try_due = true;
                }
            }
        }
        Some(found)
    }

    /// Returns true if AWS sends the environment's requests now.
    pub(crate) fn is_invoked(&self, entry: &Entry) -> bool {
        match entry.environment.rest_via {
            RestVia::Direct => false,
            RestVia::Invoke => true,
            RestVia::Auto => self.0.contains_key(&entry.id),
        }
    }

    /// Records that the web server cannot be reached, and returns how the request is sent instead.
    fn on_outage(&self, entry: &Entry, fault: &dyn Fault, now: Duration) -> Invocation {
        let reason = Arc::new(Reason::new(fault));
        let outage = Outage {
            reason: Arc::clone(&reason),
            next_try: now + PAUSE,
        };
        if self.0.insert(entry.id, outage).is_none() {
            tracing::info!(environment = %entry.environment.local, reason = %reason.detail, "REST requests take InvokeRestApi: the web server cannot be reached");
        }
        Invocation {
            reason: Some(reason),
            is_try_due: false,
        }
    }

    /// Records that the web server can be reached.
    fn on_connection(&self, entry: &Entry) {
        if self.0.remove(&entry.id).is_some() {
            tracing::info!(environment = %entry.environment.local, "REST requests take the web server again");
        }
    }
}

/// Returns true if the web server could not be reached, so that nothing of a request was written.
fn is_outage(fault: &dyn Fault) -> bool {
    [
        &code::UPSTREAM_UNREACHABLE,
        &code::UPSTREAM_PROXY,
        &code::UPSTREAM_TUNNEL,
    ]
    .contains(&fault.code())
}

/// Records an error of the direct route. Returns how the request is sent instead, if the web server
/// could not be reached.
pub(crate) fn find_detour(
    proxy: &ReverseProxy,
    entry: &Entry,
    error: &ProxyError,
) -> Option<Invocation> {
    let fault = error.fault();
    let routes = &proxy.state.rest_routes;
    is_outage(fault).then(|| routes.on_outage(entry, fault, boot_clock()))
}

/// Returns how long a body may be that is read whole, because AWS may send it; `None` for one that
/// streams to the web server.
pub(crate) fn find_body_limit(
    rest_via: RestVia,
    declared: u64,
    configured: usize,
) -> Option<usize> {
    match rest_via {
        RestVia::Direct => None,
        RestVia::Invoke => Some(configured.min(MAX_BODY)),
        // only the web server can take a longer one
        RestVia::Auto => (declared <= MAX_BODY as u64).then_some(configured),
    }
}

/// Returns the error of a body that could not be read, which names AWS's route if that has the limit.
pub(crate) fn to_body_error(error: ReadError, rest_via: RestVia) -> ProxyError {
    match error {
        ReadError::TooLarge { limit: MAX_BODY } if rest_via == RestVia::Invoke => {
            InvokeError::LongBody.into()
        }
        error => error.into(),
    }
}

/// Sends a permitted request by `InvokeRestApi`, once. `headers` are the client's. Fails if the request
/// is not one that AWS can pass on, or if there is no response of Airflow's.
pub(crate) async fn invoke(
    permit: &WebPermit,
    headers: &Headers,
    body: &Bytes,
    route: Invocation,
    ctx: &RequestContext,
) -> Result<Response, ProxyError> {
    let entry = permit.entry();
    let proxy = ctx.proxy();
    if route.is_try_due {
        let (proxy, entry) = (Rc::clone(proxy), Arc::clone(entry));
        let span = tracing::debug_span!(parent: None, "web server", environment = %entry.environment.local);
        ctx.proxy().tasks.spawn_unwatched(span, async move {
            try_web_server(&proxy, &entry).await;
        });
    }

    ctx.set_kind(INVOKED, None);
    let result = send(permit, headers, body, ctx).await;
    match (result, route.reason) {
        (Ok(response), _) => Ok(response::from_rest_api(response, permit, ctx.id())),
        // the web server would take it, so the outage is the cause
        (Err(error), Some(reason)) if error.fault().code() == &code::INVOKE_LIMIT => {
            Err(OutageFault { error, reason }.into())
        }
        (Err(error), Some(reason)) => Err(DetourFault { error, reason }.into()),
        (Err(error), None) => Err(error),
    }
}

async fn send(
    permit: &WebPermit,
    headers: &Headers,
    body: &Bytes,
    ctx: &RequestContext,
) -> Result<RestApiResponse, ProxyError> {
    let request = build_request(permit, headers, body)?;
    let length = request.path.chars().count();
    let may_change = !permit.method().is_safe();
    ctx.mark_sending();
    let called = ctx
        .proxy()
        .state
        .credentials
        .invoke_rest_api(permit.entry(), request)
        .await;
    let error = match called {
        Some(Ok(response)) => return Ok(response),
        Some(Err(error)) => error,
        None => return Err(InvokeError::Stopping { may_change }.into()),
    };

    Err(match error {
        RestApiError::Invalid(words) if length > MAX_PATH => InvokeError::Limit(format!(
            "its path has {length} characters, AWS allows {MAX_PATH} ({words})"
        )),
        RestApiError::Invalid(words) => InvokeError::Limit(format!("AWS rejects it ({words})")),
        RestApiError::Refused(error) => InvokeError::Refused(error),
        RestApiError::LongResponse => InvokeError::LongResponse { may_change },
        RestApiError::Unknown(error) => InvokeError::Unknown { error, may_change },
    }
    .into())
}

/// Tries to connect to a web server that could not be reached.
async fn try_web_server(proxy: &ReverseProxy, entry: &Arc<Entry>) {
    let host = match proxy.state.credentials.session(entry).await {
        Ok(session) => Some(Arc::clone(session.host())),
        Err(error) if is_outage(&error) => return,
        // a refused login is no reason for the other route
        Err(_refused) => entry.hosts.latest(),
    };
    let Some(host) = host else { return };
    // also with a session: an older one says only where the web server is
    match proxy.upstream.try_connect(entry, &host).await {
        Ok(()) => proxy.state.rest_routes.on_connection(entry),
        Err(error) => tracing::debug!(error = %error.detail(), "not reached"),
    }
}

/// Returns the request as AWS takes it. Fails if it has a part that AWS would not pass on.
fn build_request(
    permit: &WebPermit,
    headers: &Headers,
    body: &Bytes,
) -> Result<RestApiRequest, ProxyError> {
    let method = permit.method();
    if !METHODS.contains(method) {
        return Err(InvokeError::Limit(format!("it has no {method}")).into());
    }
    if !accepts_json(headers) {
        return Err(limit(
            "it returns JSON only, which the Accept header excludes",
        ));
    }

    // AWS adds the version itself: the other one has no routes, as at the web server
    let full = permit.target().path();
    let version = permit.entry().airflow_version();
    let base = find_base(version.map_or(2, |version| version.major));
    let path = full.strip_prefix(base).filter(|path| path.starts_with('/'));
    let unknown = || RoutingError::UnknownPath {
        path: full.to_owned(),
    };
    // `//host/` could be read as another server
    let path = path
        .filter(|path| !path.starts_with("//"))
        .ok_or_else(unknown)?;

    Ok(RestApiRequest {
        method: method.clone(),
        path: path.to_owned(),
        query_parameters: permit.target().query().map(to_parameters).transpose()?,
        body: read_object(headers, body)?,
    })
}

/// Returns the path of the REST API in an Airflow of this major version.
pub(crate) const fn find_base(major: u16) -> &'static str {
    if major < 3 { "/api/v1" } else { "/api/v2" }
}

fn limit(reason: &str) -> ProxyError {
    InvokeError::Limit(reason.to_owned()).into()
}

/// Returns true if the client takes JSON; without the header it takes anything.
fn accepts_json(headers: &Headers) -> bool {
    !headers.contains(ACCEPT)
        || MediaRange::from_headers(headers).any(|range| {
            let is_any = range.is("*/*") || range.is("application/*");
            (is_any || range.is_json()) && range.weight() > 0.0
        })
}

/// Returns the query as an object; a name that is repeated has a list. Fails for text that is not UTF-8.
fn to_parameters(query: &str) -> Result<Box<RawValue>, ProxyError> {
    let mut parameters: BTreeMap<Cow<'_, str>, Vec<Cow<'_, str>>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if [&name, &value]
            .iter()
            .any(|text| text.contains(char::REPLACEMENT_CHARACTER))
        {
            return Err(limit("a query parameter is not UTF-8"));
        }
        parameters.entry(name).or_default().push(value);
    }

    let parameters: BTreeMap<_, _> = parameters
        .into_iter()
        .map(|(name, mut values)| match values.as_mut_slice() {
            [only] => (name, serde_json::Value::from(std::mem::take(only))),
            _ => (name, serde_json::Value::from(values)),
        })
        .collect();
    serde_json::value::to_raw_value(&parameters).map_err(|error| limit(&error.to_string()))
}

/// Returns the body as it is. Fails unless it is empty or one JSON object within the limit.
fn read_object(headers: &Headers, body: &Bytes) -> Result<Bytes, ProxyError> {
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    if body.len() > MAX_BODY {
        return Err(InvokeError::LongBody.into());
    }
    let object: Option<&RawValue> = serde_json::from_slice(body).ok();
    let is_json = response::is_json(headers) && !headers.contains(CONTENT_ENCODING);
    match object.filter(|object| is_json && object.get().starts_with('{')) {
        Some(object) => Ok(body.slice_ref(object.get().as_bytes())),
        None => Err(limit(
            "its body must be one JSON object, with Content-Type: application/json",
        )),
    }
}

/// A call of `InvokeRestApi` without a response of Airflow's.
#[derive(Debug, thiserror::Error)]
enum InvokeError {
    /// AWS does not pass such requests on.
    #[error("InvokeRestApi cannot send this request: {0}")]
    Limit(String),
    /// The body is too long.
    #[error(
        "InvokeRestApi cannot send this request: its body is longer than {} MiB, the gateway's limit for it",
        MAX_BODY >> 20
    )]
    LongBody,
    /// The response is too long.
    #[error(
        "the response of InvokeRestApi is longer than 16 MiB{}",
        format_outcome(*may_change)
    )]
    LongResponse { may_change: bool },
    /// Nothing was sent to Airflow.
    #[error(transparent)]
    Refused(AwsError),
    /// The gateway is stopping.
    #[error("the gateway is stopping{}", format_outcome(*may_change))]
    Stopping { may_change: bool },
    /// There is no response, and Airflow may have acted.
    #[error("{error}{}", format_outcome(*may_change))]
    Unknown { error: AwsError, may_change: bool },
}

fn format_outcome(may_change: bool) -> &'static str {
    if may_change { "; outcome: unknown" } else { "" }
}

impl Fault for InvokeError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Unknown {
                may_change: true, ..
            }
            | Self::LongResponse { may_change: true } => &code::UPSTREAM_BROKEN,
            Self::Limit(_) | Self::LongBody | Self::LongResponse { .. } => &code::INVOKE_LIMIT,
            Self::Stopping { may_change: true } => &code::INTERRUPTED,
            Self::Stopping { may_change: false } => &code::STOPPING,
            Self::Refused(error) | Self::Unknown { error, .. } => error.code(),
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Limit(_)
            | Self::LongBody
            | Self::LongResponse { may_change: false }
            | Self::Stopping { .. } => self.code().advice.into(),
            Self::Refused(error) if error.kind == AwsErrorKind::Throttled => {
                "InvokeRestApi allows 10 calls a second: wait, or set rest_via = \"direct\""
                    .into()
            }
            Self::Refused(error) => error.hint(),
            Self::Unknown {
                error,
                may_change: false,
            } => format!("{}; {}", error.hint(), SLOW_OR_LARGE).into(),
            Self::LongResponse { .. } | Self::Unknown { .. } => {
                format!("{}; {}", self.code().advice, SLOW_OR_LARGE).into()
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(error) if error.kind == AwsErrorKind::Throttled => {
                Some(Duration::from_secs(1))
            }
            Self::Limit(_)
            | Self::LongBody
            | Self::LongResponse { .. }
            | Self::Refused(_)
            | Self::Stopping { .. }
            | Self::Unknown { .. } => None,
        }
    }

    fn ends_connection(&self) -> bool {
        // the rest of the body is not read
        matches!(self, Self::LongBody)
    }
}

/// A fault of `InvokeRestApi`, which was used because the web server cannot be reached.
#[derive(Debug)]
struct DetourFault {
    error: ProxyError,
    reason: Arc<Reason>,
}

impl fmt::Display for DetourFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = &self.reason.detail;
        write!(
            f,
            "{}; InvokeRestApi is used because: {reason}",
            self.error.fault().detail()
        )
    }
}

impl std::error::Error for DetourFault {}

impl Fault for DetourFault {
    fn code(&self) -> &'static Code {
        self.error.fault().code()
    }

    fn hint(&self) -> Cow<'static, str> {
        self.error.fault().hint()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.error.fault().retry_after()
    }
}

/// The fault of a web server that cannot be reached, for a request that `InvokeRestApi` cannot send.
#[derive(Debug)]
struct OutageFault {
    error: ProxyError,
    reason: Arc<Reason>,
}

impl fmt::Display for OutageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason.detail)
    }
}

impl std::error::Error for OutageFault {}

impl Fault for OutageFault {
    fn code(&self) -> &'static Code {
        self.reason.code
    }

    fn hint(&self) -> Cow<'static, str> {
        let limit = self.error.fault().detail();
        format!("{}; {limit}", self.reason.hint).into()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.reason.retry_after
    }
}

/// The methods of `InvokeRestApi` (API reference).
pub(crate) const METHODS: [Method; 5] = [
    Method::GET,
    Method::PUT,
    Method::POST,
    Method::PATCH,
    Method::DELETE,
];
/// The kind of these requests in metrics and logs.
const INVOKED: &str = "invoke";
/// The longest body for `InvokeRestApi`, in bytes: AWS documents none, so it is that of responses.
const MAX_BODY: usize = 6 * 1024 * 1024;
/// The longest path of `InvokeRestApi`, in characters, by its model.
const MAX_PATH: usize = 64;
/// A web server that could not be reached is tried again after this, beside a request.
const PAUSE: Duration = Duration::from_secs(30);
const SLOW_OR_LARGE: &str = "InvokeRestApi allows 10 s and 6 MB a call: request less, or set \
                             rest_via = \"direct\"";

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_http1::name::CONTENT_TYPE;
    use mwaa_model::{EnvName, Environment};
    use proptest::prelude::*;

    fn headers(name: mwaa_http1::Name, value: &str) -> Headers {
        Headers::from_iter([(name.as_str(), value)])
    }

    #[test]
    fn only_a_client_that_takes_json_gets_it() {
        assert!(accepts_json(&Headers::new()));
        for (accept, is_accepted) in [
            ("*/*", true),
            ("text/html, application/json;q=0.5", true),
            ("application/*", true),
            ("application/problem+json", true),
            ("text/plain", false),
            ("application/json;q=0, text/plain", false),
            ("application/x-ndjson", false),
        ] {
            assert_eq!(
                accepts_json(&headers(ACCEPT, accept)),
                is_accepted,
                "{accept}"
            );
        }
    }

    #[test]
    fn one_request_of_many_tries_the_web_server_again() {
        let environment = Environment {
            rest_via: RestVia::Auto,
            ..Environment::new(EnvName::new("prod").unwrap(), "prod")
        };
        let entry = Entry::new(EntryId(7), environment);
        let (routes, start) = (RestRoutes::default(), Duration::from_secs(100));
        assert_eq!(routes.find(&entry, start), None);
        routes.on_outage(&entry, &InvokeError::Stopping { may_change: false }, start);
        let is_due = |seconds| {
            let found = routes
                .find(&entry, start + Duration::from_secs(seconds))
                .unwrap();
            assert_eq!(found.reason.unwrap().detail, "the gateway is stopping");
            found.is_try_due
        };
        assert_eq!(
            [0, 29, 30, 31, 59, 60].map(is_due),
            [false, false, true, false, false, true]
        );
        routes.on_connection(&entry);
        assert_eq!(routes.find(&entry, start), None);
    }

    proptest! {
        #[test]
        fn parameters_keep_every_pair(query in "[a-c%é&=+2C0]{0,24}|[^\u{0}]{0,16}") {
            let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
            let is_text = !pairs.iter().any(|(name, value)| {
                format!("{name}{value}").contains(char::REPLACEMENT_CHARACTER)
            });
            match to_parameters(&query) {
                Ok(parameters) => {
                    let read: BTreeMap<String, serde_json::Value> =
                        serde_json::from_str(parameters.get()).unwrap();
                    let values = |name: &str| -> Vec<&str> {
                        let of = pairs.iter().filter(|(other, _)| other == name);
                        of.map(|(_, value)| &**value).collect()
                    };
                    prop_assert!(pairs.iter().all(|(name, _)| read.contains_key(&**name)));
                    for (name, value) in &read {
                        let expected: serde_json::Value = match *values(name).as_slice() {
                            [only] => only.into(),
                            ref several => several.into(),
                        };
                        prop_assert_eq!(value, &expected);
                    }
                }
                Err(error) => {
                    prop_assert!(!is_text);
                    prop_assert_eq!(error.fault().code(), &code::INVOKE_LIMIT);
                }
            }
        }

        #[test]
        fn a_body_is_passed_on_byte_for_byte_or_not_at_all(
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..24),
                "[ \n]{0,2}\\{(\"[a-b]\": ?(1e400|-0|null|\\[\\]|\"\u{e9}\"),?)?\\}[ }]{0,2}"
                    .prop_map(String::into_bytes),
            ]
        ) {
            let json = headers(CONTENT_TYPE, "application/json; charset=utf-8");
            let body = Bytes::from(body);
            match read_object(&json, &body) {
                Ok(object) if object.is_empty() => prop_assert!(body.is_empty()),
                Ok(object) => {
                    let trimmed = std::str::from_utf8(&body).unwrap().trim();
                    prop_assert_eq!(&*object, trimmed.as_bytes());
                    let read = serde_json::from_str::<serde_json::Map<_, serde_json::Value>>;
                    prop_assert!(read(trimmed).is_ok() || trimmed.contains("1e400"));
                }
                Err(error) => {
                    prop_assert_eq!(error.fault().code(), &code::INVOKE_LIMIT);
                    let is_object = serde_json::from_slice::<
                        serde_json::Map<String, serde_json::Value>,
                    >(&body);
                    prop_assert!(is_object.is_err());
                }
            }
        }
    }
}
