//! A temporary folder for what the demo and the emulator hand over as files.

use super::Exit;
use super::terminal::Terminal;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// A folder that only we can read and that goes when this is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("mwaa-gateway-{:016x}", fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Makes one, or says where it could not be made.
    pub(super) fn or_tell(terminal: &Terminal) -> Result<Self, Exit> {
        Self::new().map_err(|error| {
            let place = std::env::temp_dir();
            let hint = format!(
                "a temporary folder is needed in {}; TMPDIR names another place",
                place.display()
            );
            terminal.fail(Exit::Failed, &error, Some(&hint))
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // what can't be removed stays in the temporary folder, which is for such things
        drop(std::fs::remove_dir_all(&self.0));
    }
}
