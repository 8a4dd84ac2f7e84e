//! The settings of a process that holds credentials and many connections.

use mwaa_runtime::platform;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::ErrorKind;

/// Disables core files and, if the system can forbid it, attaching by other processes of the same
/// user: both would show tokens.
pub fn harden() {
    // a core file is written with the memory of the process, tokens included (core(5))
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "cannot disable core dumps");
    }

    // not every system has a way; where there is one, its failure is worth a warning
    match platform::disable_attaching() {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            tracing::debug!(%error, "other processes of this user may attach");
        }
        Err(error) => {
            tracing::warn!(%error, "cannot keep other processes of this user from attaching");
        }
    }
}

/// Sets the limit of file descriptors as high as the system allows: shells give few by default,
/// and a client connection needs up to two.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: platform::max_descriptors(limit.maximum),
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::debug!(%error, "cannot raise the limit of file descriptors");
    }
}
