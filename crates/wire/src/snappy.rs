//! Snappy's block format behind a gate: the declared length is judged before a byte is allocated for it.
//!
//! Facts of the format: `uvarint` decompressed length, then literals and copies; a copy turns at least three bytes into
//! at most 64.

use crate::WireError;
use bytes::Bytes;

/// More than any snappy element expands its own bytes: a three-byte copy yields 64.
const EXPANSION_MAX: u64 = 22;

/// Decompresses `body`. A declared length over `size_bytes_max` is [`WireError::TooLarge`]; one that so few bytes
/// cannot hold, and everything else that is no snappy block, is [`WireError::Snappy`]. In both cases nothing was allocated
/// for it.
pub fn decompress(body: &[u8], size_bytes_max: usize) -> Result<Bytes, WireError> {
    let mut message = vec![0; declared_size(body, size_bytes_max)?];
    let written = snap::raw::Decoder::new().decompress(body, &mut message).map_err(refused)?;
    message.truncate(written);
    Ok(Bytes::from(message))
}

/// Compresses `message` into one block.
///
/// # Panics
/// If `message` has more than 4 GiB, which the format cannot hold.
pub fn compress(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("a snappy block holds up to 4 GiB")
}

fn declared_size(body: &[u8], size_bytes_max: usize) -> Result<usize, WireError> {
    let size_bytes = snap::raw::decompress_len(body).map_err(refused)? as u64;
    let size_bytes_max = size_bytes_max as u64;
    if size_bytes > size_bytes_max {
        return Err(WireError::TooLarge { size_bytes, size_bytes_max });
    }
    if size_bytes > EXPANSION_MAX * body.len() as u64 {
        return Err(WireError::Snappy(format!("{} bytes cannot hold {size_bytes}", body.len())));
    }
    Ok(size_bytes as usize)
}

fn refused(error: snap::Error) -> WireError {
    WireError::Snappy(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_compressed_is_decompressed(message in proptest::collection::vec(0u8..4, 0..3000)) {
            let body = compress(&message);
            prop_assert_eq!(&decompress(&body, message.len()).unwrap()[..], &message[..]);
            if let Some(less) = message.len().checked_sub(1) {
                let too_large = WireError::TooLarge { size_bytes: message.len() as u64, size_bytes_max: less as u64 };
                prop_assert_eq!(decompress(&body, less), Err(too_large));
            }
        }

        #[test]
        fn hostile_bytes_end_in_an_answer(
            declared in prop_oneof![0u32..2000, any::<u32>()],
            elements in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut body = Vec::new();
            prost::encoding::encode_varint(u64::from(declared), &mut body);
            body.extend(elements);
            match decompress(&body, 1500) {
                Ok(message) => prop_assert_eq!(message.len(), declared as usize),
                Err(WireError::TooLarge { size_bytes, .. }) => prop_assert_eq!(size_bytes, u64::from(declared)),
                Err(error) => prop_assert!(matches!(error, WireError::Snappy(_)) && declared <= 1500),
            }
        }

        #[test]
        fn a_changed_body_ends_in_an_answer(
            message in proptest::collection::vec(0u8..4, 1..500),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut body = compress(&message);
            let at = at.index(body.len());
            body[at] = byte;
            drop(decompress(&body, 1 << 20));
        }
    }

    #[test]
    fn the_best_that_the_format_can_do_passes_the_gate() {
        let zeros = vec![0; 1 << 20];
        let body = compress(&zeros);
        assert!(decompress(&body, zeros.len()).is_ok(), "{} bytes for {}", body.len(), zeros.len());
    }

    #[test]
    fn a_declaration_that_so_few_bytes_cannot_hold_is_refused_before_the_allocation() {
        let mut body = Vec::new();
        prost::encoding::encode_varint(30 << 20, &mut body);
        body.extend([0xfe, 1, 0]);
        assert!(matches!(declared_size(&body, 32 << 20), Err(WireError::Snappy(_))));
        assert!(matches!(decompress(&[], 10), Err(WireError::Snappy(_))));
        assert_eq!(decompress(&[0], 0).unwrap().len(), 0);
    }
}
