//! The file of the audit log: only ever added to, and found again after it was rotated away.

use rustix::fs::{Access, Mode, OFlags, access, open};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Where lines go.
#[derive(Debug)]
pub(super) struct Sink {
    /// Where the file is looked for again; none for a stream.
    path: Option<PathBuf>,
    file: File,
    /// Half a line was written: the next one begins with a line end.
    torn: bool,
}

impl Sink {
    /// Opens a file to add to, and makes it if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (path, file) = match stream(path) {
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

    /// Adds one line. An error means that it is not there, or not whole.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(path) = &self.path
            && is_elsewhere(&self.file, path)
        {
            self.file = open_file(path, OFlags::CREATE)?;
            self.torn = false;
        }
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        // one call for one line: other processes may write to the same file
        let written = self.file.write(line)?;
        if let Some(rest @ [_, ..]) = line.get(written..) {
            self.torn = true;
            self.file.write_all(rest)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Whether the file could be opened; it is not made.
pub(super) fn probe(path: &Path) -> io::Result<()> {
    if stream(path).is_some() {
        return Ok(());
    }
    match open_file(path, OFlags::empty()) {
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

/// The program's own streams, which need not be files.
fn stream(path: &Path) -> Option<io::Result<File>> {
    let duplicate = match path.to_str()? {
        "/dev/stdout" => io::stdout().as_fd().try_clone_to_owned(),
        "/dev/stderr" => io::stderr().as_fd().try_clone_to_owned(),
        _ => return None,
    };
    Some(duplicate.map(File::from))
}

/// Opens to add at the end. No link is followed: whoever may write the folder could lead the
/// log elsewhere. A pipe without a reader is an error, not a wait.
fn open_file(path: &Path, create: OFlags) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let flags = flags | OFlags::NONBLOCK | create;
    let file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR)?);
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_char_device() {
        Ok(file)
    } else {
        Err(io::Error::other("is not a regular file"))
    }
}

/// Whether the path names another file by now, or none: it was rotated.
fn is_elsewhere(file: &File, path: &Path) -> bool {
    let place = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let ours = file.metadata().map(place).ok();
    let named = std::fs::symlink_metadata(path).map(place).ok();
    ours != named
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_file_is_private_added_to_and_found_again_after_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut sink = Sink::open(&path).unwrap();
        sink.append(b"1\n").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let old = folder.path().join("audit.log.1");
        fs::rename(&path, &old).unwrap();
        sink.append(b"2\n").unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "before\n").unwrap();
        sink.append(b"3\n").unwrap();
        // copytruncate
        fs::write(&path, "").unwrap();
        sink.append(b"4\n").unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "1\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "4\n");
    }

    #[test]
    fn what_is_no_file_of_ours_is_refused() {
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
            assert!(Sink::open(&at(name)).is_err(), "{name}");
            assert!(probe(&at(name)).is_err(), "{name}");
        }
        probe(&at("new")).unwrap();
        assert!(!at("new").exists(), "a probe makes nothing");
        probe(&at("real")).unwrap();
        probe(Path::new("/dev/stdout")).unwrap();
    }

    #[test]
    fn half_a_line_is_ended_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut sink = Sink::open(&path).unwrap();
        sink.append(b"{\"half").unwrap();
        sink.torn = true;
        sink.append(b"{}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"half\n{}\n");
    }
}
