//! The environments of `emulator`: their versions, and the real Airflow behind each.

use crate::config_args::path_parser;
use clap::Args;
use mwaa_emulator::{AirflowUrl, RealAirflow, Seed};
use mwaa_model::AirflowVersion;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

/// The options that can be given once for each environment.
#[derive(Debug, Args)]
pub(crate) struct EnvironmentArgs {
    /// The Airflow version of the first environment, or of the environment NAME, which is added if
    /// it does not exist
    #[arg(
        long = "airflow-version",
        value_name = "[NAME=]VERSION",
        default_value = "2.10.3"
    )]
    version: Vec<NamedValue<AirflowVersion>>,
    /// The web server's host in the responses of the AWS side, for all environments or for NAME.
    /// Scripts can then reach it without changes to DNS. Example: localhost:8443
    #[arg(long = "web-host", value_name = "[NAME=]HOST:PORT")]
    web_host: Vec<NamedValue<WebHost>>,
    /// A DAG of the built-in Airflow, in all environments; replaces the built-in DAGs (repeatable,
    /// or separated by commas)
    #[arg(long = "dag", value_name = "ID", value_delimiter = ',', value_parser = parse_dag_id)]
    dags: Vec<String>,
    /// Put this real Airflow behind the first environment, or the one named
    #[arg(long = "airflow-url", value_name = "[NAME=]URL")]
    url: Vec<NamedValue<AirflowUrl>>,
    /// Run this real `airflow` for each command, for all environments or for NAME
    #[arg(long = "airflow-bin", value_name = "[NAME=]PATH")]
    bin: Vec<NamedValue<Program>>,
    /// The secret that the emulator sends to these real Airflows
    #[arg(long = "airflow-secret-file", value_name = "FILE", requires = "url", value_parser = path_parser())]
    secret_file: Option<PathBuf>,
}

/// A host with a port: a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone)]
struct WebHost(String);

impl FromStr for WebHost {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "write it as HOST:PORT, for example localhost:8443";
        let (host, port) = text.rsplit_once(':').ok_or(form)?;
        let is_label = |label: &str| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        let address = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let is_host = match address {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => host.split('.').all(is_label),
        };
        if is_host && port.parse::<u16>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(form)
        }
    }
}

/// The path of a file, or a name that is looked up in `PATH`.
#[derive(Debug, Clone)]
struct Program(PathBuf);

impl FromStr for Program {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = PathBuf::from(text);
        let is_name = !text.is_empty() && !text.contains('/');
        if is_name || path.is_file() {
            Ok(Self(path))
        } else {
            Err("there is no such program; name the file of an `airflow`")
        }
    }
}

/// Checks the id of a DAG as Airflow does.
fn parse_dag_id(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("the id of a DAG has letters, digits, hyphens, dots and underscores")
    }
}

/// A value for the environment with this name, or without one for the usual environments.
#[derive(Debug, Clone)]
struct NamedValue<T> {
    name: Option<String>,
    value: T,
}

impl<T: FromStr<Err: fmt::Display>> FromStr for NamedValue<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            let mut chars = name.chars();
            !name.is_empty()
                && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        };
        // a path or an address may hold an equals sign too, but not after a mere name
        let (name, value) = match text.split_once('=') {
            Some((name, value)) if is_name(name) => {
                if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || name.len() > 80 {
                    let form = "starts with a letter and has 80 characters at most";
                    return Err(format!("the name of an environment {form}"));
                }
                (Some(name.to_owned()), value)
            }
            _ => (None, text),
        };

        let value = value.parse().map_err(|error: T::Err| error.to_string())?;
        Ok(Self { name, value })
    }
}

/// The options make no environments.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeedError {
    /// An option names an environment that has no version.
    #[error("there is no environment called {0}")]
    Unknown(String),
    /// An option has two values for the same environments.
    #[error("{0} has two values {1}")]
    Twice(&'static str, String),
    /// The secret can't be read.
    #[error("cannot read {}", .0.display())]
    Secret(PathBuf, #[source] io::Error),
}

impl SeedError {
    pub(crate) const fn hint(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "add its version, with --airflow-version NAME=VERSION",
            Self::Twice(..) => "one value can be without a name, and one for each NAME",
            Self::Secret(..) => {
                "--airflow-secret-file names a file with the secret alone in it"
            }
        }
    }
}

impl EnvironmentArgs {
    /// Returns the environments: `demo`, `archive` of the other major version, and those that are
    /// named. Fails if an option names an unknown one or has two values for one, or the secret
    /// can't be read.
    pub(crate) fn build_seeds(&self, past_days: u16) -> Result<Vec<Seed>, SeedError> {
        sort("--airflow-version", &self.version)?;
        let mut seeds = self.build_versions();
        let secret = self.secret_file.as_ref().map(|file| {
            let text = std::fs::read_to_string(file);
            text.map_err(|error| SeedError::Secret(file.clone(), error))
        });
        let secret = secret.transpose()?.map(|text| text.trim().to_owned());
        for NamedValue { name, value } in sort("--airflow-url", &self.url)? {
            let seed = find_seed(&mut seeds, name.as_deref().unwrap_or(FIRST))?;
            seed.airflow = Some(RealAirflow {
                url: *value,
                secret: secret.clone(),
            });
        }

        for NamedValue { name, value } in sort("--airflow-bin", &self.bin)? {
            for seed in find_seeds(&mut seeds, name.as_deref())? {
                seed.airflow_bin = Some(value.0.clone());
            }
        }
        for NamedValue { name, value } in sort("--web-host", &self.web_host)? {
            for seed in find_seeds(&mut seeds, name.as_deref())? {
                seed.web_host = Some(value.0.clone());
            }
        }
        let mut dags = self.dags.clone();
        let mut ids = HashSet::new();
        dags.retain(|id| ids.insert(id.clone()));
        for seed in &mut seeds {
            seed.past_days = past_days;
            seed.dags.clone_from(&dags);
        }
        Ok(seeds)
    }

    fn build_versions(&self) -> Vec<Seed> {
        let first = self.version.iter().find(|version| version.name.is_none());
        let first =
            first.map_or_else(|| "2.10.3".to_owned(), |version| version.value.to_string());
        // one of each major version, so that both dialects can be tried
        let second = if first.starts_with("3.") {
            "2.10.3"
        } else {
            "3.0.6"
        };
        let mut seeds = vec![Seed::new(FIRST, &first), Seed::new("archive", second)];

        for NamedValue { name, value } in &self.version {
            let Some(name) = name else { continue };
            let seed = Seed::new(name, &value.to_string());
            match seeds.iter_mut().find(|seed| seed.name == *name) {
                // `demo=2.9.2` replaces the first one
                Some(known) => *known = seed,
                None => seeds.push(seed),
            }
        }
        seeds
    }
}

/// Returns the values of an option: those without a name first, so that the others replace them.
/// Fails if two have the same name, or none.
fn sort<'a, T>(
    option: &'static str,
    values: &'a [NamedValue<T>],
) -> Result<Vec<&'a NamedValue<T>>, SeedError> {
    let mut values: Vec<_> = values.iter().collect();
    values.sort_by_key(|value| &value.name);
    let mut pairs = values.array_windows();
    match pairs.find(|[one, next]| one.name == next.name) {
        Some([twice, _]) => {
            let name = twice.name.as_ref();
            let which =
                name.map_or_else(|| "without a name".to_owned(), |name| format!("for {name}"));
            Err(SeedError::Twice(option, which))
        }
        None => Ok(values),
    }
}

/// Returns the environment of this name, or all without a name.
fn find_seeds<'a>(
    seeds: &'a mut [Seed],
    name: Option<&str>,
) -> Result<&'a mut [Seed], SeedError> {
    match name {
        Some(name) => find_seed(seeds, name).map(std::slice::from_mut),
        None => Ok(seeds),
    }
}

fn find_seed<'a>(seeds: &'a mut [Seed], name: &str) -> Result<&'a mut Seed, SeedError> {
    let found = seeds.iter_mut().find(|seed| seed.name == name);
    found.ok_or_else(|| SeedError::Unknown(name.to_owned()))
}

/// The environment of options without a name.
const FIRST: &str = "demo";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        environments: EnvironmentArgs,
    }

    fn seeds(words: &[&str]) -> Result<Vec<Seed>, SeedError> {
        let line = Line::try_parse_from(["emulator"].iter().chain(words)).unwrap();
        line.environments.build_seeds(14)
    }

    #[test]
    fn without_a_name_an_option_is_for_the_first_environment() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("a=b");
        std::fs::write(&program, "").unwrap();
        let seeds = seeds(&[
            "--airflow-version=3.0.6",
            "--airflow-url=http://127.0.0.1:8080",
            &format!("--airflow-bin={}", program.display()),
        ])
        .unwrap();
        let found: Vec<_> = seeds
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
            found,
            [("demo", "3.0.6", true), ("archive", "2.10.3", false)]
        );
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
            "--airflow-bin=a3=airflow",
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
        assert_eq!(seeds[3].airflow_bin, Some("airflow".into()));
    }

    #[test]
    fn hosts_and_dags_are_for_all_environments_or_the_one_named() {
        let seeds = seeds(&[
            "--web-host=archive=[::1]:8443",
            "--web-host=localhost:8443",
            "--airflow-bin=demo=one",
            "--airflow-bin=other",
            "--dag=etl,report.daily",
            "--dag=hello,etl",
        ])
        .unwrap();
        let hosts: Vec<_> = seeds.iter().map(|seed| seed.web_host.as_deref()).collect();
        assert_eq!(hosts, [Some("localhost:8443"), Some("[::1]:8443")]);
        let programs: Vec<_> = seeds.iter().map(|seed| seed.airflow_bin.clone()).collect();
        assert_eq!(programs, [Some("one".into()), Some("other".into())]);
        for seed in seeds {
            assert_eq!(seed.dags, ["etl", "report.daily", "hello"]);
        }
        for word in [
            "--web-host=localhost",
            "--web-host=localhost:",
            "--web-host=https://localhost:8443",
            "--web-host=::1:8443",
            "--web-host=a..b:1",
            "--dag=a b",
            "--dag=a,,b",
            "--airflow-bin=",
            "--airflow-bin=/nonexistent",
            "--airflow-bin=demo=/",
            "--airflow-version=1x=2.10.3",
        ] {
            assert!(Line::try_parse_from(["emulator", word]).is_err(), "{word}");
        }
    }

    #[test]
    fn options_that_do_not_fit_are_errors() {
        let error = seeds(&["--airflow-url=a9=http://127.0.0.1:1"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no environment called a9");
        for words in [
            ["--web-host=a:1", "--web-host=b:1"],
            ["--airflow-bin=demo=a", "--airflow-bin=demo=b"],
            ["--airflow-version=2.10.3", "--airflow-version=3.0.6"],
            [
                "--airflow-url=http://[::1]:1",
                "--airflow-url=http://[::1]:2",
            ],
        ] {
            let error = seeds(&words).unwrap_err();
            assert!(matches!(error, SeedError::Twice(..)), "{words:?}");
        }
        let words = [
            "--airflow-url=http://127.0.0.1:1",
            "--airflow-secret-file=/nonexistent",
        ];
        assert!(matches!(seeds(&words), Err(SeedError::Secret(..))));
    }
}
