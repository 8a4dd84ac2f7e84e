//! The links of the documents, and the book's list of pages.

use super::documents;
use super::markdown::{anchors, links};
use crate::tree;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn links_resolve() {
    let book = tree::root().join("docs").canonicalize().unwrap();
    let (mut seen, mut problems) = (0, Vec::new());
    for document in documents() {
        let text = tree::read(&document);
        let file = tree::root().join(&document);
        for link in links(&text) {
            // rustdoc checks paths of items
            if link.contains("://") || link.contains("::") || link.starts_with("mwaa_") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => file.clone(),
                path => file.parent().unwrap().join(path),
            };
            let Ok(target) = target.canonicalize() else {
                problems.push(format!("{document} links to {link}, which does not exist"));
                continue;
            };
            // the book is published without the rest of the repository
            if document.starts_with("docs/") && !target.starts_with(&book) {
                problems.push(format!("{document} links to {link}, outside the book"));
            }
            if !anchor.is_empty() && !has_anchor(&target, anchor) {
                problems.push(format!(
                    "{document} links to {link}, which has no such heading"
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(seen >= 6, "only {seen} links seen");
}

fn has_anchor(file: &Path, anchor: &str) -> bool {
    let name = file
        .strip_prefix(tree::root().canonicalize().unwrap())
        .unwrap();
    anchors(&tree::read(name.to_str().unwrap())).contains(anchor)
}

#[test]
fn the_book_has_every_page() {
    let summary = tree::read("docs/SUMMARY.md");
    let listed = links(&summary)
        .into_iter()
        .map(|page| format!("docs/{page}"));
    let mut pages: BTreeSet<_> = tree::files("docs", "md").into_iter().collect();
    assert!(pages.remove("docs/SUMMARY.md"));
    assert_eq!(listed.collect::<BTreeSet<_>>(), pages, "listed, and there");
}

/// The drawing exists for bright and for dark pages, and loads nothing.
#[test]
fn the_drawings_differ_only_in_their_colours() {
    let drawings = ["light", "dark"].map(|theme| {
        let drawing = tree::read(&format!("docs/images/flow-{theme}.svg"));
        let (_, shapes) = drawing.split_once("</style>").unwrap();
        for reference in ["href", "url(", "@import"] {
            assert!(!drawing.contains(reference), "{theme}: {reference}");
        }
        shapes.to_owned()
    });
    assert_eq!(drawings[0], drawings[1]);
}
