//! Takes a body out of the bytes of a connection.

use super::head::Framing;

/// Reads a body of one framing, however its bytes are cut. It holds no bytes: the caller passes them
/// in, and passes those that were not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyDecoder(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// This many bytes are still to come.
    Length(u64),
    /// The end of the connection is the end of the body.
    UntilClose,
    /// Within the line of a chunk's size: its digits so far, and its value.
    Size {
        digits: u8,
        value: u64,
    },
    /// After the digits of a size: the LF of the line is next.
    SizeEnd {
        value: u64,
    },
    /// Within the data of a chunk.
    Data {
        left: u64,
    },
    /// After the data of a chunk: CR, then LF.
    DataCr,
    DataLf,
    /// At the beginning of a trailer line, or of the empty line at the end; and the bytes of the
    /// trailer section so far.
    TrailerStart {
        size: u16,
    },
    /// Within the name of a trailer field.
    TrailerName {
        size: u16,
    },
    /// Within its value.
    TrailerValue {
        size: u16,
    },
    /// After the CR of a trailer line.
    TrailerLf {
        size: u16,
    },
    /// After the CR of the last line.
    LastLf,
    Complete,
    /// After a byte that was refused.
    Broken(BodyError),
}

/// The result of one step of a [`BodyDecoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// The framing that was read before the data, in bytes: it is to be skipped.
    pub skip: usize,
    /// The data that follows it, in bytes.
    pub data: usize,
}

/// A body that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A chunk does not have the form of RFC 9112 section 7.1, its size is longer than 15 digits, or
    /// it has an extension.
    #[error("a chunk of the body is malformed")]
    Chunk,
    /// The trailer section is malformed or too large.
    #[error("the trailer section of the body is malformed or too large")]
    Trailers,
    /// The connection ended within the body.
    #[error("the body ended before its length")]
    Incomplete,
}

impl BodyDecoder {
    /// Creates a decoder at the beginning of a body.
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(0) => State::Complete,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => FIRST_SIZE,
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Returns true if all of the body was read.
    pub fn is_complete(&self) -> bool {
        self.0 == State::Complete
    }

    /// Returns the rest of the body in bytes, if that is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.0 {
            State::Length(left) => Some(left),
            State::Complete => Some(0),
            _ => None,
        }
    }

    /// Returns the next data in `input`, which may be none of it: then all of `input` was read, or
    /// the body is complete. Trailers are skipped.
    ///
    /// Fails if the body cannot continue with `input`, and then always.
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, BodyError> {
        let mut skip = 0;
        loop {
            let rest = input.get(skip..).unwrap_or_default();
            let data = match self.0 {
                State::Complete => 0,
                State::Broken(error) => return Err(error),
                State::UntilClose => rest.len(),
                State::Length(left) | State::Data { left } => take(rest, left),
                _ => {
                    let Some(byte) = rest.first() else {
                        return Ok(Decoded { skip, data: 0 });
                    };
                    self.0 = next(self.0, *byte).unwrap_or_else(State::Broken);
                    skip += 1;
                    continue;
                }
            };

            self.advance(data);
            return Ok(Decoded { skip, data });
        }
    }

    /// Ends the body with the connection. Fails if more was to come.
    pub fn end(&mut self) -> Result<(), BodyError> {
        match self.0 {
            State::Complete | State::UntilClose => {
                self.0 = State::Complete;
                Ok(())
            }
            State::Broken(error) => Err(error),
            _ => Err(BodyError::Incomplete),
        }
    }

    /// Counts data that was taken.
    fn advance(&mut self, data: usize) {
        let data = data as u64;
        self.0 = match self.0 {
            State::Length(left) if left <= data => State::Complete,
            State::Length(left) => State::Length(left - data),
            State::Data { left } if left <= data => State::DataCr,
            State::Data { left } => State::Data { left: left - data },
            state => state,
        };
    }
}

/// Returns the bytes of `rest` that belong to the next `left` bytes.
fn take(rest: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(rest.len(), |left| rest.len().min(left))
}

/// Returns the state after one more byte of the framing.
fn next(state: State, byte: u8) -> Result<State, BodyError> {
    Ok(match (state, byte) {
        (State::Size { digits: 1.., value }, b'\r') => State::SizeEnd { value },
        (State::Size { digits, value }, byte) if digits < MAX_SIZE_DIGITS => {
            let digit = (byte as char).to_digit(16).ok_or(BodyError::Chunk)?;
            State::Size {
                digits: digits + 1,
                value: value * 16 + u64::from(digit),
            }
        }
        (State::SizeEnd { value: 0 }, b'\n') => State::TrailerStart { size: 0 },
        (State::SizeEnd { value }, b'\n') => State::Data { left: value },
        (State::DataCr, b'\r') => State::DataLf,
        (State::DataLf, b'\n') => FIRST_SIZE,

        (State::TrailerStart { .. }, b'\r') => State::LastLf,
        (State::LastLf, b'\n') => State::Complete,
        (State::TrailerStart { size } | State::TrailerName { size }, byte)
            if is_token(byte) =>
        {
            State::TrailerName { size: grow(size)? }
        }
        (State::TrailerName { size }, b':') => State::TrailerValue { size: grow(size)? },
        (State::TrailerValue { size }, b'\r') => State::TrailerLf { size },
        (State::TrailerValue { size }, byte)
            if byte == b'\t' || byte >= b' ' && byte != 0x7f =>
        {
            State::TrailerValue { size: grow(size)? }
        }
        (State::TrailerLf { size }, b'\n') => State::TrailerStart { size: grow(size)? },

        (State::Size { .. } | State::SizeEnd { .. } | State::DataCr | State::DataLf, _) => {
            return Err(BodyError::Chunk);
        }
        _ => return Err(BodyError::Trailers),
    })
}

/// Counts one more byte of the trailer section.
fn grow(size: u16) -> Result<u16, BodyError> {
    let size = size + 1;
    if size > MAX_TRAILERS {
        return Err(BodyError::Trailers);
    }
    Ok(size)
}

/// Returns true for a character of a field name (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

const FIRST_SIZE: State = State::Size {
    digits: 0,
    value: 0,
};
/// The most digits of a chunk's size, zeros included: more could overflow 64 bits in another
/// program.
const MAX_SIZE_DIGITS: u8 = 15;
/// The largest trailer section, in bytes.
const MAX_TRAILERS: u16 = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the data of a body, and the number of bytes after it.
    fn read(framing: Framing, input: &[u8]) -> Result<(Vec<u8>, usize), BodyError> {
        let mut decoder = BodyDecoder::new(framing);
        let mut data = Vec::new();
        let mut rest = input;
        loop {
            let decoded = decoder.decode(rest)?;
            let (part, after) = rest[decoded.skip..].split_at(decoded.data);
            data.extend_from_slice(part);
            rest = after;
            if decoder.is_complete() {
                return Ok((data, rest.len()));
            }
            if decoded.data == 0 {
                decoder.end()?;
            }
        }
    }

    fn read_chunks(input: &[u8]) -> Result<(Vec<u8>, usize), BodyError> {
        read(Framing::Chunked, input)
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let read = |framing| read(framing, b"hello").unwrap();
        assert_eq!(read(Framing::Length(0)), (b"".to_vec(), 5));
        assert_eq!(read(Framing::Length(3)), (b"hel".to_vec(), 2));
        assert_eq!(read(Framing::Length(5)), (b"hello".to_vec(), 0));
        assert_eq!(read(Framing::UntilClose), (b"hello".to_vec(), 0));
    }

    #[test]
    fn chunks_are_put_together() {
        for (input, data) in [
            (&b"0\r\n\r\n"[..], &b""[..]),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (
                b"1\r\na\r\n0A\r\n0123456789\r\n000000000000000\r\n\r\n",
                b"a0123456789",
            ),
            (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
            (
                b"1\r\na\r\n0\r\nSum: 5\r\nX-Y:\r\nZ: caf\xe9\t\r\n\r\n",
                b"a",
            ),
        ] {
            let input = [input, b"GET"].concat();
            let result = read_chunks(&input);
            assert_eq!(result, Ok((data.to_vec(), 3)), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for input in [
            &b"\r\n"[..],
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\r\nhello\r\n0\r\n\r\n",
            b"5;a=b\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"-0\r\n\r\n",
            b"g\r\n",
            b"0;a\r\n\r\n",
            b"0\n\r\n",
            b"0000000000000005\r\nhello\r\n0\r\n\r\n",
            b"0000000000000000\r\n\r\n",
            b"ffffffffffffffff\r\nhello",
            b"10000000000000005\r\nhello",
        ] {
            assert_eq!(
                read_chunks(input),
                Err(BodyError::Chunk),
                "{}",
                input.escape_ascii()
            );
        }
    }

    #[test]
    fn malformed_trailers_are_refused() {
        for trailers in [
            &b"no colon\r\n\r\n"[..],
            b": a\r\n\r\n",
            b" A: b\r\n\r\n",
            b"A : b\r\n\r\n",
            b"A: b\r\n c\r\n\r\n",
            b"A: b\n\r\n",
            b"A: b\rC: d\r\n\r\n",
            b"A: \0\r\n\r\n",
            b"\n",
            b"\rX",
        ] {
            let result = read_chunks(&[b"0\r\n", trailers].concat());
            assert_eq!(
                result,
                Err(BodyError::Trailers),
                "{}",
                trailers.escape_ascii()
            );
        }
    }

    #[test]
    fn the_trailer_section_has_a_limit() {
        // name, colon, value and LF count
        let trailers = |size: u16| {
            let value = "a".repeat(usize::from(size) - 3);
            read_chunks(format!("0\r\nA:{value}\r\n\r\n").as_bytes())
        };
        assert_eq!(trailers(MAX_TRAILERS), Ok((Vec::new(), 0)));
        assert_eq!(trailers(MAX_TRAILERS + 1), Err(BodyError::Trailers));
    }

    #[test]
    fn a_body_that_is_cut_is_never_complete() {
        let chunked = b"5\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for end in 0..chunked.len() {
            let result = read_chunks(&chunked[..end]);
            assert_eq!(result, Err(BodyError::Incomplete), "{end}");
        }
        for length in [6, u64::MAX] {
            let result = read(Framing::Length(length), b"hello");
            assert_eq!(result, Err(BodyError::Incomplete), "{length}");
        }
    }

    #[test]
    fn a_body_that_was_refused_stays_refused() {
        let mut decoder = BodyDecoder::new(Framing::Chunked);
        for more in [&b"0\r\n\0"[..], b"\r\n", b"0\r\n\r\n"] {
            assert_eq!(decoder.decode(more), Err(BodyError::Trailers));
        }
        assert!(!decoder.is_complete());
        assert_eq!(decoder.end(), Err(BodyError::Trailers));
    }

    #[test]
    fn what_is_left_is_known_for_a_length() {
        let mut decoder = BodyDecoder::new(Framing::Length(5));
        assert_eq!(decoder.remaining(), Some(5));
        assert_eq!(decoder.decode(b"hel"), Ok(Decoded { skip: 0, data: 3 }));
        assert_eq!(decoder.remaining(), Some(2));
        assert_eq!(decoder.decode(b"lo"), Ok(Decoded { skip: 0, data: 2 }));
        assert_eq!(decoder.remaining(), Some(0));
        assert_eq!(BodyDecoder::new(Framing::Chunked).remaining(), None);
        assert_eq!(BodyDecoder::new(Framing::UntilClose).remaining(), None);
    }
}
