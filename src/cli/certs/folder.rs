//! The folder with the files: reads and writes them so that no other program sees half a file, and
//! no other user a key.

use rustix::fs::OFlags;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
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

/// A file or folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub(super) struct FolderError {
    action: &'static str,
    pub(super) path: PathBuf,
    source: io::Error,
}

impl Folder {
    /// Opens the folder, and creates it for this user alone if there is none. Waits for another run.
    pub(super) fn open(path: PathBuf) -> Result<Self, FolderError> {
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
        let _unsupported = handle.lock();
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
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        match self.open_file(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened
                .and_then(|file| {
                    let mut content = Vec::new();
                    file.take(LARGEST_FILE).read_to_end(&mut content)?;
                    Ok(Some(content))
                })
                .map_err(|source| self.error("read", name, source)),
        }
    }

    /// Makes a key readable by this user alone. Returns true if it was not.
    pub(super) fn protect(&self, name: &str) -> Result<bool, FolderError> {
        let protect = || {
            let file = self.open_file(name)?;
            let is_open = file.metadata()?.mode() & 0o077 != 0;
            if is_open {
                file.set_permissions(Permissions::from_mode(0o600))?;
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
                // as in `.gitignore`
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

    /// Writes a `.gitignore` if there is none, so that no key is ever committed.
    pub(super) fn ignore_in_git(&self) -> Result<(), FolderError> {
        let name = ".gitignore";
        let created = File::create_new(self.path_of(name));
        match created.and_then(|mut file| file.write_all(b"*.pem\n*.key\n")) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(self.error("write", name, error))
            }
            Err(_) | Ok(()) => Ok(()),
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
/// Certificates and keys are shorter, in bytes.
const LARGEST_FILE: u64 = 1 << 20;
