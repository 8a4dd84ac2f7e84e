//! Keys and ids in AWS's shapes, different each time.

use super::identity::{Credential, Role};

/// Long-term keys in AWS's shape for a caller with this role, different each time.
pub(super) fn credential(role: Role) -> Credential {
    Credential {
        access_key_id: format!("AKIA{}", letters(16).to_uppercase()),
        secret_access_key: letters(40),
        session_token: None,
        iam_identity: format!("assumed-role/{role}/emulator"),
        role: Some(role),
    }
}

/// The value of a Flask session cookie: an id and its signature.
pub(super) fn flask_id() -> String {
    format!("{}.{}", uuid(), letters(27))
}

/// So many random letters and digits.
pub(super) fn letters(count: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(count)
        .collect()
}

/// A random UUID (RFC 9562, version 4).
pub(super) fn uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let hex = format!("{bits:032x}");
    let (start, end) = hex.split_at(16);
    let ((low, rest), (clock, node)) = (start.split_at(8), end.split_at(4));
    let (mid, high) = rest.split_at(4);
    format!("{low}-{mid}-{high}-{clock}-{node}")
}
