//! The environments of `emulator`: their versions, and the real Airflow behind each.

use super::inputs::path;
use crate::emulator::{AirflowUrl, RealAirflow, Seed};
use crate::names::AirflowVersion;
use clap::Args;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

/// The options that can be given once for each environment.
#[derive(Debug, Args)]
pub(super) struct Airflows {
    /// The Airflow version that the first environment plays; with NAME= another environment
    #[arg(
        long = "airflow-version",
        value_name = "[NAME=]VERSION",
        default_value = "2.10.3"
    )]
    version: Vec<For<AirflowVersion>>,
    /// Put this real Airflow behind the first environment, or the one named
    #[arg(long = "airflow-url", value_name = "[NAME=]URL")]
    url: Vec<For<AirflowUrl>>,
    /// Run this real `airflow` for each command, in all environments or the one named
    #[arg(long = "airflow-bin", value_name = "[NAME=]PATH")]
    bin: Vec<For<PathBuf>>,
    /// The secret by which these real Airflows know the emulator
    #[arg(long = "airflow-secret-file", value_name = "FILE", requires = "url", value_parser = path())]
    secret_file: Option<PathBuf>,
}

/// A value for one environment, or for whichever goes without saying.
#[derive(Debug, Clone)]
struct For<T> {
    name: Option<String>,
    value: T,
}

impl<T: FromStr<Err: fmt::Display>> FromStr for For<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        };
        // a path or an address may hold an equals sign too, but not after a mere name
        let (name, value) = match text.split_once('=') {
            Some((name, value)) if is_name(name) => (Some(name.to_owned()), value),
            _ => (None, text),
        };
        let value = value.parse().map_err(|error: T::Err| error.to_string())?;
        Ok(Self { name, value })
    }
}

/// Why the options do not make environments.
#[derive(Debug)]
pub(super) enum Unclear {
    /// An option names an environment that has no version.
    Unknown(String),
    /// The secret can't be read.
    Secret(PathBuf, io::Error),
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no environment called {name}"),
            Self::Secret(file, _) => write!(f, "cannot read {}", file.display()),
        }
    }
}

impl Error for Unclear {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unknown(_) => None,
            Self::Secret(_, source) => Some(source),
        }
    }
}

impl Unclear {
    /// What to do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "say its version as well, with --airflow-version NAME=VERSION",
            Self::Secret(..) => {
                "--airflow-secret-file names a file with the secret alone in it"
            }
        }
    }
}

impl Airflows {
    /// The environments: `demo`, `archive` of the other major, and those that are named.
    pub(super) fn seeds(self) -> Result<Vec<Seed>, Unclear> {
        let first = self.version.iter().find(|version| version.name.is_none());
        let first =
            first.map_or_else(|| "2.10.3".to_owned(), |version| version.value.to_string());
        let second = if first.starts_with("3.") {
            "2.10.3"
        } else {
            "3.0.6"
        };
        let mut seeds = vec![Seed::new(FIRST, &first), Seed::new("archive", second)];
        for For { name, value } in self.version {
            let Some(name) = name else { continue };
            let seed = Seed::new(&name, &value.to_string());
            match seeds.iter_mut().find(|seed| seed.name == name) {
                Some(known) => *known = seed,
                None => seeds.push(seed),
            }
        }
        let secret = match self.secret_file {
            Some(file) => match std::fs::read_to_string(&file) {
                Ok(text) => Some(text.trim().to_owned()),
                Err(error) => return Err(Unclear::Secret(file, error)),
            },
            None => None,
        };
        for For { name, value } in self.url {
            let seed = find(&mut seeds, name.as_deref().unwrap_or(FIRST))?;
            seed.airflow = Some(RealAirflow {
                url: value,
                secret: secret.clone(),
            });
        }
        for For { name, value } in self.bin {
            match name {
                Some(name) => find(&mut seeds, &name)?.airflow_bin = Some(value),
                None => seeds
                    .iter_mut()
                    .for_each(|seed| seed.airflow_bin = Some(value.clone())),
            }
        }
        Ok(seeds)
    }
}

fn find<'a>(seeds: &'a mut [Seed], name: &str) -> Result<&'a mut Seed, Unclear> {
    let found = seeds.iter_mut().find(|seed| seed.name == name);
    found.ok_or_else(|| Unclear::Unknown(name.to_owned()))
}

/// The environment that options without a name are for.
const FIRST: &str = "demo";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        airflows: Airflows,
    }

    fn seeds(words: &[&str]) -> Result<Vec<Seed>, Unclear> {
        let line = Line::try_parse_from(["emulator"].iter().chain(words)).unwrap();
        line.airflows.seeds()
    }

    #[test]
    fn without_a_name_an_option_is_for_the_first_environment() {
        let seeds = seeds(&[
            "--airflow-version=3.0.6",
            "--airflow-url=http://127.0.0.1:8080",
            "--airflow-bin=/a=b/airflow",
        ])
        .unwrap();
        let told: Vec<_> = seeds
            .iter()
            .map(|seed| {
                (
                    seed.name.as_str(),
                    seed.airflow_version.as_str(),
                    seed.airflow.is_some(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [("demo", "3.0.6", true), ("archive", "2.10.3", false)]
        );
        let program = PathBuf::from("/a=b/airflow");
        assert!(
            seeds
                .iter()
                .all(|seed| seed.airflow_bin.as_ref() == Some(&program))
        );
    }

    #[test]
    fn each_environment_can_have_its_own_airflow() {
        let seeds = seeds(&[
            "--airflow-version=a2=2.10.5",
            "--airflow-version=a3=3.3.2",
            "--airflow-url=a2=http://127.0.0.1:8082",
            "--airflow-url=a3=http://127.0.0.1:8083",
            "--airflow-bin=a3=/airflow",
        ])
        .unwrap();
        let names: Vec<_> = seeds.iter().map(|seed| seed.name.as_str()).collect();
        assert_eq!(names, ["demo", "archive", "a2", "a3"]);
        let url = |index: usize| {
            seeds[index]
                .airflow
                .as_ref()
                .map(|real| real.url.to_string())
        };
        assert_eq!(url(0), None);
        assert_eq!(url(2).as_deref(), Some("http://127.0.0.1:8082"));
        assert_eq!(url(3).as_deref(), Some("http://127.0.0.1:8083"));
        assert_eq!(seeds[2].airflow_bin, None);
        assert_eq!(seeds[3].airflow_bin, Some("/airflow".into()));
    }

    #[test]
    fn an_option_for_nobody_is_an_error() {
        let error = seeds(&["--airflow-url=a9=http://127.0.0.1:1"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no environment called a9");
        let words = [
            "--airflow-url=http://127.0.0.1:1",
            "--airflow-secret-file=/nonexistent",
        ];
        assert!(matches!(seeds(&words), Err(Unclear::Secret(..))));
    }
}
