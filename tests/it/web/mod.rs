//! The REST API and the UI through the gateway: what reaches Airflow, what comes back, how it
//! streams, and what a browser is led to.

mod conditional;
mod connections;
mod handover;
mod hygiene;
mod leaving;
mod links;
mod loading;
mod paths;
mod rights;
mod streaming;
mod visitors;

use crate::support::{Harness, Response};
use mwaa_emulator::WebFault;

/// Sends a request that the web server answers with these bytes; `HOST` is replaced by its name.
async fn answered(harness: &Harness, target: &str, headers: &str, raw: &str) -> Response {
    // the login comes first, so that it does not get these bytes
    if harness.logins().is_empty() {
        assert_eq!(harness.get("/health").await.fault(), None);
    }
    let host = harness.emulator().host("demo").unwrap();
    let raw = raw.replace("HOST", &host).into_bytes();
    harness.script().web_fault.next(1, WebFault::Raw(raw));
    harness.get_with(target, headers).await
}

/// What a page of Airflow 2 wants with its forms.
async fn csrf(harness: &Harness) -> String {
    let page = harness.get("/home").await.text();
    let (_, rest) = page.split_once("name=\"csrf-token\" content=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}
