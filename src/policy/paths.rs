//! What a request for Airflow's REST API or UI does: the rows of `paths.csv`, which name the paths
//! of Airflow 2 and 3. What no row names is not known, and so no read.
//!
//! A row is `method,path,does`. Its path is matched by segments against the path as the web server
//! reads it: `*` is any one, `#` a number, `a|b` one of these, `**` at the end any number of them. `SET` names
//! a list for use as a segment. The first row that fits counts. `GET` rows hold for all safe
//! methods; an unsafe one changes something unless a `POST` row says that it only asks.

use http::Method;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Shows what is no secret.
    Read,
    /// Shows the audit log, which quotes what was written into variables and connections.
    Audit,
    /// Changes something.
    Change,
    /// Shows variables, connections, configuration, rendered templates, or files of the web
    /// server.
    Secret,
}

/// What a request for this path does, by one of the path's readings
/// (`Target::readings`); `None` where it is not known.
pub(super) fn does(method: &Method, path: &str) -> Option<Does> {
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && *method != Method::POST {
        return Some(Does::Change);
    }
    let mut segments = path.split('/').skip(1);
    let rows = RULES.get(segments.next().unwrap_or_default());
    let fits = |rule: &&Rule| rule.safe == safe && rule.fits(segments.clone());
    let found = rows.and_then(|rows| rows.iter().find(fits));
    match found {
        Some(rule) => Some(rule.does),
        None if safe => None,
        None => Some(Does::Change),
    }
}

/// One row, less its first segment.
#[derive(Debug, Clone)]
struct Rule {
    /// For safe methods, else for POST.
    safe: bool,
    rest: Vec<Segment>,
    does: Does,
}

#[derive(Debug, Clone)]
enum Segment {
    Any,
    Number,
    OneOf(Vec<&'static str>),
    /// The last one only.
    AllFurther,
}

impl Segment {
    fn fits(&self, segment: &str) -> bool {
        match self {
            Self::Any => !segment.is_empty(),
            Self::Number => {
                let digits = segment.strip_prefix('-').unwrap_or(segment);
                !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
            }
            Self::OneOf(words) => words.contains(&segment),
            Self::AllFurther => true,
        }
    }
}

impl Rule {
    fn fits<'a>(&self, mut path: impl Iterator<Item = &'a str>) -> bool {
        for segment in &self.rest {
            match (segment, path.next()) {
                (Segment::AllFurther, _) => return true,
                (_, None) => return false,
                (segment, Some(found)) if !segment.fits(found) => return false,
                (_, Some(_)) => {}
            }
        }
        path.next().is_none()
    }
}

/// The rows by the first segment of their paths, each list in the order of the file.
static RULES: LazyLock<BTreeMap<&'static str, Vec<Rule>>> = LazyLock::new(|| {
    let mut rules: BTreeMap<_, Vec<Rule>> = BTreeMap::new();
    for (firsts, rule) in rows().filter_map(|row| read(&row)) {
        for first in firsts {
            rules.entry(first).or_default().push(rule.clone());
        }
    }
    rules
});

type Row = [&'static str; 3];

fn rows() -> impl Iterator<Item = Row> {
    let lines = include_str!("paths.csv").lines().skip(1);
    lines.filter_map(|line| {
        let mut fields = line.split(',');
        Some([fields.next()?, fields.next()?, fields.next()?])
    })
}

fn words(text: &'static str) -> Vec<&'static str> {
    let named = rows().find(|[kind, name, _]| *kind == "SET" && *name == text);
    named
        .map_or(text, |[_, _, words]| words)
        .split('|')
        .collect()
}

/// The first segments of a row's path, and the rest of the row.
fn read([method, path, does]: &Row) -> Option<(Vec<&'static str>, Rule)> {
    let safe = match *method {
        "GET" => true,
        "POST" => false,
        _ => return None,
    };
    let does = match *does {
        "read" => Does::Read,
        "audit" => Does::Audit,
        "change" => Does::Change,
        "secret" => Does::Secret,
        _ => return None,
    };
    let mut segments = path.strip_prefix('/')?.split('/');
    let firsts = words(segments.next()?);
    let rest = segments.map(|segment| match segment {
        "*" => Segment::Any,
        "#" => Segment::Number,
        "**" => Segment::AllFurther,
        text => Segment::OneOf(words(text)),
    });
    let rest = rest.collect();
    Some((firsts, Rule { safe, rest, does }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_read_and_sound() {
        let mut seen = BTreeSet::new();
        for row in rows() {
            assert!(seen.insert((row[0], row[1])), "{row:?} twice");
            if row[0] == "SET" {
                assert!(words(row[2]).is_sorted(), "{row:?}");
                continue;
            }
            let (firsts, rule) = read(&row).unwrap_or_else(|| panic!("{row:?}"));
            assert!(firsts.iter().all(|first| !first.contains('*')), "{row:?}");
            let ends = rule.rest.iter().rev().skip(1);
            assert!(
                ends.clone().all(|s| !matches!(s, Segment::AllFurther)),
                "{row:?}"
            );
            assert!(rule.safe || rule.does == Does::Read, "{row:?}: needless");
        }
        assert!(seen.len() > 100);
    }

    #[test]
    fn what_requests_do() {
        use Does::{Audit, Change, Read, Secret};
        for (request, expected) in [
            ("GET ", Some(Read)),
            ("GET /home", Some(Read)),
            ("HEAD /home", Some(Read)),
            ("POST /home", Some(Change)),
            ("GET /dags/x/grid", Some(Read)),
            ("GET /dags/x/trigger", Some(Read)),
            ("POST /dags/x/trigger", Some(Change)),
            ("POST /task_stats", Some(Read)),
            ("PUT /task_stats", Some(Change)),
            ("GET /task_stats", None),
            ("POST /api/v1/dags/~/dagRuns/list", Some(Read)),
            ("POST /api/v1/variables/list", Some(Change)),
            ("POST /api/v2/dags/x/dagRuns", Some(Change)),
            ("POST /variable/list", Some(Change)),
            ("PATCH /api/v2/dags/x/list", Some(Change)),
            ("DELETE /api/v1/dags/x", Some(Change)),
            ("POST /paused", Some(Change)),
            ("GET /variable/list", Some(Secret)),
            ("GET /variable", Some(Secret)),
            ("OPTIONS /variable/list", Some(Secret)),
            ("GET /configuration", Some(Secret)),
            ("GET /configuration/x", None),
            ("GET /rendered-templates", Some(Secret)),
            ("GET /api/v1/connections", Some(Secret)),
            ("GET /api/v2/variables/a/b", Some(Secret)),
            ("GET /api/v2/config/section/core/option/x", Some(Secret)),
            ("GET /api/v2//variables", None),
            ("GET /api/v3/dags", None),
            ("GET /execution/variables/x", Some(Secret)),
            ("GET /ui/config", Some(Read)),
            ("GET /ui/something-new", None),
            (
                "GET /dags/x/runs/y/tasks/z/rendered_templates",
                Some(Secret),
            ),
            ("GET /dags/x/runs/y/tasks/z/details", Some(Read)),
            ("GET /dagrun/list", Some(Read)),
            ("GET /log", Some(Read)),
            ("GET /log/list", Some(Secret)),
            ("GET /log/show/1", Some(Secret)),
            ("GET /api/v1/eventLogs", Some(Audit)),
            ("GET /api/v2/eventLogs/1", Some(Audit)),
            ("GET /dagrun/delete/1", Some(Change)),
            ("GET /dagrun/action/clear/1", Some(Change)),
            ("GET /users/edit/1", Some(Change)),
            ("GET /auth/users/list", Some(Read)),
            ("GET /parseDagFile/x", Some(Change)),
            (
                "GET /api/v2/dags/x/dagRuns/y/taskInstances/z/-1",
                Some(Read),
            ),
            (
                "GET /api/v2/dags/x/dagRuns/y/taskInstances/z/renderedFields",
                None,
            ),
            ("GET /my-plugin/page", None),
        ] {
            let (method, path) = request.split_once(' ').unwrap();
            let method = method.parse().unwrap();
            assert_eq!(does(&method, path), expected, "{request}");
        }
    }
}
