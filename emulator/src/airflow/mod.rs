//! The built-in Airflow of an environment: login and logout, one page, static files and a small
//! REST API. It has the sessions, cookies and refusals of the version that it simulates.

mod assets;
mod compress;
mod door;
mod page;
mod rest;
mod sign_in;

use http::{HeaderValue, header};

use super::session::{Dead, Dialect, Session, Sessions};
use super::web::{Reply, Visit};
use door::Area;
pub(crate) use sign_in::{sso_page, to_aws};

/// A request and the session it has.
#[derive(Clone, Copy, Debug)]
struct Guest<'a> {
    visit: Visit<'a>,
    area: Area,
    session: Result<&'a Session, Dead>,
}

/// Answers everything except commands and logins.
pub(crate) fn answer(visit: Visit<'_>) -> Reply {
    let area = Area::of(visit);
    let session = door::session(visit, area);
    let guest = Guest {
        visit,
        area,
        session: session.as_ref().map_err(|dead| *dead),
    };
    let reply = sso_page(visit)
        .or_else(|| sign_in::answer(guest))
        .or_else(|| rest::answer(guest))
        .or_else(|| assets::answer(visit))
        .unwrap_or_else(|| page::answer(guest));
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
            asked.map(|()| {
                sessions.end(session);
                sessions.token_for(session, dialect, &visit.shared.script)
            })
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
