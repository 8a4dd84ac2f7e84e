//! How far an import came, so that it can be gone on with: the numbers of the entries that are
//! done, in a file of the user's state folder. It holds neither names nor values.

use super::request::Request;
use crate::config::env;
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// The note's file name: the kind, and a digest of all that makes the import the same one. It is
/// the same for every build of the program, so that a note outlives an update.
fn name(request: &Request, environment: &[String], text: &str) -> String {
    let mut digest = Context::new(&SHA256);
    let options = [request.kind.word(), request.existing.word()];
    let places = environment.iter().map(String::as_str);
    for part in options.into_iter().chain(places).chain([text]) {
        // with its length, so that no two lists of parts are the same bytes
        digest.update(&(part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    let digest = digest.finish();
    // half of it is enough
    let short = digest.as_ref().first_chunk().copied().unwrap_or_default();
    format!(
        "{}-{:032x}",
        request.kind.word(),
        u128::from_be_bytes(short)
    )
}

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
        let name = name(request, environment, text);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A note that another build of the program has left is found by its name.
    #[test]
    fn the_name_stays_what_it_was() {
        let request = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            Request::read(&words).unwrap().unwrap()
        };
        let variables = request("variables import f");
        let places = ["127.0.0.1:8080 demo".to_owned(), String::new()];
        let known = name(&variables, &places, "{}");
        assert_eq!(known, "variables-c4d6acc0f6a075bb90fac07d9f1e6e6b");
        for (line, places, text) in [
            ("variables import g -a skip", &places[..], "{}"),
            ("variables import f", &places[..1], "{}"),
            ("variables import f", &places[..], "{ }"),
        ] {
            assert_ne!(name(&request(line), places, text), known, "{line}");
        }
        assert_eq!(
            name(&request("variables import other"), &places, "{}"),
            known
        );
    }
}
