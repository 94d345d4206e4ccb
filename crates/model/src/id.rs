//! Ids, and the one place where they are minted.

use std::sync::Mutex;

pub use ulid::Ulid as BlockId;
pub use uuid::Uuid as LogId;

/// What the ids of our blocks have in the uppermost bits of their random part: `10NGHA` in a ULID's text, right after the
/// time. The garbage collector touches no other directory than those whose names carry it.
const BLOCK_TAG: u128 = {
    const TEXT: [u128; 6] = [1, 0, 21, 16, 17, 10]; // the digits 1, 0, N, G, H, A of Crockford's base 32
    let (mut tag, mut at) = (0, 0);
    while at < TEXT.len() {
        tag = tag << 5 | TEXT[at];
        at += 1;
    }
    tag
};
/// Bits of a ULID below the tag: what is random in an id of ours.
const RANDOM_BITS: u32 = 80 - 6 * 5;

/// Whether an id was minted by [`IdSource::block_id`]. One in a thousand million ids of others passes by chance.
pub fn is_tagged(id: BlockId) -> bool {
    id.random() >> RANDOM_BITS == BLOCK_TAG
}

/// Mints ids from a time and a stream of random bits that the caller chose: the operating system's in a server, a
/// seeded generator in a test.
pub struct IdSource {
    random: Mutex<Box<dyn FnMut() -> u128 + Send>>,
}

impl IdSource {
    /// A source that draws its randomness from `random`, 128 fresh bits a call.
    pub fn new(random: impl FnMut() -> u128 + Send + 'static) -> Self {
        Self { random: Mutex::new(Box::new(random)) }
    }

    /// 128 random bits.
    pub fn random(&self) -> u128 {
        let mut random = self.random.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        random()
    }

    /// A block id that carries `now_ms` (clamped to what a ULID can hold: 48 bits), our tag, and 50 random bits.
    pub fn block_id(&self, now_ms: i64) -> BlockId {
        let random = self.random() & ((1 << RANDOM_BITS) - 1);
        BlockId::from_parts(now_ms.clamp(0, (1 << 48) - 1) as u64, BLOCK_TAG << RANDOM_BITS | random)
    }

    /// A log id (UUID version 4).
    pub fn log_id(&self) -> LogId {
        uuid::Builder::from_random_bytes(self.random().to_be_bytes()).into_uuid()
    }
}

impl std::fmt::Debug for IdSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdSource")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_block_ids_are_told_from_others() {
        for random in [0, u128::MAX, 0x0123_4567_89ab_cdef_0123] {
            let id = IdSource::new(move || random).block_id(1_700_000_000_000);
            assert_eq!(id.timestamp_ms(), 1_700_000_000_000);
            assert_eq!(&id.to_string()[10..16], "10NGHA");
            assert!(is_tagged(id));
            assert!(!is_tagged(BlockId::from_parts(1, random)), "{random}");
        }
    }
}
