//! The answers of calls that go well.

use serde_json::json;

use super::super::Shared;
use super::super::environment::Environment;
use super::super::identity::Holder;
use super::super::journal::TokenKind;
use super::list::list;
use super::reply::Reply;
use super::{Asked, Operation};

/// The answer of a call about an environment that exists.
pub(super) async fn succeed(
    operation: &Operation<'_>,
    environment: Option<&Environment>,
    asked: Asked<'_>,
    shared: &Shared,
) -> Reply {
    match (operation, environment) {
        (Operation::CreateCliToken(_), Some(environment)) => {
            let token = match mint(None, environment, shared).await {
                Ok(token) => token,
                Err(failure) => return failure,
            };
            Reply::ok(
                json!({ "CliToken": token, "WebServerHostname": environment.public_host() }),
            )
            .with_token(&token, shared)
        }
        (Operation::CreateWebLoginToken(_), Some(environment)) => {
            web_login(environment, asked, shared).await
        }
        (Operation::GetEnvironment(_), Some(environment)) => {
            Reply::ok(json!({ "Environment": environment.describe(shared.place()) }))
        }
        (Operation::ListEnvironments, _) => list(asked.query, shared),
        _ => Reply::error(404, "UnknownOperationException", "no such operation"),
    }
}

/// CreateWebLoginToken: for callers to which IAM grants a role in Airflow.
async fn web_login(environment: &Environment, asked: Asked<'_>, shared: &Shared) -> Reply {
    let denied = shared.script.web_login_denied.take().is_some();
    let mut caller = asked.caller.filter(|_| !denied).cloned();
    if let (Some(caller), Some(identity)) =
        (&mut caller, shared.script.web_login_identity.take())
    {
        caller.iam_identity = identity;
    }
    let Some((caller, holder)) = caller.and_then(|c| c.holder().map(|holder| (c, holder)))
    else {
        let text = "No Airflow role granted in IAM.";
        return Reply::error(403, "AccessDeniedException", text).capitalised();
    };
    let token = match mint(Some(&holder), environment, shared).await {
        Ok(token) => token,
        Err(failure) => return failure,
    };
    Reply::ok(json!({
        "WebToken": token,
        "WebServerHostname": environment.public_host(),
        "IamIdentity": caller.iam_identity,
        "AirflowIdentity": holder.identity,
    }))
    .with_token(&token, shared)
}

async fn mint(
    holder: Option<&Holder>,
    environment: &Environment,
    shared: &Shared,
) -> Result<String, Reply> {
    let life = shared.settings.token_life;
    let token = shared
        .tokens
        .issue(holder, &environment.seed.name, life, &shared.script)
        .await;
    let token = token
        .map_err(|error| Reply::error(500, "InternalServerException", &error.to_string()))?;
    shared.journal.minted(match holder {
        None => TokenKind::Cli,
        Some(_) => TokenKind::Web,
    });
    Ok(token)
}
