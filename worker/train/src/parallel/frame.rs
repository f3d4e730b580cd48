//! What goes over the wire: a length, a kind, and so many bytes.

use std::io::{Error, ErrorKind, Read, Result, Write};

/// The most bytes of a frame.
pub const LARGEST: usize = 1 << 28;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Numbers to add up.
    Sum = 1,
    /// A value of each.
    All = 2,
    /// A value of the first.
    Broadcast = 3,
    /// Why a process ends, in words.
    Failed = 4,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Sum, Self::All, Self::Broadcast, Self::Failed]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A kind and its bytes.
pub type Frame = (Kind, Vec<u8>);

pub fn write(to: &mut impl Write, kind: Kind, body: &[u8]) -> Result<()> {
    let length = u32::try_from(body.len()).ok();
    let length = length.filter(|_| body.len() <= LARGEST);
    let length = length.ok_or_else(|| too_large(body.len()))?;
    let [a, b, c, d] = length.to_le_bytes();
    to.write_all(&[a, b, c, d, kind as u8])?;
    to.write_all(body)?;
    to.flush()
}

pub fn read(from: &mut impl Read) -> Result<Frame> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [a, b, c, d, kind] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > LARGEST {
        return Err(too_large(length));
    }
    let unknown = || Error::new(ErrorKind::InvalidData, format!("frame of kind {kind}"));
    let kind = Kind::of(kind).ok_or_else(unknown)?;
    let mut body = Vec::new();
    // Grows as bytes come, whatever length was promised.
    from.take(length as u64).read_to_end(&mut body)?;
    match body.len() == length {
        true => Ok((kind, body)),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn too_large(length: usize) -> Error {
    let words = format!("a frame of {length} bytes; at most {LARGEST} are taken");
    Error::new(ErrorKind::InvalidData, words)
}
