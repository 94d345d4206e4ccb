//! Native histogram chunks: encodings 2 (integer) and 3 (float), and 5 and 6, the same with start timestamps, as
//! Prometheus 3.14 writes and reads them (`tsdb/chunkenc/histogram.go`, `float_histogram.go`).
//!
//! A header (count of samples, what is known of a counter reset before the chunk, which samples have starts), a
//! [`layout`] that all samples share, then the samples. Integer histograms are kept as changes of changes
//! ([`integer`]), the numbers of float histograms XORed with those before ([`float`]). Within a chunk there is no counter
//! reset, and after a stale marker nothing but stale markers: the appender says when a new chunk must begin.

mod append;
mod decode;
mod field;
mod float;
mod integer;
mod layout;
mod spans;
mod value;

pub use append::{HISTOGRAM_CHUNK_BYTES, HISTOGRAM_CHUNK_SAMPLES_MIN, HistogramAppender, NextChunk};
pub use decode::HistogramIterator;
pub use value::HistogramRef;

pub(crate) use decode::{count_of_started, decode_all};

use crate::Encoding;
use longhaul_model::CounterResetHint;

/// Bytes before the layout. Of 2 and 3: u16 count, then the reset flags. Of 5 and 6: the reset flags share the first two
/// bytes with the count, then the header of the starts.
const HEADER_BYTES: usize = 3;

/// The two bits of the byte with the reset flags that are theirs.
const RESET_MASK: u8 = 0b1100_0000;

/// Bits of the count where it shares its bytes with the reset flags.
const STARTED_COUNT_MASK: u16 = 0x3fff;

/// Where the byte with the reset flags stands.
fn reset_at(encoding: Encoding) -> usize {
    if encoding.has_starts() { 0 } else { 2 }
}

/// The reset flags of `hint`, which tells how a chunk follows the one before it.
fn reset_flags(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::NotReset => 0b0100_0000,
        CounterResetHint::Reset => 0b1000_0000,
        CounterResetHint::Gauge => 0b1100_0000,
    }
}

/// What the byte with the reset flags says.
fn reset_hint(byte: u8) -> CounterResetHint {
    match byte & RESET_MASK {
        0b0100_0000 => CounterResetHint::NotReset,
        0b1000_0000 => CounterResetHint::Reset,
        0b1100_0000 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

#[cfg(test)]
pub(crate) mod tests;
