//! The built-in Airflow behind an environment's web server: signing out and in, pages, REST.

use super::web::{Reply, Visit};

/// Answers everything but the command line and the login.
pub(crate) async fn answer(visit: Visit<'_>) -> Reply {
    let _ = visit;
    Reply::text(404, "not found\n")
}
