//! One measured value at one instant.

/// The NaN payload by which Prometheus marks that a series has ended (`model/value/value.go`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// A float sample: a value at a time in milliseconds since the Unix epoch.
///
/// Equality of values is a question of bits (NaN payloads carry meaning), so `Sample` has no `PartialEq`; compare
/// with [`Sample::same`].
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Milliseconds since the Unix epoch; may be negative.
    pub t_ms: i64,
    /// The value; every bit pattern is legal and kept.
    pub value: f64,
}

impl Sample {
    /// A sample of `value` at `t_ms`.
    pub fn new(t_ms: i64, value: f64) -> Self {
        Self { t_ms, value }
    }

    /// Whether both are the same instant and the same bits.
    pub fn same(&self, other: &Self) -> bool {
        self.t_ms == other.t_ms && self.value.to_bits() == other.value.to_bits()
    }
}

/// Whether `value` is Prometheus' stale marker.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}
