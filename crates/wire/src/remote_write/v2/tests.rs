//! The decoder against prost: random messages in random order with odd encodings, cut and flipped, what a real sender
//! sent, and messages that are built to cost more than they are.

use super::*;
use crate::remote_write::tests::{Field, Value, damaged, field, message, text, unknown, write};
use crate::{Item, proto::write_v2};
use longhaul_model::write_batch::{HistogramSample, HistogramValue};
use longhaul_model::{LabelSection, SeriesEntry, WriteBatch};
use proptest::prelude::*;
use prost::Message;

/// `Request` as older senders know it: with field 6.
#[derive(Clone, PartialEq, Message)]
struct OldRequest {
    #[prost(bytes = "vec", repeated, tag = "4")]
    symbols: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<OldSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct OldSeries {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<write_v2::Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<write_v2::Histogram>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<write_v2::Exemplar>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<write_v2::Metadata>,
    #[prost(int64, tag = "6")]
    created_timestamp: i64,
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

impl OldRequest {
    /// The labels that references stand for.
    fn labels(&self, references: &[u32]) -> Option<Pairs> {
        let text = |reference: u32| self.symbols.get(reference as usize).cloned();
        let pair = |pair: &[u32]| Some((text(pair[0])?, text(*pair.get(1)?)?));
        references.chunks(2).map(pair).collect()
    }
}

fn pairs(section: LabelSection<'_>) -> Pairs {
    section.pairs().map(|pair| pair.map(|(name, value)| (name.to_vec(), value.to_vec())).unwrap()).collect()
}

/// Decodes `message` with both; panics where they differ. Returns whether it was accepted.
fn compare(message: &[u8]) -> bool {
    let expected = OldRequest::decode(message);
    let Decoded { batch, refused } = match decode(message, &DecodeLimits::default()) {
        Ok(decoded) => decoded,
        Err(WireError::Malformed { at, what }) => {
            assert!(at <= message.len());
            assert!(expected.is_err() || what == "a group or an unknown wire type", "{what} at {at}: {expected:?}");
            return false;
        }
        Err(other) => panic!("{other}"),
    };
    let expected = expected.expect("accepted, though prost refuses it");
    assert!(batch.starts_ms.is_empty() || batch.starts_ms.len() == batch.samples.len());
    let (mut entries, mut bad, mut empty) = (batch.series.iter(), 0, 0);
    for series in &expected.timeseries {
        let good = |exemplar: &&write_v2::Exemplar| expected.labels(&exemplar.labels_refs).is_some();
        let exemplars: Vec<_> = series.exemplars.iter().filter(good).collect();
        bad += series.exemplars.len() - exemplars.len();
        let items = series.samples.len() + series.histograms.len() + exemplars.len();
        match expected.labels(&series.labels_refs) {
            None => bad += items.max(1),
            Some(_) if items == 0 => empty += 1,
            Some(labels) => {
                let entry = entries.next().expect("a series");
                assert_eq!(pairs(batch.labels(entry)), labels);
                compare_samples(&batch, entry, series);
                compare_exemplars(&batch, entry, &exemplars, &expected);
            }
        }
    }
    assert!(entries.next().is_none());
    let count = |reason| refused.iter().find(|refused| refused.reason == reason).map_or(0, |refused| refused.count);
    assert_eq!((count(Reason::SymbolReference), count(Reason::NoSamples)), (bad as u64, empty));
    true
}

fn compare_samples(batch: &WriteBatch, entry: &SeriesEntry, series: &OldSeries) {
    let or_created = |start_ms: i64| if start_ms == 0 { series.created_timestamp } else { start_ms };
    let start_ms = |at: usize| batch.starts_ms.get(entry.samples.start as usize + at).copied().unwrap_or(0);
    let samples = batch.samples(entry).iter().enumerate();
    let got: Vec<_> = samples.map(|(at, s)| (s.t_ms, s.value.to_bits(), start_ms(at))).collect();
    let samples = series.samples.iter();
    let wanted: Vec<_> = samples.map(|s| (s.timestamp, s.value.to_bits(), or_created(s.start_timestamp))).collect();
    assert_eq!(got, wanted);
    let histograms = &batch.histograms[entry.histograms.start as usize..entry.histograms.end as usize];
    assert_eq!(histograms.len(), series.histograms.len());
    for (got, wanted) in histograms.iter().zip(&series.histograms) {
        assert_eq!((got.t_ms, got.start_ms), (wanted.timestamp, or_created(wanted.start_timestamp)));
        let HistogramSample { value, .. } = got;
        let (schema, sum) = match value {
            HistogramValue::Integer(histogram) => (histogram.schema, histogram.sum),
            HistogramValue::Float(histogram) => (histogram.schema, histogram.sum),
        };
        assert_eq!((schema, sum.to_bits()), (wanted.schema, wanted.sum.to_bits()));
    }
}

fn compare_exemplars(batch: &WriteBatch, entry: &SeriesEntry, expected: &[&write_v2::Exemplar], request: &OldRequest) {
    let exemplars = &batch.exemplars[entry.exemplars.start as usize..entry.exemplars.end as usize];
    assert_eq!(exemplars.len(), expected.len());
    for (got, wanted) in exemplars.iter().zip(expected) {
        assert_eq!((got.t_ms, got.value.to_bits()), (wanted.timestamp, wanted.value.to_bits()));
        let section = &batch.buffer[got.labels.start as usize..got.labels.end as usize];
        assert_eq!(Some(pairs(LabelSection::new(section))), request.labels(&wanted.labels_refs));
    }
}

fn number(max: u64) -> impl Strategy<Value = Value> {
    prop_oneof![9 => 0..max, 1 => any::<u64>()].prop_map(Value::Varint)
}

/// References, packed.
fn packed() -> impl Strategy<Value = Value> {
    proptest::collection::vec(prop_oneof![60 => 0u64..6, 1 => any::<u64>()], 0..7).prop_map(|references| {
        let mut bytes = Vec::new();
        references.iter().for_each(|reference| prost::encoding::encode_varint(*reference, &mut bytes));
        Value::Bytes(bytes)
    })
}

fn fixed64() -> impl Strategy<Value = Value> {
    any::<u64>().prop_map(Value::Fixed64)
}

fn sample() -> impl Strategy<Value = Value> {
    let fields = prop_oneof![
        8 => field(1, 1, fixed64()),
        8 => field(2, 0, number(2_000_000_000_000)),
        2 => field(3, 0, number(2_000_000_000_000)),
        1 => unknown_beyond_17(),
    ];
    message(fields, 5)
}

fn exemplar() -> impl Strategy<Value = Value> {
    let fields = prop_oneof![
        8 => field(1, 2, packed()),
        1 => field(1, 0, number(6)),
        8 => field(2, 1, fixed64()),
        8 => field(3, 0, number(2_000_000_000_000)),
        1 => unknown_beyond_17(),
    ];
    message(fields, 5)
}

fn histogram() -> impl Strategy<Value = Value> {
    let span = || message(prop_oneof![field(1, 0, number(9)), field(2, 0, number(9))], 3);
    let varints = || proptest::collection::vec(0u8..100, 0..5).prop_map(Value::Bytes);
    let doubles = || {
        proptest::collection::vec(any::<f64>(), 0..4)
            .prop_map(|all| Value::Bytes(all.iter().flat_map(|value| value.to_le_bytes()).collect()))
    };
    let fields = prop_oneof![
        4 => field(1, 0, number(99)),
        2 => field(2, 1, fixed64()),
        4 => field(3, 1, fixed64()),
        4 => field(4, 0, number(17)),
        2 => field(5, 1, fixed64()),
        2 => field(6, 0, number(99)),
        1 => field(7, 1, fixed64()),
        2 => field(8, 2, span()),
        2 => field(9, 2, varints()),
        1 => field(9, 0, number(99)),
        2 => field(10, 2, doubles()),
        2 => field(11, 2, span()),
        2 => field(12, 2, varints()),
        1 => field(13, 1, fixed64()),
        2 => field(14, 0, number(5)),
        4 => field(15, 0, number(2_000_000_000_000)),
        2 => field(16, 2, doubles()),
        2 => field(17, 0, number(2_000_000_000_000)),
    ];
    message(fields, 9)
}

fn metadata() -> impl Strategy<Value = Value> {
    message(prop_oneof![field(1, 0, number(9)), field(3, 0, number(6)), field(4, 0, number(6))], 4)
}

/// Unknown to the messages inside a series.
fn unknown_beyond_17() -> impl Strategy<Value = Field> {
    unknown().prop_map(|mut field| {
        field.key += 20 << 3;
        field
    })
}

fn series() -> impl Strategy<Value = Value> {
    let fields = prop_oneof![
        20 => field(1, 2, packed()),
        3 => field(1, 0, number(6)),
        30 => field(2, 2, sample()),
        10 => field(3, 2, histogram()),
        10 => field(4, 2, exemplar()),
        5 => field(5, 2, metadata()),
        5 => field(6, 0, number(2_000_000_000_000)),
        3 => unknown_beyond_17(),
        1 => field(2, 0, any::<u64>().prop_map(Value::Varint)),
    ];
    message(fields, 9)
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let fields = prop_oneof![20 => field(4, 2, text()), 20 => field(5, 2, series()), 1 => unknown_beyond_17()];
    // As real senders write it (symbols, then series), or in any order.
    (prop::bool::weighted(0.8), proptest::collection::vec(fields, 0..14)).prop_map(|(in_order, mut fields)| {
        if in_order {
            fields.sort_by_key(|field| field.key);
        }
        let mut out = Vec::new();
        write(&mut out, &fields);
        out
    })
}

proptest! {
    #[test]
    fn messages_in_any_order_and_encoding_are_read_as_prost_reads_them(message in request()) {
        compare(&message);
    }

    #[test]
    fn cut_and_changed_messages_are_judged_as_prost_judges_them(message in damaged(request())) {
        compare(&message);
    }

    #[test]
    fn arbitrary_bytes_end_in_an_answer(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        compare(&message);
    }
}

fn symbols(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn one_sample(labels_refs: &[u32]) -> write_v2::TimeSeries {
    let samples = vec![write_v2::Sample { value: 1.0, timestamp: 5, start_timestamp: 0 }];
    write_v2::TimeSeries { labels_refs: labels_refs.to_vec(), samples, ..Default::default() }
}

fn encoded(symbols: &[&str], timeseries: Vec<write_v2::TimeSeries>) -> Vec<u8> {
    write_v2::Request { symbols: self::symbols(symbols), timeseries }.encode_to_vec()
}

#[test]
fn sections_are_canonical_and_hash_as_those_of_1_0() {
    let message = encoded(&["", "__name__", "up", "job", "node"], vec![one_sample(&[1, 2, 3, 4])]);
    let batch = decode(&message, &DecodeLimits::default()).unwrap().batch;
    let mut canonical = Vec::new();
    LabelSection::push(&mut canonical, "__name__", "up");
    LabelSection::push(&mut canonical, "job", "node");
    assert_eq!(batch.labels(&batch.series[0]).bytes(), canonical);
}

#[test]
fn bad_references_cost_their_own_series_only() {
    let metadata = Some(write_v2::Metadata { r#type: 1, help_ref: 99, unit_ref: 0 });
    let exemplar = |labels_refs: &[u32]| write_v2::Exemplar { labels_refs: labels_refs.to_vec(), ..Default::default() };
    let exemplars = vec![exemplar(&[1, 2]), exemplar(&[1, 9])];
    let message = encoded(
        &["", "__name__", "up"],
        vec![
            one_sample(&[1, 3]),
            one_sample(&[1, 2, 1]),
            one_sample(&[1, u32::MAX]),
            write_v2::TimeSeries { metadata, exemplars, ..one_sample(&[1, 2]) },
            write_v2::TimeSeries { samples: Vec::new(), ..one_sample(&[1, 2]) },
        ],
    );
    assert!(compare(&message));
    let Decoded { batch, refused } = decode(&message, &DecodeLimits::default()).unwrap();
    assert_eq!((batch.series.len(), batch.samples.len(), batch.exemplars.len(), batch.metadata.len()), (1, 1, 1, 0));
    let first = "symbol 3 of 3 in {__name__=\"?\"}".to_owned();
    let no_samples = Refused { reason: Reason::NoSamples, count: 1, first: "{__name__=\"up\"}".to_owned() };
    assert_eq!(refused, [Refused { reason: Reason::SymbolReference, count: 4, first }, no_samples]);
}

#[test]
fn metadata_is_kept_once_a_metric() {
    let about = |series, kind, help_ref| {
        let metadata = Some(write_v2::Metadata { r#type: kind, help_ref, unit_ref: 4 });
        write_v2::TimeSeries { metadata, ..series }
    };
    let message = encoded(
        &["", "__name__", "up", "help", "unit", "other"],
        vec![
            about(one_sample(&[1, 2]), 1, 3),
            about(one_sample(&[1, 2]), 1, 3),
            about(one_sample(&[1, 5]), 7, 3),
            about(one_sample(&[5, 2]), 2, 3),
        ],
    );
    let batch = decode(&message, &DecodeLimits::default()).unwrap().batch;
    let text = |range: &std::ops::Range<u32>| {
        std::str::from_utf8(&batch.buffer[range.start as usize..range.end as usize]).unwrap()
    };
    let all: Vec<_> = batch.metadata.iter().map(|m| (text(&m.family), m.kind, text(&m.help), text(&m.unit))).collect();
    assert_eq!(all, [("up", MetricKind::Counter, "help", "unit"), ("other", MetricKind::StateSet, "help", "unit")]);
}

#[test]
fn references_that_multiply_are_stopped_before_they_take_memory() {
    let long = "x".repeat(1 << 20);
    let many: Vec<u32> = [1, 1].repeat(1 << 16);
    let limits = DecodeLimits::default();
    let too_large = WireError::TextsTooLarge { size_bytes_max: limits.text_bytes_max };
    let message = encoded(&["", &long], vec![one_sample(&many)]);
    assert_eq!(decode(&message, &limits).map(|_| ()), Err(too_large.clone()));
    let exemplars = vec![write_v2::Exemplar { labels_refs: many, ..Default::default() }];
    let message = encoded(&["", &long], vec![write_v2::TimeSeries { exemplars, ..Default::default() }]);
    assert_eq!(decode(&message, &limits).map(|_| ()), Err(too_large));
}

#[test]
fn limits_end_the_walk_where_they_are_passed() {
    let message = encoded(&["", "__name__", "up"], vec![one_sample(&[1, 2]); 3]);
    let with = |series_max, samples_max| {
        let limits = DecodeLimits { series_max, samples_max, ..DecodeLimits::default() };
        decode(&message, &limits).map(|decoded| decoded.batch.samples.len())
    };
    assert_eq!(with(3, 3), Ok(3));
    assert_eq!(with(2, 3), Err(WireError::TooMany { item: Item::Series, max: 2 }));
    assert_eq!(with(3, 2), Err(WireError::TooMany { item: Item::Samples, max: 2 }));
    let labels = |references: u32| {
        let labels_refs: Vec<u32> = [1, 2].into_iter().cycle().take(references as usize).collect();
        decode(&encoded(&["", "a", "b"], vec![one_sample(&labels_refs)]), &DecodeLimits::default()).map(|_| ())
    };
    assert_eq!(labels(REFERENCES_MAX), Ok(()));
    let too_many = WireError::TooMany { item: Item::References, max: REFERENCES_MAX };
    assert_eq!(labels(REFERENCES_MAX + 1), Err(too_many));
    let symbols = [0x22, 0].repeat((1 << 20) + 1);
    let too_many = WireError::TooMany { item: Item::Symbols, max: 1 << 20 };
    assert_eq!(decode(&symbols, &DecodeLimits::default()).map(|_| ()), Err(too_many));
}
