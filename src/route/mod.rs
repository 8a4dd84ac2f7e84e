//! Which environment a request is for, and what kind of request it is: makes [`Routed`] of
//! [`Admitted`]. Pure.
#![deny(clippy::wildcard_enum_match_arm)]

mod kind;
mod login;
mod own;

pub use crate::guard::{Body, Target, UserAgent};
pub use kind::Kind;
pub use own::{Own, OwnPage};

use crate::guard::{Admitted, Named};
use crate::names::{Code, Directory, Entry, Fault, RequestId, code};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Where a request leads.
#[derive(Debug)]
pub enum Destination {
    /// To an environment.
    Environment(Routed),
    /// To a page of our own.
    Own(Own),
}

/// A request that has an environment to go to.
#[derive(Debug)]
pub struct Routed {
    admitted: Admitted,
    entry: Arc<Entry>,
    kind: Kind,
}

impl Routed {
    /// The request's name.
    pub fn id(&self) -> RequestId {
        self.admitted.id()
    }

    /// Where it goes.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The request as it was admitted.
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The request as it was admitted; its body is yet to be read.
    pub fn admitted_mut(&mut self) -> &mut Admitted {
        &mut self.admitted
    }

    /// Takes it apart.
    pub fn into_parts(self) -> (Admitted, Arc<Entry>) {
        (self.admitted, self.entry)
    }
}

/// A request that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// The path takes another method.
    Method {
        /// The methods that it takes.
        allow: &'static str,
    },
    /// Nobody can log in at this path.
    NoLogin {
        /// The path.
        path: String,
    },
    /// A page's script asks for one of our own pages, or to be handed over.
    NotForScripts,
    /// The request names no environment, or none that exists.
    UnknownEnvironment {
        /// What it named.
        name: Option<String>,
        /// What it could have named, as URLs.
        urls: Vec<String>,
    },
    /// Nothing is served at this path.
    UnknownPath {
        /// The path.
        path: String,
    },
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method { allow } => write!(f, "this path takes only {allow}"),
            Self::NoLogin { path } => write!(f, "there is no login at {path:?}"),
            Self::NotForScripts => {
                f.write_str("this page is for people, not for a page's script")
            }
            Self::UnknownEnvironment { name, urls } => {
                match name {
                    Some(name) => write!(f, "there is no environment {name:?}")?,
                    None => {
                        f.write_str("the request does not say which environment it is for")?;
                    }
                }
                match urls.as_slice() {
                    [] => f.write_str("; known are: none"),
                    _ if f.alternate() => Ok(()),
                    urls => write!(f, "; known are: {}", urls.join(", ")),
                }
            }
            Self::UnknownPath { path } => write!(f, "nothing is served at {path:?}"),
        }
    }
}

impl std::error::Error for RouteError {}

impl Fault for RouteError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Method { .. } => &code::METHOD,
            Self::NotForScripts => &code::FOREIGN_ORIGIN,
            Self::UnknownEnvironment { .. } => &code::UNKNOWN_ENVIRONMENT,
            Self::NoLogin { .. } | Self::UnknownPath { .. } => &code::NO_ROUTE,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Method { allow } => format!("use {allow}").into(),
            Self::NoLogin { .. } => {
                "send requests without logging in: the gateway signs in by itself".into()
            }
            Self::NotForScripts => "open the page in a tab of its own".into(),
            Self::UnknownEnvironment { urls, .. } if urls.is_empty() => {
                "run `mwaa-gateway check`: it says who AWS thinks you are and what it shows you"
                    .into()
            }
            Self::UnknownEnvironment { .. } | Self::UnknownPath { .. } => {
                self.code().advice.into()
            }
        }
    }

    fn elsewhere(&self) -> &[String] {
        match self {
            Self::UnknownEnvironment { urls, .. } => urls,
            Self::Method { .. }
            | Self::NoLogin { .. }
            | Self::NotForScripts
            | Self::UnknownPath { .. } => &[],
        }
    }

    fn allow(&self) -> Option<&'static str> {
        match self {
            Self::Method { allow } => Some(allow),
            Self::NoLogin { .. }
            | Self::NotForScripts
            | Self::UnknownEnvironment { .. }
            | Self::UnknownPath { .. } => None,
        }
    }
}

/// Whether the request is for an environment that is not known, so that it may be worth while
/// to look for more. One that names none misses only while there is none at all.
pub fn misses(admitted: &Admitted, directory: &Directory) -> bool {
    match named(admitted) {
        Some(name) => directory.find(name).is_none(),
        None => {
            directory.entries().is_empty() && matches!(own::asked(admitted, false), Ok(None))
        }
    }
}

fn named(admitted: &Admitted) -> Option<&str> {
    match (&admitted.caller().entrance.environment, admitted.named()) {
        (Some(only), _) => Some(only.as_str()),
        (None, Named::Environment(name)) => Some(name.as_str()),
        (None, Named::Plain) => None,
    }
}

/// Finds the environment: the listener's own, else the Host label, else the only or default
/// one; and the kind by the path alone. Pages of our own are found first.
pub fn resolve(admitted: Admitted, directory: &Directory) -> Result<Destination, RouteError> {
    let name = named(&admitted);
    let found = match name {
        Some(name) => directory.find(name),
        None => directory.default_entry(),
    };
    let unknown = |admitted: &Admitted| RouteError::UnknownEnvironment {
        name: name.map(str::to_owned),
        urls: urls(directory, admitted),
    };
    if let Some(page) = own::asked(&admitted, name.is_some() || found.is_some())? {
        let scope = match (page, name, found) {
            (OwnPage::Overview | OwnPage::SignedOut, Some(_), None) => {
                return Err(unknown(&admitted));
            }
            (OwnPage::Overview | OwnPage::SignedOut, Some(_), Some(entry)) => {
                Some(Arc::clone(entry))
            }
            (OwnPage::SignedOut, None, found) => found.cloned(),
            (OwnPage::Overview, None, _)
            | (OwnPage::Icon | OwnPage::Script | OwnPage::Style, _, _) => None,
        };
        return Ok(Destination::Own(Own {
            admitted,
            page,
            scope,
        }));
    }
    let kind = kind::kind(&admitted)?;
    match found {
        Some(entry) => Ok(Destination::Environment(Routed {
            entry: Arc::clone(entry),
            kind,
            admitted,
        })),
        None => Err(unknown(&admitted)),
    }
}

fn urls(directory: &Directory, admitted: &Admitted) -> Vec<String> {
    let scheme = admitted.scheme();
    let port = admitted
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    directory
        .entries()
        .iter()
        .map(|entry| format!("{scheme}://{}.localhost{port}", entry.environment.local))
        .collect()
}
