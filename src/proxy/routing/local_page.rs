//! The gateway's own paths, below `/-/`, and the clients that may read them.

use super::RoutingError;
use crate::admission::{HostName, ValidatedRequest};
use crate::context::RequestContext;
use http::Method;
use mwaa_model::{Dest, Entry, FetchMetadata, RequestSource, ReservedPath};
use std::sync::Arc;

/// A page of our own, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalPage {
    /// The environments and the last refusals.
    Overview,
    /// The events of the overview.
    Events,
    /// The page after signing out.
    SignedOut,
    /// The login with the local web token in the URL's fragment.
    ConsoleLogin,
    /// The style sheet.
    Style,
    /// The icon.
    Icon,
    /// The script of the copy buttons.
    Script,
    /// The script of the events.
    LiveScript,
    /// The script of the login with a token.
    LoginScript,
}

/// A request for one of our own pages.
#[derive(Debug)]
pub struct LocalPageRequest {
    /// The page.
    pub page: LocalPage,
    /// The environment whose host or listener the request came to; `None` for an overview on a
    /// bare host. The page is in that environment's origin and must show no other environment.
    pub scope: Option<Arc<Entry>>,
}

/// Returns the page that is requested; `None` for a request that is not for us. Fails if the path,
/// the method or the client is wrong.
///
/// A browser that requests `/` of a bare host that serves no environment gets the overview.
pub(super) fn find(
    request: &ValidatedRequest,
    ctx: &RequestContext,
    has_environment: bool,
) -> Result<Option<LocalPage>, RoutingError> {
    let path = request.target().path();
    if request.target().reserved() != Some(ReservedPath::Own) {
        // a person who opens the gateway's address wants to see what there is
        let is_lost = !has_environment
            && path == "/"
            && *request.method() == Method::GET
            && ctx.user_agent().wants_page;
        return Ok(is_lost.then_some(LocalPage::Overview));
    }

    let page = parse_page(path).ok_or_else(|| RoutingError::UnknownPath {
        path: path.to_owned(),
    })?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(RoutingError::Method { allow: "GET, HEAD" });
    }
    if !is_readable(ctx.user_agent().fetch, page) {
        return Err(RoutingError::NotForScripts);
    }
    Ok(Some(page))
}

/// Returns true for the URL that AWS documents for browsers, where its token alone names the
/// environment (User Guide, "Creating an Apache Airflow web login token").
pub(super) fn is_console_login(request: &ValidatedRequest, ctx: &RequestContext) -> bool {
    let query = request.target().query().unwrap_or_default();
    request.target().reserved() == Some(ReservedPath::Handover)
        && *request.method() == Method::GET
        && query == "login=true"
        && *request.host_name() == HostName::Plain
        && ctx.listener().environment.is_none()
        && is_for_people(ctx.user_agent().fetch)
}

/// Parses a path below `/-/`; `None` if there is no such page.
fn parse_page(path: &str) -> Option<LocalPage> {
    match path {
        "/-/" => Some(LocalPage::Overview),
        "/-/events" => Some(LocalPage::Events),
        "/-/signed-out" => Some(LocalPage::SignedOut),
        "/-/style.css" => Some(LocalPage::Style),
        "/-/icon.svg" => Some(LocalPage::Icon),
        "/-/copy.js" => Some(LocalPage::Script),
        "/-/live.js" => Some(LocalPage::LiveScript),
        "/-/login.js" => Some(LocalPage::LoginScript),
        _ => None,
    }
}

/// Returns true if the client may read the page: a person or a program that is no browser may, a
/// script of a page in the same origin may not (Fetch Metadata, W3C). The parts of our pages may be
/// used by them.
fn is_readable(fetch: FetchMetadata, page: LocalPage) -> bool {
    let used_as = match page {
        LocalPage::Overview | LocalPage::SignedOut | LocalPage::ConsoleLogin => None,
        // the ticket decides, when it is known which environment the page is about
        LocalPage::Events => return true,
        LocalPage::Style => Some(Dest::Style),
        LocalPage::Icon => Some(Dest::Image),
        LocalPage::Script | LocalPage::LiveScript | LocalPage::LoginScript => {
            Some(Dest::Script)
        }
    };
    is_for_people(fetch) || (used_as.is_some() && fetch.dest == used_as)
}

/// Returns true if the client may have the events of the overview: our own page, which has a ticket that no
/// other page in the same origin can read, and a program that is no browser.
pub(super) fn may_watch(
    request: &ValidatedRequest,
    ctx: &RequestContext,
    scope: Option<&Arc<Entry>>,
) -> bool {
    let query = request.target().query().unwrap_or_default();
    match ctx.user_agent().fetch.request_source() {
        RequestSource::Program => true,
        RequestSource::OwnPage => query.strip_prefix("ticket=").is_some_and(|ticket| {
            ctx.is_page_ticket(ticket, scope.map(|only| &only.environment.local))
        }),
        RequestSource::Typed | RequestSource::Elsewhere => false,
    }
}

/// Returns true for a person's visit in a window, and for a program that is no browser.
pub(super) fn is_for_people(fetch: FetchMetadata) -> bool {
    fetch.is_visit() || fetch.request_source() == RequestSource::Program
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_read(fields: &[(&str, &str)], page: LocalPage) -> bool {
        let headers = fields.iter().copied().collect();
        is_readable(FetchMetadata::from_headers(&headers, false), page)
    }

    #[test]
    fn people_and_programs_may_read_our_pages_but_scripts_may_not() {
        let looked = [
            ("sec-fetch-site", "none"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(may_read(&[], LocalPage::Overview));
        assert!(may_read(&[("sec-fetch-mode", "cors")], LocalPage::Overview));
        assert!(may_read(&looked, LocalPage::Overview));
        assert!(may_read(&looked, LocalPage::Style));
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
            assert!(!may_read(fields, LocalPage::Overview), "{fields:?}");
        }
        let style = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "style")];
        assert!(may_read(&style, LocalPage::Style));
        assert!(!may_read(&style, LocalPage::Script));
    }

    #[test]
    fn paths_are_exact() {
        assert_eq!(parse_page("/-/"), Some(LocalPage::Overview));
        assert_eq!(parse_page("/-/icon.svg"), Some(LocalPage::Icon));
        for path in [
            "/-",
            "/-/x",
            "/-/style.css/",
            "/-/STYLE.CSS",
            "/-/style%2ecss",
        ] {
            assert_eq!(parse_page(path), None, "{path}");
        }
    }
}
