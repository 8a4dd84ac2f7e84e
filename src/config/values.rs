//! Values with a form of their own: durations, sizes, modes, networks, ARNs, versions, commands,
//! and paths that begin with `~/`.

use super::diagnostics::{ValueError, format_value};
use super::{DiscoverySource, env};
use ipnet::IpNet;
use mwaa_model::{AirflowVersion, EnvName, Environment, Region};
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Returns a word for a shell: in single quotes if it has special characters.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=-".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Parses a duration such as `10s` or `1m 30s`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    humantime::parse_duration(text).map_err(|_cause| {
        let error = ValueError::new("is not a duration");
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            error.with_hint(format!("add the unit, as in \"{text}s\""))
        } else {
            error.with_hint("write a number and a unit: \"500ms\", \"10s\", \"5m\"")
        }
    })
}

/// Returns the duration in the units of configuration files, as `7d`.
pub(super) fn format_duration(time: Duration) -> String {
    let text = humantime::format_duration(time).to_string();
    text.replace("days", "d").replace("day", "d")
}

/// Parses a size such as `64KiB`, in bytes.
pub(super) fn parse_size(text: &str) -> Result<usize, ValueError> {
    let bad = |what: &str| {
        ValueError::new(what)
            .with_hint("write a number and a unit: \"512B\", \"64KiB\", \"8MiB\"")
    };

    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    let unit = unit.trim().to_ascii_lowercase();
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit);

    // 1.5MiB fails here: half a byte has no meaning
    match (number.parse::<usize>(), factor) {
        (Ok(number), Some((_, factor))) => number
            .checked_mul(*factor)
            .ok_or_else(|| bad("is too large")),
        (Ok(_), None) if unit.is_empty() => Err(bad("has no unit")),
        _ => Err(bad("is not a size")),
    }
}

/// Returns the size in the largest unit that fits it exactly, as `64KiB`.
pub(super) fn format_size(bytes: usize) -> String {
    let units = [("GiB", 1_usize << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let fits = units
        .iter()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    fits.map_or_else(
        || format!("{bytes}B"),
        |(unit, size)| format!("{}{unit}", bytes / size),
    )
}

/// Parses the permissions of a socket, in octal.
pub(super) fn parse_mode(text: &str) -> Result<u32, ValueError> {
    let octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| octal);

    match mode {
        // connecting needs write permission; the other bits mean nothing for a socket
        Some(mode) if mode & !0o666 != 0 => {
            Err(ValueError::new("has other bits than read and write")
                .with_hint("use \"0600\" or \"0660\""))
        }
        Some(mode) if mode & 0o600 != 0o600 => {
            Err(ValueError::new("does not let the owner read and write")
                .with_hint("use \"0600\" or \"0660\""))
        }
        Some(mode) => Ok(mode),
        None => Err(ValueError::new("is not a file mode in octal")
            .with_hint("use \"0600\", or \"0660\" to allow the group")),
    }
}

/// Parses a network such as `10.0.0.0/8`, or a single address.
pub(super) fn parse_network(text: &str) -> Result<IpNet, ValueError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    match text.parse::<IpNet>() {
        Ok(network) if network == network.trunc() => Ok(network),
        // 10.0.0.5/8 may mean the address as well as the network
        Ok(network) => Err(ValueError::new("has bits set after its prefix").with_hint(
            format!(
                "write \"{}\" for the network, or \"{}\" for the one address",
                network.trunc(),
                network.addr()
            ),
        )),
        Err(_) => Err(ValueError::new("is not a network")
            .with_hint("write it as \"10.0.0.0/8\", \"fd00::/8\" or a single address")),
    }
}

/// Parses the name of an AWS region.
pub(super) fn parse_region(text: &str) -> Result<Region, ValueError> {
    let error =
        || ValueError::new("is not an AWS region").with_hint("write it as \"eu-west-1\"");
    Region::new(text).ok_or_else(error)
}

/// Parses an entry of `aws.discover_in`: `REGION` or `PROFILE@REGION`.
pub(super) fn parse_discovery_source(text: &str) -> Result<DiscoverySource, ValueError> {
    // a profile may have an @ in its name, a region has none
    let (profile, name) = match text.rsplit_once('@') {
        Some((profile, region)) => (Some(parse_profile(profile)?), region),
        None => (None, text),
    };
    let hint = "write it as \"eu-west-1\" or \"profile@eu-west-1\"";
    let region = parse_region(name).map_err(|error| error.with_hint(hint))?;
    Ok(DiscoverySource { region, profile })
}

/// Parses the ARN of an IAM role.
pub(super) fn parse_role_arn(text: &str) -> Result<String, ValueError> {
    // arn:PARTITION:iam::ACCOUNT:role/PATH/NAME (IAM identifiers)
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let fits = match parts.as_slice() {
        ["arn", partition, "iam", "", account, resource] => {
            let role = resource.strip_prefix("role/").unwrap_or_default();
            let name = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&b);
            // aws, aws-cn, aws-us-gov and those to come
            partition.starts_with("aws")
                && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && !role.is_empty()
                && !role.starts_with('/')
                && !role.ends_with('/')
                && role.len() <= 576 // path 512 and name 64 (IAM quotas)
                && role.bytes().all(name)
        }
        _ => false,
    };

    if fits {
        Ok(text.to_owned())
    } else {
        Err(ValueError::new("is not the ARN of a role")
            .with_hint("write it as \"arn:aws:iam::123456789012:role/NAME\""))
    }
}

/// Parses the name of an AWS profile.
pub(super) fn parse_profile(text: &str) -> Result<String, ValueError> {
    if text.trim() == text && !text.is_empty() && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(ValueError::new("is not the name of a profile")
            .with_hint("`aws configure list-profiles` lists them"))
    }
}

/// Parses a command into its words; the last may be an option that the command may be given.
pub(super) fn parse_command_or_option(text: &str) -> Result<Vec<String>, ValueError> {
    let option = text.trim_end().rsplit_once(char::is_whitespace);
    match option.filter(|(_, word)| word.starts_with("--") && is_plain_word(word)) {
        Some((words, option)) => {
            let mut words = parse_command(words)?;
            words.push(option.to_owned());
            Ok(words)
        }
        None => parse_command(text),
    }
}

/// Parses an Airflow CLI command into its words.
pub(super) fn parse_command(text: &str) -> Result<Vec<String>, ValueError> {
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    let error = match words.first() {
        // an empty rule would match every command
        None => ValueError::new("is empty"),
        Some(first) if first == "airflow" => {
            return Err(
                ValueError::new("begins with \"airflow\"").with_hint("remove that word")
            );
        }
        Some(_) if words.iter().any(|word| word.starts_with('-')) => {
            ValueError::new("has an option; write only the command's name")
        }
        Some(_) if words.iter().all(|word| is_plain_word(word)) => return Ok(words),
        Some(_) => ValueError::new("is not the name of a command"),
    };
    Err(error.with_hint("write the command's name: \"dags delete\""))
}

/// Returns true if the text is a word of a command or option: no shell would change it.
fn is_plain_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    text.bytes().all(plain)
}

/// Parses the local name of an environment.
pub(super) fn parse_local_name(text: &str) -> Result<EnvName, ValueError> {
    let name = EnvName::new(text);
    if name.as_ref().is_some_and(EnvName::is_reserved) {
        let error = ValueError::new("is reserved for the gateway itself");
        let hint = "choose another local name, and set `name` to the name in MWAA";
        return Err(error.with_hint(hint));
    }

    name.ok_or_else(|| {
        let error = ValueError::new("cannot be the label of a host name");
        let better = text.to_ascii_lowercase().replace('_', "-");
        match EnvName::new(&better) {
            Some(better) => error.with_hint(format!(
                "write [environments.{better}] and add name = {} to it",
                format_value("", text)
            )),
            None => error.with_hint("use 1 to 63 of a-z, 0-9 and -, not at either end"),
        }
    })
}

/// Parses the name of an environment as MWAA takes it.
pub(super) fn parse_mwaa_name(text: &str) -> Result<Arc<str>, ValueError> {
    if Environment::is_mwaa_name(text) {
        return Ok(text.into());
    }
    Err(ValueError::new("is not the name of an MWAA environment")
        .with_hint("use 1 to 80 letters, digits, - and _, starting with a letter"))
}

/// Parses an Airflow release such as `2.10.3`.
pub(super) fn parse_airflow_version(text: &str) -> Result<AirflowVersion, ValueError> {
    let error =
        || ValueError::new("is not an Airflow version").with_hint("write it as \"2.10.3\"");
    text.parse().map_err(|_bad_version| error())
}

/// Parses a path from a flag or a variable, where no shell has replaced `~/`.
pub fn parse_path(text: OsString) -> Result<PathBuf, PathError> {
    match text.to_str() {
        Some(plain) => expand_home(plain).map_err(PathError),
        None => Ok(text.into()),
    }
}

/// A path that can't be used; its text says why, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path {0}")]
pub struct PathError(ValueError);

/// Replaces `~/` at the beginning of a path, as shells do.
pub(super) fn expand_home(text: &str) -> Result<PathBuf, ValueError> {
    expand(text, env::home)
}

fn expand(text: &str, home: impl FnOnce() -> Option<PathBuf>) -> Result<PathBuf, ValueError> {
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(text.into());
    };
    let own = rest
        .strip_prefix('/')
        .or_else(|| rest.is_empty().then_some(""));
    let Some(inside) = own else {
        return Err(ValueError::new("begins with ~ and a user name").with_hint(
            "write the full path: only ~/ is expanded; for a file whose name begins \
             with ~ write ./~name",
        ));
    };

    match home() {
        // more slashes would make it a path from the root
        Some(home) => Ok(home.join(inside.trim_start_matches('/'))),
        None => Err(
            ValueError::new("begins with ~, but the home folder is unknown")
                .with_hint("set HOME, or write the full path"),
        ),
    }
}

/// Units of sizes; those with `i` count in 1,024s (IEC 80000-13).
const SIZE_UNITS: &[(&str, usize)] = &[
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        let hint = parse_duration("10").expect_err("no unit").hint;
        assert_eq!(hint.as_deref(), Some("add the unit, as in \"10s\""));
        for bad in ["", "s", "ten s", "-1s", "99999999999999999999s"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        for text in ["500ms", "90s", "1h", "1d", "7d"] {
            let time = parse_duration(text).expect("duration");
            assert_eq!(parse_duration(&format_duration(time)), Ok(time));
        }
        assert_eq!(format_duration(Duration::from_hours(7 * 24)), "7d");
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("512B", 512),
            ("64KiB", 65_536),
            ("8 MiB", 8_388_608),
            ("1gib", 1_073_741_824),
            ("2kB", 2_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "64",
            "KiB",
            "1.5MiB",
            "-1B",
            "1XB",
            "99999999999999999999B",
            "9999999999999GiB",
        ] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
        for text in ["1GiB", "8MiB", "64KiB", "1000B"] {
            assert_eq!(format_size(parse_size(text).expect("size")), text);
        }
    }

    #[test]
    fn modes() {
        assert_eq!(parse_mode("0600"), Ok(0o600));
        assert_eq!(parse_mode("660"), Ok(0o660));
        for bad in [
            "", "0", "0o600", "0800", "0700", "4600", "0060", "0400", "00600", "+600",
        ] {
            assert!(parse_mode(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(
            parse_network("10.0.0.0/8").map(|n| n.to_string()),
            Ok("10.0.0.0/8".into())
        );
        assert_eq!(
            parse_network("::1").map(|n| n.to_string()),
            Ok("::1/128".into())
        );
        let hint = parse_network("10.0.0.5/8")
            .expect_err("host bits")
            .hint
            .unwrap_or_default();
        assert!(
            hint.contains("\"10.0.0.0/8\"") && hint.contains("\"10.0.0.5\""),
            "{hint}"
        );
        for bad in ["", "all", "10.0.0.0/33", "10.0/8", "127.0.0.1:80"] {
            assert!(parse_network(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn roles_and_profiles() {
        for good in [
            "arn:aws:iam::123456789012:role/gateway",
            "arn:aws-us-gov:iam::123456789012:role/team/a+b=c,d.e@f-g_h",
        ] {
            assert_eq!(parse_role_arn(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "gateway",
            "arn:aws:iam::123456789012:user/gateway",
            "arn:aws:iam::12345678901:role/gateway",
            "arn:aws:iam:eu-west-1:123456789012:role/gateway",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:sts::123456789012:assumed-role/a/b",
        ] {
            assert!(parse_role_arn(bad).is_err(), "{bad:?}");
        }
        assert!(parse_profile("my team").is_ok());
        assert!(
            parse_profile("").is_err()
                && parse_profile(" a").is_err()
                && parse_profile("a\n").is_err()
        );
    }

    #[test]
    fn commands() {
        assert_eq!(
            parse_command(" dags  delete "),
            Ok(vec!["dags".into(), "delete".into()])
        );
        assert!(parse_command("trigger_dag").is_ok());
        for bad in [
            "",
            "  ",
            "airflow dags list",
            "dags list -v",
            "dags; rm",
            "Dags",
            "dags 'x'",
        ] {
            assert!(parse_command(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_the_own_home_folder_is_expanded() {
        let read = |text: &str| expand(text, || Some("/home/me".into()));
        for (text, path) in [
            ("~/a/b", "/home/me/a/b"),
            ("~", "/home/me/"),
            ("~//etc/a", "/home/me/etc/a"),
            ("/a/~/b", "/a/~/b"),
            ("./~a", "./~a"),
            ("a~", "a~"),
        ] {
            assert_eq!(read(text), Ok(path.into()), "{text}");
        }
        for text in ["~you/a", "~you", "~a.pem"] {
            let why = read(text).unwrap_err();
            assert!(why.message.contains("a user name"), "{text}: {why:?}");
        }
        let why = expand("~/a", || None).unwrap_err();
        assert!(
            why.message.contains("the home folder is unknown"),
            "{why:?}"
        );
    }
}
