//! The effect of a request for Airflow's REST API or UI, by the rows of `paths.csv`. They have the
//! paths of Airflow 2 and 3. The effect of any other path is unknown, so it does not count as a
//! read.
//!
//! A row is `method,path,effect`. Its path is matched by segments with the path as the web server
//! reads it: `*` is any one segment, `#` a number, `a|b` one of these, `**` at the end any number
//! of segments. `SET` names a list for use as a segment. The first matching row counts. `GET` rows
//! apply to all safe methods. An unsafe method changes something, unless a `POST` row has another
//! effect for it.

use crate::tables::read_rows;
use http::Method;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The effect of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathEffect {
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

/// Returns the effect of a request, by one of the readings of its path
/// (`Target::readings`). `None` if it is unknown.
pub(super) fn find_effect(method: &Method, path: &str) -> Option<PathEffect> {
    // RFC 9110 section 9.2.1; of the unsafe methods only POST is also used to ask.
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && *method != Method::POST {
        return Some(PathEffect::Change);
    }

    // Indexed by the first segment, so that a request compares a few rows only.
    let mut segments = path.split('/').skip(1);
    let rules = RULES.get(segments.next().unwrap_or_default());
    let matches = |rule: &&PathRule| rule.safe == safe && rule.matches(segments.clone());
    match rules.and_then(|rules| rules.iter().find(matches)) {
        Some(rule) => Some(rule.effect),
        None if safe => None,
        // POST changes something unless a row has another effect for it.
        None => Some(PathEffect::Change),
    }
}

/// One row, without the first segment of its path.
#[derive(Debug, Clone)]
struct PathRule {
    /// True for safe methods, false for POST.
    safe: bool,
    rest: Vec<PathSegment>,
    effect: PathEffect,
}

/// The pattern of one segment.
#[derive(Debug, Clone)]
enum PathSegment {
    Any,
    Number,
    OneOf(Vec<&'static str>),
    /// Any further segments; only at the end.
    AllFurther,
}

impl PathRule {
    /// Reads a row. Returns the first segments of its path, and the rule.
    fn from_row(row: [&'static str; 3], sets: &Sets) -> Option<(Vec<&'static str>, Self)> {
        let [method, path, effect] = row;
        let safe = match method {
            "GET" => true,
            "POST" => false,
            _ => return None,
        };
        let effect = match effect {
            "read" => PathEffect::Read,
            "audit" => PathEffect::Audit,
            "change" => PathEffect::Change,
            "secret" => PathEffect::Secret,
            _ => return None,
        };

        let mut segments = path.strip_prefix('/')?.split('/');
        let firsts = split_words(segments.next()?, sets);
        let rest = segments.map(|segment| match segment {
            "*" => PathSegment::Any,
            "#" => PathSegment::Number,
            "**" => PathSegment::AllFurther,
            text => PathSegment::OneOf(split_words(text, sets)),
        });
        let rest = rest.collect();
        Some((firsts, Self { safe, rest, effect }))
    }

    fn matches<'a>(&self, mut path: impl Iterator<Item = &'a str>) -> bool {
        for segment in &self.rest {
            match (segment, path.next()) {
                (PathSegment::AllFurther, _) => return true,
                (_, None) => return false,
                (segment, Some(found)) if !segment.matches(found) => return false,
                (_, Some(_)) => {}
            }
        }
        // The row has the whole path, so nothing may be left of it.
        path.next().is_none()
    }
}

impl PathSegment {
    fn matches(&self, segment: &str) -> bool {
        match self {
            // An empty segment is no name: web servers differ in how they read `//`.
            Self::Any => !segment.is_empty(),
            Self::Number => {
                // Airflow 3 writes -1 for the index of a task that is not mapped.
                let digits = segment.strip_prefix('-').unwrap_or(segment);
                !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
            }
            Self::OneOf(words) => words.contains(&segment),
            Self::AllFurther => true,
        }
    }
}

/// The lists of words that `SET` rows name.
type Sets = HashMap<&'static str, &'static str>;

fn read_sets() -> Sets {
    read_rows(PATHS)
        .filter(|[method, _, _]| *method == "SET")
        .map(|[_, name, words]| (name, words))
        .collect()
}

/// Splits `a|b`, or the words of the set with this name.
fn split_words(text: &'static str, sets: &Sets) -> Vec<&'static str> {
    let words = sets.get(text).copied().unwrap_or(text);
    words.split('|').collect()
}

/// The rules by the first segment of their paths, each list in the order of the file.
static RULES: LazyLock<HashMap<&'static str, Vec<PathRule>>> = LazyLock::new(|| {
    // The sets first: a row may use one that is further down.
    let sets = read_sets();
    let mut rules: HashMap<_, Vec<PathRule>> = HashMap::new();
    for row in read_rows(PATHS) {
        let Some((firsts, rule)) = PathRule::from_row(row, &sets) else {
            continue;
        };
        for first in firsts {
            rules.entry(first).or_default().push(rule.clone());
        }
    }
    rules
});

const PATHS: &str = include_str!("../tables/paths.csv");

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_parsed_and_valid() {
        let mut seen = BTreeSet::new();
        let sets = read_sets();
        for row in read_rows(PATHS) {
            let [method, path, effect] = row;
            assert!(seen.insert((method, path)), "{row:?} twice");
            if method == "SET" {
                assert!(split_words(effect, &sets).is_sorted(), "{row:?}");
                continue;
            }
            let (firsts, rule) =
                PathRule::from_row(row, &sets).unwrap_or_else(|| panic!("{row:?}"));
            assert!(firsts.iter().all(|first| !first.contains('*')), "{row:?}");
            let ends = rule.rest.iter().rev().skip(1);
            assert!(
                ends.clone().all(|s| !matches!(s, PathSegment::AllFurther)),
                "{row:?}"
            );
            assert!(
                rule.safe || rule.effect == PathEffect::Read,
                "{row:?}: needless"
            );
        }
        assert!(seen.len() > 100);
    }

    #[test]
    fn each_request_has_its_effect() {
        use PathEffect::{Audit, Change, Read, Secret};
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
            assert_eq!(find_effect(&method, path), expected, "{request}");
        }
    }
}
