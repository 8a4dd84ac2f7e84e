//! `certs`: makes a local CA and the certificate of the TLS listener, and says how clients trust the
//! CA. Run again, it renews the certificate and keeps the keys.

mod authority;
mod folder;
mod names;
mod trust;

use crate::config_args::{ConfigArgs, config_flags, path_parser};
use crate::running::{EnvironmentSet, run_blocking};
use crate::sanitize::sanitize;
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult};
use authority::{
    Authority, LATEST, Misfit, SERVER_LIFETIME, create_key, is_ours, local_names, read_key,
};
use clap::Args;
use folder::{Folder, FolderError, is_same_file, to_absolute};
use mwaa_config::Config;
use mwaa_model::EnvName;
use mwaa_runtime::Timestamp;
use names::Names;
use rcgen::KeyPair;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The options of `certs`.
#[derive(Debug, Args)]
pub(crate) struct CertsArgs {
    #[command(flatten)]
    config: ConfigArgs<CertsFlags>,
    /// The folder of the files [default: the folder of listener.tls.certificate, else `certs`
    /// beside the configuration file]
    #[arg(long, value_name = "DIR", value_parser = path_parser())]
    dir: Option<PathBuf>,
}

config_flags! {
    struct CertsFlags;
    Environments: "Make it for the name of only this environment (repeatable)",
    Listen: "Make it for this listener address instead of the file's",
}

pub(crate) fn run(args: &CertsArgs, terminal: &Terminal) -> RunResult {
    let config = args.config.load_without_certificates(terminal)?;
    let fail = |error: CertsError| {
        let hint = error.hint();
        terminal.fail(ExitStatus::Failure, &error, hint.as_deref())
    };

    let path = find_folder(args.dir.as_deref(), &config).map_err(|error| fail(error.into()))?;
    check_pair(&path, &config).map_err(fail)?;
    let found = find_discovered(&config, terminal);
    let mut names = Names::new(&config, found.as_deref().unwrap_or_default());
    let now = Timestamp::now().wall();
    let announce = || terminal.info("waiting for another run of `mwaa-gateway certs` to end");
    let folder = Folder::open(path, announce).map_err(|error| fail(error.into()))?;
    let made = make_files(&folder, &mut names, found.is_none(), now).map_err(fail)?;

    for path in [&made.ca, &made.certificate, &made.key] {
        let mut line = path.as_os_str().as_bytes().to_vec();
        line.push(b'\n');
        terminal.print_untrusted_bytes(&line);
    }
    // a folder's name may hold anything
    if let Some(warning) = trust::warn_of_exposed(&made) {
        terminal.error(sanitize(&warning));
    }
    terminal.info(sanitize(&trust::describe(&made, &names, now)));
    terminal.info(sanitize(&trust::advise(&made, &config)));
    Ok(ExitStatus::Success)
}

/// Returns the names of the environments that a running gateway has found in AWS. `None` if no gateway
/// says which, after a warning.
fn find_discovered(config: &Config, terminal: &Terminal) -> Option<Vec<String>> {
    if !config.discovers() {
        return Some(Vec::new());
    }
    let running = run_blocking(EnvironmentSet::load(config, STATUS_TIMEOUT)).ok();
    let Some(running) = running.flatten() else {
        terminal.info(format_args!(
            "warning: no gateway answered at {} within a second, so the environments that it discovers \
             are not known: the new certificate keeps the names of the previous one; for others, \
             start the gateway and run this command again, or use --environment",
            config.management.address
        ));
        return None;
    };
    let mut names = running.local_names();
    names.retain(|name| EnvName::new(name).is_some());
    Some(names)
}

/// Returns the folder of the files, as an absolute path.
fn find_folder(given: Option<&Path>, config: &Config) -> Result<PathBuf, FolderError> {
    let configured = || {
        let certificate = &config.listener.tls.as_ref()?.certificate;
        let is_ours = certificate.file_name()? == CERTIFICATE;
        is_ours.then(|| certificate.parent()).flatten()
    };
    let source = config.source.as_deref().and_then(Path::parent);
    let default = || source.map_or_else(|| "certs".into(), |folder| folder.join("certs"));
    to_absolute(&match given.or_else(configured) {
        Some(folder) => folder.to_owned(),
        None => default(),
    })
}

/// Checks that the gateway does not use a certificate from this folder with a key from another place,
/// or the other way round: they would not belong together.
fn check_pair(folder: &Path, config: &Config) -> Result<(), CertsError> {
    let Some(tls) = &config.listener.tls else {
        return Ok(());
    };
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    let has_certificate = is_same_file(&tls.certificate, &certificate);
    let has_key = is_same_file(&tls.key, &key);
    match (has_certificate, has_key) {
        (true, false) => Err(CertsError::OtherPath("listener.tls.key", key)),
        (false, true) => Err(CertsError::OtherPath(
            "listener.tls.certificate",
            certificate,
        )),
        (true, true) | (false, false) => Ok(()),
    }
}

/// The files, and what is new.
struct Made {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    /// Set if there is a new CA.
    new_ca: Option<NewCa>,
    /// Keys that other users could read or change until now.
    exposed: Vec<PathBuf>,
    /// Files that the folder's `.gitignore` does not name.
    committable: Vec<&'static str>,
}

/// Why there is a new CA.
enum NewCa {
    /// There was none.
    First,
    /// The previous one could not sign.
    Instead(Misfit),
}

/// Makes the files, or renews them. Each file is complete at each moment, and so is the pair of
/// certificate and key: the key stays. Adds the previous certificate's names if they are to be kept.
fn make_files(
    folder: &Folder,
    names: &mut Names,
    keeps_names: bool,
    now: Duration,
) -> Result<Made, CertsError> {
    if now > LATEST {
        return Err(CertsError::Clock);
    }

    // all that is there is read, and found to be ours, before anything is written
    let ca_pem = read_ours(folder, CA)?;
    let ca_key = read_own_key(folder, CA_KEY)?;
    let previous = read_ours(folder, CERTIFICATE)?;
    let server = read_own_key(folder, KEY)?;
    if let Some(previous) = previous.filter(|_| keeps_names) {
        names.add_local(local_names(&previous));
    }

    let files = [CERTIFICATE, KEY, CA, CA_KEY];
    let committable = folder.ignore_in_git(&files, &[KEY, CA_KEY])?;
    let mut exposed = Vec::new();
    for (name, key) in [(CA_KEY, &ca_key), (KEY, &server)] {
        if key.is_some() && folder.protect(name)? {
            exposed.push(folder.path_of(name));
        }
    }

    let is_new_key = server.is_none();
    let server = server.map_or_else(create_key, Ok)?;
    let (authority, certificate, new_ca) = sign(ca_pem, ca_key, &server, names, now)?;

    if new_ca.is_some() {
        folder.write(CA_KEY, &authority.key.serialize_pem(), 0o600)?;
        folder.write(CA, &authority.pem, 0o644)?;
    }
    if is_new_key {
        folder.write(KEY, &server.serialize_pem(), 0o600)?;
    }
    folder.write(CERTIFICATE, &certificate, 0o644)?;
    Ok(Made {
        ca: folder.path_of(CA),
        certificate: folder.path_of(CERTIFICATE),
        key: folder.path_of(KEY),
        new_ca,
        exposed,
        committable,
    })
}

/// Signs a certificate with the CA that there is, or with a new one if that cannot. Returns the CA
/// and the certificate.
fn sign(
    ca_pem: Option<String>,
    ca_key: Option<KeyPair>,
    server: &KeyPair,
    names: &Names,
    now: Duration,
) -> Result<(Authority, String, Option<NewCa>), CertsError> {
    let (reason, key) = match (ca_pem, ca_key) {
        (None, key) => (NewCa::First, key),
        (Some(_), None) => (NewCa::Instead(Misfit::NoKey), None),
        (Some(pem), Some(key)) => {
            let authority = Authority { pem, key };
            let certificate = authority.sign(server, names, now)?;
            match authority.find_misfit(&certificate, now) {
                None => return Ok((authority, certificate, None)),
                Some(Misfit::NotYet) => return Err(CertsError::EarlyCa),
                // as a run leaves it that was ended between the key and the CA
                Some(misfit @ Misfit::OtherKey) => {
                    (NewCa::Instead(misfit), Some(authority.key))
                }
                Some(misfit) => (NewCa::Instead(misfit), None),
            }
        }
    };

    let key = key.map_or_else(create_key, Ok)?;
    let authority = Authority::create(key, names, now)?;
    let certificate = authority.sign(server, names, now)?;
    match authority.find_misfit(&certificate, now) {
        None => Ok((authority, certificate, Some(reason))),
        Some(misfit) => Err(CertsError::Unusable(misfit)),
    }
}

/// Returns a certificate's file; `None` if there is none. Fails if it was not made here.
fn read_ours(folder: &Folder, name: &str) -> Result<Option<String>, CertsError> {
    let Some(content) = folder.read(name)? else {
        return Ok(None);
    };
    let foreign = || CertsError::Foreign(folder.path_of(name));
    if !is_ours(&content.bytes) {
        return Err(foreign());
    }
    String::from_utf8(content.bytes)
        .map(Some)
        .map_err(|_binary| foreign())
}

/// Returns a key; `None` if there is none. Fails if it is of another kind than those made here, or if
/// another user may know it.
fn read_own_key(folder: &Folder, name: &str) -> Result<Option<KeyPair>, CertsError> {
    let Some(content) = folder.read(name)? else {
        return Ok(None);
    };
    if !content.is_own {
        return Err(CertsError::OtherOwner(folder.path_of(name)));
    }
    match read_key(&content.bytes) {
        None => Err(CertsError::Foreign(folder.path_of(name))),
        key => Ok(key),
    }
}

/// The files are not made.
#[derive(Debug, thiserror::Error)]
enum CertsError {
    #[error("this machine's clock cannot be right")]
    Clock,
    #[error("the CA is not valid yet")]
    EarlyCa,
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{} was not made by `mwaa-gateway certs`", .0.display())]
    Foreign(PathBuf),
    #[error("another user owns {}, and may know this key", .0.display())]
    OtherOwner(PathBuf),
    #[error("{} names another file than {}, so certificate and key would not match", .0, .1.display())]
    OtherPath(&'static str, PathBuf),
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    #[error("cannot make a certificate: the new CA does not fit: {0}")]
    Unusable(Misfit),
}

impl CertsError {
    /// Returns what to do; `None` if that is not known.
    fn hint(&self) -> Option<String> {
        let fixed = match self {
            Self::Clock => "set the clock; certificates have dates",
            Self::Foreign(_) => {
                "it is not overwritten: choose another folder with --dir, or move the file away"
            }
            Self::OtherOwner(_) => {
                "run this command as that user; or move the file away, and a new key is made; or \
                 choose another folder with --dir"
            }
            Self::Make(rcgen::Error::InvalidAsn1String(_)) | Self::Unusable(Misfit::Names) => {
                "a name in listener.hosts is not a DNS name"
            }
            Self::Make(_) | Self::Unusable(_) => return None,

            Self::EarlyCa => {
                return Some(format!(
                    "set the clock if it is wrong, or delete the CA's files ({CA} and {CA_KEY}); \
                     programs must then trust a new CA"
                ));
            }
            Self::Folder(error) => {
                let path = error.path.display();
                return Some(format!(
                    "is {path} a file or folder that you own? Choose another folder with --dir"
                ));
            }
            Self::OtherPath(key, path) => {
                let path = trust::toml_string(&path.display().to_string());
                return Some(format!("set {key} = {path}"));
            }
        };
        Some(fixed.to_owned())
    }
}

/// A gateway of this machine answers at once.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);
/// The names of the files.
const CA: &str = "gateway-ca.pem";
const CA_KEY: &str = "gateway-ca.key";
const CERTIFICATE: &str = "gateway.pem";
const KEY: &str = "gateway.key";
