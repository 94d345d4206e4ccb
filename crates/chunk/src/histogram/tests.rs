//! Histogram chunks: round trips to the bit, buckets that come and go, when a new chunk must begin, starts; cut, changed
//! and arbitrary bytes.

mod generate;

pub(crate) use generate::counters;
use generate::series;

use super::layout::Layout;
use super::*;
use crate::bits::{BitReader, BitWriter};
use crate::tests::{as_float, debug};
use crate::varbit::{write_int, write_uint};
use crate::{Chunk, ChunkError, HistogramColumns};
use longhaul_model::{
    BucketSpan, CounterResetHint as Hint, FloatHistogram, Histogram, Measurement, STALE_NAN_BITS, Value, is_stale,
};
use proptest::prelude::*;
use std::sync::Arc;

fn histogram_of(sample: &Measurement) -> HistogramRef<'_> {
    HistogramRef::of(&sample.value).unwrap()
}

fn encode(samples: &[Measurement]) -> HistogramAppender {
    let (first, rest) = samples.split_first().unwrap();
    let mut chunk = HistogramAppender::first(first.start_ms, first.t_ms, histogram_of(first));
    for sample in rest {
        chunk.append(sample.start_ms, sample.t_ms, histogram_of(sample)).unwrap();
    }
    chunk
}

fn decode(chunk: &Chunk) -> Result<Vec<Measurement>, ChunkError> {
    HistogramIterator::new(chunk)?.collect()
}

fn columns(chunk: &Chunk) -> Result<Vec<Measurement>, ChunkError> {
    let mut columns = HistogramColumns::default();
    decode_all(chunk.encoding, &chunk.data, &mut columns)?;
    let samples = columns.t_ms.iter().zip(columns.values).enumerate().map(|(at, (t_ms, value))| Measurement {
        t_ms: *t_ms,
        start_ms: columns.start_ms.get(at).copied().unwrap_or(0),
        value: Value::FloatHistogram(value),
    });
    Ok(samples.collect())
}

/// What a chunk keeps of a sample: nothing but the sum of a stale marker, and bounds of custom buckets only.
fn kept(sample: &Measurement) -> Measurement {
    let value = match &sample.value {
        Value::Histogram(it) if is_stale(it.sum) => {
            Value::Histogram(Arc::new(Histogram { sum: it.sum, ..Histogram::default() }))
        }
        Value::FloatHistogram(it) if is_stale(it.sum) => {
            Value::FloatHistogram(Arc::new(FloatHistogram { sum: it.sum, ..FloatHistogram::default() }))
        }
        other => other.clone(),
    };
    Measurement { value, ..*sample }
}

fn hints(samples: &[Measurement]) -> Vec<Hint> {
    samples
        .iter()
        .map(|sample| match &sample.value {
            Value::Float(_) => panic!("a float"),
            Value::Histogram(it) => it.reset_hint,
            Value::FloatHistogram(it) => it.reset_hint,
        })
        .collect()
}

proptest! {
    #[test]
    fn samples_round_trip_to_the_bit(samples in series()) {
        let open = encode(&samples);
        prop_assert_eq!(usize::from(open.samples()), samples.len());
        let kept: Vec<Measurement> = samples.iter().map(kept).collect();
        prop_assert_eq!(debug(&[open.last()]), debug(&kept[kept.len() - 1..]));
        let chunk = open.to_chunk();
        prop_assert_eq!((chunk.min_ms, chunk.max_ms), (samples[0].t_ms, samples.last().unwrap().t_ms));
        prop_assert_eq!(chunk.encoding.has_starts(), samples[0].start_ms != 0);
        prop_assert_eq!(crate::sample_count(&chunk), Ok(samples.len() as u16));
        let decoded = decode(&chunk).unwrap();
        prop_assert_eq!(debug(&decoded), debug(&kept));
        prop_assert_eq!(hints(&decoded), vec![Hint::Gauge; samples.len()]);
        let floats: Vec<Measurement> = kept.iter().map(as_float).collect();
        prop_assert_eq!(debug(&columns(&chunk).unwrap()), debug(&floats));
        prop_assert_eq!(open.seal(), chunk);
    }

    #[test]
    fn any_series_comes_back_from_its_chunks(float: bool, starts: bool, seed in 1..u64::MAX, count in 1_i64..200) {
        let samples = counters((0..count).map(|at| at * 1000), float, starts, seed);
        let chunks = in_chunks(&samples);
        let read: Vec<Measurement> = chunks.iter().flat_map(|chunk| decode(chunk).unwrap()).collect();
        assert_same(&read, &samples);
        // What is said not to be a reset is none, and a chunk's first sample says nothing.
        let hints = hints(&read);
        for (at, pair) in read.windows(2).map(|pair| [as_float(&pair[0]), as_float(&pair[1])]).enumerate() {
            if let ([Value::FloatHistogram(before), Value::FloatHistogram(after)], Hint::NotReset) =
                (pair.map(|sample| sample.value), hints[at + 1])
                && !is_stale(after.sum)
            {
                let after = FloatHistogram { reset_hint: Hint::Unknown, ..FloatHistogram::clone(&after) };
                prop_assert!(!after.is_reset_after(&before));
            }
        }
        let mut begin = 0;
        for chunk in &chunks {
            prop_assert!(matches!(hints[begin], Hint::Unknown | Hint::Gauge));
            let header = HistogramIterator::new(chunk).unwrap().reset_hint();
            prop_assert_eq!(header == Hint::Gauge, hints[begin] == Hint::Gauge);
            begin += usize::from(crate::sample_count(chunk).unwrap());
        }
    }

    #[test]
    fn a_chunk_cut_short_is_an_error(samples in series(), cut in any::<prop::sample::Index>()) {
        let mut chunk = encode(&samples).seal();
        chunk.data.truncate(cut.index(chunk.data.len()));
        prop_assert!(columns(&chunk).is_err());
        prop_assert!(decode(&chunk).is_err());
        if let Ok(mut iterator) = HistogramIterator::new(&chunk) {
            prop_assert!(iterator.by_ref().take_while(Result::is_ok).count() < samples.len());
            prop_assert!(iterator.next().is_none(), "nothing follows an error");
        }
    }

    #[test]
    fn changed_bytes_never_panic(
        samples in series(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut chunk = encode(&samples).seal();
        let mut data = chunk.data.to_vec();
        changes.iter().for_each(|(at, byte)| data[at.index(chunk.data.len())] = *byte);
        chunk.data = data.into();
        agree(&chunk)?;
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300), header in prop::option::of(0_u8..60), encoding in 0_usize..4,
    ) {
        let encoding =
            [Encoding::Histogram, Encoding::FloatHistogram, Encoding::HistogramSt, Encoding::FloatHistogramSt][encoding];
        // Half of them with a modest count and a layout of few spans, so that there is something behind it.
        let header = header.map_or(Vec::new(), |count| vec![0, count, 0, 0, 0b1000_1110, 0b0010_1100 | count >> 4]);
        let data = [header, bytes].concat().into();
        agree(&Chunk { encoding, min_ms: 0, max_ms: 0, data })?;
    }
}

/// Both readings agree, also about what is an error; what can be read takes no more than its bytes can account for.
fn agree(chunk: &Chunk) -> Result<(), TestCaseError> {
    let (one_by_one, all) = (decode(chunk), columns(chunk));
    prop_assert_eq!(one_by_one.is_ok(), all.is_ok());
    if let (Ok(one_by_one), Ok(all)) = (one_by_one, all) {
        prop_assert_eq!(debug(&one_by_one.iter().map(as_float).collect::<Vec<_>>()), debug(&all));
        prop_assert_eq!(hints(&one_by_one), hints(&all));
        let spans_and_buckets: usize = all
            .iter()
            .map(|sample| match &sample.value {
                Value::FloatHistogram(it) => {
                    it.positive_spans.len()
                        + it.negative_spans.len()
                        + it.positive_counts.len()
                        + it.negative_counts.len()
                }
                _ => 0,
            })
            .sum();
        prop_assert!(spans_and_buckets <= chunk.data.len() * 8 * 6, "{spans_and_buckets}");
    }
    Ok(())
}

/// An integer histogram of two positive buckets, at 0 and 1, and one negative.
fn plain() -> Histogram {
    Histogram {
        schema: 2,
        zero_threshold: 0.001,
        zero_count: 3,
        count: 18,
        sum: 2.5,
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        positive_deltas: vec![4, 1],
        negative_spans: vec![BucketSpan { offset: 3, length: 1 }],
        negative_deltas: vec![6],
        ..Histogram::default()
    }
}

#[test]
fn a_new_chunk_begins_when_prometheus_begins_one() {
    type Change = fn(&mut Histogram);
    let stale: Change = |it| it.sum = f64::from_bits(STALE_NAN_BITS);
    let unhinted_stale: Change = |it| {
        *it = Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Histogram::default() };
    };
    let custom: Change = |it| {
        let (schema, custom_bounds) = (-53, [1.0, 2.0].into());
        *it = Histogram { schema, custom_bounds, zero_threshold: 0.0, zero_count: 0, ..it.clone() };
        (it.negative_spans, it.negative_deltas) = (Vec::new(), Vec::new());
    };
    let none: Change = |_| {};
    let cases: [(&str, Change, Change, Option<Hint>); 23] = [
        ("nothing changes", none, none, None),
        ("counts grow", none, |it| it.positive_deltas = vec![5, 1], None),
        ("the hint says that it went on", none, |it| it.reset_hint = Hint::NotReset, None),
        ("the hint says that it did not", none, |it| it.reset_hint = Hint::Reset, Some(Hint::Reset)),
        ("fewer observations", none, |it| it.count = 17, Some(Hint::Reset)),
        ("fewer around zero", none, |it| it.zero_count = 2, Some(Hint::Reset)),
        ("fewer in a bucket", none, |it| it.positive_deltas = vec![5, -1], Some(Hint::Reset)),
        ("a full bucket is missing", none, |it| it.negative_spans[0].offset = 4, Some(Hint::Reset)),
        ("an empty bucket is missing", |it| it.negative_deltas = vec![0], |it| it.negative_spans[0].offset = 4, None),
        ("another schema", none, |it| it.schema = 1, Some(Hint::Unknown)),
        ("another zero threshold", none, |it| it.zero_threshold = 0.01, Some(Hint::Unknown)),
        ("the same bounds", custom, custom, None),
        ("other bounds", custom, |it| it.custom_bounds = [1.0, 3.0].into(), Some(Hint::Reset)),
        ("a gauge", none, |it| it.reset_hint = Hint::Gauge, Some(Hint::Gauge)),
        (
            "no gauge any more",
            |it| it.reset_hint = Hint::Gauge,
            |it| it.reset_hint = Hint::Unknown,
            Some(Hint::Unknown),
        ),
        ("a gauge falls", |it| it.reset_hint = Hint::Gauge, |it| it.count = 1, None),
        ("a gauge loses a bucket", |it| it.reset_hint = Hint::Gauge, |it| it.negative_spans[0].offset = -4, None),
        ("a gauge with another schema", |it| it.reset_hint = Hint::Gauge, |it| it.schema = 3, Some(Hint::Gauge)),
        ("the series ends", none, stale, None),
        ("it stays ended", stale, stale, None),
        ("it goes on", stale, |it| it.sum = 2.5, Some(Hint::Unknown)),
        ("a gauge ends", |it| it.reset_hint = Hint::Gauge, stale, None),
        ("a gauge ends, not said to be one", |it| it.reset_hint = Hint::Gauge, unhinted_stale, None),
    ];
    for (name, before, change, expected) in cases {
        let mut before_value = plain();
        before(&mut before_value);
        let mut value = before_value.clone();
        change(&mut value);
        for float in [false, true] {
            for start_ms in [0, 7] {
                let [old, new] = [&before_value, &value].map(FloatHistogram::from);
                let [old, new] = if float {
                    [HistogramRef::from(&old), HistogramRef::from(&new)]
                } else {
                    [HistogramRef::from(&before_value), HistogramRef::from(&value)]
                };
                let mut chunk = HistogramAppender::first(start_ms, 1, old);
                let bytes = chunk.bytes().to_vec();
                assert_eq!(chunk.append(start_ms, 2, new).is_ok(), expected.is_none(), "{name}");
                if let Some(header) = expected {
                    assert_eq!(chunk.bytes(), bytes, "{name}: the chunk has changed");
                    let next = chunk.next(start_ms, 2, new).seal();
                    assert_eq!(HistogramIterator::new(&next).unwrap().reset_hint(), header, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_new_chunk_begins_for_what_it_cannot_hold() {
    let header = |chunk: Chunk| HistogramIterator::new(&chunk).unwrap().reset_hint();
    let (integer, float) = (plain(), FloatHistogram::from(&plain()));
    let mut chunk = HistogramAppender::first(0, 1, &integer);
    assert_eq!(chunk.append(0, 2, &float), Err(NextChunk));
    assert_eq!(header(chunk.next(0, 2, &float).seal()), Hint::Unknown);
    assert_eq!(chunk.append(5, 2, &integer), Err(NextChunk), "it has no room for starts");
    let mut started = chunk.next(5, 2, &integer);
    assert_eq!((started.encoding(), header(started.to_chunk())), (Encoding::HistogramSt, Hint::NotReset));
    assert_eq!(started.append(0, 3, &integer), Ok(()), "a chunk with starts can do without");
    for (mut chunk, max) in [(started, STARTED_COUNT_MASK), (chunk, u16::MAX)] {
        while chunk.samples() < max {
            chunk.append(0, chunk.max_ms() + 1, &integer).unwrap();
        }
        let bytes = chunk.bytes().to_vec();
        assert_eq!(chunk.append(0, chunk.max_ms() + 1, &integer), Err(NextChunk));
        assert_eq!(chunk.bytes(), bytes);
        assert_eq!(decode(&chunk.seal()).unwrap().len(), usize::from(max));
    }
}

#[test]
fn a_chunk_is_full_by_bytes_and_samples() {
    let mut chunk = HistogramAppender::first(0, 1, &plain());
    let mut wide = plain();
    wide.positive_spans = vec![BucketSpan { offset: 0, length: 300 }];
    while !chunk.is_full() {
        let noise = (1..=300).map(|at| at * 7919 * i64::from(chunk.samples()) % 1000);
        wide.positive_deltas = noise.collect();
        wide.count += 1_000_000;
        wide.reset_hint = Hint::Gauge;
        if chunk.append(0, chunk.max_ms() + 1, &wide).is_err() {
            chunk = chunk.next(0, chunk.max_ms() + 1, &wide);
        }
    }
    assert!(chunk.samples() == HISTOGRAM_CHUNK_SAMPLES_MIN && chunk.size_bytes() > 2 * HISTOGRAM_CHUNK_BYTES);
    assert!(chunk.heap_bytes() >= chunk.size_bytes() + 300 * 16);
}

#[test]
fn layouts_are_written_in_few_bits() {
    let size = |threshold: f64, custom_bounds: &[f64]| {
        let schema = if custom_bounds.is_empty() { 0 } else { -53 };
        let layout =
            Layout { schema, zero_threshold: threshold, custom_bounds: custom_bounds.into(), ..Layout::default() };
        let mut writer = BitWriter::new(&[]);
        layout.write(&mut writer);
        let read = Layout::take(&mut BitReader::new(writer.bytes(), 0)).unwrap();
        assert_eq!(read.zero_threshold.to_bits(), threshold.to_bits());
        let bits = |bounds: &[f64]| bounds.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read.custom_bounds), bits(custom_bounds));
        (writer.bytes()[0], writer.bytes().len())
    };
    // The byte of the zero threshold, then three bits for schema 0 and no spans.
    for (threshold, byte) in [(0.0, 0), (2_f64.powi(-128), 116), (2_f64.powi(-243), 1), (1.0, 244), (1024.0, 254)] {
        assert_eq!(size(threshold, &[]), (byte, 2), "{threshold}");
    }
    for threshold in [-0.0, 0.001, 2_f64.powi(-244), 2048.0, -1.0, f64::NAN, f64::MIN_POSITIVE / 2.0, f64::INFINITY] {
        assert_eq!(size(threshold, &[]), (255, 10), "{threshold}");
    }
    // Schema -53 takes 13 bits, the count of one bound 5.
    for (bound, bits) in [(0.0, 5), (0.006, 5), (0.007, 9), (1.0, 17), (33554.430, 32), (33554.431, 65), (0.0005, 65)] {
        assert_eq!(size(0.0, &[bound]).1, (8 + 13 + 2 + 5 + bits as usize).div_ceil(8), "{bound}");
    }
    for bound in [-0.0, -1.0, f64::NAN, f64::INFINITY, 1.0 / 3.0, 1e300] {
        assert_eq!(size(0.0, &[bound]).1, (8_usize + 13 + 2 + 5 + 65).div_ceil(8), "{bound}");
    }
}

/// A chunk of one sample without numbers, but for a layout.
fn forged(count: u16, write: impl Fn(&mut BitWriter)) -> Chunk {
    let [high, low] = count.to_be_bytes();
    let mut writer = BitWriter::new(&[high, low, 0]);
    write(&mut writer);
    Chunk { encoding: Encoding::Histogram, min_ms: 0, max_ms: 0, data: writer.into_bytes().into() }
}

#[test]
fn layouts_that_make_no_sense_are_corrupt() {
    let schema = |schema: i64| {
        forged(1, |writer| {
            writer.write(0, 8);
            write_int(writer, schema);
            writer.write(0, 64);
            writer.write(0, 64);
        })
    };
    for known in [-9, -4, 0, 8, 9, 52, -53] {
        assert!(decode(&schema(known)).is_ok(), "{known}");
    }
    for unknown in [-10, 53, -52, -54, 1 << 32, i64::MIN] {
        assert!(decode(&schema(unknown)).unwrap_err().to_string().contains("unknown histogram schema"), "{unknown}");
    }
    let spans = |count: u64, spans: &[(u64, i64)]| {
        forged(1, |writer| {
            writer.write(0, 8 + 1);
            write_uint(writer, count);
            spans.iter().for_each(|(length, offset)| {
                write_uint(writer, *length);
                write_int(writer, *offset);
            });
            writer.write(0, 64);
            writer.write(0, 64);
        })
    };
    assert!(decode(&spans(2, &[(1, -5), (1, 0)])).is_ok());
    for (case, reason) in [
        (spans(2, &[(1, 0), (1, -1)]), "spans overlap"),
        (spans(1, &[(1 << 32, 0)]), "span beyond 32 bits"),
        (spans(1, &[(1, 1 << 31)]), "span beyond 32 bits"),
        (spans(1, &[(1000, 0)]), "has more buckets than it can hold"),
        (spans(2, &[(u32::MAX.into(), 0), (u32::MAX.into(), 0)]), "has more buckets than it can hold"),
        (spans(u64::MAX, &[]), "counts more spans than it can hold"),
    ] {
        assert!(decode(&case).unwrap_err().to_string().contains(reason), "{reason}");
    }
    let bounds = forged(1, |writer| {
        writer.write(0, 8);
        write_int(writer, -53);
        writer.write(0, 2);
        write_uint(writer, 1 << 40);
    });
    assert!(decode(&bounds).unwrap_err().to_string().contains("counts more bounds than it can hold"));
    let many = forged(u16::MAX, |writer| writer.write(0, 64));
    assert!(decode(&many).unwrap_err().to_string().contains("counts more samples than it can hold"));
}

#[test]
fn empty_spans_are_not_copied_into_every_sample() {
    let empty = BucketSpan { offset: 1, length: 0 };
    let full = BucketSpan { offset: 0, length: 1 };
    let positive_spans = [vec![empty; 3000], vec![full], vec![empty; 3000], vec![full]].concat();
    let layout = Layout { positive_spans: positive_spans.clone(), ..Layout::default() };
    let mut chunk = forged(4000, |writer| {
        layout.write(writer);
        (0..4000).for_each(|_| writer.write(0, 64));
    });
    chunk.data = [&chunk.data[..], &[0; 8]].concat().into();
    // Times that stand still end it, after the first sample has shown what spans it has.
    let first = HistogramIterator::new(&chunk).unwrap().next().unwrap().unwrap();
    let Value::Histogram(first) = first.value else { panic!("an integer histogram") };
    assert_eq!(first.positive_spans, [BucketSpan { offset: 3000, length: 1 }, BucketSpan { offset: 3000, length: 1 }]);
    // Nor by the appender.
    let histogram = Histogram { positive_spans, positive_deltas: vec![1, 0], count: 2, ..Histogram::default() };
    let open = HistogramAppender::first(0, 1, &histogram);
    assert!(open.heap_bytes() < 300 && open.size_bytes() < 100);
    assert!(open.last().value.same(&Value::Histogram(Arc::new(histogram))));
}

#[test]
fn schemas_to_come_are_coarsened_for_queries_alone() {
    let histogram = Histogram {
        schema: 10,
        count: 6,
        positive_spans: vec![BucketSpan { offset: 1, length: 8 }],
        positive_deltas: vec![1, 0, 0, 0, 0, 0, -1, 0],
        ..Histogram::default()
    };
    let chunk = HistogramAppender::first(0, 1, &histogram).seal();
    assert!(decode(&chunk).unwrap()[0].value.same(&Value::Histogram(Arc::new(histogram))));
    let Value::FloatHistogram(coarse) = &columns(&chunk).unwrap()[0].value else { panic!("columns are floats") };
    assert_eq!((coarse.schema, &coarse.positive_counts[..]), (8, &[4.0, 2.0][..]));
}

/// Series of histograms with the chunks that Prometheus 3.14 made of them (its `tsdb/chunkenc`, fed with them one by one):
/// integer and float, with and without starts; buckets that appear everywhere, empty ones that are left out, gauges that
/// lose buckets, custom bounds, resets, other schemas and thresholds, stale markers, 135 samples in a chunk.
#[test]
fn reads_and_writes_what_prometheus_writes() {
    let mut text = String::new();
    let packed: &[u8] = include_bytes!("vectors.jsonl.gz");
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut text).unwrap();
    let mut chunks_of = [0; 7];
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = format!("{} {}", case["name"], case["chunks"][0][0]);
        let samples = case["samples"].as_array().unwrap().iter();
        let samples: Vec<Measurement> = samples.map(|it| recorded(it, case["float"] == true)).collect();
        let expected: Vec<(u8, Vec<u8>)> = case["chunks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|chunk| (chunk[0].as_u64().unwrap() as u8, crate::tests::from_hex(chunk[1].as_str().unwrap())))
            .collect();
        let chunks = in_chunks(&samples);
        let written: Vec<(u8, Vec<u8>)> =
            chunks.iter().map(|chunk| (chunk.encoding.byte(), chunk.data.to_vec())).collect();
        assert_eq!(written, expected, "{name}");
        let read: Vec<Measurement> = chunks.iter().flat_map(|chunk| decode(chunk).unwrap()).collect();
        assert_same(&read, &samples);
        written.iter().for_each(|(encoding, _)| chunks_of[usize::from(*encoding)] += 1);
    }
    assert_eq!(chunks_of, [0, 0, 16, 15, 0, 16, 16]);
}

/// The samples in as few chunks as can be.
pub(crate) fn in_chunks(samples: &[Measurement]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut open: Option<HistogramAppender> = None;
    for sample in samples {
        let (start_ms, t_ms, value) = (sample.start_ms, sample.t_ms, histogram_of(sample));
        match &mut open {
            None => open = Some(HistogramAppender::first(start_ms, t_ms, value)),
            Some(chunk) => {
                if chunk.append(start_ms, t_ms, value).is_err() {
                    let next = chunk.next(start_ms, t_ms, value);
                    chunks.push(std::mem::replace(chunk, next).seal());
                }
            }
        }
    }
    chunks.extend(open.map(HistogramAppender::seal));
    chunks
}

/// Same times, starts and values, whatever empty buckets there are.
pub(crate) fn assert_same(one: &[Measurement], other: &[Measurement]) {
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        assert_eq!((one.t_ms, one.start_ms), (other.t_ms, other.start_ms));
        assert!(one.value.same(&other.value), "{one:?}, not {other:?}");
    }
}

fn recorded(sample: &serde_json::Value, float: bool) -> Measurement {
    let bits = |it: &serde_json::Value| f64::from_bits(u64::from_str_radix(it.as_str().unwrap(), 16).unwrap());
    let all = |at: usize| sample[at].as_array().unwrap().iter();
    let spans = |at: usize| {
        let span = |it: &serde_json::Value| BucketSpan {
            offset: it[0].as_i64().unwrap() as i32,
            length: it[1].as_u64().unwrap() as u32,
        };
        all(at).map(span).collect()
    };
    let reset_hint = [Hint::Unknown, Hint::Reset, Hint::NotReset, Hint::Gauge][sample[2].as_u64().unwrap() as usize];
    let schema = sample[3].as_i64().unwrap() as i32;
    let zero_threshold = bits(&sample[4]);
    let sum = bits(&sample[7]);
    let (positive_spans, negative_spans) = (spans(8), spans(10));
    let custom_bounds = all(12).map(bits).collect();
    let value = if float {
        Value::FloatHistogram(Arc::new(FloatHistogram {
            reset_hint,
            schema,
            zero_threshold,
            zero_count: bits(&sample[5]),
            count: bits(&sample[6]),
            sum,
            positive_spans,
            negative_spans,
            positive_counts: all(9).map(bits).collect(),
            negative_counts: all(11).map(bits).collect(),
            custom_bounds,
        }))
    } else {
        Value::Histogram(Arc::new(Histogram {
            reset_hint,
            schema,
            zero_threshold,
            zero_count: sample[5].as_u64().unwrap(),
            count: sample[6].as_u64().unwrap(),
            sum,
            positive_spans,
            negative_spans,
            positive_deltas: all(9).map(|it| it.as_i64().unwrap()).collect(),
            negative_deltas: all(11).map(|it| it.as_i64().unwrap()).collect(),
            custom_bounds,
        }))
    };
    Measurement { start_ms: sample[0].as_i64().unwrap(), t_ms: sample[1].as_i64().unwrap(), value }
}
