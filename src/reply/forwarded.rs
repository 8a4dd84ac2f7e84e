//! A reply of the REST API or the UI on its way back: as it is, but for what would lead past
//! the gateway or tell of the session.

use super::links::{self, Relinked};
use super::screen::{self, Screened};
use super::{Reply, ReplyStream, headers, location, shield, stamp};
use crate::credential::SignedIn;
use crate::upstream::Answered;
use http::{Method, Response, StatusCode};

/// The reply for the client, its body passed on as it comes.
pub fn forward(answered: Answered, signed: &SignedIn) -> Reply {
    let (passage, host) = (signed.passage(), signed.session().host());
    let (mut head, body) = answered.into_parts();
    headers::strip(&mut head.headers);
    location::rewrite(&mut head.headers, host, passage.origin());
    shield::add(&mut head.headers);
    stamp(&mut head.headers, passage.id());
    if !passage.hidden().is_empty() && screen::is_json(&head.headers) {
        let body = Screened::new(body, &head.headers, passage.hidden());
        links::prepare(&mut head.headers);
        return Response::from_parts(head, ReplyStream::Screened(Box::new(body)));
    }
    let partial = matches!(
        head.status,
        StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
    );
    if partial || !links::may_have_links(&head.headers) {
        return Response::from_parts(head, ReplyStream::Upstream(Box::new(body)));
    }
    links::prepare(&mut head.headers);
    if *passage.method() == Method::HEAD {
        return Response::from_parts(head, ReplyStream::Upstream(Box::new(body)));
    }
    let page = Relinked::new(body, host, passage.origin());
    Response::from_parts(head, ReplyStream::Page(Box::new(page)))
}
