//! Checks of the ways to the web servers: one way for each environment, and a user only where
//! there is a proxy.

use super::draft::Draft;
use super::problems::{Complaint, Place};
use crate::names::{ProxyChoice, Tunnel};

/// Runs the checks; what they find is in the draft's problems.
pub(super) fn check(draft: &mut Draft) {
    let mut found = Vec::new();
    let usual = draft.proxy.url.as_ref();
    let has_usual = usual.is_some() && !is_off(usual) || draft.is_broken("proxy.url");
    if draft.proxy.user_file.is_some() && !has_usual {
        let why = Complaint::new("is for no proxy")
            .hint("set proxy.url; the user for HTTPS_PROXY stands in that variable");
        found.push(("proxy.user_file".to_owned(), why));
    }
    for entry in &draft.environments {
        let environment = &entry.environment;
        let key = |name: &str| format!("environments.{}.{name}", environment.local);
        let proxy = environment.proxy.as_ref();
        let has_own = proxy.is_some() && !is_off(proxy) || draft.is_broken(&key("proxy"));
        if entry.proxy_user_file.is_some() && !has_own {
            let why =
                Complaint::new("is for no proxy").hint("set proxy of this environment too");
            found.push((key("proxy_user_file"), why));
        }
        if draft.place(&key("tunnel")) == Place::Default {
            continue;
        }
        if let Err((what, hint)) = Tunnel::new(&entry.tunnel_words) {
            found.push((key("tunnel"), Complaint::new(what).hint(hint)));
        }
        let other = match proxy {
            _ if environment.connect_to.is_some() => Some("connect_to"),
            Some(ProxyChoice::Through(_)) => Some("proxy"),
            Some(ProxyChoice::Off) | None => None,
        };
        if let Some(other) = other {
            let why = Complaint::new(format!("is a second way beside {other}"))
                .hint("keep one of the two");
            found.push((key("tunnel"), why));
        }
    }
    found.retain(|(key, _)| !draft.is_broken(key));
    for (key, why) in found {
        draft.refuse(&key, draft.place(&key), why.what, why.hint);
    }
}

fn is_off(choice: Option<&ProxyChoice>) -> bool {
    matches!(choice, Some(ProxyChoice::Off))
}
