//! Chunks: any bytes are decoded or refused, and what is decoded can be written and read again.

use longhaul_chunk::{Chunk, Encoding, SampleColumns, Samples, encode, merge_samples, sample_count};
use longhaul_model::measurement::Value;
use longhaul_model::{Measurement, TimeRange};

/// Samples in a chunk that is written again, at most.
const CHUNK_SAMPLES_MAX: u16 = 120;

/// An encoding byte, then a chunk's data.
pub fn decode_chunk(bytes: &[u8]) {
    let Some((encoding, data)) = bytes.split_first() else { return };
    let Ok(encoding) = Encoding::try_from(*encoding) else { return };
    let chunk = Chunk { encoding, min_ms: i64::MIN, max_ms: i64::MAX, data: data.to_vec().into() };
    let mut samples = Samples::default();
    if merge_samples(std::slice::from_ref(&chunk), TimeRange::ALL, &mut samples).is_err() {
        return;
    }
    let decoded = measurements(&samples);
    let count = sample_count(&chunk).expect("what can be decoded can be counted");
    assert!(decoded.len() <= usize::from(count), "{} samples of {count}", decoded.len());
    assert!(decoded.is_sorted_by(|a, b| a.t_ms < b.t_ms), "times rise");

    let mut chunks = Vec::new();
    encode(decoded.iter().cloned(), CHUNK_SAMPLES_MAX, &mut chunks);
    let mut samples = Samples::default();
    merge_samples(&chunks, TimeRange::ALL, &mut samples).expect("what was written can be read");
    let again = measurements(&samples);
    assert_eq!(decoded.len(), again.len());
    for (decoded, again) in decoded.iter().zip(&again) {
        assert_eq!((decoded.t_ms, decoded.start_ms), (again.t_ms, again.start_ms));
        assert!(decoded.value.same(&again.value), "{decoded:?} is read again as {again:?}");
    }
}

/// The samples in order of time.
fn measurements(samples: &Samples) -> Vec<Measurement> {
    let mut all = columns(&samples.floats, |value| Value::Float(*value));
    all.extend(columns(&samples.histograms, |value| Value::FloatHistogram(value.clone())));
    all.sort_by_key(|sample| sample.t_ms);
    all
}

fn columns<V>(columns: &SampleColumns<V>, value: impl Fn(&V) -> Value) -> Vec<Measurement> {
    assert_eq!(columns.t_ms.len(), columns.values.len());
    assert!(columns.start_ms.is_empty() || columns.start_ms.len() == columns.t_ms.len());
    let start_ms = |at: usize| columns.start_ms.get(at).copied().unwrap_or(0);
    let all = columns.t_ms.iter().zip(&columns.values).enumerate();
    all.map(|(at, (t_ms, it))| Measurement { t_ms: *t_ms, start_ms: start_ms(at), value: value(it) }).collect()
}
