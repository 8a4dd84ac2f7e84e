//! How far an import came, so that it can be gone on with: the numbers of the entries that are
//! done, in a file of the user's state folder. It holds neither names nor values.

use super::request::Request;
use crate::config::env;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// The journal of one import: of this content, into this environment, with these options.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    done: BTreeSet<usize>,
    file: Option<File>,
}

impl Journal {
    /// Finds what an earlier run of the same import has left, by the same gateway; `None` without a home folder.
    pub(super) fn of(request: &Request, environment: &[String], text: &str) -> Option<Self> {
        let mut hasher = DefaultHasher::new();
        (request.kind, request.existing, environment, text).hash(&mut hasher);
        let name = format!("{}-{:016x}", request.kind.word(), hasher.finish());
        let path = env::state_home()?.join("mwaa-gateway/imports").join(name);
        let done = fs::read_to_string(&path).unwrap_or_default();
        Some(Self {
            done: done.lines().filter_map(|line| line.parse().ok()).collect(),
            path,
            file: None,
        })
    }

    /// How many entries an earlier run has done.
    pub(super) fn earlier(&self) -> usize {
        self.done.len()
    }

    pub(super) fn is_done(&self, number: usize) -> bool {
        self.done.contains(&number)
    }

    /// Starts anew: what an earlier run did counts no more.
    pub(super) fn forget(&mut self) {
        self.done.clear();
        self.remove();
    }

    /// Writes down that an entry is done.
    pub(super) fn note(&mut self, number: usize) -> io::Result<()> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent() {
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(folder)?;
            }
            let mut options = OpenOptions::new();
            self.file = Some(
                options
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(&self.path)?,
            );
        }
        match &mut self.file {
            Some(file) => file.write_all(format!("{number}\n").as_bytes()),
            None => Ok(()),
        }
    }

    /// All is done: there is nothing to go on with.
    pub(super) fn remove(&mut self) {
        self.file = None;
        // what is not there needs no removal
        drop(fs::remove_file(&self.path));
    }
}
