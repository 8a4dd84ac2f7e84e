//! The vocabulary of all crates: environments, clients, request targets, faults, secrets. Nothing
//! here does I/O.

mod accept;
mod airflow_version;
mod client;
pub mod code;
mod directory;
mod environment;
mod environment_info;
mod fault;
mod fetch;
mod fields;
mod file_error;
mod host_port;
mod listener;
mod nearest;
mod proxy;
mod request_id;
mod secret;
mod store_address;
mod target;
mod tunnel;

pub use accept::MediaRange;
pub use airflow_version::{AirflowVersion, ParseVersionError};
pub use client::{Client, ClientKey, PeerAddress, PeerIdentity};
pub use code::Code;
pub use directory::{Directory, Entry, EntryId, EntryTable, InfoRecord, Registry};
pub use environment::{
    AwsTokens, BrowserMode, EnvName, Environment, Policy, Region, RestVia, partition,
};
pub use environment_info::{EnvironmentInfo, HostRecord, HostSource};
pub use fault::{Blame, Fault, RESTART, error_chain};
pub use fetch::{Dest, FetchMetadata, Mode, RequestSource, Sender, Site};
pub use fields::{ALWAYS_FORWARDED, FORWARDED, is_forwarded};
pub use file_error::FileError;
pub use host_port::{HostPort, split_port, strip_brackets};
pub use listener::{ListenerPolicy, ListenerRules};
pub use nearest::{find_nearest, normalize};
pub use proxy::{ProxyChoice, ProxyConfig, ProxyScheme, ProxyUrl, ProxyUser};
pub use request_id::RequestId;
pub use secret::Secret;
pub use store_address::{
    CacheName, RedisAddress, StoreAddress, StoreAddressError, StorePlace, TableAddress,
};
pub use target::{PathError, ReservedPath, Target, TargetError, is_opaque};
pub use tunnel::TunnelCommand;
