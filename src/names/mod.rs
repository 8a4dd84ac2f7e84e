//! The words that every room shares. Nothing here acts.

mod airflow_version;
mod caller;
pub mod code;
mod described;
mod directory;
mod environment;
mod fault;
mod fetch;
mod fields;
mod hosts;
mod nearest;
mod principal;
mod proxy;
mod request_id;
mod rules;
mod secret;
mod tunnel;

pub use airflow_version::{AirflowVersion, BadVersion};
pub use caller::{Caller, Entrance, Owner, Peer};
pub use code::Code;
pub use described::Described;
pub use directory::{Directory, Entry, EntryId, Known, Learnt};
pub use environment::{Browser, EnvName, Environment, Policy, Region, partition};
pub use fault::{Blame, Fault};
pub use fetch::{Dest, FetchMetadata, Mode, Provenance, Sender, Site};
pub use fields::{FORWARDED, TRACED, is_forwarded};
pub use hosts::{Hosts, Source as HostSource};
pub use nearest::{nearest, plain};
pub use principal::Principal;
pub use proxy::{Proxy, ProxyChoice, ProxyScheme, ProxyUrl, ProxyUser};
pub use request_id::RequestId;
pub use rules::ListenerRules;
pub use secret::Secret;
pub(crate) use secret::debug_only;
pub use tunnel::Tunnel;
