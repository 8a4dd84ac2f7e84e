//! Files that the configuration or a variable names. Such a name can be wrong: a pipe would block
//! the thread, and a device never end.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Opens a regular file, or a link to one, for reading. Fails for others.
pub fn open_regular_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // a pipe is opened without waiting for its writer
    options
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

/// Reads a regular file, or a link to one. Fails for others, and for a file of more than `limit` bytes.
pub fn read_regular_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_limited(open_regular_file(path)?, limit)
}

/// Reads an open file to its end. Fails if it has more than `limit` bytes.
pub fn read_limited(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        let message = format!("it is larger than {limit} bytes");
        return Err(io::Error::other(message));
    }
    Ok(content)
}

/// The largest certificate bundle that is read, in bytes; the system's own are about 250 KiB.
pub const LARGEST_BUNDLE: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_the_limit_are_read() {
        let folder = std::env::temp_dir().join(format!("named-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, link) = (folder.join("file"), folder.join("link"));
        std::fs::write(&file, "1234").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_regular_file(&link, 4).unwrap(), b"1234");
        let error = read_regular_file(&file, 3).unwrap_err().to_string();
        assert_eq!(error, "it is larger than 3 bytes");

        let pipe = folder.join("pipe");
        let status = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(status.unwrap().success());
        for path in [pipe.as_path(), &folder, Path::new("/dev/zero")] {
            let error = read_regular_file(path, 4).unwrap_err().to_string();
            assert_eq!(error, "it is not a regular file", "{}", path.display());
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
