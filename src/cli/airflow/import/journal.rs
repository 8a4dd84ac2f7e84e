//! The journal of an import, so that it can be resumed: the numbers of the entries that are done, in
//! a file of the user's state folder. It holds neither names nor values.

use super::request::ImportRequest;
use aws_lc_rs::digest::{Context, SHA256};
use mwaa_config::env;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
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
    /// Opens the journal, with the entries that an earlier run of the same import has done by the
    /// same gateway. `None` means that there is no home folder.
    pub(super) fn open(
        request: &ImportRequest,
        environment: &[String],
        text: &str,
    ) -> Option<Self> {
        let name = file_name(request, environment, text);
        let path = env::state_home()?.join("mwaa-gateway/imports").join(name);
        // a file that is missing or damaged means that nothing is done
        let done = fs::read_to_string(&path).unwrap_or_default();
        Some(Self {
            done: done.lines().filter_map(|line| line.parse().ok()).collect(),
            path,
            file: None,
        })
    }

    /// Returns the number of entries that an earlier run has done.
    pub(super) fn count(&self) -> usize {
        self.done.len()
    }

    pub(super) fn is_done(&self, number: usize) -> bool {
        self.done.contains(&number)
    }

    /// Forgets the entries of an earlier run.
    pub(super) fn reset(&mut self) {
        self.done.clear();
        self.remove();
    }

    /// Writes down that an entry is done.
    pub(super) fn add(&mut self, number: usize) -> io::Result<()> {
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            if let Some(folder) = self.path.parent() {
                let mut builder = fs::DirBuilder::new();
                builder.recursive(true).mode(0o700).create(folder)?;
            }
            let mut options = OpenOptions::new();
            // one write for each line, so that a crash loses at most the last
            options.append(true).create(true).mode(0o600);
            self.file.insert(options.open(&self.path)?)
        };
        file.write_all(format!("{number}\n").as_bytes())
    }

    /// Removes the file: nothing is left to be resumed.
    pub(super) fn remove(&mut self) {
        self.file = None;
        // a file that does not exist needs no removal
        drop(fs::remove_file(&self.path));
    }
}

/// Returns the kind, and a digest of all that makes an import the same one. It is the same for every
/// build of the program, so that a journal outlives an update.
fn file_name(request: &ImportRequest, environment: &[String], text: &str) -> String {
    let mut digest = Context::new(&SHA256);
    let options = [request.kind.word(), request.existing.word()];
    let environment = environment.iter().map(String::as_str);
    for part in options.into_iter().chain(environment).chain([text]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that another build of the program has written is found by its name.
    #[test]
    fn the_name_of_a_journal_file_is_stable() {
        let request = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            ImportRequest::parse(&words).unwrap().unwrap()
        };
        let variables = request("variables import f");
        let places = ["127.0.0.1:8080 demo".to_owned(), String::new()];
        let known = file_name(&variables, &places, "{}");
        assert_eq!(known, "variables-c4d6acc0f6a075bb90fac07d9f1e6e6b");
        for (line, places, text) in [
            ("variables import g -a skip", &places[..], "{}"),
            ("variables import f", &places[..1], "{}"),
            ("variables import f", &places[..], "{ }"),
        ] {
            assert_ne!(file_name(&request(line), places, text), known, "{line}");
        }
        assert_eq!(
            file_name(&request("variables import other"), &places, "{}"),
            known
        );
    }
}
