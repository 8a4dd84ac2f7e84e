//! What a process that holds credentials and many connections asks of the system.

use crate::runtime::platform;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::ErrorKind;

/// No core files and, where the system can forbid it, no attaching by other processes of the same
/// user: both would show tokens.
pub fn harden() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "cannot switch core files off");
    }
    match platform::forbid_attaching() {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            tracing::debug!(%error, "other processes of this user may attach");
        }
        Err(error) => {
            tracing::warn!(%error, "cannot keep other processes of this user from attaching");
        }
    }
}

/// Takes as many file descriptors as the system allows: shells give few by default, and a client
/// connection needs up to two.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: platform::most_descriptors(limit.maximum),
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::debug!(%error, "the limit of file descriptors stays as it is");
    }
}
