//! The error of a request: the fault of whichever part refused or failed it.

use mwaa_model::Fault;

/// A boxed [`Fault`]. Every fault converts into it, so `?` alone is enough.
///
/// It is no `Fault` itself: that would forbid the conversion.
#[derive(Debug)]
pub struct ProxyError(Box<dyn Fault>);

impl ProxyError {
    /// The fault.
    pub fn fault(&self) -> &dyn Fault {
        self.0.as_ref()
    }
}

impl<F: Fault + 'static> From<F> for ProxyError {
    fn from(fault: F) -> Self {
        Self(Box::new(fault))
    }
}
