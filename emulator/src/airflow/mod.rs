//! The built-in Airflow behind an environment's web server: signing in and out, pages, REST.

mod assets;
mod compress;
mod csrf;
mod door;
mod rest;
mod rights;
mod sign_in;
mod sso;
mod three;
mod two;
mod users;

use http::{HeaderValue, header};

use super::session::{Dead, Dialect, Session, Sessions};
use super::web::{Reply, Visit};
use door::Area;
pub(crate) use sign_in::to_aws;
pub(crate) use sso::answer as sso_page;

/// A request and who makes it.
#[derive(Clone, Copy, Debug)]
struct Guest<'a> {
    visit: Visit<'a>,
    area: Area,
    session: Result<&'a Session, Dead>,
}

/// Answers everything but the command line and the login.
pub(crate) fn answer(visit: Visit<'_>) -> Reply {
    let area = Area::of(visit);
    let session = door::session(visit, area);
    let guest = Guest {
        visit,
        area,
        session: session.as_ref().map_err(|dead| *dead),
    };
    let reply = sso::answer(visit)
        .or_else(|| sign_in::answer(guest))
        .or_else(|| rest::answer(guest))
        .or_else(|| assets::answer(visit))
        .unwrap_or_else(|| match visit.dialect() {
            Dialect::Two => two::answer(guest),
            Dialect::ThreeZero | Dialect::Three => three::answer(guest),
        });
    compress::compress(visit, cookies(guest, reply))
}

/// Adds the cookies that Airflow sends with any answer.
fn cookies(guest: Guest<'_>, reply: Reply) -> Reply {
    if reply.headers.contains_key(header::SET_COOKIE) {
        return reply;
    }
    let Guest {
        visit,
        area,
        session,
    } = guest;
    let sessions = &visit.environment.sessions;
    let cookie = match (visit.dialect(), session) {
        // static files too, although they may be cached
        (Dialect::Two, Ok(session)) if area != Area::Rest => Some(Sessions::again(session)),
        (Dialect::Two, Err(_)) if area != Area::Rest => Some(Sessions::anonymous(visit.shared)),
        (Dialect::Two, _) => None,
        (dialect, Ok(session)) if area != Area::Auth => {
            let asked = visit.shared.script.reissue_token.take();
            asked.map(|()| sessions.reissue(session, dialect, &visit.shared.script))
        }
        (Dialect::Three, Err(Dead::Expired | Dead::Invalid))
            if visit.cookies("_token").next().is_some() =>
        {
            Some(HeaderValue::from_static(sign_in::NO_TOKEN))
        }
        _ => None,
    };
    match cookie {
        Some(cookie) => reply.with(header::SET_COOKIE, cookie),
        None => reply,
    }
}
