//! Frames: the unit of writing, checking and losing.
//!
//! ```text
//! length u32 | kind u8, 3 zero bytes | offset u64 | durable end u64 | CRC of the payload u32 | CRC of the head u32
//! payload
//! ```
//!
//! Little-endian. Both checks begin with log id, segment number and the frame's position in the file, so a frame counts
//! only where it was written. The head has a check of its own: damage to the payload then does not cost the way to the
//! next frame, and a frame's start can be found by looking.

use crate::segment::Seed;

/// Size of a frame's head.
pub(crate) const HEAD_BYTES: usize = 32;

/// Longest payload. Far above what a request may decode to; what is longer is rejected, not written.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 128 << 20;

/// What a frame holds. A number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Series definitions; carries the offset of the frame before it.
    Series = 1,
    /// A batch of samples.
    Samples = 2,
    /// Refusals of an earlier batch.
    Refusals = 3,
    /// The last frame of a segment that was completed; no payload; carries the segment's last offset.
    Seal = 4,
    /// A deletion of what stands before it.
    Deletion = 5,
    /// A batch of samples of any kind: of histograms, or of floats of which is known since when they count.
    Mixed = 6,
    /// A batch of samples of any kind, with exemplars.
    Exemplars = 7,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        let all =
            [Self::Series, Self::Samples, Self::Refusals, Self::Seal, Self::Deletion, Self::Mixed, Self::Exemplars];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Whether frames of this kind have an offset of their own.
    pub(crate) fn is_counted(self) -> bool {
        matches!(self, Self::Samples | Self::Refusals | Self::Deletion | Self::Mixed | Self::Exemplars)
    }
}

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Length of the payload.
    pub(crate) length: u32,
    /// See [`Kind`]; kept as a byte, since a later version may know more of them.
    pub(crate) kind: u8,
    /// The frame's offset in the log (see [`Kind`] for those that have none).
    pub(crate) offset: u64,
    /// Length of the file up to which everything was durable when this frame was written.
    pub(crate) durable_end: u64,
    payload_check: u32,
}

impl Head {
    /// The head of a frame that will stand at `position` in the file.
    pub(crate) fn new(seed: Seed, position: u64, kind: Kind, offset: u64, durable_end: u64, payload: &[u8]) -> Self {
        let kind = kind as u8;
        let payload_check = payload_check(seed, position, kind, payload);
        Self { length: payload.len() as u32, kind, offset, durable_end, payload_check }
    }

    /// The head as bytes, with its check.
    pub(crate) fn encode(&self, seed: Seed, position: u64) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4] = self.kind;
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.durable_end.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_check.to_le_bytes());
        let check = head_check(seed, position, &bytes[..28]);
        bytes[28..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// The head that was written at `position`, or `None` if these bytes are not one.
    pub(crate) fn decode(seed: Seed, position: u64, bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let head = Self {
            length: u32_at(0),
            kind: bytes[4],
            offset: u64_at(8),
            durable_end: u64_at(16),
            payload_check: u32_at(24),
        };
        // What is cheap comes first: reading looks for heads byte by byte where one is damaged.
        let plausible = bytes[5..8] == [0; 3] && head.durable_end <= position;
        (plausible && u32_at(28) == head_check(seed, position, &bytes[..28])).then_some(head)
    }

    /// Whether `payload` is what was written behind this head.
    pub(crate) fn matches(&self, seed: Seed, position: u64, payload: &[u8]) -> bool {
        payload.len() == self.length as usize && self.payload_check == payload_check(seed, position, self.kind, payload)
    }
}

fn payload_check(seed: Seed, position: u64, kind: u8, payload: &[u8]) -> u32 {
    seed.over(&[&position.to_le_bytes(), &[kind], payload])
}

fn head_check(seed: Seed, position: u64, head: &[u8]) -> u32 {
    let mut bytes = [0; 36];
    bytes[..8].copy_from_slice(&position.to_le_bytes());
    bytes[8..].copy_from_slice(head);
    seed.over(&[&bytes])
}
