//! Values with a form of their own: durations, sizes, modes, networks, ARNs, commands.

use super::problems::Complaint;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// Reads a duration such as `10s` or `1m 30s`.
pub(super) fn duration(text: &str) -> Result<Duration, Complaint> {
    humantime::parse_duration(text).map_err(|_cause| {
        let complaint = Complaint::new("is not a duration");
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            complaint.hint(format!("add the unit, as in \"{text}s\""))
        } else {
            complaint.hint("write a number and a unit: \"500ms\", \"10s\", \"5m\"")
        }
    })
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

/// Reads a size such as `64KiB`, in bytes.
pub(super) fn size(text: &str) -> Result<usize, Complaint> {
    let bad = |what: &str| {
        Complaint::new(what).hint("write a number and a unit: \"512B\", \"64KiB\", \"8MiB\"")
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    let unit = unit.trim().to_ascii_lowercase();
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    match (number.parse::<usize>(), factor) {
        (Ok(number), Some((_, factor))) => number
            .checked_mul(*factor)
            .ok_or_else(|| bad("is too large a size")),
        (Ok(_), None) if unit.is_empty() => Err(bad("has no unit")),
        _ => Err(bad("is not a size")),
    }
}

/// The size in the largest unit that fits it exactly, as `64KiB`.
pub(super) fn show_size(bytes: usize) -> String {
    let units = [("GiB", 1_usize << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let fits = units
        .iter()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    fits.map_or_else(
        || format!("{bytes}B"),
        |(unit, size)| format!("{}{unit}", bytes / size),
    )
}

/// Reads the permissions of a socket, in octal.
pub(super) fn mode(text: &str) -> Result<u32, Complaint> {
    let octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| octal);
    match mode {
        Some(mode) if mode & !0o666 != 0 => {
            Err(Complaint::new("has more than read and write bits")
                .hint("use \"0600\" or \"0660\""))
        }
        Some(mode) if mode & 0o600 != 0o600 => {
            Err(Complaint::new("locks the owner out").hint("use \"0600\" or \"0660\""))
        }
        Some(mode) => Ok(mode),
        None => Err(Complaint::new("is not a file mode in octal")
            .hint("use \"0600\", or \"0660\" to let the group in")),
    }
}

/// Reads a network such as `10.0.0.0/8`, or a single address.
pub(super) fn network(text: &str) -> Result<IpNet, Complaint> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    match text.parse::<IpNet>() {
        Ok(network) if network == network.trunc() => Ok(network),
        Ok(network) => Err(Complaint::new("has bits behind its prefix").hint(format!(
            "write \"{}\" for the network, or \"{}\" for the one address",
            network.trunc(),
            network.addr()
        ))),
        Err(_) => Err(Complaint::new("is not a network")
            .hint("write it as \"10.0.0.0/8\", \"fd00::/8\" or a single address")),
    }
}

/// Reads the ARN of an IAM role.
pub(super) fn role_arn(text: &str) -> Result<String, Complaint> {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let fits = match parts.as_slice() {
        ["arn", partition, "iam", "", account, resource] => {
            let role = resource.strip_prefix("role/").unwrap_or_default();
            let name = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&b);
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
        Err(Complaint::new("is not the ARN of a role")
            .hint("write it as \"arn:aws:iam::123456789012:role/NAME\""))
    }
}

/// Reads the name of an AWS profile.
pub(super) fn profile(text: &str) -> Result<String, Complaint> {
    if text.trim() == text && !text.is_empty() && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(Complaint::new("is not the name of a profile")
            .hint("`aws configure list-profiles` lists them"))
    }
}

/// As [`command`], and with an option behind the command's words that it may be given.
pub(super) fn allowed(text: &str) -> Result<Vec<String>, Complaint> {
    let option = text.trim_end().rsplit_once(char::is_whitespace);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    match option.filter(|(_, word)| word.starts_with("--") && word.bytes().all(plain)) {
        Some((words, option)) => {
            let mut words = command(words)?;
            words.push(option.to_owned());
            Ok(words)
        }
        None => command(text),
    }
}

/// Reads an Airflow CLI command into its words.
pub(super) fn command(text: &str) -> Result<Vec<String>, Complaint> {
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let complaint = match words.first() {
        None => Complaint::new("is empty"),
        Some(first) if first == "airflow" => {
            return Err(Complaint::new("begins with \"airflow\"").hint("leave that word out"));
        }
        Some(_) if words.iter().any(|word| word.starts_with('-')) => {
            Complaint::new("has an option; entries name commands only")
        }
        Some(_) if words.iter().all(|word| word.bytes().all(plain)) => return Ok(words),
        Some(_) => Complaint::new("is not the name of a command"),
    };
    Err(complaint.hint("write the command's words, as in \"dags delete\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        let hint = duration("10").expect_err("no unit").hint;
        assert_eq!(hint.as_deref(), Some("add the unit, as in \"10s\""));
        for bad in ["", "s", "ten s", "-1s", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
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
            assert_eq!(size(text), Ok(bytes), "{text}");
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
            assert!(size(bad).is_err(), "{bad:?}");
        }
        for text in ["1GiB", "8MiB", "64KiB", "1000B"] {
            assert_eq!(show_size(size(text).expect("size")), text);
        }
    }

    #[test]
    fn modes() {
        assert_eq!(mode("0600"), Ok(0o600));
        assert_eq!(mode("660"), Ok(0o660));
        for bad in [
            "", "0", "0o600", "0800", "0700", "4600", "0060", "0400", "00600", "+600",
        ] {
            assert!(mode(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(
            network("10.0.0.0/8").map(|n| n.to_string()),
            Ok("10.0.0.0/8".into())
        );
        assert_eq!(network("::1").map(|n| n.to_string()), Ok("::1/128".into()));
        let hint = network("10.0.0.5/8")
            .expect_err("host bits")
            .hint
            .unwrap_or_default();
        assert!(
            hint.contains("\"10.0.0.0/8\"") && hint.contains("\"10.0.0.5\""),
            "{hint}"
        );
        for bad in ["", "all", "10.0.0.0/33", "10.0/8", "127.0.0.1:80"] {
            assert!(network(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn roles_and_profiles() {
        for good in [
            "arn:aws:iam::123456789012:role/gateway",
            "arn:aws-us-gov:iam::123456789012:role/team/a+b=c,d.e@f-g_h",
        ] {
            assert_eq!(role_arn(good).as_deref(), Ok(good));
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
            assert!(role_arn(bad).is_err(), "{bad:?}");
        }
        assert!(profile("my team").is_ok());
        assert!(profile("").is_err() && profile(" a").is_err() && profile("a\n").is_err());
    }

    #[test]
    fn commands() {
        assert_eq!(
            command(" dags  delete "),
            Ok(vec!["dags".into(), "delete".into()])
        );
        assert!(command("trigger_dag").is_ok());
        for bad in [
            "",
            "  ",
            "airflow dags list",
            "dags list -v",
            "dags; rm",
            "Dags",
            "dags 'x'",
        ] {
            assert!(command(bad).is_err(), "{bad:?}");
        }
    }
}
