//! AWS's own tokens for clients, where the configuration says `aws_tokens = "real"`.

use super::{AwsCallError, Failure};
use crate::command_record::require_written;
use crate::context::RequestContext;
use crate::state::ReverseProxy;
use mwaa_model::Entry;
use mwaa_policy::check_real_token;
use mwaa_telemetry::audit::{Record, TokenKind};
use serde_json::{Value, json};
use std::sync::Arc;

/// Returns the document of `CreateCliToken`: the cached token, which has at least 10 s left, or a new
/// one. Fails if the client may not have it.
pub(super) async fn cli(
    proxy: &ReverseProxy,
    entry: &Arc<Entry>,
    ctx: &RequestContext,
) -> Result<Value, Failure> {
    check(entry, ctx)?;
    let token = proxy.state.credentials.cli_token(entry).await?;
    record(proxy, entry, TokenKind::Cli, ctx).await?;
    Ok(json!({ "CliToken": token.reveal(), "WebServerHostname": &**token.host() }))
}

/// Returns the document of `CreateWebLoginToken`. The token is a new one: it is good for one login,
/// and the gateway's own login has used the last one. Fails if the client may not have it.
pub(super) async fn web(
    proxy: &ReverseProxy,
    entry: &Arc<Entry>,
    ctx: &RequestContext,
) -> Result<Value, Failure> {
    check(entry, ctx)?;
    let minted = proxy.state.credentials.web_token(entry).await?;
    record(proxy, entry, TokenKind::Web, ctx).await?;
    Ok(json!({
        "WebToken": minted.token.reveal(),
        "WebServerHostname": minted.host,
        "IamIdentity": minted.iam_identity,
        "AirflowIdentity": minted.airflow_identity,
    }))
}

/// Fails if the client may not have a token of AWS's. No page may, not even a trusted one.
fn check(entry: &Entry, ctx: &RequestContext) -> Result<(), Failure> {
    if ctx.user_agent().fetch.is_browser {
        return Err(AwsCallError::Browser.into());
    }
    Ok(check_real_token(entry, ctx.listener())?)
}

/// Writes to the log and the audit log that the client gets a token. Fails if the audit log is
/// required and cannot be written.
async fn record(
    proxy: &ReverseProxy,
    entry: &Entry,
    token: TokenKind,
    ctx: &RequestContext,
) -> Result<(), Failure> {
    let environment = &entry.environment.local;
    let listener = &ctx.listener().name;
    tracing::info!(%environment, ?token, peer = %ctx.client().peer, listener, "a client gets a token of AWS's");

    let Some(audit) = &proxy.state.audit else {
        return Ok(());
    };

    let mut record = Record::new(ctx.id(), ctx.client());
    record.set_environment(entry);
    record.token = Some(token);
    let written = audit.write_token(&record);
    if audit.is_required() {
        require_written(written, &proxy.timer).await?;
    }
    Ok(())
}
