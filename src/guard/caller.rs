//! The optional secret that clients must send.

use super::GuardError;
use crate::names::Secret;
use http::HeaderMap;
use subtle::ConstantTimeEq;

/// The secret of `listener.secret_file`.
#[derive(Debug)]
pub struct CallerSecret(Secret<String>);

impl CallerSecret {
    /// Takes the file's content; white space around it is not part of the secret.
    pub fn new(content: &str) -> Option<Self> {
        let secret = content.trim();
        (!secret.is_empty()).then(|| Self(Secret::concat(&[secret])))
    }

    /// Compares in constant time. Two copies of the header are ambiguous and refused.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), GuardError> {
        let mut values = headers.get_all(HEADER).iter();
        let sent = values.next().ok_or(GuardError::Secret)?;
        if values.next().is_some() {
            return Err(GuardError::Malformed(
                "the Mwaa-Gateway-Secret header is sent twice",
            ));
        }
        let equal = sent.as_bytes().ct_eq(self.0.reveal().as_bytes());
        if bool::from(equal) {
            Ok(())
        } else {
            Err(GuardError::Secret)
        }
    }
}

/// The header that carries the secret. Never forwarded.
const HEADER: &str = "mwaa-gateway-secret";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_right_copy_passes() {
        let secret = CallerSecret::new(" s3cret\n").unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(secret.check(&headers), Err(GuardError::Secret));
        headers.append(HEADER, "wrong".parse().unwrap());
        assert_eq!(secret.check(&headers), Err(GuardError::Secret));
        headers.insert(HEADER, "s3cret".parse().unwrap());
        assert_eq!(secret.check(&headers), Ok(()));
        headers.append(HEADER, "s3cret".parse().unwrap());
        assert!(matches!(
            secret.check(&headers),
            Err(GuardError::Malformed(_))
        ));
        assert!(CallerSecret::new(" \n").is_none());
    }
}
