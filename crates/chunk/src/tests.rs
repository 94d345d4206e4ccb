//! Chunks that Prometheus wrote, read and written again.

use super::*;
use longhaul_model::{BucketSpan, CounterResetHint, FloatHistogram, Histogram, Measurement, TimeRange, Value};
use std::io::Read;
use std::sync::Arc;

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Chunks that Prometheus 2.53.3 wrote, with what is in them: bytes to samples, and samples to bytes.
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
    let (mut read, mut written, mut by_encoding) = (0, 0, [0; 7]);
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        let samples: Vec<Measurement> = case["samples"].as_array().unwrap().iter().map(sample_of).collect();
        let chunk = Chunk {
            encoding: u8::try_from(case["encoding"].as_u64().unwrap()).unwrap().try_into().unwrap(),
            min_ms: samples[0].t_ms,
            max_ms: samples.last().unwrap().t_ms,
            data: from_hex(case["data_hex"].as_str().unwrap()).into(),
        };
        by_encoding[usize::from(chunk.encoding.byte())] += 1;
        assert_eq!(sample_count(&chunk), Ok(samples.len() as u16), "{id}");
        assert_eq!(losslessly(&chunk), debug(&samples), "{id}");
        assert_eq!(as_columns(&chunk), debug(&samples.iter().map(as_float).collect::<Vec<_>>()), "{id}");
        read += 1;
        let again = if chunk.encoding.is_float() {
            written_floats(&samples)
        } else {
            written_histograms(&samples, case["counter_reset_header"].as_str().unwrap())
        };
        assert_eq!((again.min_ms, again.max_ms, again.encoding), (chunk.min_ms, chunk.max_ms, chunk.encoding), "{id}");
        // Before version 3 a chunk whose last value ended on a byte border got one more byte of zeros.
        let padding = chunk.data.strip_prefix(&again.data[..]);
        assert!(matches!(padding, Some([] | [0])), "{id}: {:x?} instead of {:x?}", again.data, chunk.data);
        written += 1;
    }
    let all = text.lines().count();
    println!("bytes to samples {read} of {all}, samples to bytes {written} of {all}");
    assert!(all >= 46 && by_encoding[1..=3].iter().all(|count| *count > 0), "{by_encoding:?}");
}

/// A sample of the vectors: a time with the bits of a float, or with a histogram.
fn sample_of(sample: &serde_json::Value) -> Measurement {
    let value = &sample[1];
    let spans = |name: &str| value[name].as_array().unwrap().iter().map(span_of).collect();
    let deltas = |name: &str| value[name].as_array().unwrap().iter().map(|it| it.as_i64().unwrap()).collect();
    let floats =
        |name: &str| -> Vec<f64> { value[name].as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect() };
    let number = |name: &str| value[name].as_f64().unwrap();
    let value = if let Some(bits) = value.as_str() {
        Value::Float(f64::from_bits(u64::from_str_radix(bits, 16).unwrap()))
    } else if value.get("pdeltas").is_some() {
        Value::Histogram(Arc::new(Histogram {
            reset_hint: CounterResetHint::Unknown,
            schema: value["schema"].as_i64().unwrap() as i32,
            zero_threshold: number("zt"),
            zero_count: value["zero"].as_u64().unwrap(),
            count: value["count"].as_u64().unwrap(),
            sum: number("sum"),
            positive_spans: spans("pspans"),
            negative_spans: spans("nspans"),
            positive_deltas: deltas("pdeltas"),
            negative_deltas: deltas("ndeltas"),
            custom_bounds: floats("custom").into(),
        }))
    } else {
        Value::FloatHistogram(Arc::new(FloatHistogram {
            reset_hint: CounterResetHint::Unknown,
            schema: value["schema"].as_i64().unwrap() as i32,
            zero_threshold: number("zt"),
            zero_count: number("zero"),
            count: number("count"),
            sum: number("sum"),
            positive_spans: spans("pspans"),
            negative_spans: spans("nspans"),
            positive_counts: floats("pcounts"),
            negative_counts: floats("ncounts"),
            custom_bounds: floats("custom").into(),
        }))
    };
    Measurement { t_ms: sample[0].as_i64().unwrap(), start_ms: 0, value }
}

fn span_of(span: &serde_json::Value) -> BucketSpan {
    BucketSpan { offset: span[0].as_i64().unwrap() as i32, length: span[1].as_u64().unwrap() as u32 }
}

/// All of a sample but what is known of counter resets, floats by their bits.
pub(crate) fn debug(samples: &[Measurement]) -> Vec<String> {
    let bits = |floats: &[f64]| floats.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
    let debug = |it: &Measurement| match &it.value {
        Value::Float(value) => format!("{} {} {:x}", it.t_ms, it.start_ms, value.to_bits()),
        Value::Histogram(h) => format!(
            "{} {} {} {:x} {} {} {:x} {:?} {:?} {:?} {:?} {:?}",
            it.t_ms,
            it.start_ms,
            h.schema,
            h.zero_threshold.to_bits(),
            h.zero_count,
            h.count,
            h.sum.to_bits(),
            h.positive_spans,
            h.negative_spans,
            h.positive_deltas,
            h.negative_deltas,
            bits(&h.custom_bounds)
        ),
        Value::FloatHistogram(h) => format!(
            "{} {} {} {:x?} {:?} {:?} {:x?} {:x?} {:x?}",
            it.t_ms,
            it.start_ms,
            h.schema,
            bits(&[h.zero_threshold, h.zero_count, h.count, h.sum]),
            h.positive_spans,
            h.negative_spans,
            bits(&h.positive_counts),
            bits(&h.negative_counts),
            bits(&h.custom_bounds)
        ),
    };
    samples.iter().map(debug).collect()
}

/// The sample as columns have it.
pub(crate) fn as_float(sample: &Measurement) -> Measurement {
    let mut value = match &sample.value {
        Value::Histogram(histogram) => Value::FloatHistogram(Arc::new(FloatHistogram::from(&**histogram))),
        other => other.clone(),
    };
    if let Value::FloatHistogram(histogram) = &mut value {
        Arc::make_mut(histogram).reduce_resolution(8);
    }
    Measurement { value, ..*sample }
}

fn losslessly(chunk: &Chunk) -> Vec<String> {
    let samples: Result<Vec<Measurement>, ChunkError> = if chunk.encoding.is_float() {
        XorIterator::new(&chunk.data).unwrap().map(|item| item.map(Measurement::from)).collect()
    } else {
        HistogramIterator::new(chunk).unwrap().collect()
    };
    debug(&samples.unwrap())
}

fn as_columns(chunk: &Chunk) -> Vec<String> {
    let mut samples = Samples::default();
    merge_samples(std::slice::from_ref(chunk), TimeRange::ALL, &mut samples).unwrap();
    debug(&measurements(&samples))
}

/// The content of columns, by rising time.
pub(crate) fn measurements(samples: &Samples) -> Vec<Measurement> {
    fn all<V: Clone>(columns: &SampleColumns<V>, value: impl Fn(V) -> Value) -> Vec<Measurement> {
        assert!(columns.start_ms.is_empty() || columns.start_ms.iter().any(|start_ms| *start_ms != 0));
        assert!(columns.start_ms.is_empty() || columns.start_ms.len() == columns.len());
        assert_eq!(columns.values.len(), columns.len());
        let start_ms = |at: usize| columns.start_ms.get(at).copied().unwrap_or(0);
        let sample = |at: usize| Measurement {
            t_ms: columns.t_ms[at],
            start_ms: start_ms(at),
            value: value(columns.values[at].clone()),
        };
        (0..columns.len()).map(sample).collect()
    }
    let mut all_samples = all(&samples.floats, Value::Float);
    all_samples.extend(all(&samples.histograms, Value::FloatHistogram));
    all_samples.sort_by_key(|sample| sample.t_ms);
    all_samples
}

fn written_floats(samples: &[Measurement]) -> Chunk {
    let mut written = XorAppender::new();
    for sample in samples {
        let Value::Float(value) = sample.value else { panic!("not a float") };
        written.append(sample.t_ms, value);
    }
    written.seal()
}

fn written_histograms(samples: &[Measurement], header: &str) -> Chunk {
    let hint = match header {
        "gauge" => CounterResetHint::Gauge,
        "reset" => CounterResetHint::Reset,
        _ => CounterResetHint::Unknown,
    };
    let samples: Vec<Measurement> = samples
        .iter()
        .enumerate()
        .map(|(at, sample)| hinted(sample, if at == 0 || header == "gauge" { hint } else { CounterResetHint::Unknown }))
        .collect();
    let (first, rest) = samples.split_first().unwrap();
    fn histogram(sample: &Measurement) -> HistogramRef<'_> {
        HistogramRef::of(&sample.value).unwrap()
    }
    let mut written = if header == "not_reset" {
        // A chunk that goes on from one before it: here the same sample.
        let before = HistogramAppender::first(0, first.t_ms - 1, histogram(first));
        before.next(0, first.t_ms, histogram(first))
    } else {
        HistogramAppender::first(0, first.t_ms, histogram(first))
    };
    rest.iter().for_each(|sample| written.append(0, sample.t_ms, histogram(sample)).unwrap());
    written.seal()
}

/// The sample with another hint.
pub(crate) fn hinted(sample: &Measurement, hint: CounterResetHint) -> Measurement {
    let mut sample = sample.clone();
    match &mut sample.value {
        Value::Float(_) => {}
        Value::Histogram(histogram) => Arc::make_mut(histogram).reset_hint = hint,
        Value::FloatHistogram(histogram) => Arc::make_mut(histogram).reset_hint = hint,
    }
    sample
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
