//! The head against its rules: by hand, against a naive model, and with threads.

mod by_hand;
mod exemplars;
mod kinds;
mod model;
mod threads;

use crate::{HashSeed, Head, HeadSettings, Numbers, OlderSamples, Series};
use longhaul_chunk::{Columns, SeriesChunks, decode_any, merge_chunks, merge_into};
use longhaul_model::{LabelSection, Labels, Measurement, Sample, TimeRange, Value};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

const RANGE_MS: i64 = 1000;

/// A head with small ranges and chunks, so that everything happens soon.
fn small_head() -> Arc<Head> {
    let settings =
        HeadSettings { block_range_ms: RANGE_MS, chunk_samples_max: 7, chunk_bytes_max: 100, series_max: 1000 };
    Arc::new(Head::new(settings, Numbers::new(), HashSeed::new(7)))
}

fn get_or_create(head: &Head, pairs: &[(&str, &str)]) -> Arc<Series> {
    let mut section = Vec::new();
    pairs.iter().for_each(|(name, value)| LabelSection::push(&mut section, name, value));
    let key = head.key(&section);
    head.find(key).unwrap_or_else(|| head.create(key, pairs).unwrap())
}

/// The floats of `chunks` in `range` as (time, bits).
fn decode(chunks: &SeriesChunks, range: TimeRange) -> Vec<(i64, u64)> {
    let mut columns = Columns::default();
    merge_into(&chunks.chunks, range, &mut columns).unwrap();
    columns.t_ms.iter().zip(&columns.values).map(|(t_ms, value)| (*t_ms, value.to_bits())).collect()
}

/// The samples of any kind in `range`, in order of time.
fn decode_all(chunks: &SeriesChunks, range: TimeRange) -> Vec<Measurement> {
    let mut samples = Vec::new();
    for chunk in merge_chunks(chunks.chunks.clone(), 120).unwrap() {
        decode_any(&chunk, &mut samples).unwrap();
    }
    samples.retain(|sample| range.contains(sample.t_ms));
    assert!(samples.is_sorted_by(|a, b| a.t_ms < b.t_ms));
    samples
}

/// What local parts would be: what cuts have brought to them.
#[derive(Default)]
struct Parts(Mutex<BTreeMap<Labels, BTreeMap<i64, Value>>>);

impl Parts {
    fn add(&self, series: impl IntoIterator<Item = SeriesChunks>) {
        for chunks in series {
            let samples = decode_all(&chunks, TimeRange::ALL).into_iter().map(|it| (it.t_ms, it.value));
            self.0.lock().entry(chunks.labels).or_default().extend(samples);
        }
    }
}

impl OlderSamples for Parts {
    fn value_at(&self, labels: &Labels, t_ms: i64) -> Option<Value> {
        self.0.lock().get(labels)?.get(&t_ms).cloned()
    }

    fn newest_ms(&self) -> i64 {
        self.0.lock().values().filter_map(|it| it.last_key_value()).map(|it| *it.0).max().unwrap_or(i64::MIN)
    }
}

fn sample(t_ms: i64, value: f64) -> Sample {
    Sample::new(t_ms, value)
}
