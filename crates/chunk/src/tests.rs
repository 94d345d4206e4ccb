//! Chunks that Prometheus wrote, read and written again.

use super::*;
use crate::xor::tests::column_bits;
use std::io::Read;

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Chunks that Prometheus 2.53.3 wrote, with what is in them.
#[test]
fn reads_and_writes_what_prometheus_writes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/formats/vectors/chunks.jsonl.gz");
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if std::env::var_os("CI").is_none() => return println!("skipped: {path}: {error}"),
        Err(error) => panic!("{path}: {error}"),
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut floats = 0;
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        let samples = case["samples"].as_array().unwrap();
        let time_of = |sample: &serde_json::Value| sample[0].as_i64().unwrap();
        let chunk = Chunk {
            encoding: u8::try_from(case["encoding"].as_u64().unwrap()).unwrap().try_into().unwrap(),
            min_ms: time_of(&samples[0]),
            max_ms: time_of(samples.last().unwrap()),
            data: from_hex(case["data_hex"].as_str().unwrap()).into(),
        };
        assert_eq!(sample_count(&chunk), Ok(samples.len() as u16), "{id}");
        let mut columns = Columns::default();
        let decoded = decode_into(&chunk, TimeRange::ALL, &mut columns);
        if !chunk.encoding.is_float() {
            assert_eq!(decoded, Err(ChunkError::Unsupported(chunk.encoding.byte())), "{id}");
            continue;
        }
        floats += 1;
        assert_eq!(decoded, Ok(()), "{id}");
        let expected: Vec<(i64, u64)> = samples
            .iter()
            .map(|sample| (time_of(sample), u64::from_str_radix(sample[1].as_str().unwrap(), 16).unwrap()))
            .collect();
        assert_eq!(column_bits(&columns), expected, "{id}");
        let mut written = XorAppender::new();
        for (t_ms, bits) in expected {
            written.append(t_ms, f64::from_bits(bits));
        }
        let written = written.seal();
        assert_eq!((written.min_ms, written.max_ms), (chunk.min_ms, chunk.max_ms), "{id}");
        // Before version 3 a chunk whose last value ended on a byte border got one more byte of zeros.
        let padding = chunk.data.strip_prefix(&written.data[..]);
        assert!(matches!(padding, Some([] | [0])), "{id}: {:x?} instead of {:x?}", written.data, chunk.data);
    }
    assert!(floats >= 30, "only {floats} float chunks");
}

#[test]
fn encodings_are_known_by_their_byte() {
    for byte in 0..=u8::MAX {
        match Encoding::try_from(byte) {
            Ok(encoding) => assert_eq!(encoding.byte(), byte),
            Err(error) => {
                assert_eq!(error, ChunkError::Unsupported(byte));
                assert!(!matches!(byte, 1..=6 | 0xff));
            }
        }
    }
}
