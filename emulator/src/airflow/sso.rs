//! The page that takes a web token from the fragment of its own address and signs in with it.

use super::super::session::Dialect;
use super::super::web::{Reply, Visit};
use super::sign_in;

/// Answers `GET /aws_mwaa/aws-console-sso`, in Airflow 3 also below `/pluginsv2`.
pub(crate) fn answer(visit: Visit<'_>) -> Option<Reply> {
    let three = visit.dialect() != Dialect::Two;
    let ours = match visit.path() {
        "/aws_mwaa/aws-console-sso" => true,
        "/pluginsv2/aws_mwaa/aws-console-sso" => three,
        _ => false,
    };
    if !ours || visit.method() != "GET" {
        return None;
    }
    if visit.query("login").as_deref() != Some("true") {
        return Some(sign_in::to_aws(visit)); // nobody has a token yet
    }
    let page = PAGE.replace("LOGIN_PATH", visit.dialect().login_path());
    Some(Reply::html(200, page))
}

const PAGE: &str = include_str!("sso.html");
