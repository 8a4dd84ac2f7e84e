//! Keys and ids in AWS's shapes, different each time.

use super::identity::{Credential, Role};

/// Long-term keys in AWS's shape for a caller with this role, different each time.
pub(super) fn credential(role: Role) -> Credential {
    let characters = |count: usize, alphabet: fn() -> char| -> String {
        std::iter::repeat_with(alphabet).take(count).collect()
    };
    let upper = || {
        if fastrand::bool() {
            fastrand::uppercase()
        } else {
            fastrand::digit(10)
        }
    };
    Credential {
        access_key_id: format!("AKIA{}", characters(16, upper).to_uppercase()),
        secret_access_key: characters(40, fastrand::alphanumeric),
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
    let mut text = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}
