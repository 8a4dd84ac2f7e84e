//! The Linux side of the door.

mod tcp_owners;

pub(super) use tcp_owners::TcpOwners;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::time::ClockId;
use std::io;
use std::path::PathBuf;

/// `CLOCK_MONOTONIC` stops in suspend here (clock_gettime(2)).
pub(super) const CLOCK: ClockId = ClockId::Boottime;

/// socket(7).
pub(super) const SPREADS_CONNECTIONS: bool = true;

/// unix(7).
pub(super) const LONGEST_SOCKET_PATH: usize = 107;

/// The maximum of the limits is what the kernel takes.
pub(super) const MOST_DESCRIPTORS: Option<u64> = None;

pub(super) const HAS_DESKTOP: bool = false;

/// XDG Base Directory Specification.
pub(super) const CONFIG_FOLDERS: &[&str] = &[".config"];
pub(super) const STATE_FOLDER: &str = ".local/state";

/// proc_pid_exe(5).
#[expect(clippy::unnecessary_wraps, reason = "other systems may not know")]
pub(super) fn own_program() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// Also keeps the kernel from writing core dumps (prctl(2)).
pub(super) fn forbid_attaching() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
