//! InvokeRestApi: a call of an environment's REST API, within a session of the caller's role.
//!
//! Source: the service model and MWAA user guide, "Using the Apache Airflow REST API". What AWS
//! does beyond a limit is not documented, nor that null members are dropped (one project's word).

use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{Request, header};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::environment::Environment;
use super::super::front;
use super::super::identity::{Credential, Holder};
use super::super::session::Dialect;
use super::super::web::{Content, Visit, route};
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
    let holder = call.caller.and_then(Credential::holder);
    let holder = holder.ok_or_else(super::operations::no_role)?;
    let asked: Invocation =
        serde_json::from_slice(call.body).map_err(|error| invalid(error.to_string()))?;
    if !["GET", "PUT", "POST", "PATCH", "DELETE"].contains(&&*asked.method) {
        return Err(invalid("Method is not one of the enum's".to_owned()));
    }
    if !(1..=LONGEST_PATH).contains(&asked.path.chars().count()) {
        return Err(invalid(format!(
            "1 validation error detected: Value at 'path' failed to satisfy constraint: Member \
             must have length less than or equal to {LONGEST_PATH}"
        )));
    }

    let late = |_elapsed| Reply::error(500, "InternalServerException", "Request timed out");
    let answered = tokio::time::timeout(LONGEST_CALL, ask(call, environment, &holder, asked));
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

/// Sends the request to the web server, within a new session. Returns the status and the body.
async fn ask(
    call: &Call<'_>,
    environment: &Environment,
    holder: &Holder,
    asked: Invocation,
) -> Result<(u16, Bytes), String> {
    let (dialect, shared) = (environment.dialect, call.shared);
    let visit = Visit {
        head: &Request::new(()).into_parts().0,
        body: &Bytes::new(),
        environment,
        shared,
    };
    let life = shared.settings.session_life;
    let cookies = match &environment.seed.airflow {
        Some(airflow) => front::begin(visit, airflow, holder).await?,
        None => environment
            .sessions
            .begin(holder, dialect, life, &shared.script),
    };
    let cookies = cookies.iter().filter_map(|cookie| cookie.to_str().ok());
    let cookies: Vec<&str> = cookies
        .filter_map(|cookie| cookie.split(';').next())
        .collect();

    let base = if dialect == Dialect::Two {
        "/api/v1"
    } else {
        "/api/v2"
    };
    let query = build_query(asked.query_parameters.unwrap_or_default());
    let mut request = Request::builder()
        .method(&*asked.method)
        .uri(format!("{base}{}?{query}", asked.path))
        .header(header::HOST, environment.host().as_ref())
        .header(header::ACCEPT, "application/json")
        .header(header::COOKIE, cookies.join("; "));
    if let Some(token) = cookies
        .iter()
        .find_map(|cookie| cookie.strip_prefix("_token="))
    {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if asked.body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let head = request
        .body(())
        .map_err(|error| error.to_string())?
        .into_parts()
        .0;
    let body = asked
        .body
        .map(|body| Value::Object(body).to_string())
        .unwrap_or_default();

    let reply = route(&head, &body.into(), Some(environment), shared).await;
    let reply = reply.map_err(|error| error.to_string())?;
    let body = Content::into_body(reply.body).collect().await;
    Ok((
        reply.status,
        body.map_err(|error| error.to_string())?.to_bytes(),
    ))
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
