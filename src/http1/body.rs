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
                State::Length(left) => take(rest, left),
                State::Data { left } => take(rest, left),
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
