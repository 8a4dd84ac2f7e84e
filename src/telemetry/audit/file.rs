//! The file of the audit log. Lines are only ever appended, and after a rotation the new file is
//! opened.

use rustix::fs::{Access, Mode, OFlags, access, open};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// An open file or stream.
#[derive(Debug)]
pub(super) struct AuditFile {
    /// The path at which a new file may be after a rotation; `None` for a stream.
    path: Option<PathBuf>,
    file: File,
    /// True if only a part of the last line was written: the next one begins with a line end.
    torn: bool,
}

impl AuditFile {
    /// Opens a file for appending. Creates it if there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (path, file) = match open_stream(path) {
            Some(stream) => (None, stream?),
            None => (Some(path.to_owned()), open_file(path, OFlags::CREATE)?),
        };

        Ok(Self {
            path,
            file,
            torn: false,
        })
    }

    #[cfg(test)]
    pub(super) fn stream(file: File) -> Self {
        Self {
            path: None,
            file,
            torn: false,
        }
    }

    /// Appends one line. If it fails, the file has the line not at all or not whole.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(path) = &self.path
            && is_rotated(&self.file, path)
        {
            self.file = open_file(path, OFlags::CREATE)?;
            // half a line is in the old file
            self.torn = false;
        }

        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }

        // one call for one line: other processes may write to the same file
        let written = self.file.write(line)?;
        if let Some(rest @ [_, ..]) = line.get(written..) {
            // a full disk takes a part of a line
            self.torn = true;
            self.file.write_all(rest)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Checks that the file can be opened, without creating it.
pub(super) fn check(path: &Path) -> io::Result<()> {
    if open_stream(path).is_some() {
        return Ok(());
    }

    match open_file(path, OFlags::empty()) {
        // it can be created if the folder can be written to
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new("."));
            Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
        }
        other => other.map(drop),
    }
}

/// Duplicates one of the program's own streams, which need not be files. `None` if the path is
/// another one.
fn open_stream(path: &Path) -> Option<io::Result<File>> {
    // opening the path fails if the stream is a socket (proc_pid_fd(5))
    let duplicate = match path.to_str()? {
        "/dev/stdout" => io::stdout().as_fd().try_clone_to_owned(),
        "/dev/stderr" => io::stderr().as_fd().try_clone_to_owned(),
        _ => return None,
    };
    Some(duplicate.map(File::from))
}

/// Opens a file for appending. Links are not followed: a user who can write to the folder could
/// redirect the log. A pipe without a reader is an error, not a wait.
fn open_file(path: &Path, create: OFlags) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let flags = flags | OFlags::NONBLOCK | create;
    // commands may hold secrets: no other user may read the file
    let file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR)?);

    // a terminal and /dev/null are character devices
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_char_device() {
        Ok(file)
    } else {
        Err(io::Error::other("is not a regular file"))
    }
}

/// Returns true if the path names another file now, or none.
fn is_rotated(file: &File, path: &Path) -> bool {
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let ours = file.metadata().map(identity).ok();
    let named = std::fs::symlink_metadata(path).map(identity).ok();
    ours != named
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_file_is_private_appended_to_and_reopened_after_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = AuditFile::open(&path).unwrap();
        file.append(b"1\n").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let old = folder.path().join("audit.log.1");
        fs::rename(&path, &old).unwrap();
        file.append(b"2\n").unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "before\n").unwrap();
        file.append(b"3\n").unwrap();
        // copytruncate
        fs::write(&path, "").unwrap();
        file.append(b"4\n").unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "1\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "4\n");
    }

    #[test]
    fn links_folders_and_pipes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("real"), "").unwrap();
        symlink(at("real"), at("link")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        assert!(made.unwrap().success());
        for name in ["link", "folder", "pipe", "nowhere/file"] {
            assert!(AuditFile::open(&at(name)).is_err(), "{name}");
            assert!(check(&at(name)).is_err(), "{name}");
        }
        check(&at("new")).unwrap();
        assert!(!at("new").exists(), "a check creates nothing");
        check(&at("real")).unwrap();
        check(Path::new("/dev/stdout")).unwrap();
    }

    #[test]
    fn an_incomplete_line_is_ended_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = AuditFile::open(&path).unwrap();
        file.append(b"{\"half").unwrap();
        file.torn = true;
        file.append(b"{}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"half\n{}\n");
    }
}
