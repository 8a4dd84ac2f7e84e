//! Reads heads in their usual form, as nearly all come: every line ends with CR LF, one space follows
//! each colon, and no white space is at the end of a value. That takes half the steps of the parser
//! for all forms, which reads any other head and finds what is wrong with it. Where both read a head,
//! they read the same (`tests.rs`).

use super::head::{FieldFacts, LINE_END, MAX_NAME, SEPARATOR};
use super::headers::{Headers, Lines};
use super::name::Name;

/// A header section in its usual form.
pub(crate) struct UsualFields {
    pub(crate) headers: Headers,
    pub(crate) facts: FieldFacts,
    /// The size of the whole head, in bytes.
    pub(crate) size: usize,
}

/// Returns the first line of a head, without its end; `None` if it has another form or has not come.
pub(crate) fn read_first_line(input: &[u8]) -> Option<&[u8]> {
    input.get(..find_line_end(input, 0)?)
}

/// Reads the fields behind a first line that ends at `line_end`. `None` if the head has another form or
/// has not come, if it has more than `max` fields, or if `check` refuses a name.
pub(crate) fn read_fields<E>(
    input: &[u8],
    line_end: usize,
    max: usize,
    check: impl Fn(Option<Name>, &[u8]) -> Result<(), E>,
) -> Option<UsualFields> {
    let mut facts = FieldFacts::default();
    let mut lines = Lines::new();
    let mut start = line_end + LINE_END.len();

    let size = loop {
        let end = find_line_end(input, start)?;
        let next = end + LINE_END.len();
        if end == start {
            break next;
        }

        let line = input.get(start..end)?;
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, rest) = line.split_at_checked(colon)?;
        let value = rest.strip_prefix(SEPARATOR)?;
        let known = Name::find(name);
        if !is_trimmed(value) || known.is_none() && !is_name(name) {
            return None;
        }
        check(known, name).ok()?;
        facts.read(known, value).ok()?;
        lines.add(known, name.len(), start..next);
        start = next;
    };

    let head = input.get(..size)?;
    if lines.len() > max || !is_text(head) {
        return None;
    }
    Some(UsualFields {
        headers: Headers::from_lines(head, lines),
        facts,
        size,
    })
}

/// Returns the end of the line that begins at `start`: CR LF, and neither of them before it.
fn find_line_end(input: &[u8], start: usize) -> Option<usize> {
    let end = start + memchr::memchr2(b'\r', b'\n', input.get(start..)?)?;
    let has_both = input.get(end..end + LINE_END.len()) == Some(LINE_END);
    has_both.then_some(end)
}

/// Returns true for a value that is not empty, and has no white space around it.
fn is_trimmed(value: &[u8]) -> bool {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    match value {
        [] => false,
        [first, ..] if is_space(first) => false,
        [.., last] => !is_space(last),
    }
}

/// Returns true for a name (RFC 9110 section 5.6.2) of an allowed length.
fn is_name(name: &[u8]) -> bool {
    let is_token = |byte: &u8| TOKEN_BYTES.get(usize::from(*byte)) == Some(&true);
    !name.is_empty() && name.len() <= MAX_NAME && name.iter().all(is_token)
}

/// Returns true if the only control characters are tabs and line ends.
fn is_text(head: &[u8]) -> bool {
    // without an early end, so that it looks at many bytes at once
    let is_control =
        |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n') || byte == 0x7f;
    !head
        .iter()
        .fold(false, |control, byte| control | is_control(*byte))
}

/// True for the characters of a token.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler evaluates it, and would fail"
)]
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = b"!#$%&'*+-.^_`|~\
        0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while let [byte, others @ ..] = rest {
        table[*byte as usize] = true;
        rest = others;
    }
    table
};
