//! The folder with the files: reads and writes them so that no other program sees half a file, and
//! no other user a key.

use rustix::fs::OFlags;
use rustix::process::geteuid;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// The folder, locked against a second run.
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

/// The content of a file.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// False if another user may have put the file there.
    pub(super) is_own: bool,
}

/// A file or folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub(super) struct FolderError {
    action: &'static str,
    pub(super) path: PathBuf,
    source: io::Error,
}

impl Folder {
    /// Opens the folder, and creates it for this user alone if there is none. Waits for another run,
    /// after a call of `announce`.
    pub(super) fn open(path: PathBuf, announce: impl FnOnce()) -> Result<Self, FolderError> {
        let failed = |action| {
            let path = path.clone();
            move |source| FolderError {
                action,
                path,
                source,
            }
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&path).map_err(failed("create the folder"))?;

        let handle = File::open(&path).map_err(failed("open the folder"))?;
        // some network file systems have no locks; there the last of two runs counts
        if let Err(TryLockError::WouldBlock) = handle.try_lock() {
            announce();
            let _unsupported = handle.lock();
        }
        let folder = Self { path, handle };
        folder.remove_leftovers();
        Ok(folder)
    }

    /// Returns the path of a file.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the content of a file; `None` if there is none. Fails for a link: it would be replaced,
    /// and not the file that it names.
    pub(super) fn read(&self, name: &str) -> Result<Option<Content>, FolderError> {
        match self.open_file(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened
                .and_then(|file| {
                    let folder = Ownership::new(&self.handle.metadata()?);
                    let owner = file.metadata()?.uid();
                    let is_own = folder.vouches_for(owner, geteuid().as_raw());
                    let mut bytes = Vec::new();
                    file.take(LARGEST_FILE).read_to_end(&mut bytes)?;
                    Ok(Some(Content { bytes, is_own }))
                })
                .map_err(|source| self.error("read", name, source)),
        }
    }

    /// Closes a key to users that are neither its owner nor in its group: a gateway may read it by its
    /// group. Returns true if it was open to them.
    pub(super) fn protect(&self, name: &str) -> Result<bool, FolderError> {
        let protect = || {
            let file = self.open_file(name)?;
            let mode = file.metadata()?.mode();
            let is_open = mode & 0o007 != 0;
            if is_open {
                file.set_permissions(Permissions::from_mode(mode & 0o770))?;
            }
            Ok(is_open)
        };
        protect().map_err(|source| self.error("change the mode of", name, source))
    }

    /// Opens a regular file to read it. Waits for nothing, as a pipe would make it do.
    fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.cast_signed());
        let file = options.open(self.path_of(name)).map_err(|error| {
            if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
                io::Error::new(ErrorKind::InvalidInput, "it is a symbolic link")
            } else {
                error
            }
        })?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "it is not a regular file",
            ));
        }
        Ok(file)
    }

    /// Puts a file in place of the one that there may be, in one step.
    pub(super) fn write(
        &self,
        name: &str,
        content: &str,
        mode: u32,
    ) -> Result<(), FolderError> {
        let write = || {
            let mut file = tempfile::Builder::new()
                .prefix(TEMPORARY)
                // a `.gitignore` of the user's may name it so
                .suffix(".key")
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(&self.path)?;

            file.write_all(content.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(self.path_of(name))?;
            self.handle.sync_all()
        };
        write().map_err(|source| self.error("write", name, source))
    }

    /// Writes a `.gitignore` for these files if there is none. Returns those of `secrets`, and of the
    /// temporary files, that the one that is there does not name.
    pub(super) fn ignore_in_git(
        &self,
        files: &[&str],
        secrets: &[&'static str],
    ) -> Result<Vec<&'static str>, FolderError> {
        let name = ".gitignore";
        let lines = files.iter().chain([&TEMPORARY_FILES]);
        let text: String = lines.flat_map(|file| ["/", file, "\n"]).collect();

        let created = File::create_new(self.path_of(name));
        match created.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => Ok(Vec::new()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // one that cannot be read is one that names nothing
                let content = self.read(name).ok().flatten();
                let bytes = content.map_or_else(Vec::new, |content| content.bytes);
                let lines = String::from_utf8_lossy(&bytes);
                let mut missing = secrets.to_vec();
                missing.push(TEMPORARY_FILES);
                missing.retain(|file| !is_ignored(&lines, &file.replace('*', "0.key")));
                Ok(missing)
            }
            Err(error) => Err(self.error("write", name, error)),
        }
    }

    /// Removes what a run that was ended has left. Nothing depends on it.
    fn remove_leftovers(&self) {
        let entries = std::fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
                drop(std::fs::remove_file(entry.path()));
            }
        }
    }

    fn error(&self, action: &'static str, name: &str, source: io::Error) -> FolderError {
        let path = self.path_of(name);
        FolderError {
            action,
            path,
            source,
        }
    }
}

/// The user who owns a folder, and whether others can put files there.
struct Ownership {
    owner: u32,
    is_shared: bool,
}

impl Ownership {
    fn new(folder: &Metadata) -> Self {
        Self {
            owner: folder.uid(),
            is_shared: folder.mode() & 0o022 != 0,
        }
    }

    /// Returns false if a file in the folder may come from another user than this one.
    fn vouches_for(&self, file_owner: u32, user: u32) -> bool {
        file_owner == user || (self.owner == user && !self.is_shared)
    }
}

/// Returns true if the lines of a `.gitignore` name a file of its folder. The last line that matches
/// counts; of wildcards, only `*` is read.
fn is_ignored(lines: &str, file: &str) -> bool {
    let mut rules = lines.lines().filter_map(|line| {
        let line = line.trim_end();
        let (is_ignored, pattern) = match line.strip_prefix('!') {
            Some(pattern) => (false, pattern),
            None => (true, line),
        };
        let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
        matches_pattern(pattern, file).then_some(is_ignored)
    });
    rules.next_back().unwrap_or(false)
}

fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = name
        .strip_prefix(start)
        .and_then(|name| name.strip_suffix(end));
    let mut parts = middle.split('*');
    let left = inner
        .and_then(|inner| parts.try_fold(inner, |left, part| Some(left.split_once(part)?.1)));
    left.is_some()
}

/// Returns true if two paths name the same file, which may not exist.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    // by the folder: certificates may be links
    let real = |path: &Path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    match (real(one), real(other)) {
        (Some(one), Some(other)) => one == other,
        _ => std::path::absolute(one).ok() == std::path::absolute(other).ok(),
    }
}

/// Returns the path of a file or folder that exists or not, from the root.
pub(super) fn to_absolute(path: &Path) -> Result<PathBuf, FolderError> {
    std::path::absolute(path).map_err(|source| FolderError {
        action: "find",
        path: path.to_owned(),
        source,
    })
}

/// The beginning of a temporary file's name.
const TEMPORARY: &str = ".mwaa-gateway-certs-";
/// Temporary files, as a `.gitignore` names them.
const TEMPORARY_FILES: &str = ".mwaa-gateway-certs-*";
/// Certificates and keys are shorter, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// A user who can put a key there knows it.
    #[test]
    fn a_key_counts_as_own_by_its_owner_or_by_a_folder_that_only_the_user_can_change() {
        let (user, other) = (1000, 1001);
        for (owner, is_shared, file_owner, is_own) in [
            (user, false, user, true),
            (other, true, user, true),
            (user, false, other, true),
            (user, true, other, false),
            (other, false, other, false),
        ] {
            let folder = Ownership { owner, is_shared };
            assert_eq!(
                folder.vouches_for(file_owner, user),
                is_own,
                "{owner} {file_owner}"
            );
        }
    }

    #[test]
    fn the_last_line_that_matches_decides_whether_git_ignores_a_file() {
        for (lines, expected) in [
            ("", false),
            ("mine", false),
            ("# *.key", false),
            ("*.pem\n", false),
            ("gateway.key", true),
            ("/gateway.key  ", true),
            ("*.key", true),
            ("*", true),
            ("g*w*key", true),
            ("g*k*w", false),
            ("*.key\n!gateway.key", false),
            ("!*\n*.key", true),
            ("gateway-*.key", false),
        ] {
            assert_eq!(is_ignored(lines, "gateway.key"), expected, "{lines:?}");
        }
    }
}
