//! The corridor: one function that names the rooms in order.

mod bad_head;
mod command;
mod course;
mod dead_session;
mod delivery;
mod health;
mod note;
mod out_of_reach;
mod own;
mod send;
mod sign_in_pages;
mod token;
mod trail;
mod web;
mod whole_body;

pub use bad_head::refuse_head;
pub use delivery::Delivery;
pub use health::{Reach, Trouble};
pub use sign_in_pages::Visits;
pub use whole_body::BodyError;

use crate::control::{Discovery, Versions};
use crate::credential::Broker;
use crate::guard::{self, UserAgent};
use crate::listener::Arrived;
use crate::names::{Entrance, EnvName, Fault, Known};
use crate::queue::Queues;
use crate::reply::Reply;
use crate::route::{self, Destination, Kind, RouteError};
use crate::runtime::resolver::Resolver;
use crate::runtime::{LocalTasks, Pace, Sweeper, uptime};
use crate::telemetry::{Audit, Metrics, Refusals};
use crate::upstream::Upstream;
use http::Response;
use note::Note;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What every worker thread shares.
#[derive(Debug)]
pub struct Shared {
    /// The guard's rules.
    pub guard: guard::Settings,
    /// The known environments.
    pub known: Arc<Known>,
    /// The search for them, where none is named.
    pub discovery: Option<Arc<Discovery>>,
    /// Their versions.
    pub versions: Arc<Versions>,
    /// Their queues.
    pub queues: Queues,
    /// Their tokens.
    pub broker: Arc<Broker>,
    /// The visits to login pages.
    pub visits: Visits,
    /// The web servers out of reach.
    pub reach: Reach,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The audit log, if there is one.
    pub audit: Option<Audit>,
    /// The last refusals.
    pub refusals: Refusals,
    /// Where the gateway listens.
    pub front: Front,
    /// What this machine's resolver makes of `NAME.localhost`.
    pub resolver: Resolver,
    /// The corridor's own limits.
    pub limits: Limits,
}

/// Where the gateway listens, for people and for the links of our own pages.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// Every listener, the first one first.
    pub listeners: Vec<Listening>,
}

/// An open listener.
#[derive(Debug, Clone)]
pub struct Listening {
    /// Its address, as a URL.
    pub url: String,
    /// What it serves and lets pass.
    pub entrance: Entrance,
}

impl Front {
    /// The loopback address at which the first listener is reached.
    fn loopback(&self) -> IpAddr {
        let first = self.listeners.first().map_or("", |first| &first.url);
        if first.contains("://[::1]") {
            Ipv6Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::LOCALHOST.into()
        }
    }

    /// The address that an environment has for itself (`environments.NAME.listen`), as a URL.
    pub fn own(&self, local: &EnvName) -> Option<&str> {
        let mut own = self.listeners.iter();
        let found = own.find(|own| own.entrance.is_own() && own.serves_only(local));
        found.map(|own| own.url.as_str())
    }
}

impl Listening {
    fn serves_only(&self, local: &EnvName) -> bool {
        self.entrance.environment.as_ref() == Some(local) && !self.url.starts_with("unix:")
    }
}

/// The corridor's own limits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest command, in bytes.
    pub cli_body: usize,
    /// The longest body of a REST or UI request, in bytes.
    pub request_body: usize,
    /// How a request body may arrive.
    pub body: Pace,
    /// The largest decoded output, in bytes.
    pub cli_output: usize,
}

/// One worker thread's corridor.
#[derive(Debug)]
pub struct Corridor {
    /// What all threads share.
    pub shared: Arc<Shared>,
    /// This thread's wire out.
    pub upstream: Upstream,
    /// This thread's coarse clock.
    pub sweeper: Sweeper,
    /// This thread's tasks.
    pub tasks: LocalTasks,
}

/// A refusal or failure of any room.
type Refused = Box<dyn Fault>;

/// Answers one request. The response's body counts and logs it at its end.
pub async fn handle(corridor: Rc<Corridor>, arrived: Arrived) -> Response<Delivery> {
    let started = uptime();
    let agent = UserAgent::read(&arrived.head, arrived.secure);
    let note = Note::of(&arrived, agent, &corridor.shared);
    let (reply, kind) = match walk(&corridor, arrived, agent, &note).await {
        Ok((reply, kind)) => (reply, kind),
        Err(refused) => (note.refused(&corridor.shared, refused.as_ref()), "fault"),
    };
    let took = uptime().saturating_sub(started);
    let status = reply.status().as_u16();
    reply.map(|stream| Delivery::new(stream, kind, status, took, note, corridor))
}

async fn walk(
    corridor: &Rc<Corridor>,
    arrived: Arrived,
    agent: UserAgent,
    note: &Note,
) -> Result<(Reply, &'static str), Refused> {
    let shared = &corridor.shared;
    let admitted = guard::admit(arrived, agent, &shared.guard).map_err(boxed)?;
    let limit = {
        let directory = shared.known.now();
        let is_first = directory.entries().is_empty();
        route::misses(&admitted, &directory).then_some(if is_first {
            FIRST_LOOK
        } else {
            LOOK_AGAIN
        })
    };
    if let (Some(limit), Some(discovery)) = (limit, &shared.discovery) {
        // boxed, so that not every request has room for it; what comes late is there next time
        let again = Box::pin(discovery.look_again());
        let _late = corridor.sweeper.within(limit, again).await;
    }
    let routed = match route::resolve(admitted, &shared.known.now()) {
        Ok(Destination::Environment(routed)) => routed,
        Ok(Destination::Own(own)) => {
            return Ok((own::answer(corridor, &own).await, "own"));
        }
        Err(lost) => return Err(nowhere(shared, lost)),
    };
    let (kind, entry) = (routed.kind(), Arc::clone(routed.entry()));
    let replied = match kind {
        Kind::Cli => command::cli(corridor, routed, note).await,
        Kind::Handover => sign_in_pages::handover(corridor, routed).await,
        Kind::Login => sign_in_pages::login(corridor, routed),
        Kind::Logout => sign_in_pages::logout(corridor, routed).await,
        Kind::Token => token::answer(corridor, routed).await,
        Kind::Ui if sign_in_pages::is_handed_over(&routed) => {
            sign_in_pages::handover(corridor, routed).await
        }
        Kind::Rest | Kind::Ui => Box::pin(web::web(corridor, routed)).await,
    };
    match replied {
        Ok(reply) => Ok((reply, kind.word())),
        // boxed, so that not every request has room for it
        Err(fault) => {
            shared.reach.failed(&entry, fault.as_ref());
            Err(Box::pin(out_of_reach::explain(corridor, &entry, fault)).await)
        }
    }
}

/// Why a request leads nowhere. Where nothing is known because AWS did not tell, that is why.
fn nowhere(shared: &Shared, lost: RouteError) -> Refused {
    let is_unknown = matches!(lost, RouteError::UnknownEnvironment { .. });
    let search = shared.discovery.as_ref().filter(|_| is_unknown);
    match search.and_then(|search| search.fault()) {
        Some(fault) => boxed(fault),
        None => boxed(lost),
    }
}

/// A request for an environment that is not known waits so long for AWS's list.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// While there is nothing else to serve, there is more reason to wait: the AWS chain may take ten
/// seconds to find that there are no credentials.
const FIRST_LOOK: Duration = Duration::from_secs(15);

fn boxed(fault: impl Fault + 'static) -> Refused {
    Box::new(fault)
}
