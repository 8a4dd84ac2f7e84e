//! Values that must never be printed and whose memory is wiped.

use bytes::Bytes;
use http::HeaderValue;
use std::fmt;
use zeroize::Zeroize;

/// Holds a secret. It has no `Display`, no `Deref`, no `Serialize`; `Debug` shows `[secret]`;
/// the memory is wiped on drop. The one way to read it is easy to search for: [`Secret::reveal`].
///
/// Copies that libraries make are not wiped: the AWS SDK's response body, the header section of a
/// login response, the buffers of hyper and rustls.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps the value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value. Search for this word to find every place that reads a secret.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]> + Send + 'static> Secret<T> {
    /// Returns the same memory as bytes for the wire. Nothing is copied, and the memory is wiped
    /// when the last clone is dropped.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(Shared(self))
    }

    /// Returns the same memory as the value of a header field, marked sensitive; `None` if the
    /// secret holds bytes that are invalid in a field (RFC 9110 section 5.5).
    pub fn into_header(self) -> Option<HeaderValue> {
        // if this fails the bytes are dropped here, and wiped
        let mut value = HeaderValue::from_maybe_shared(self.into_bytes()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Secret<String> {
    /// Joins the parts. The memory is reserved at once: text that grows would leave unwiped copies
    /// behind.
    pub fn concat(parts: &[&str]) -> Self {
        Self::new(parts.concat())
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The owner of the memory behind [`Secret::into_bytes`].
struct Shared<T: Zeroize>(Secret<T>);

impl<T: Zeroize + AsRef<[u8]>> AsRef<[u8]> for Shared<T> {
    fn as_ref(&self) -> &[u8] {
        self.0.reveal().as_ref()
    }
}

/// Implements `Debug` with these fields only: for types that also hold data of a client or a web
/// server.
#[macro_export]
macro_rules! debug_fields {
    ($type:ident: $($field:ident),+) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($field), &self.$field))+
                    .finish_non_exhaustive()
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn debug_does_not_show_the_secret() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(secret.reveal(), "hunter2");
        let header = secret.into_header().unwrap();
        assert!(!format!("{header:?}").contains("hunter2"));
    }

    /// Records that it was wiped.
    struct Witness(&'static str, Arc<AtomicBool>);

    impl Zeroize for Witness {
        fn zeroize(&mut self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    impl AsRef<[u8]> for Witness {
        fn as_ref(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }

    #[test]
    fn a_header_value_shares_the_memory_and_wipes_it_on_drop() {
        let wiped = Arc::new(AtomicBool::new(false));
        let secret = Secret::new(Witness("Bearer hunter2", Arc::clone(&wiped)));
        let memory = secret.reveal().0.as_ptr();
        let header = secret.into_header().unwrap();
        assert_eq!(header.as_bytes().as_ptr(), memory, "it is a copy");
        let another = header.clone();
        assert_eq!(another.as_bytes().as_ptr(), memory, "it is a copy");
        drop(header);
        assert!(!wiped.load(Ordering::Relaxed), "one is still in use");
        drop(another);
        assert!(wiped.load(Ordering::Relaxed));
    }

    #[test]
    fn an_invalid_header_value_is_wiped_too() {
        let wiped = Arc::new(AtomicBool::new(false));
        let secret = Secret::new(Witness("two\r\nlines", Arc::clone(&wiped)));
        assert!(secret.into_header().is_none());
        assert!(wiped.load(Ordering::Relaxed));
    }
}
