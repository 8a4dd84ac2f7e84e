//! Checks of the files that keys name: they are there, readable, and what they should be.

use super::draft::Draft;
use super::keys::TLS_TABLE;
use super::problems::Complaint;
use crate::telemetry::audit;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Checks every file that a key names.
pub(super) fn check(draft: &mut Draft) {
    let mut files = Vec::new();
    if let Some(file) = &draft.listener.secret_file {
        files.push((
            "listener.secret_file".to_owned(),
            file.clone(),
            Content::Secret,
        ));
    }
    for own in &draft.own_listeners {
        if let Some(file) = &own.secret_file {
            let key = format!("{}.secret_file", own.rules.table);
            files.push((key, file.clone(), Content::Secret));
        }
    }
    let tls = [
        (&draft.tls.certificate, "certificate", Content::Certificates),
        (&draft.tls.key, "key", Content::Key),
        (&draft.tls.client_ca, "client_ca", Content::Certificates),
    ];
    for (file, name, content) in tls {
        if let Some(file) = file {
            files.push((format!("{TLS_TABLE}.{name}"), file.clone(), content));
        }
    }
    for entry in &draft.environments {
        if let Some(file) = &entry.ca_file {
            let key = format!("environments.{}.ca_file", entry.environment.local);
            files.push((key, file.clone(), Content::Certificates));
        }
    }
    if let Some(file) = &draft.proxy.user_file {
        files.push(("proxy.user_file".to_owned(), file.clone(), Content::User));
    }
    for entry in &draft.environments {
        if let Some(file) = &entry.proxy_user_file {
            let key = format!("environments.{}.proxy_user_file", entry.environment.local);
            files.push((key, file.clone(), Content::User));
        }
    }
    if let Some(file) = &draft.audit.file
        && let Some(error) = audit::complaint(file)
        // who may not write it may still ask the gateway of somebody who may
        && error.kind() != ErrorKind::PermissionDenied
    {
        let what = format!("can't be written ({error}): {}", quoted(file));
        let hint = "name a file in a folder that exists and that the gateway's user may write; it may be no link";
        let key = "audit.file";
        draft.refuse(key, draft.place(key), what, Some(hint.to_owned()));
    }
    for (key, file, content) in files {
        if let Err(why) = check_file(&file, content) {
            draft.refuse(&key, draft.place(&key), why.what, why.hint);
        }
    }
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Secret,
    /// `user:password`.
    User,
    Key,
    Certificates,
}

fn check_file(path: &Path, content: Content) -> Result<(), Complaint> {
    let name = match content {
        Content::Secret | Content::User => name_of_secret_file(path),
        Content::Key | Content::Certificates => quoted(path),
    };
    let no_file = |error: &std::io::Error| {
        use std::io::ErrorKind::{NotADirectory, NotFound};
        let what = match error.kind() {
            NotFound | NotADirectory => format!("no such file: {name}"),
            other => format!("can't be read ({other}): {name}"),
        };
        let hint = match content {
            Content::Secret | Content::User => {
                "the key takes the name of a file, never the secret itself"
            }
            Content::Key | Content::Certificates => {
                "a relative path starts at the configuration file's folder"
            }
        };
        Complaint::new(what).hint(hint)
    };
    let metadata = std::fs::metadata(path).map_err(|error| no_file(&error))?;
    if !metadata.is_file() {
        return Err(Complaint::new(format!("is not a regular file: {name}")));
    }
    let file = File::open(path).map_err(|error| no_file(&error))?;
    match content {
        Content::Secret => check_secret(&metadata, &name, MAKE_SECRET),
        Content::User => check_secret(&metadata, &name, "write user:password into it"),
        Content::Key | Content::Certificates => {
            let mut pem = Vec::new();
            file.take(LARGEST_BUNDLE)
                .read_to_end(&mut pem)
                .map_err(|error| no_file(&error))?;
            check_pem(&pem, content, &name)
        }
    }
}

fn check_pem(pem: &[u8], content: Content, name: &str) -> Result<(), Complaint> {
    let holds = |wanted: &str| {
        pem.windows(wanted.len())
            .any(|window| window == wanted.as_bytes())
    };
    let (what, hint) = match content {
        Content::Key if holds("ENCRYPTED") => (
            "holds an encrypted key",
            "the gateway asks for no password: store the key unencrypted, with mode 0600",
        ),
        Content::Key if !holds("PRIVATE KEY-----") => (
            "holds no private key",
            "the file must be PEM, with -----BEGIN PRIVATE KEY-----",
        ),
        Content::Certificates if !holds("-----BEGIN CERTIFICATE-----") => (
            "holds no certificate",
            "the file must be PEM, with -----BEGIN CERTIFICATE-----",
        ),
        Content::Key | Content::Certificates | Content::Secret | Content::User => {
            return Ok(());
        }
    };
    Err(Complaint::new(format!("{what}: {name}")).hint(hint))
}

/// What to say of a private key that others can read. No error: a group that mounts secrets
/// into containers is common.
pub(super) fn loose_key(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!(
            "{TLS_TABLE}.key: others may use this file (mode {mode:04o}): {}; run `chmod 600` on it",
            quoted(path)
        )
    })
}

/// What to say of an audit log that this user can't write, or that everybody can use.
pub(super) fn odd_log(path: &Path) -> Option<String> {
    if let Some(error) = audit::complaint(path) {
        let name = quoted(path);
        return Some(format!(
            "audit.file: this user can't write it ({error}): {name}"
        ));
    }
    let metadata = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    let mode = metadata.mode() & 0o777;
    (mode & 0o007 != 0).then(|| {
        format!(
            "audit.file: everybody may use this file (mode {mode:04o}): {}; run `chmod 600` on it",
            quoted(path)
        )
    })
}

/// How a secret is made.
const MAKE_SECRET: &str = "make one: (umask 077; head -c 32 /dev/urandom | base64 > FILE)";
/// The largest certificate bundle that is looked into; the system's own are about 250 KiB.
const LARGEST_BUNDLE: u64 = 4 << 20;

fn check_secret(metadata: &Metadata, name: &str, fill: &str) -> Result<(), Complaint> {
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        return Err(Complaint::new(format!(
            "others may use this file (mode {mode:04o}): {name}"
        ))
        .hint("run `chmod 600` on it"));
    }
    if metadata.len() == 0 {
        return Err(Complaint::new(format!("is empty: {name}")).hint(fill));
    }
    Ok(())
}

/// The path of a secret file as it may be shown. Somebody may have written the secret itself:
/// what does not look like a path is shown only as far as it exists.
fn name_of_secret_file(path: &Path) -> String {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let short = |text: &str| text.len() <= 8 && text.bytes().all(|b| b.is_ascii_lowercase());
    let in_folder = path.parent().is_some_and(Path::is_dir);
    if path.exists() || (in_folder && extension.is_some_and(short)) {
        return quoted(path);
    }
    let real = path.ancestors().skip(1).find(|folder| folder.is_dir());
    real.map_or_else(|| "\"…\"".to_owned(), |folder| quoted(&folder.join("…")))
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().escape_debug())
}
