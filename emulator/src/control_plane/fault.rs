//! The answers of calls that are scripted to go wrong.

use serde_json::json;

use super::super::Shared;
use super::super::environment::Environment;
use super::super::fault::ControlFault;
use super::reply::{Reply, percent_decoded};
use super::{Asked, Operation, not_found, succeed};

/// The answer of a call that is scripted to go wrong.
pub(super) async fn answer(
    fault: &ControlFault,
    operation: &Operation<'_>,
    environment: Option<&Environment>,
    asked: Asked<'_>,
    shared: &Shared,
) -> Reply {
    let name = operation
        .environment()
        .map(percent_decoded)
        .unwrap_or_default();
    match fault {
        ControlFault::AccessDenied => {
            let action = operation.name();
            let place = shared.place();
            let (partition, account) = (place.partition(), place.account);
            let resource = match operation {
                Operation::CreateWebLoginToken(_) => place.arn(&format!("role/{name}/Admin")),
                Operation::ListEnvironments => "*".to_owned(),
                _ => place.arn(&format!("environment/{name}")),
            };
            let message = format!(
                "User: arn:{partition}:sts::{account}:assumed-role/emulator/session is not \
                 authorized to perform: airflow:{action} on resource: {resource}"
            );
            let reply = Reply::error(403, "AccessDeniedException", &message);
            if matches!(operation, Operation::CreateWebLoginToken(_)) {
                return reply.capitalised();
            }
            reply
        }
        ControlFault::BareTooManyRequests => Reply::bare(429, "Too Many Requests"),
        ControlFault::Error(status, code, message) => Reply::error(*status, code, message),
        ControlFault::ExpiredToken => Reply::error(
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        ControlFault::EmptyToken => {
            Reply::ok(json!({ "CliToken": "", "WebToken": "", "WebServerHostname": "" }))
        }
        ControlFault::GarbageJson => Reply::raw(200, "application/json", "{\"CliToken\": \"ey"),
        ControlFault::HostileToken => {
            let token = "eyJ0\r\nX-Injected: yes\r\n\r\n";
            let host = environment.map(Environment::public_host);
            Reply::ok(
                json!({ "CliToken": token, "WebToken": token, "WebServerHostname": host }),
            )
        }
        ControlFault::HtmlServiceUnavailable => Reply::raw(
            503,
            "text/html",
            "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>",
        ),
        ControlFault::HugeError(size) => {
            Reply::error(500, "InternalServerException", &"x".repeat(*size))
        }
        ControlFault::InternalServer => {
            Reply::error(500, "InternalServerException", "Internal server error")
        }
        ControlFault::NotFound => not_found(&name),
        ControlFault::Throttling => Reply::error(400, "ThrottlingException", "Rate exceeded"),
        ControlFault::TooManyRequests => {
            Reply::error(429, "TooManyRequestsException", "Too Many Requests")
        }
        ControlFault::Validation => {
            Reply::error(400, "ValidationException", "1 validation error detected")
        }
        // the rest is decided after the delay, from a good answer
        ControlFault::Drop
        | ControlFault::ForeignHost(_)
        | ControlFault::Hang
        | ControlFault::Slow(_) => succeed(operation, environment, asked, shared).await,
    }
}
