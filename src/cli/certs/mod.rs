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
use authority::{Authority, LATEST, Misfit, SERVER_LIFETIME, create_key, is_ours, read_key};
use clap::Args;
use folder::{Folder, FolderError, to_absolute};
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
        terminal.fail(ExitStatus::Failure, &error, Some(&hint))
    };

    let path = find_folder(args.dir.as_deref(), &config).map_err(|error| fail(error.into()))?;
    let found = find_discovered(&config, terminal);
    let names = Names::new(&config, &found);
    let now = Timestamp::now().wall();
    let made = make_files(path, &names, now).map_err(fail)?;

    for path in [&made.ca, &made.certificate, &made.key] {
        let mut line = path.as_os_str().as_bytes().to_vec();
        line.push(b'\n');
        terminal.print_untrusted_bytes(&line);
    }
    // a folder's name may hold anything
    terminal.info(sanitize(&trust::describe(&made, &names, now)));
    terminal.info(sanitize(&trust::advise(&made, &config)));
    Ok(ExitStatus::Success)
}

/// Returns the names of the environments that a running gateway has found in AWS. Without one they are
/// not known, and a person is advised to name them.
fn find_discovered(config: &Config, terminal: &Terminal) -> Vec<String> {
    if !config.discovers() {
        return Vec::new();
    }
    let running = run_blocking(EnvironmentSet::load(config, STATUS_TIMEOUT)).ok();
    let Some(running) = running.flatten() else {
        terminal.info(
            "warning: no gateway is running, so the environments that it discovers are not known; \
             name them with --environment, or start it and run this command again",
        );
        return Vec::new();
    };
    let mut names = running.local_names();
    names.retain(|name| EnvName::new(name).is_some());
    names
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

/// The files, and what is new.
struct Made {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    /// Set if there is a new CA.
    new_ca: Option<NewCa>,
    /// Keys that other users could read until now.
    exposed: Vec<PathBuf>,
}

/// Why there is a new CA.
enum NewCa {
    /// There was none.
    First,
    /// The previous one could not sign.
    Instead(Misfit),
}

/// Makes the files, or renews them. Each file is complete at each moment, and so is the pair of
/// certificate and key: the key stays.
fn make_files(path: PathBuf, names: &Names, now: Duration) -> Result<Made, CertsError> {
    if now > LATEST {
        return Err(CertsError::Clock);
    }

    // all that is there is read, and found to be ours, before anything is written
    let folder = Folder::open(path)?;
    let ca_pem = read_ours(&folder, CA)?;
    let ca_key = read_own_key(&folder, CA_KEY)?;
    read_ours(&folder, CERTIFICATE)?;
    let server = read_own_key(&folder, KEY)?;
    folder.ignore_in_git()?;
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
                Some(Misfit::NotYet) => return Err(CertsError::Clock),
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
    if !is_ours(&content) {
        return Err(foreign());
    }
    String::from_utf8(content)
        .map(Some)
        .map_err(|_binary| foreign())
}

/// Returns a key; `None` if there is none. Fails if it is of another kind than those made here.
fn read_own_key(folder: &Folder, name: &str) -> Result<Option<KeyPair>, CertsError> {
    let Some(content) = folder.read(name)? else {
        return Ok(None);
    };
    match read_key(&content) {
        None => Err(CertsError::Foreign(folder.path_of(name))),
        key => Ok(key),
    }
}

/// The files are not made.
#[derive(Debug, thiserror::Error)]
enum CertsError {
    #[error("this machine's clock cannot be right")]
    Clock,
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{} was not made by `mwaa-gateway certs`", .0.display())]
    Foreign(PathBuf),
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    #[error("cannot make a certificate: the new CA does not fit: {0}")]
    Unusable(Misfit),
}

impl CertsError {
    fn hint(&self) -> String {
        match self {
            Self::Clock => "set the clock; certificates have dates".to_owned(),
            Self::Folder(error) => format!(
                "is {} a file or folder that you own? Choose another folder with --dir",
                error.path.display()
            ),
            Self::Foreign(_) => {
                "it is not overwritten: choose another folder with --dir, or move \
                                 the file away"
                    .to_owned()
            }
            Self::Make(_) | Self::Unusable(_) => {
                "a name in listener.hosts may be no DNS name".to_owned()
            }
        }
    }
}

/// A gateway of this machine answers at once.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);
/// The names of the files.
const CA: &str = "gateway-ca.pem";
const CA_KEY: &str = "gateway-ca.key";
const CERTIFICATE: &str = "gateway.pem";
const KEY: &str = "gateway.key";
