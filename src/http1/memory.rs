//! Heads that were read lately, with their bytes: the same bytes are the same head, and need not be
//! read again.

/// The last heads that a caller wants to know again, and what it keeps of each.
#[derive(Debug)]
pub struct HeadMemory<T> {
    heads: Vec<KnownHead<T>>,
    /// The head that is replaced next.
    oldest: usize,
}

struct KnownHead<T> {
    bytes: Vec<u8>,
    head: T,
}

impl<T> std::fmt::Debug for KnownHead<T> {
    /// Shows no bytes: they are another program's words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownHead")
    }
}

impl<T> HeadMemory<T> {
    /// Returns a memory without heads.
    pub const fn new() -> Self {
        Self {
            heads: Vec::new(),
            oldest: 0,
        }
    }

    /// Returns the known head at the beginning of `input` for which `fits` returns true, and its size
    /// in bytes.
    pub fn find(&self, input: &[u8], fits: impl Fn(&T) -> bool) -> Option<(&T, usize)> {
        let mut heads = self.heads.iter();
        let known = heads.find(|known| input.starts_with(&known.bytes) && fits(&known.head))?;
        Some((&known.head, known.bytes.len()))
    }

    /// Keeps what `head` returns for a head that was read from these bytes, in place of the oldest one.
    /// A head of more than 1,024 bytes is not kept.
    pub fn keep(&mut self, bytes: &[u8], head: impl FnOnce() -> T) {
        if bytes.len() > MAX_SIZE {
            return;
        }
        if self.heads.len() < MAX_HEADS {
            self.heads.push(KnownHead {
                bytes: bytes.to_vec(),
                head: head(),
            });
            return;
        }

        if let Some(known) = self.heads.get_mut(self.oldest) {
            known.bytes.clear();
            known.bytes.extend_from_slice(bytes);
            known.head = head();
        }
        self.oldest = (self.oldest + 1) % MAX_HEADS;
    }
}

impl<T> Default for HeadMemory<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The longest head that is kept, in bytes.
const MAX_SIZE: usize = 1024;
/// The most heads that are kept.
const MAX_HEADS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_found_by_its_bytes() {
        let mut memory = HeadMemory::new();
        memory.keep(b"one", || 1);
        let any = |_: &i32| true;
        assert_eq!(memory.find(b"one and more", any), Some((&1, 3)));
        assert_eq!(memory.find(b"on", any), None);
        assert_eq!(memory.find(b"", any), None);
        assert_eq!(memory.find(b"one", |head| *head == 2), None);

        memory.keep(&[b'a'; MAX_SIZE + 1], || 2);
        assert_eq!(memory.find(&[b'a'; MAX_SIZE + 1], any), None, "too long");
        memory.keep(&[b'a'; MAX_SIZE], || 3);
        assert!(memory.find(&[b'a'; MAX_SIZE], any).is_some());
    }

    #[test]
    fn the_oldest_head_is_replaced() {
        let mut memory = HeadMemory::new();
        let numbers = || 0..=u8::try_from(MAX_HEADS).unwrap();
        for number in numbers() {
            memory.keep(&[number], || number);
        }
        let known = numbers().map(|number| memory.find(&[number], |_| true).is_some());
        assert!(known.eq(numbers().map(|number| number > 0)));
    }
}
