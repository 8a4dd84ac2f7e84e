//! The permit to send a request of the REST API or the UI to an environment, and the check
//! before a browser is handed over to the environment's own host.

mod paths;

use crate::command::check::RuleOwner;
use crate::error::{PolicyError, ReadOnlyReason};
use http::Method;
use http::uri::PathAndQuery;
use mwaa_model::{BrowserMode, Entry, ListenerPolicy, Policy, Target, debug_fields};
use paths::{PathEffect, find_effect};
use std::sync::Arc;

/// The proof that a request for the REST API or the UI may be sent to one environment. Only
/// [`permit_web`] and [`permit_logout`] create one.
pub struct WebPermit {
    entry: Arc<Entry>,
    method: Method,
    target: PathAndQuery,
    hidden: &'static [&'static str],
}

debug_fields!(WebPermit: entry, method);

impl WebPermit {
    /// Returns the environment that the request may be sent to.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Returns the request method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path and query that were checked, and that are sent byte for byte.
    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// Returns the members of a JSON response whose values are hidden from a read-only client.
    /// Empty if nothing is hidden.
    pub fn hidden(&self) -> &'static [&'static str] {
        self.hidden
    }
}

/// Checks a request against the policies of the environment and of the listener.
///
/// Under a read-only policy it fails if the request could change something or read a secret. The
/// other policies are about commands: what a request may do is for Airflow's own roles to decide.
pub fn permit_web(
    entry: &Arc<Entry>,
    listener: &ListenerPolicy,
    method: &Method,
    target: &Target,
) -> Result<WebPermit, PolicyError> {
    // First: another listener or policy, which a read-only error hints at, would not help.
    check_forbidden(target)?;

    // Any other policy lets a client run tasks, and a task can read every secret.
    let hidden = match find_read_only(entry, listener) {
        Some(owner) => {
            check_read_only(method, target).map_err(|reason| read_only_error(reason, owner))?
        }
        None => &[],
    };
    Ok(create_permit(entry, method, target, hidden))
}

/// Returns true if clients of this listener may read secrets of the environment: its policy and the
/// listener's are not read-only.
pub fn may_read_secrets(entry: &Entry, listener: &ListenerPolicy) -> bool {
    find_read_only(entry, listener).is_none()
}

/// Checks a request that signs out: a read-only client may sign out too.
pub fn permit_logout(
    entry: &Arc<Entry>,
    method: &Method,
    target: &Target,
) -> Result<WebPermit, PolicyError> {
    check_forbidden(target)?;
    Ok(create_permit(entry, method, target, &[]))
}

/// Checks whether a browser may be handed over to the environment's own host, with a web token.
///
/// Fails unless the configuration says `browser = "redirect"`, and under a read-only policy,
/// because the gateway does not see what the browser does there.
pub fn check_handover(entry: &Entry, listener: &ListenerPolicy) -> Result<(), PolicyError> {
    if let Some(owner) = find_read_only(entry, listener) {
        return Err(read_only_error(ReadOnlyReason::Handover, owner));
    }
    if entry.environment.browser != BrowserMode::Redirect {
        return Err(PolicyError::HandoverOff);
    }
    Ok(())
}

/// Checks whether a client may have a token of AWS's, with which it needs the gateway no longer.
///
/// Fails unless both sets of rules allow everything: with a CLI token every command runs that MWAA
/// supports, and with a web login token everything that the Airflow role may do.
pub fn check_real_token(entry: &Entry, listener: &ListenerPolicy) -> Result<(), PolicyError> {
    if let Some(owner) = find_read_only(entry, listener) {
        return Err(read_only_error(ReadOnlyReason::Token, owner));
    }
    let environment = &entry.environment;
    let table = if environment.policy != Policy::All || !environment.deny.is_empty() {
        format!("environments.{}", environment.local)
    } else if let Some(rules) = &listener.rules {
        // a listener that allows everything has no rules
        rules.table.clone()
    } else {
        return Ok(());
    };
    Err(PolicyError::RealToken { table })
}

/// Fails for the path that no policy allows.
fn check_forbidden(target: &Target) -> Result<(), PolicyError> {
    // By any reading of the path: a web server could decode it once more than the gateway.
    if target.matches_any(&[GENERATE_TOKEN]) {
        return Err(PolicyError::ForbiddenPath);
    }
    Ok(())
}

fn create_permit(
    entry: &Arc<Entry>,
    method: &Method,
    target: &Target,
    hidden: &'static [&'static str],
) -> WebPermit {
    WebPermit {
        entry: Arc::clone(entry),
        method: method.clone(),
        target: target.path_and_query().clone(),
        hidden,
    }
}

/// Returns the owner of the rules that are read-only, if any are.
fn find_read_only<'a>(entry: &Entry, listener: &'a ListenerPolicy) -> Option<RuleOwner<'a>> {
    // The environment's rules first: a hint about the listener would not help.
    if entry.environment.policy == Policy::ReadOnly {
        return Some(RuleOwner::Environment);
    }
    let rules = listener.rules.as_ref()?;
    (rules.policy == Policy::ReadOnly).then_some(RuleOwner::Listener(&rules.table))
}

fn read_only_error(reason: ReadOnlyReason, owner: RuleOwner<'_>) -> PolicyError {
    PolicyError::ReadOnly {
        reason,
        table: match owner {
            RuleOwner::Environment => None,
            RuleOwner::Listener(table) => Some(table.to_owned()),
        },
    }
}

/// Returns the members to hide in the response to a read-only client. Fails if the request may
/// not pass.
///
/// A web server may read one path in several ways, so each of these readings must be a read.
fn check_read_only(
    method: &Method,
    target: &Target,
) -> Result<&'static [&'static str], ReadOnlyReason> {
    let mut hidden = RENDERED_FIELDS;
    for path in target.readings() {
        match find_effect(method, path) {
            Some(PathEffect::Read) => {}
            // The audit log may be read, but not the values that it quotes.
            Some(PathEffect::Audit) => hidden = AUDIT_LOG_FIELDS,
            Some(PathEffect::Change) => return Err(ReadOnlyReason::Change(method.clone())),
            Some(PathEffect::Secret) => return Err(ReadOnlyReason::Secret),
            // A path that no row has may change something by GET, as some of Airflow's do.
            None => return Err(ReadOnlyReason::Unknown),
        }
    }
    Ok(hidden)
}

/// The values that a task's templates had when it ran. Airflow 2 and 3 include them in responses
/// about task instances.
const RENDERED_FIELDS: &[&str] = &["rendered_fields"];

/// The same, and the parts of the request that an entry of the audit log quotes.
const AUDIT_LOG_FIELDS: &[&str] = &["rendered_fields", "extra"];

/// The path at which Airflow 3 turns a session into a token for use elsewhere ("Generate Token"
/// in its menu). A script in a page could take the token away.
const GENERATE_TOKEN: &str = "/ui/auth/token";
