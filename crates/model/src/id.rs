//! Ids, and the one place where they are minted.

use std::sync::Mutex;

pub use ulid::Ulid as BlockId;
pub use uuid::Uuid as LogId;

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

    /// A block id that carries `now_ms` (clamped to what a ULID can hold: 48 bits).
    pub fn block_id(&self, now_ms: i64) -> BlockId {
        BlockId::from_parts(now_ms.clamp(0, (1 << 48) - 1) as u64, self.random())
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
