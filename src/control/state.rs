//! A failure to get a token, explained by the environment's state.

use super::{AwsError, ControlPlane};
use crate::names::Entry;
use crate::runtime::Moment;
use std::time::Duration;

/// The same failure with what AWS says of the environment, where that may be the reason. AWS is
/// asked once, within a limit of its own.
pub async fn explained(control: &dyn ControlPlane, entry: &Entry, error: AwsError) -> AwsError {
    if !error.may_be_the_state() {
        return error;
    }
    let asked = control.get_environment(&entry.environment);
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(described)) => {
            let error = error.with_state(&described);
            entry.learn(described, Moment::now().wall());
            error
        }
        Ok(Err(why)) => error.without_state(&why),
        Err(_elapsed) => error,
    }
}

/// Somebody waits for the token: what is not there by then is left out.
const PATIENCE: Duration = Duration::from_secs(3);
