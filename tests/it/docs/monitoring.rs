//! The alert rules and the dashboard: they use only metrics and labels that a gateway exposes, and each
//! alert is explained.

use crate::tree;
use std::collections::{BTreeMap, BTreeSet};

const ALERTS: &str = "deploy/prometheus/alerts.yaml";
const DASHBOARD: &str = "deploy/grafana/dashboard.json";

/// Labels that Prometheus adds, and those that an expression makes.
const ADDED: &[&str] = &["instance", "job", "le", "class"];

/// Returns the labels of each metric by the reference, which is made from a running gateway, and by the
/// page about fleets.
fn exposed() -> BTreeMap<String, BTreeSet<String>> {
    let reference =
        tree::read("docs/reference/metrics.md") + &tree::read("docs/operations/fleet.md");
    let rows = reference.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.trim_matches('`').to_owned();
        let labels = cells.nth(1)?.split(", ");
        let labels = labels.map(|label| label.trim().trim_matches('`').to_owned());
        Some((name, labels.collect()))
    });
    rows.collect()
}

/// Returns the expressions of both files.
fn expressions() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&tree::read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let mut found: Vec<_> = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    assert!(found.len() > 20, "{found:?}");
    let rules = tree::read(ALERTS);
    found.extend(rules.split("expr:").skip(1).map(|rest| {
        let (expression, _) = rest.split_once(" labels:").unwrap();
        expression.split(" for:").next().unwrap().to_owned()
    }));
    found
}

/// Returns the words of an expression, and whether each is followed by `{` or `(`.
fn words(expression: &str) -> Vec<&str> {
    let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
    expression
        .split(|c| !is_word(c))
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn rules_and_dashboard_use_only_metrics_and_labels_that_exist() {
    let exposed = exposed();
    assert!(exposed.len() > 20, "{exposed:?}");
    for expression in expressions() {
        let metrics = words(&expression).into_iter();
        let metrics = metrics
            .filter(|word| word.starts_with("mwaa_gateway_") || word.starts_with("process_"));
        let mut known: BTreeSet<&str> = ADDED.iter().copied().collect();
        for metric in metrics {
            let base = metric.strip_suffix("_bucket").unwrap_or(metric);
            let labels = exposed.get(base);
            let labels = labels.unwrap_or_else(|| panic!("{metric} in {expression}"));
            known.extend(labels.iter().map(String::as_str));
        }

        // the labels of matchers, and those that sums are by
        let matchers = expression.split('{').skip(1).flat_map(|rest| {
            let inner = rest.split('}').next().unwrap();
            inner
                .split(", ")
                .filter_map(|one| Some(one.split_once(['=', '!'])?.0))
        });
        let groups = expression
            .split(" (")
            .skip(1)
            .zip(expression.split(" ("))
            .filter_map(|(rest, before)| {
                let by = ["by", "on", "group_left"];
                let word = words(before).pop().unwrap_or_default();
                by.contains(&word).then(|| rest.split(')').next().unwrap())
            });
        let groups = groups.flat_map(|labels| labels.split(", "));
        for label in matchers
            .chain(groups)
            .filter(|label| !label.is_empty() && !label.starts_with('$'))
        {
            assert!(known.contains(label), "{label} in {expression}");
        }
    }
}

#[test]
fn every_alert_is_explained() {
    let page = tree::read("docs/operations/alerts.md");
    let explained: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let rules = tree::read(ALERTS);
    let alerts: BTreeSet<_> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert_eq!(explained, alerts);
    for alert in alerts {
        let anchor = format!("docs/operations/alerts.md#{}\n", alert.to_lowercase());
        assert_eq!(rules.matches(&anchor).count(), 1, "{anchor}");
    }
}
