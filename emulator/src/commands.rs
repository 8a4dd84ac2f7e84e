//! The commands that MWAA supports, by Airflow version.

/// Whether MWAA runs a command. A version that MWAA never offered counts as the newest one before
/// it of the same major version.
pub(crate) fn is_supported(airflow_version: &str, words: &[String]) -> bool {
    let Some((first, rest)) = words.split_first() else {
        return false;
    };
    let asks_help = |word: &String| word == "-h" || word == "--help";
    if asks_help(first) {
        return true;
    }
    let version = offered(version(airflow_version));
    let pair = rest.first().map(|second| format!("{first} {second}"));
    rows()
        .filter(|row| (row.first..=row.last).contains(&version))
        .any(|row| {
            let group = row.command.split(' ').next() == Some(first.as_str());
            row.command == first
                || pair.as_deref() == Some(row.command)
                || group && rest.first().is_none_or(asks_help)
        })
}

type Version = [u32; 3];

struct Row {
    command: &'static str,
    first: Version,
    last: Version,
    /// Whether the guide lists it.
    #[cfg(test)]
    listed: bool,
}

fn rows() -> impl Iterator<Item = Row> {
    let lines = include_str!("commands.csv")
        .lines()
        .filter(|line| !line.starts_with('#'));
    lines.skip(1).filter_map(|line| {
        let mut fields = line.split(',');
        let (command, first, last) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Row {
            command,
            first: version(first),
            last: version(last),
            #[cfg(test)]
            listed: fields.next() != Some("U"),
        })
    })
}

fn version(text: &str) -> Version {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    [0; 3].map(|_: u32| parts.next().unwrap_or(0))
}

/// The newest version the table knows that is not newer, within the same major line.
fn offered(asked: Version) -> Version {
    let [major, ..] = asked;
    let line = || {
        rows()
            .flat_map(|row| [row.first, row.last])
            .filter(|[m, ..]| *m == major)
    };
    let newest = rows().map(|row| row.last).max().unwrap_or(asked);
    line()
        .filter(|known| *known <= asked)
        .max()
        .or_else(|| line().min())
        .unwrap_or(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_what_the_guide_counts() {
        assert_eq!(rows().filter(|row| row.first < [2, 0, 0]).count(), 20);
        // 45 and 47 in the guide, and `providers triggers` in Airflow's spelling
        let listed = |major| rows().filter(move |row| row.listed && row.first[0] == major);
        assert_eq!(listed(2).count(), 46);
        assert_eq!(listed(3).count(), 48);
    }

    #[test]
    fn commands_come_and_go_with_versions() {
        for (version, line, expected) in [
            ("1.10.12", "trigger_dag x", true),
            ("1.10.12", "dags trigger x", false),
            ("2.10.3", "trigger_dag x", false),
            ("2.10.3", "dags trigger x", true),
            ("2.10.3", "dags backfill x", true),
            ("3.0.6", "dags backfill x", false),
            ("3.0.6", "backfill create", true),
            ("2.5.1", "providers secrets", false),
            ("2.6.3", "providers secrets", true),
            ("2.10.5", "version", true),
            ("2.99.0", "dags list", true),
            ("4.0.0", "dags list", true),
            ("2.10.3", "users list", false),
            ("2.10.3", "dags --help", true),
            ("2.10.3", "users --help", false),
            ("2.10.3", "dags nonsense", false),
            ("2.10.3", "pools set p 1 d", true),
            ("3.3.1", "pools import f", false),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(is_supported(version, &words), expected, "{version}: {line}");
        }
    }
}
