//! What heads of requests and responses have in common: their lines, their fields, and the fields
//! that decide the framing of the body.

use super::headers::Headers;
use super::name::{CONNECTION, CONTENT_LENGTH, Name, TRANSFER_ENCODING};

/// The result of reading the beginning of a message.
#[derive(Debug)]
pub enum Parsed<T> {
    /// A whole head, and its size in bytes.
    Complete(T, usize),
    /// More bytes are needed.
    Partial,
}

/// The framing of a body (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It has this many bytes; 0 is no body.
    Length(u64),
    /// It comes in chunks.
    Chunked,
    /// It ends with the connection; only in a response.
    UntilClose,
}

/// The facts in the fields about the framing of the message and about the connection.
#[derive(Default)]
pub(crate) struct FieldFacts {
    pub(crate) length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
}

/// A field that makes the framing of a message doubtful.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FieldError {
    /// A name that is too long.
    Name,
    /// A `Connection` whose options other programs would not find.
    Connection,
    /// A `Content-Length` that is not one number.
    Length,
    /// A second length or coding.
    Lengths,
    /// A transfer coding other than `chunked`.
    Coding,
}

impl FieldFacts {
    /// Reads one field. Fails if it makes the framing doubtful.
    pub(crate) fn read(&mut self, name: Option<Name>, value: &[u8]) -> Result<(), FieldError> {
        match name {
            Some(CONNECTION) => {
                if !value.is_ascii() {
                    return Err(FieldError::Connection);
                }
                self.close |= has_member(value, b"close");
                self.keep_alive |= has_member(value, b"keep-alive");
            }
            Some(CONTENT_LENGTH) => {
                if self.length.is_some() || self.chunked {
                    return Err(FieldError::Lengths);
                }
                self.length = Some(parse_length(value).ok_or(FieldError::Length)?);
            }
            Some(TRANSFER_ENCODING) => {
                if self.length.is_some() || self.chunked {
                    return Err(FieldError::Lengths);
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(FieldError::Coding);
                }
                self.chunked = true;
            }
            _ => {}
        }

        Ok(())
    }
}

/// Copies the fields that were parsed in the first `size` bytes of `input`, and reads what they say
/// about the message. `check` sees each name first, with its constant if it has one.
pub(crate) fn read_fields<E: From<FieldError>>(
    size: usize,
    parsed: &[httparse::Header<'_>],
    check: impl Fn(Option<Name>, &[u8]) -> Result<(), E>,
) -> Result<(Headers, FieldFacts), E> {
    let mut facts = FieldFacts::default();
    let mut headers = Headers::with_capacity(size, parsed.len());

    for field in parsed {
        let name = field.name.as_bytes();
        if name.len() > MAX_NAME {
            return Err(FieldError::Name.into());
        }
        let known = Name::find(name);
        check(known, name)?;
        facts.read(known, field.value)?;
        headers.push_line(known, name, field.value);
    }
    Ok((headers, facts))
}

/// Returns true if the head may have become complete since its first `seen` bytes were read: it ends
/// with LF.
pub(crate) fn has_new_line(input: &[u8], seen: usize) -> bool {
    let new = input.get(seen..).unwrap_or_default();
    seen == 0 || memchr::memchr(b'\n', new).is_some()
}

/// Returns the position of a part of `input` that was parsed in it.
pub(crate) fn offset(input: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(input.as_ptr() as usize)
}

/// Returns true if every line of a parsed head ends with CR LF: the parser also takes a bare LF.
/// `first_line` is the end of what was parsed of the first line, `size` the head's size.
pub(crate) fn has_strict_lines(
    input: &[u8],
    first_line: usize,
    fields: &[httparse::Header<'_>],
    size: usize,
) -> bool {
    let mut line_end = first_line;
    for field in fields {
        // a line begins right after the end of the one before
        let start = offset(input, field.name.as_bytes());
        if !is_line_end(input, line_end, start) {
            return false;
        }
        line_end = offset(input, field.value) + field.value.len();
    }

    let Some(last) = size.checked_sub(2) else {
        return false;
    };
    is_line_end(input, line_end, last) && input.get(last..size) == Some(b"\r\n")
}

/// Returns true if there is only white space and one CR LF from the end of a text to the start of
/// the next line.
fn is_line_end(input: &[u8], end: usize, next: usize) -> bool {
    let Some(space) = input
        .get(end..next)
        .and_then(|between| between.strip_suffix(b"\r\n"))
    else {
        return false;
    };
    space.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Returns true if a head that is not complete yet has a line that cannot be: LF without CR, or CR
/// without LF. So a client that ends its lines with LF gets its response at once. The first `seen`
/// bytes had none.
pub(crate) fn has_broken_line(input: &[u8], seen: usize) -> bool {
    // the last of them may be a CR
    let start = seen.saturating_sub(1).min(input.len());
    let new = input.get(start..).unwrap_or_default();
    memchr::memchr2_iter(b'\r', b'\n', new).any(|at| match new.get(at) {
        Some(b'\r') => !matches!(new.get(at + 1), Some(b'\n') | None),
        _ => {
            (start + at)
                .checked_sub(1)
                .and_then(|before| input.get(before))
                != Some(&b'\r')
        }
    })
}

/// Parses a `Content-Length`: digits only (RFC 9110 section 8.6), although Rust's own parser takes
/// a sign too.
pub(crate) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > MAX_LENGTH_DIGITS {
        return None;
    }
    value.iter().try_fold(0_u64, |length, byte| {
        byte.is_ascii_digit()
            .then(|| length * 10 + u64::from(byte - b'0'))
    })
}

/// Returns true if a list such as `Connection` has this member, in any case.
fn has_member(list: &[u8], member: &[u8]) -> bool {
    list.split(|byte| *byte == b',')
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(member))
}

/// The bytes between the name and the value of a field, and after its value, as they are written.
pub(crate) const SEPARATOR: &[u8] = b": ";
pub(crate) const LINE_END: &[u8] = b"\r\n";
/// The longest name of a field, in bytes. Its length has two bytes in [`Headers`].
pub(crate) const MAX_NAME: usize = 32 * 1024;
/// More digits could overflow 64 bits.
const MAX_LENGTH_DIGITS: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_digits_only() {
        assert_eq!(parse_length(b"0"), Some(0));
        assert_eq!(parse_length(b"007"), Some(7));
        assert_eq!(parse_length(&[b'9'; 18]), Some(999_999_999_999_999_999));
        for bad in [
            &b""[..],
            b"-1",
            b"+1",
            b"1,1",
            b"1 ",
            b" 1",
            b"0x1",
            b"1.0",
            &[b'9'; 19],
        ] {
            assert_eq!(parse_length(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_bare_cr_or_lf_is_found_before_the_head_is_complete() {
        for good in [
            &b""[..],
            b"GET",
            b"GET / HTTP/1.1\r",
            b"GET / HTTP/1.1\r\nA: b\r\n",
        ] {
            assert!(!has_broken_line(good, 0), "{good:?}");
        }
        for bad in [
            &b"\n"[..],
            b"GET / HTTP/1.1\n",
            b"GET\r/",
            b"a\r\r\n",
            b"a\r\nb\n",
        ] {
            for seen in 0..2 {
                assert!(has_broken_line(bad, seen), "{bad:?}");
            }
        }
        assert!(has_broken_line(b"a\rb", 2), "the CR came at the end");
        assert!(has_broken_line(b"a\n", 1));
    }

    #[test]
    fn a_list_has_its_members_in_any_case() {
        assert!(has_member(b"keep-alive, Close", b"close"));
        assert!(has_member(b"close", b"close"));
        assert!(!has_member(b"closed, x-close", b"close"));
    }
}
