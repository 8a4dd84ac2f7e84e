//! The Linux side.

pub(super) use super::tcp_peers::TcpPeerResolver;

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

/// The kernel takes the hard limit.
pub(super) const MAX_DESCRIPTORS: Option<u64> = None;

pub(super) const HAS_DESKTOP: bool = false;

/// XDG Base Directory Specification.
pub(super) const CONFIG_FOLDERS: &[&str] = &[".config"];
pub(super) const STATE_FOLDER: &str = ".local/state";

/// proc_pid_exe(5).
#[expect(clippy::unnecessary_wraps, reason = "other systems may fail")]
pub(super) fn current_exe() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// Also keeps the kernel from writing core dumps (prctl(2)).
pub(super) fn disable_attaching() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
