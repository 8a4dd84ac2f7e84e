//! The header section of a message: a flat list of fields in one buffer.

use super::name::{Name, NameSet};
use std::fmt;
use std::ops::Range;

/// The fields of a message, in their order. Names are compared without regard to case, and written
/// in lower case.
#[derive(Clone, Default)]
pub struct Headers {
    text: Vec<u8>,
    fields: Vec<Field>,
    /// The names that are there, of those that have a constant.
    present: NameSet,
}

/// One field. Its name is in the text only if it has no constant.
#[derive(Clone, Copy)]
struct Field {
    known: Option<Name>,
    name_length: u16,
    name: u32,
    value: u32,
    value_length: u32,
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

    /// Copies the first `size` bytes of a head, and keeps room for some more fields.
    pub(crate) fn copy(input: &[u8], size: usize, count: usize) -> Self {
        let input = input.get(..size).unwrap_or(input);
        let mut text = Vec::with_capacity(input.len() + MORE_TEXT);
        text.extend_from_slice(input);
        Self {
            text,
            fields: Vec::with_capacity(count + MORE_FIELDS),
            present: NameSet::default(),
        }
    }

    /// Adds a field that is at these places of the head that was copied.
    pub(crate) fn add(&mut self, known: Option<Name>, name: Range<usize>, value: Range<usize>) {
        match known {
            Some(known) => self.present.insert(known),
            None => {
                if let Some(name) = self.text.get_mut(name.clone()) {
                    name.make_ascii_lowercase();
                }
            }
        }
        // a name has at most MAX_NAME bytes, and a head some megabytes
        let small = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        self.fields.push(Field {
            known,
            name_length: u16::try_from(name.len()).unwrap_or(u16::MAX),
            name: small(name.start),
            value: small(value.start),
            value_length: small(value.len()),
        });
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
        let start = field.name as usize;
        let name = self.text.get(start..start + usize::from(field.name_length));
        name.unwrap_or_default()
    }

    fn value(&self, field: &Field) -> &[u8] {
        let start = field.value as usize;
        let value = self.text.get(start..start + field.value_length as usize);
        value.unwrap_or_default()
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
        let mut values = self.get_all(name);
        let first = values.next();
        first.filter(|_| values.next().is_none())
    }

    /// Adds a field. A value that no field can have, because it has a control character, is left out.
    pub fn append(&mut self, name: Name, value: impl AsRef<[u8]>) {
        self.push(Some(name), name.as_str(), value.as_ref());
    }

    /// Adds a field with a constant value, which is not checked.
    pub fn append_static(&mut self, name: Name, value: &'static str) {
        let start = self.text.len();
        self.text.extend_from_slice(value.as_bytes());
        self.add(Some(name), start..start, start..self.text.len());
    }

    /// Adds a field in place of those of the same name, like [`append`](Self::append).
    pub fn set(&mut self, name: Name, value: impl AsRef<[u8]>) {
        self.remove(name);
        self.append(name, value);
    }

    fn push(&mut self, known: Option<Name>, name: &str, value: &[u8]) {
        let value = value.trim_ascii();
        if !is_value(value) {
            return;
        }
        let start = self.text.len();
        if known.is_none() {
            self.text.extend_from_slice(name.as_bytes());
        }
        let end = self.text.len();
        self.text.extend_from_slice(value);
        self.add(known, start..end, end..self.text.len());
    }

    /// Removes the fields of this name.
    pub fn remove(&mut self, name: Name) {
        if self.contains(name) {
            self.present.remove(name);
            self.fields.retain(|field| field.known != Some(name));
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
                headers.push(Name::find(name.as_bytes()), name, value.as_ref());
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
