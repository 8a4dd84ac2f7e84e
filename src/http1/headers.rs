//! The header section of a message: a flat list of fields in one buffer, each as the line in which it
//! is sent, so that fields in a row are copied at once.

use super::head::{LINE_END, SEPARATOR, parse_length};
use super::name::{CONTENT_LENGTH, Name, NameSet};
use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

/// The fields of a message, in their order. Names are compared without regard to case, and written
/// in lower case.
#[derive(Default)]
pub struct Headers {
    text: Vec<u8>,
    fields: Vec<Field>,
    /// The names that are there, of those that have a constant.
    present: NameSet,
}

/// One field: a line of the text, `name: value` and CR LF, with the name in lower case.
#[derive(Clone, Copy)]
struct Field {
    known: Option<Name>,
    name_length: u16,
    start: u32,
    end: u32,
}

impl Field {
    fn new(known: Option<Name>, name_length: usize, line: Range<usize>) -> Self {
        // a name has at most MAX_NAME bytes, and a head some megabytes
        let small = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        Self {
            known,
            name_length: u16::try_from(name_length).unwrap_or(u16::MAX),
            start: small(line.start),
            end: small(line.end),
        }
    }
}

/// The fields that were found in a head which is not copied yet, and the buffer for the copy.
pub(crate) struct Lines {
    fields: Vec<Field>,
    text: Vec<u8>,
}

impl Lines {
    pub(crate) fn new() -> Self {
        let Buffers { text, mut fields } = Buffers::take();
        fields.reserve(USUAL_FIELDS + MORE_FIELDS);
        Self { fields, text }
    }

    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Adds a field that is this line of the head, whose name is in any case.
    pub(crate) fn add(&mut self, known: Option<Name>, name_length: usize, line: Range<usize>) {
        self.fields.push(Field::new(known, name_length, line));
    }
}

/// The buffers of a list that is gone. Most heads are short and end soon, so that the next one needs no
/// memory of its own.
#[derive(Default)]
struct Buffers {
    text: Vec<u8>,
    fields: Vec<Field>,
}

impl Buffers {
    /// Returns those of a list that is gone, or new ones.
    fn take() -> Self {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }
}

thread_local! {
    static SPARE: RefCell<Vec<Buffers>> = const { RefCell::new(Vec::new()) };
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        let Buffers {
            mut text,
            mut fields,
        } = Buffers::take();
        text.reserve(self.text.len() + MORE_TEXT);
        text.extend_from_slice(&self.text);
        fields.reserve(self.fields.len() + MORE_FIELDS);
        fields.extend_from_slice(&self.fields);
        Self {
            text,
            fields,
            present: self.present,
        }
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        let size = self.text.capacity();
        if size == 0 || size > MAX_SPARE_SIZE || self.fields.capacity() > MAX_SPARE_FIELDS {
            return;
        }
        self.text.clear();
        self.fields.clear();
        let buffers = Buffers {
            text: std::mem::take(&mut self.text),
            fields: std::mem::take(&mut self.fields),
        };
        // the thread may be at its end
        let _ended = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MAX_SPARE {
                spare.push(buffers);
            }
        });
    }
}

/// One field of [`Headers`].
#[derive(Clone, Copy)]
pub struct Header<'a> {
    /// The constant of its name, if there is one.
    pub known: Option<Name>,
    /// Its name, in lower case.
    pub name: &'a [u8],
    /// Its value, without the white space around it. It may be secret.
    pub value: &'a [u8],
}

impl fmt::Debug for Headers {
    /// Writes the names of constants only: values may be secret, and names are the sender's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.fields.iter().filter_map(|field| field.known))
            .finish()
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({:?})", self.known)
    }
}

impl Headers {
    /// Returns a list without fields.
    pub const fn new() -> Self {
        Self {
            text: Vec::new(),
            fields: Vec::new(),
            present: NameSet::new(&[]),
        }
    }

    /// Copies a head of which these lines are its fields.
    pub(crate) fn from_lines(head: &[u8], lines: Lines) -> Self {
        let Lines { fields, mut text } = lines;
        text.reserve(head.len() + MORE_TEXT);
        text.extend_from_slice(head);

        let mut present = NameSet::default();
        for field in &fields {
            let start = field.start as usize;
            let name = text.get_mut(start..start + usize::from(field.name_length));
            let name = name.unwrap_or_default();
            match field.known {
                // they differ in their case at most
                Some(known) => {
                    present.insert(known);
                    name.copy_from_slice(known.as_str().as_bytes());
                }
                None => name.make_ascii_lowercase(),
            }
        }
        Self {
            text,
            fields,
            present,
        }
    }

    /// Creates a list for the fields of a head of this size.
    pub(crate) fn with_capacity(size: usize, count: usize) -> Self {
        Self {
            text: Vec::with_capacity(size + MORE_TEXT),
            fields: Vec::with_capacity(count + MORE_FIELDS),
            present: NameSet::default(),
        }
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Returns true if there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The names that are there, of those that have a constant.
    pub fn present(&self) -> NameSet {
        self.present
    }

    /// Returns the fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'_>> + Clone {
        self.fields.iter().map(|field| self.header(field))
    }

    fn header(&self, field: &Field) -> Header<'_> {
        Header {
            known: field.known,
            name: self.name(field),
            value: self.value(field),
        }
    }

    fn name(&self, field: &Field) -> &[u8] {
        if let Some(known) = field.known {
            return known.as_str().as_bytes();
        }
        let start = field.start as usize;
        let name = self.text.get(start..start + usize::from(field.name_length));
        name.unwrap_or_default()
    }

    fn value(&self, field: &Field) -> &[u8] {
        let name_end = field.start as usize + usize::from(field.name_length);
        let end = (field.end as usize).saturating_sub(LINE_END.len());
        let value = self.text.get(name_end + SEPARATOR.len()..end);
        value.unwrap_or_default()
    }

    /// Writes the fields for whose names `keep` returns true, in their order: each as
    /// [`encode::field`](super::encode::field) writes it.
    pub fn encode(&self, out: &mut Vec<u8>, keep: impl Fn(Option<Name>) -> bool) {
        let mut run = 0..0;
        let write = |out: &mut Vec<u8>, run: Range<u32>| {
            let lines = self.text.get(run.start as usize..run.end as usize);
            out.extend_from_slice(lines.unwrap_or_default());
        };
        for field in self.fields.iter().filter(|field| keep(field.known)) {
            if field.start != run.end {
                write(out, run);
                run = field.start..field.start;
            }
            run.end = field.end;
        }
        write(out, run);
    }

    /// Returns true if there is a field of this name.
    pub fn contains(&self, name: Name) -> bool {
        self.present.contains(name)
    }

    /// Returns the value of the first field of this name.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        // nearly every question is for a field that is not there
        if !self.contains(name) {
            return None;
        }
        let mut fields = self.fields.iter();
        let field = fields.find(|field| field.known == Some(name))?;
        Some(self.value(field))
    }

    /// Returns the value of the first field of this name, if it is visible ASCII.
    pub fn get_str(&self, name: Name) -> Option<&str> {
        self.get(name).and_then(to_str)
    }

    /// Returns the values of all fields of this name, in their order.
    pub fn get_all(&self, name: Name) -> impl Iterator<Item = &[u8]> + Clone {
        let fields = if self.contains(name) {
            self.fields.as_slice()
        } else {
            &[]
        };
        fields
            .iter()
            .filter(move |field| field.known == Some(name))
            .map(|field| self.value(field))
    }

    /// Returns the value of the only field of this name; `None` if there is none, or another one.
    pub fn get_only(&self, name: Name) -> Option<&[u8]> {
        if !self.contains(name) {
            return None;
        }
        let mut fields = self.fields.iter().filter(|field| field.known == Some(name));
        let only = fields.next()?;
        fields.next().is_none().then(|| self.value(only))
    }

    /// Returns true if every field has one of these names.
    pub fn has_only(&self, names: NameSet) -> bool {
        let others = self.present.without(names);
        others == NameSet::default() && self.other_names().next().is_none()
    }

    /// Returns the names without a constant.
    pub fn other_names(&self) -> impl Iterator<Item = &[u8]> {
        let others = self.fields.iter().filter(|field| field.known.is_none());
        others.map(|field| self.name(field))
    }

    /// Returns the length of the body, if there is one `Content-Length` and it is a number.
    pub fn content_length(&self) -> Option<u64> {
        self.get_only(CONTENT_LENGTH).and_then(parse_length)
    }

    /// Adds a field. A value that no field can have, because it has a control character, is left out.
    pub fn append(&mut self, name: Name, value: impl AsRef<[u8]>) {
        self.push(Some(name), name.as_str().as_bytes(), value.as_ref());
    }

    /// Adds a field in place of those of the same name, like [`append`](Self::append).
    pub fn set(&mut self, name: Name, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.append(name, value);
    }

    fn push(&mut self, known: Option<Name>, name: &[u8], value: &[u8]) {
        let value = value.trim_ascii();
        if is_value(value) {
            self.push_line(known, name, value);
        }
    }

    /// Adds a field that can be sent as it is.
    pub(crate) fn push_line(&mut self, known: Option<Name>, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        super::encode::field(&mut self.text, name, value);
        let end = self.text.len();

        if let Some(known) = known {
            self.present.insert(known);
        }
        let written = self.text.get_mut(start..start + name.len());
        written.unwrap_or_default().make_ascii_lowercase();
        self.fields.push(Field::new(known, name.len(), start..end));
    }

    /// Adds the fields of constant names of which there is none of the same name.
    pub fn append_missing(&mut self, others: &Self) {
        // usually all are missing, and their lines are copied at once
        if self.present.intersects(others.present) {
            for header in others.iter() {
                if let Some(known) = header.known
                    && !self.contains(known)
                {
                    self.push_line(Some(known), header.name, header.value);
                }
            }
            return;
        }

        let offset = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.extend_from_slice(&others.text);
        self.fields.extend(others.fields.iter().map(|field| Field {
            start: field.start.saturating_add(offset),
            end: field.end.saturating_add(offset),
            ..*field
        }));
        self.present = self.present.union(others.present);
    }

    /// Removes the fields of this name.
    pub fn remove(&mut self, name: Name) {
        if self.contains(name) {
            self.present.remove(name);
            self.fields.retain(|field| field.known != Some(name));
        }
    }

    /// Removes the fields of these names.
    pub fn remove_all(&mut self, names: NameSet) {
        if self.present.intersects(names) {
            self.present = self.present.without(names);
            let is_of = |known: Option<Name>| known.is_some_and(|known| names.contains(known));
            self.fields.retain(|field| !is_of(field.known));
        }
    }

    /// Removes the fields for which `keep` returns false.
    pub fn retain(&mut self, keep: impl Fn(Header<'_>) -> bool) {
        let mut fields = std::mem::take(&mut self.fields);
        let mut present = NameSet::default();
        fields.retain(|field| {
            let stays = keep(self.header(field));
            if let Some(known) = field.known.filter(|_| stays) {
                present.insert(known);
            }
            stays
        });
        self.fields = fields;
        self.present = present;
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    /// Collects names, in any case, and values. A field that no message can have is left out.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in fields {
            let name = name.as_ref();
            if name.bytes().all(is_token_byte) {
                headers.push(Name::find(name.as_bytes()), name.as_bytes(), value.as_ref());
            }
        }
        headers
    }
}

/// Returns a value as text, if it is visible ASCII.
pub fn to_str(value: &[u8]) -> Option<&str> {
    str::from_utf8(value).ok().filter(|_| is_visible(value))
}

/// Returns true for a value of visible ASCII, spaces and tabs.
pub fn is_visible(value: &[u8]) -> bool {
    // without an early end, so that it looks at many bytes at once
    let is_other = |byte: u8| !matches!(byte, b' '..=b'~' | b'\t');
    !value
        .iter()
        .fold(false, |other, byte| other | is_other(*byte))
}

/// Returns true if a message can have this value (RFC 9110 section 5.5).
fn is_value(value: &[u8]) -> bool {
    let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    !value
        .iter()
        .fold(false, |control, byte| control | is_control(*byte))
}

/// Returns true for a byte of a name (RFC 9110 section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The most buffers that a thread keeps, and the largest ones, in bytes and in fields.
const MAX_SPARE: usize = 8;
const MAX_SPARE_SIZE: usize = 2048;
const MAX_SPARE_FIELDS: usize = 64;
/// Most heads have no more fields.
const USUAL_FIELDS: usize = 16;
/// The room for fields that are added to those of a message.
const MORE_FIELDS: usize = 8;
const MORE_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::name::{ACCEPT, COOKIE, HOST, LOCATION};
    use super::*;

    #[test]
    fn fields_are_found_replaced_and_removed() {
        let mut headers = Headers::new();
        headers.append(COOKIE, "one");
        headers.append(HOST, " a ");
        headers.append(COOKIE, b"caf\xe9");
        assert_eq!(headers.len(), 3);
        assert_eq!(headers.get(HOST), Some(&b"a"[..]));
        assert_eq!(headers.get(ACCEPT), None);
        assert!(headers.get_all(COOKIE).eq([&b"one"[..], b"caf\xe9"]));
        assert_eq!(
            (headers.get_only(COOKIE), headers.get_only(HOST)),
            (None, Some(&b"a"[..]))
        );
        assert_eq!(headers.get_str(COOKIE), Some("one"));

        headers.set(COOKIE, b"\xe9");
        assert_eq!(headers.get_str(COOKIE), None, "it is not ASCII");
        assert_eq!(headers.len(), 2);
        headers.remove(COOKIE);
        assert!(!headers.contains(COOKIE) && headers.contains(HOST));
        headers.retain(|header| header.known != Some(HOST));
        assert!(headers.is_empty() && !headers.contains(HOST));
    }

    #[test]
    fn a_value_never_ends_its_line() {
        let mut headers = Headers::new();
        for bad in ["/\r\nSet-Cookie: a", "a\nb", "a\0", "\x7f"] {
            headers.append(LOCATION, bad);
        }
        assert!(headers.is_empty() && !headers.contains(LOCATION));
    }

    #[test]
    fn fields_are_collected() {
        let headers = Headers::from_iter([("X-Other", "1"), ("Host", "a"), ("x y", "2")]);
        let all: Vec<_> = headers
            .iter()
            .map(|header| (header.name, header.value))
            .collect();
        assert_eq!(all, [(&b"x-other"[..], &b"1"[..]), (b"host", b"a")]);
        assert_eq!(format!("{headers:?}"), "[host]");
    }
}
