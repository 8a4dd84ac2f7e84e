//! `POST /aws_mwaa/cli`: one Airflow command, from its body to its output.

use crate::admission::ValidatedRequest;
use crate::body;
use crate::command_record::{CommandOutcome, CommandRecord};
use crate::context::RequestContext;
use crate::error::ProxyError;
use crate::health;
use crate::queue::{CommandSlot, QueueEntry, QueueError, QueuedCommand};
use crate::response::{self, CommandFacts, LastEvent, OutputFormat, Response};
use crate::routing::RoutedRequest;
use crate::state::ReverseProxy;
use crate::steps::Step;
use crate::stopping;
use crate::upstream::{ConnectionChoice, UpstreamError, UpstreamResponse};
use http::StatusCode;
use mwaa_auth::CliToken;
use mwaa_http1::RequestHead;
use mwaa_http1::name::MWAA_GATEWAY_REPEATABLE;
use mwaa_model::{AirflowVersion, Entry, Fault as _};
use mwaa_policy::{Command, CommandPermit, permit_command};
use mwaa_runtime::boot_clock;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

/// Runs one command: reads it, checks the policy, waits for a slot, sends it, and returns
/// Airflow's output.
///
/// The command runs at most once, unless the client allowed a repeat: it is sent again only after a
/// refused token, which the web server checks before it runs anything.
pub(crate) async fn run(
    proxy: &Rc<ReverseProxy>,
    routed: RoutedRequest,
    ctx: &RequestContext,
) -> Result<Response, ProxyError> {
    let state = &proxy.state;
    let limits = &state.limits;
    let entry = routed.entry;
    let mut request = routed.request;
    let record = ctx.command_record();
    record.on_environment(&entry);

    // 1. Read the whole body first: a truncated command is a different, valid command.
    let body = request.body_mut();
    let line = body::read(body, limits.cli_body, limits.body_pace, &proxy.timer).await?;

    // 2. Check the policy. The version decides which commands MWAA supports.
    let (permit, version) = check_policy(proxy, &entry, &line, &request, ctx).await?;
    record.on_permitted(&permit);
    tracing::debug!(command = permit.name(), %version, "command permitted");

    // 3. Write it to the audit log before it can run, if the configuration requires that.
    record.require_audit(&proxy.timer).await?;

    // 4. Enter the queue. A full one refuses before the response begins, also for events.
    record.on_queued();
    let queue_entry = enqueue(proxy, &permit, ctx)?;

    let format = OutputFormat::from_headers(request.headers());
    let facts = CommandFacts {
        command: permit.name(),
        json: permit.wants_json(),
        version,
        repeated: false,
    };
    let (head, _body) = request.into_head_and_body();
    let command = PermittedCommand { permit, head };
    if format == OutputFormat::Events {
        return Ok(respond_with_events(proxy, command, queue_entry, facts, ctx));
    }

    // 5. Wait for one of the environment's slots, and send.
    let slot = wait_for_slot(proxy, queue_entry, record).await?;
    let upstream = send_in_slot(proxy, command, slot, record).await?;

    // 6. Pass the output on in the format that the client asked for.
    let facts = facts.with_repeated(record.is_repeated());
    let response =
        response::from_command(upstream, format, &facts, ctx.id(), limits.cli_output).await?;
    if response.body.is_upstream() {
        record.on_streaming();
    } else {
        record.on_result(response::get_success(&response));
    }
    Ok(response)
}

/// Returns the permit for the command that the body is, and the version that it is for. The check of
/// a command that comes again and again need not be repeated.
async fn check_policy(
    proxy: &ReverseProxy,
    entry: &Arc<Entry>,
    body: &[u8],
    request: &ValidatedRequest,
    ctx: &RequestContext,
) -> Result<(CommandPermit, AirflowVersion), ProxyError> {
    let state = &proxy.state;
    let headers = request.headers();
    let listener = &ctx.client().listener;
    // the audit log wants its words, and the check a look at that header
    let may_be_known = state.audit.is_none() && !headers.contains(MWAA_GATEWAY_REPEATABLE);

    if may_be_known && let Some(known) = proxy.commands.find(body, entry, listener) {
        let version = state.versions.resolve(entry).await?;
        let _visit = ctx.steps().enter(Step::Policy);
        if let Some(permit) = known.permit(version) {
            ctx.command_record().on_name(permit.name());
            return Ok((permit, version));
        }
    }

    let command = Command::read(body)?;
    ctx.command_record().on_parsed(&command);
    let version = state.versions.resolve(entry).await?;
    let _visit = ctx.steps().enter(Step::Policy);
    let permit = permit_command(entry, listener.rules.as_ref(), headers, &command, version)?;
    if may_be_known {
        proxy.commands.keep(body, &permit, listener, version);
    }
    Ok((permit, version))
}

async fn wait_for_slot(
    proxy: &ReverseProxy,
    queue_entry: QueueEntry,
    record: &CommandRecord,
) -> Result<CommandSlot, QueueError> {
    let _visit = record.steps().enter(Step::Queue);
    queue_entry.acquire(&proxy.timer).await
}

/// Takes a slot or a position in the environment's queue. Fails if the queue is full.
fn enqueue(
    proxy: &ReverseProxy,
    permit: &CommandPermit,
    ctx: &RequestContext,
) -> Result<QueueEntry, QueueError> {
    let info = QueuedCommand {
        id: ctx.id(),
        name: permit.name(),
    };
    let client = ctx.client().key();
    proxy.state.queues.enqueue(permit.entry(), client, info)
}

/// A permitted command, and the client's head.
struct PermittedCommand {
    permit: CommandPermit,
    head: Rc<RequestHead>,
}

/// Returns a response that reports events as they happen. Its body runs the command. A failure
/// after its head is reported in the last line, and counted and logged like any other fault.
fn respond_with_events(
    proxy: &Rc<ReverseProxy>,
    command: PermittedCommand,
    queue_entry: QueueEntry,
    facts: CommandFacts,
    ctx: &RequestContext,
) -> Response {
    let id = ctx.id();
    let events = ctx.command_record().events();

    // owned by the body, which outlives this function
    let proxy = Rc::clone(proxy);
    let ctx = ctx.clone();
    let run = async move {
        let entry = Arc::clone(command.permit.entry());
        let last = {
            let record = ctx.command_record();
            let mut last = pin!(last_event(&proxy, command, queue_entry, facts, record));
            poll_fn(|cx| stopping::or_cut(last.as_mut().poll(cx), &ctx)).await
        };
        match last {
            Ok(line) => line,
            Err(error) => {
                let explained = Box::pin(health::explain(&proxy, &entry, error)).await;
                ctx.record_fault(explained.fault());
                LastEvent::from_fault(explained.fault(), id)
            }
        }
    };
    response::from_events(id, run, events)
}

async fn last_event(
    proxy: &Rc<ReverseProxy>,
    command: PermittedCommand,
    queue_entry: QueueEntry,
    facts: CommandFacts,
    record: &CommandRecord,
) -> Result<LastEvent, ProxyError> {
    let visit = record.steps().enter(Step::Queue);
    let slot = queue_entry
        .acquire_with(&proxy.timer, |position| record.on_position(position))
        .await?;
    drop(visit);
    let upstream = send_in_slot(proxy, command, slot, record).await?;
    let facts = facts.with_repeated(record.is_repeated());
    let limit = proxy.state.limits.cli_output;
    let (status, result) = response::read_result(upstream, &facts, limit).await?;
    record.on_result(result.as_ref().ok().map(|result| result.succeeded));
    Ok(LastEvent::from_result(status, facts.repeated, &result))
}

/// Gets a token and sends the command. If the client disconnects once something was written, the
/// exchange continues in the background and keeps the slot: MWAA runs the command to its end
/// anyway.
async fn send_in_slot(
    proxy: &Rc<ReverseProxy>,
    command: PermittedCommand,
    slot: CommandSlot,
    record: &CommandRecord,
) -> Result<UpstreamResponse, ProxyError> {
    record.on_slot(slot.running());
    tracing::debug!("command has a slot");
    let guard = record.disconnect_guard();

    let credentials = &proxy.state.credentials;
    let visit = record.steps().enter(Step::Auth);
    let token = credentials.cli_token(command.permit.entry()).await;
    drop(visit);
    let token = match token {
        Ok(token) => token,
        Err(error) => {
            record.on_outcome(CommandOutcome::failed(&error));
            guard.complete();
            return Err(error.into());
        }
    };

    // owned by the future, which may outlive the request
    let task_proxy = Rc::clone(proxy);
    let task_record = record.clone();
    let exchange = async move {
        let result = send(&task_proxy, &command, &slot, token, &task_record).await;
        match result {
            Ok(upstream) => {
                let entry = command.permit.entry();
                task_proxy.state.reachability.on_response(entry);
                let status = upstream.status().as_u16();
                task_record.on_outcome(CommandOutcome::Answered(status));
                // MWAA answers when the command has ended, but its next slot is free only when the
                // response is complete; a client that has left drops both with this response
                Ok(upstream.with_slot(slot))
            }
            Err(error) => {
                task_record.on_outcome(CommandOutcome::failed(&error));
                Err(error)
            }
        }
    };
    let has_begun = record.clone();
    let result = proxy
        .tasks
        .finish(exchange, move || has_begun.is_sent(), drop)
        .await;
    guard.complete();
    Ok(result?)
}

/// Sends the command. If the client allowed it, it is sent a second time when the outcome of the
/// first is unknown.
async fn send(
    proxy: &ReverseProxy,
    command: &PermittedCommand,
    slot: &CommandSlot,
    token: Arc<CliToken>,
    record: &CommandRecord,
) -> Result<UpstreamResponse, UpstreamError> {
    let first = send_once(
        proxy,
        command,
        slot,
        token,
        ConnectionChoice::Pooled,
        record,
    )
    .await;

    // a client that has gone cannot be asked about a second time
    if !command.permit.may_repeat() || slot.running().is_abandoned() {
        return first;
    }
    let seen = match &first {
        Err(error) if error.is_outcome_unknown() => error.detail(),
        Ok(response) if is_outcome_unknown(response.status()) => {
            format!("the web server returned {}", response.status().as_u16())
        }
        _ => return first,
    };

    // a token first: without one there is no second time, and the first result is the result
    let entry = command.permit.entry();
    let Ok(token) = proxy.state.credentials.cli_token(entry).await else {
        return first;
    };
    drop(first);
    record.on_repeat();

    // what broke the first connection may have broken the idle ones too
    let second = send_once(proxy, command, slot, token, ConnectionChoice::New, record).await;
    // even if nothing was written the second time, the first one may have run
    second.map_err(|error| UpstreamError::Repeated {
        first: seen,
        second: Box::new(error),
    })
}

/// Sends the command, and again with a new token after a 401 or 403: the web server checks the
/// token before it runs anything.
async fn send_once(
    proxy: &ReverseProxy,
    command: &PermittedCommand,
    slot: &CommandSlot,
    token: Arc<CliToken>,
    connection: ConnectionChoice,
    record: &CommandRecord,
) -> Result<UpstreamResponse, UpstreamError> {
    let PermittedCommand { permit, head } = command;
    let headers = &head.headers;
    let on_write = || slot.start_sending();
    let upstream = &proxy.upstream;
    let begun = boot_clock();
    record.steps().begin_upstream();
    let position = record.steps().position();
    let response = upstream
        .send_command(permit, &token, headers, position, connection, &on_write)
        .await;
    record.on_exchange(boot_clock().saturating_sub(begun));
    let response = response?;
    if !matches!(
        response.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    ) {
        return Ok(response);
    }

    let credentials = &proxy.state.credentials;
    let renewed = credentials.renew_cli_token(permit.entry(), &token).await;
    let Some(token) = renewed else {
        return Ok(response);
    };
    tracing::debug!(status = %response.status(), "retrying the command with a new token");
    // Its connection is free for the second request if the response is complete. An idle one will
    // do in any case: a web server that answers 401 is not out of reach. And a client that has left
    // changes nothing: the command was sent, and is to run.
    drop(response);
    let begun = boot_clock();
    record.steps().begin_upstream();
    let (position, pooled) = (record.steps().position(), ConnectionChoice::Pooled);
    let response = upstream
        .send_command(permit, &token, headers, position, pooled, &on_write)
        .await;
    record.on_exchange(boot_clock().saturating_sub(begun));
    response
}

/// Returns true for the statuses by which the load balancer gives up on the web server, which may
/// still run the command.
fn is_outcome_unknown(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
    )
}
