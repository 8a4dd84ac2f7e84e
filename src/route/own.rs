//! The gateway's own paths, below `/-/`: which page is asked for, and by whom it may be read.

use super::RouteError;
use crate::guard::{Admitted, Reserved};
use crate::names::{Dest, Entry, FetchMetadata, Provenance};
use http::Method;
use std::sync::Arc;

/// What there is of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnPage {
    /// The environments and the last refusals.
    Overview,
    /// What is shown after signing out.
    SignedOut,
    /// The style sheet.
    Style,
    /// The icon.
    Icon,
    /// The script of the copy buttons.
    Script,
}

/// A request for something of our own.
#[derive(Debug)]
pub struct Own {
    pub(super) admitted: Admitted,
    pub(super) page: OwnPage,
    pub(super) scope: Option<Arc<Entry>>,
}

impl Own {
    /// What it asks for.
    pub fn page(&self) -> OwnPage {
        self.page
    }

    /// The one environment whose host or listener was asked; `None` for an overview on a bare
    /// host. The reply stands in that environment's origin and must tell about no other.
    pub fn scope(&self) -> Option<&Arc<Entry>> {
        self.scope.as_ref()
    }

    /// The request as it was admitted.
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }
}

/// What of our own is asked for, if anything. A browser that asks a bare host for nothing
/// particular, where no environment stands behind it, is shown what there is.
pub(super) fn asked(
    admitted: &Admitted,
    leads_somewhere: bool,
) -> Result<Option<OwnPage>, RouteError> {
    let path = admitted.target().path();
    if admitted.target().reserved() != Some(Reserved::Own) {
        let lost = !leads_somewhere
            && path == "/"
            && *admitted.method() == Method::GET
            && admitted.agent().wants_page;
        return Ok(lost.then_some(OwnPage::Overview));
    }
    let page = page(path).ok_or_else(|| RouteError::UnknownPath {
        path: path.to_owned(),
    })?;
    if !matches!(*admitted.method(), Method::GET | Method::HEAD) {
        return Err(RouteError::Method { allow: "GET, HEAD" });
    }
    if !may_read(admitted.agent().fetch, page) {
        return Err(RouteError::NotForScripts);
    }
    Ok(Some(page))
}

/// Reads a path below `/-/`; `None` is nothing that there is.
fn page(path: &str) -> Option<OwnPage> {
    match path {
        "/-/" => Some(OwnPage::Overview),
        "/-/signed-out" => Some(OwnPage::SignedOut),
        "/-/style.css" => Some(OwnPage::Style),
        "/-/icon.svg" => Some(OwnPage::Icon),
        "/-/copy.js" => Some(OwnPage::Script),
        _ => None,
    }
}

/// A person may look at our pages, and a program that is no browser; a script of a page in the
/// same origin may not read them (Fetch Metadata, W3C). What they are made of may be used.
fn may_read(fetch: FetchMetadata, page: OwnPage) -> bool {
    let used_as = match page {
        OwnPage::Overview | OwnPage::SignedOut => None,
        OwnPage::Style => Some(Dest::Style),
        OwnPage::Icon => Some(Dest::Image),
        OwnPage::Script => Some(Dest::Script),
    };
    is_for_people(fetch) || (used_as.is_some() && fetch.dest == used_as)
}

/// Whether a person goes there, in a window, or a program that is no browser asks.
pub(super) fn is_for_people(fetch: FetchMetadata) -> bool {
    fetch.is_visit() || fetch.provenance() == Provenance::Program
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(fields: &[(&'static str, &'static str)], page: OwnPage) -> bool {
        let mut headers = http::HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, value.parse().unwrap());
        }
        may_read(FetchMetadata::read(&headers, false), page)
    }

    #[test]
    fn people_and_programs_read_our_pages_and_scripts_do_not() {
        let looked = [
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(verdict(&[], OwnPage::Overview));
        assert!(verdict(&[("sec-fetch-mode", "cors")], OwnPage::Overview));
        assert!(verdict(&looked, OwnPage::Overview));
        assert!(verdict(&looked, OwnPage::Style));
        for fields in [
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-dest", "empty"),
            ][..],
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "style")],
            &[("sec-fetch-site", "same-origin")],
        ] {
            assert!(!verdict(fields, OwnPage::Overview), "{fields:?}");
        }
        let style = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "style")];
        assert!(verdict(&style, OwnPage::Style));
        assert!(!verdict(&style, OwnPage::Script));
    }

    #[test]
    fn paths_are_exact() {
        assert_eq!(page("/-/"), Some(OwnPage::Overview));
        assert_eq!(page("/-/icon.svg"), Some(OwnPage::Icon));
        for path in [
            "/-",
            "/-/x",
            "/-/style.css/",
            "/-/STYLE.CSS",
            "/-/style%2ecss",
        ] {
            assert_eq!(page(path), None, "{path}");
        }
    }
}
