//! Checks of the files that keys name: they are there, readable, and hold what they should.

use super::diagnostics::ValueError;
use super::reader::TableReader;
use mwaa_model::{FileError, Secret};
use mwaa_runtime::{LARGEST_BUNDLE, open_regular_file, read_limited};
use mwaa_telemetry::audit;
use rustix::process::geteuid;
use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The content that a file should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Secret,
    /// `user:password`.
    User,
    Key,
    /// The listener's certificate.
    Certificate,
    /// Authorities.
    Certificates,
}

/// Returns the file that a key names, and checks it.
pub(super) fn read_file(
    table: &mut TableReader<'_, '_>,
    key: &str,
    content: Content,
) -> Option<PathBuf> {
    let file = table.file(key);
    check_file(table, key, file.as_deref(), content);
    file
}

/// Checks the file that a key names, if the key is written in this table.
pub(super) fn check_file(
    table: &mut TableReader<'_, '_>,
    key: &str,
    file: Option<&Path>,
    content: Content,
) {
    let Some(file) = file.filter(|_| table.is_written(key)) else {
        return;
    };
    if let Err(error) = check_content(file, content, &table.reader.certs_command) {
        table.report(key, error);
    }
}

fn check_content(path: &Path, content: Content, certs: &str) -> Result<(), ValueError> {
    let name = format_name(path, content);
    let unreadable =
        |error: std::io::Error| unreadable_error(error.kind(), path, content, certs);

    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ValueError::new(format!("is not a regular file: {name}")));
    }
    // the permission to read shows only on opening
    let file = open_regular_file(path).map_err(unreadable)?;

    match content {
        Content::Secret => check_secret(&metadata, &name, MAKE_SECRET),
        Content::User => check_secret(&metadata, &name, "write user:password into it"),
        Content::Key | Content::Certificate | Content::Certificates => {
            let mut pem = Vec::new();
            file.take(LARGEST_BUNDLE)
                .read_to_end(&mut pem)
                .map_err(unreadable)?;
            check_pem(&pem, content, &name)
        }
    }
}

/// Reads a file with a secret. Fails for a file that the check of its key refuses: it can have changed
/// since.
pub fn read_secret_file(path: &Path) -> Result<Secret<String>, FileError> {
    let failed = |error: std::io::Error| FileError::new(path, error);
    let file = open_regular_file(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if is_shared(&metadata) {
        let mode = metadata.mode() & 0o777;
        let reason =
            format!("other users can access it (mode {mode:04o}): run `chmod 600` on it");
        return Err(FileError::new(path, reason));
    }

    let content = read_limited(file, LARGEST_SECRET).map_err(failed)?;
    let text = String::from_utf8(content);
    // the error must not have the content
    let text = text.map_err(|_not_utf8| FileError::new(path, "it is not UTF-8 text"))?;
    Ok(Secret::new(text))
}

/// Returns the error of a file that cannot be read. `certs` is the command that makes certificates.
fn unreadable_error(kind: ErrorKind, path: &Path, content: Content, certs: &str) -> ValueError {
    let name = format_name(path, content);
    let message = match kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => format!("no such file: {name}"),
        other => format!("cannot be read ({other}): {name}"),
    };

    let relative = "relative paths are resolved against the configuration file's folder";
    let made = match content {
        Content::Key if kind == ErrorKind::NotFound => Some("gateway.key"),
        Content::Certificate if kind == ErrorKind::NotFound => Some("gateway.pem"),
        Content::Secret | Content::User => {
            let hint = "set the name of a file here, never the secret itself";
            return ValueError::new(message).with_hint(hint);
        }
        Content::Key | Content::Certificate | Content::Certificates => None,
    };
    let hint = match made {
        None => relative.to_owned(),
        Some(made) if path.file_name().is_some_and(|name| name == made) => {
            format!("run `{certs}` to make the files; {relative}")
        }
        Some(made) => {
            format!(
                "{relative}; to have the file made, name it {made:?} here and run `{certs}`"
            )
        }
    };
    ValueError::new(message).with_hint(hint)
}

fn check_pem(pem: &[u8], content: Content, name: &str) -> Result<(), ValueError> {
    let holds = |wanted: &str| {
        let mut windows = pem.windows(wanted.len());
        windows.any(|window| window == wanted.as_bytes())
    };

    // this finds the wrong file; the TLS library parses the right one at the start
    let (message, hint) = match content {
        Content::Key if holds("ENCRYPTED") => (
            "contains an encrypted key",
            "the gateway cannot decrypt it: store the key unencrypted, with mode 0600",
        ),
        Content::Key if !holds("PRIVATE KEY-----") => (
            "contains no private key",
            "the file must be PEM, with -----BEGIN PRIVATE KEY-----",
        ),
        Content::Certificate | Content::Certificates
            if !holds("-----BEGIN CERTIFICATE-----") =>
        {
            (
                "contains no certificate",
                "the file must be PEM, with -----BEGIN CERTIFICATE-----",
            )
        }
        Content::Key
        | Content::Certificate
        | Content::Certificates
        | Content::Secret
        | Content::User => return Ok(()),
    };
    Err(ValueError::new(format!("{message}: {name}")).with_hint(hint))
}

fn check_secret(metadata: &Metadata, name: &str, fill: &str) -> Result<(), ValueError> {
    let mode = metadata.mode() & 0o777;
    if is_shared(metadata) {
        let message = format!("other users can access this file (mode {mode:04o}): {name}");
        return Err(ValueError::new(message).with_hint("run `chmod 600` on it"));
    }
    if metadata.len() == 0 {
        return Err(ValueError::new(format!("is empty: {name}")).with_hint(fill));
    }
    Ok(())
}

fn is_shared(metadata: &Metadata) -> bool {
    may_others_access(metadata.uid(), metadata.mode(), geteuid().as_raw())
}

/// Returns true if others than `user` and root can access a file. The group of a file of root's may
/// read it, as PostgreSQL allows for its key: root has put the user into it. The files of a Kubernetes
/// Secret are so (`fsGroup`), and those of systemd's `LoadCredential=`.
fn may_others_access(owner: u32, mode: u32, user: u32) -> bool {
    let others = if owner == 0 && user != 0 {
        0o037
    } else {
        0o077
    };
    mode & others != 0
}

/// Returns the error of an audit log that no one could write. Someone who may not write it may
/// still ask the gateway of a user who may.
pub(super) fn check_audit_log(path: &Path) -> Option<ValueError> {
    let error = audit::check_file(path).err()?;
    let message = format!("cannot be written ({error}): {}", format_path(path));
    let hint = "name a file in an existing folder that the gateway's user can write to; it \
                must not be a symbolic link";
    (error.kind() != ErrorKind::PermissionDenied)
        .then(|| ValueError::new(message).with_hint(hint))
}

/// Returns a warning of a private key that others can read. It is no error: groups that mount
/// secrets into containers are common.
pub(super) fn check_key_mode(path: &Path) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    let mode = metadata.mode() & 0o777;
    let name = format_path(path);
    is_shared(&metadata).then(|| {
        format!(
            "listener.tls.key: other users can access this file (mode {mode:04o}): {name}; \
             run `chmod 600` on it"
        )
    })
}

/// Returns a warning of an audit log that this user can't write, or that all users can use.
pub(super) fn check_audit_log_mode(path: &Path) -> Option<String> {
    let name = format_path(path);
    if let Err(error) = audit::check_file(path) {
        return Some(format!(
            "audit.file: this user cannot write it ({error}): {name}"
        ));
    }
    let metadata = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    let mode = metadata.mode() & 0o777;
    (mode & 0o007 != 0).then(|| {
        format!(
            "audit.file: all users can access this file (mode {mode:04o}): {name}; run \
             `chmod 600` on it"
        )
    })
}

/// Returns the path of a secret file as it may be shown. It may be the secret itself,
/// written by mistake: text that does not look like a path is shown only as far as it exists.
fn format_secret_path(path: &Path) -> String {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let short = |text: &str| text.len() <= 8 && text.bytes().all(|b| b.is_ascii_lowercase());
    // a name with an extension in a real folder is a file that is missing
    let in_folder = path.parent().is_some_and(Path::is_dir);
    if path.exists() || (in_folder && extension.is_some_and(short)) {
        return format_path(path);
    }

    let real = path.ancestors().skip(1).find(|folder| folder.is_dir());
    real.map_or_else(
        || "\"…\"".to_owned(),
        |folder| format_path(&folder.join("…")),
    )
}

fn format_name(path: &Path, content: Content) -> String {
    match content {
        Content::Secret | Content::User => format_secret_path(path),
        Content::Key | Content::Certificate | Content::Certificates => format_path(path),
    }
}

fn format_path(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().escape_debug())
}

/// A command that makes a secret.
const MAKE_SECRET: &str = "create one: (umask 077; head -c 32 /dev/urandom | base64 > FILE)";

/// The largest file with a secret, in bytes.
const LARGEST_SECRET: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_may_read_only_the_files_of_root() {
        let (root, own) = (0, 1000);
        for (owner, mode, user, expected) in [
            (own, 0o600, own, false),
            (own, 0o400, own, false),
            (own, 0o640, own, true),
            (own, 0o604, own, true),
            (root, 0o600, own, false),
            (root, 0o440, own, false),
            (root, 0o640, own, false),
            (root, 0o660, own, true),
            (root, 0o650, own, true),
            (root, 0o644, own, true),
            (root, 0o440, root, true),
            (root, 0o600, root, false),
        ] {
            let found = may_others_access(owner, mode, user);
            assert_eq!(found, expected, "{owner} {mode:o} {user}");
        }
    }
}
