//! What real senders sent, read whole, and the same by prost.

use super::{DecodeLimits, compare, decode};
use crate::{proto, snappy};
use prost::Message;
use std::path::PathBuf;

/// A file beside the project; None (and a word about it) if the folder is absent and this is not CI.
fn shared(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(path);
    let usable = file.exists() || std::env::var_os("CI").is_some();
    if !usable {
        println!("skipped: {} is absent", file.display());
    }
    usable.then_some(file)
}

#[test]
fn the_recorded_stream_of_a_prometheus_decodes_wholly() {
    let Some(file) = shared("data/recorded-15s.rw.zst") else { return };
    let mut decoder = zstd::Decoder::new(std::fs::File::open(file).unwrap()).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut stream = Vec::new();
    std::io::Read::read_to_end(&mut decoder, &mut stream).unwrap();
    let mut rest = &stream[..];
    let (mut requests, mut series, mut samples, mut compressed_bytes) = (0, 0, 0, 0);
    while !rest.is_empty() {
        let (header, tail) = rest.split_first_chunk::<8>().unwrap();
        let size_bytes = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let declared_samples = u32::from_le_bytes(header[4..].try_into().unwrap()) as usize;
        let (message, tail) = tail.split_at(size_bytes);
        rest = tail;
        let body = snappy::compress(message);
        compressed_bytes += body.len();
        let opened = snappy::decompress(&body, size_bytes).unwrap();
        assert_eq!(opened, message);
        let batch = decode(opened, &DecodeLimits::default()).unwrap();
        assert_eq!(batch.samples.len(), declared_samples);
        if requests % 4 == 0 {
            assert!(compare(message)); // without optimisation prost takes its time
        }
        requests += 1;
        series += batch.series.len();
        samples += batch.samples.len();
    }
    println!(
        "recorded stream: {requests} requests, {series} series entries, {samples} samples, {compressed_bytes} bytes of snappy"
    );
    assert_eq!(requests, 560);
}

#[test]
fn the_recorded_cases_of_the_receiver_decode_as_prost_decodes_them() {
    let Some(file) = shared("conformance/compliance/rw1-recorded-2.53.3.jsonl") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let mut cases = 0;
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(body) = case["body_hex"].as_str().filter(|body| !body.is_empty()) else { continue };
        let body: Vec<u8> = body
            .as_bytes()
            .chunks(2)
            .map(|hex| u8::from_str_radix(str::from_utf8(hex).unwrap(), 16).unwrap())
            .collect();
        let message = snappy::decompress(&body, 1 << 20).unwrap();
        assert!(compare(&message), "{line}");
        cases += 1;
    }
    println!("recorded receiver cases: {cases}");
    assert!(cases >= 30);
}

#[test]
fn a_recorded_body_of_version_2_opens() {
    let Some(file) = shared("conformance/fixtures/greptimedb/remote_write_v2_native_hist.raw.snappy") else { return };
    let message = snappy::decompress(&std::fs::read(file).unwrap(), 1 << 20).unwrap();
    let request = proto::write_v2::Request::decode(&message[..]).unwrap();
    assert_eq!((request.symbols.len(), request.timeseries.len()), (11, 1));
    let histogram = &request.timeseries[0].histograms[0];
    assert_eq!((histogram.sum, histogram.schema, histogram.timestamp), (0.205418879, 3, 1782358160412));
}
