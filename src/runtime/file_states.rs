//! The state of files, by which a change of their content is noticed without reading them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The paths of some files, and the state of each at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileStates(Vec<(PathBuf, Option<FileState>)>);

/// Device, number, size and times of a file.
type FileState = [i128; 5];

impl FileStates {
    /// Looks at the files. A file that is not there is a state too.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let paths = paths.into_iter();
        Self(paths.map(|path| (path.to_owned(), find(path))).collect())
    }

    /// Looks at the same files again.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::of(self.0.iter().map(|(path, _)| path.as_path()))
    }

    /// Returns the states of these files instead: those that are known, and the others as they are
    /// now.
    #[must_use]
    pub fn with_paths<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let find_known = |path: &Path| {
            let known = self.0.iter().find(|(known, _)| known == path);
            known.map_or_else(|| find(path), |(_, state)| *state)
        };
        let paths = paths.into_iter();
        Self(
            paths
                .map(|path| (path.to_owned(), find_known(path)))
                .collect(),
        )
    }
}

fn find(path: &Path) -> Option<FileState> {
    let nanos =
        |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);

    // of a link's target: orchestrators replace the link
    let file = std::fs::metadata(path).ok()?;
    Some([
        file.dev().into(),
        file.ino().into(),
        file.len().into(),
        nanos(file.mtime(), file.mtime_nsec()),
        nanos(file.ctime(), file.ctime_nsec()),
    ])
}
