//! InvokeRestApi: a call of an environment's REST API, within a session of the caller's role.
//!
//! Source: the service model and MWAA user guide, "Using the Apache Airflow REST API". What AWS
//! does beyond a limit is not documented, nor that null members are dropped (one project's word).

use std::time::Duration;

use form_urlencoded::Serializer;
use http::{HeaderValue, Request, header};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::environment::Environment;
use super::super::identity::Credential;
use super::super::session::Dialect;
use super::super::web::{Visit, route};
use super::super::{front, web};
use super::Call;
use super::reply::Reply;

/// The members of a call.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Invocation {
    path: String,
    method: String,
    query_parameters: Option<Map<String, Value>>,
    body: Option<Map<String, Value>>,
}

/// Answers a call. Fails if the caller has no role, or beyond one of AWS's limits.
pub(super) async fn invoke(call: &Call<'_>, environment: &Environment) -> Result<Reply, Reply> {
    let invalid = |why: String| Reply::error(400, "ValidationException", &why);
    if call.caller.and_then(Credential::holder).is_none() {
        return Err(super::operations::no_role());
    }
    let asked: Invocation =
        serde_json::from_slice(call.body).map_err(|error| invalid(error.to_string()))?;
    if !matches!(&*asked.method, "GET" | "PUT" | "POST" | "PATCH" | "DELETE") {
        return Err(invalid("Method is not one of the enum's".to_owned()));
    }
    if !(1..=LONGEST_PATH).contains(&asked.path.chars().count()) {
        return Err(invalid(format!(
            "1 validation error detected: Value at 'path' failed to satisfy constraint: Member \
             must have length less than or equal to {LONGEST_PATH}"
        )));
    }

    let late = |_elapsed| Reply::error(500, "InternalServerException", "Request timed out");
    let answered = tokio::time::timeout(LONGEST_CALL, ask(call, environment, asked));
    let (status, body) = answered.await.map_err(late)?.map_err(invalid)?;
    if body.len() > LARGEST_RESPONSE {
        return Err(invalid("The response exceeds 6 MB".to_owned()));
    }
    let mut document = serde_json::from_slice(&body).unwrap_or_else(|_no_json| match &*body {
        [] => json!({}),
        text => json!({ "detail": String::from_utf8_lossy(text) }),
    });
    drop_nulls(&mut document);
    let body = json!({ "RestApiStatusCode": status, "RestApiResponse": document });
    Ok(match status {
        500.. => Reply::ok(body).named("RestApiServerException"),
        400.. => Reply::ok(body).named("RestApiClientException"),
        _ => Reply::ok(body),
    })
}

/// Sends the request to the web server, signed in. Returns the status and the body.
async fn ask(
    call: &Call<'_>,
    environment: &Environment,
    asked: Invocation,
) -> Result<(u16, bytes::Bytes), String> {
    let query = build_query(asked.query_parameters.unwrap_or_default());
    let base = match environment.dialect {
        Dialect::Two => "/api/v1",
        Dialect::ThreeZero | Dialect::Three => "/api/v2",
    };
    let body = asked.body.map(|body| Value::Object(body).to_string());
    let request = Request::builder()
        .method(&*asked.method)
        .uri(format!("{base}{}?{query}", asked.path))
        .header(header::HOST, environment.host().as_ref())
        .header(header::ACCEPT, "application/json")
        .body(())
        .map_err(|error| error.to_string())?;

    let mut head = request.into_parts().0;
    if body.is_some() {
        let json = HeaderValue::from_static("application/json");
        head.headers.insert(header::CONTENT_TYPE, json);
    }
    let body = bytes::Bytes::from(body.unwrap_or_default());
    sign_in(call, environment, &mut head).await?;
    let reply = route(&head, &body, Some(environment), call.shared).await;
    let reply = reply.map_err(|error| error.to_string())?;
    let status = reply.status;
    let body = web::Content::into_body(reply.body).collect().await;
    Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
}

/// The parameters as a query; each element of a list is one.
fn build_query(parameters: Map<String, Value>) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in parameters {
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let text = value.as_str().map(str::to_owned);
            query.append_pair(&name, &text.unwrap_or_else(|| value.to_string()));
        }
    }
    query.finish()
}

/// Adds the cookies and the token of a new session.
async fn sign_in(
    call: &Call<'_>,
    environment: &Environment,
    head: &mut http::request::Parts,
) -> Result<(), String> {
    let holder = call.caller.and_then(Credential::holder).ok_or("no role")?;
    let (dialect, settings) = (environment.dialect, &call.shared.settings);
    let visit = Visit {
        head,
        body: &bytes::Bytes::new(),
        environment,
        shared: call.shared,
    };
    let cookies = match &environment.seed.airflow {
        Some(airflow) => front::begin(visit, airflow, &holder).await?,
        None => environment.sessions.begin(
            &holder,
            dialect,
            settings.session_life,
            &call.shared.script,
        ),
    };
    for cookie in cookies {
        let pair = cookie.to_str().unwrap_or_default().split(';').next();
        let pair = pair.unwrap_or_default();
        let mut add = |name, text: &str| {
            let value = HeaderValue::from_str(text).map_err(|error| error.to_string())?;
            head.headers.append(name, value);
            Ok::<_, String>(())
        };
        add(header::COOKIE, pair)?;
        if let Some(token) = pair.strip_prefix("_token=") {
            add(header::AUTHORIZATION, &format!("Bearer {token}"))?;
        }
    }
    Ok(())
}

/// Drops the members that are null; elements of lists stay.
fn drop_nulls(document: &mut Value) {
    match document {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// In characters, by the model.
const LONGEST_PATH: usize = 64;
const LONGEST_CALL: Duration = Duration::from_secs(10);
const LARGEST_RESPONSE: usize = 6 * 1024 * 1024;
