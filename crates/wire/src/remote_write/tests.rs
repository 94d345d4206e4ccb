//! The decoder against prost: random messages in random order with odd encodings, cut and flipped, and what real
//! senders sent.
//!
//! The oracle is prost with labels and texts as opaque bytes, since the decoder does not look inside them. The only
//! difference is wanted: prost skips groups, the decoder refuses them.

mod recorded;

use super::*;
use crate::{Item, WireError, proto, walk};
use bytes::Bytes;
use longhaul_model::{
    BucketSpan, CounterResetHint, HistogramSample, HistogramValue, LabelSection, Labels, Sample, WriteBatch,
};
use proptest::prelude::*;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct OpaqueRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<OpaqueSeries>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    metadata: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct OpaqueMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    family: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    help: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    unit: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct OpaqueExemplar {
    #[prost(bytes = "vec", repeated, tag = "1")]
    labels: Vec<Vec<u8>>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct OpaqueSeries {
    #[prost(bytes = "vec", repeated, tag = "1")]
    labels: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<proto::prometheus::Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<OpaqueExemplar>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<proto::prometheus::Histogram>,
}

/// Decodes `message` with both; panics where they differ. Returns whether it was accepted.
fn compare(message: &[u8]) -> bool {
    let expected = OpaqueRequest::decode(message);
    let batch = match decode(Bytes::copy_from_slice(message), &DecodeLimits::default()) {
        Ok(batch) => batch,
        Err(WireError::Malformed { at, what }) => {
            assert!(at <= message.len());
            assert!(expected.is_err() || what == "a group or an unknown wire type", "{what} at {at}: {expected:?}");
            return false;
        }
        Err(other) => panic!("{other}"),
    };
    let expected = expected.expect("accepted, though prost refuses it");
    compare_metadata(&batch, &expected.metadata);
    assert_eq!(batch.series.len(), expected.timeseries.len());
    let (mut samples_end, mut histograms_end, mut exemplars_end) = (0, 0, 0);
    for (entry, series) in batch.series.iter().zip(&expected.timeseries) {
        assert_eq!(entry.samples.start, samples_end, "samples lie series after series");
        samples_end = entry.samples.end;
        let got: Vec<_> = batch.samples(entry).iter().map(|s| (s.t_ms, s.value.to_bits())).collect();
        let wanted: Vec<_> = series.samples.iter().map(|s| (s.timestamp, s.value.to_bits())).collect();
        assert_eq!(got, wanted);
        assert_eq!((entry.histograms.start, entry.exemplars.start), (histograms_end, exemplars_end));
        (histograms_end, exemplars_end) = (entry.histograms.end, entry.exemplars.end);
        assert_eq!(entry.exemplars.len(), series.exemplars.len());
        for (got, wanted) in batch.exemplars(entry).iter().zip(&series.exemplars) {
            assert_eq!((got.t_ms, got.value.to_bits()), (wanted.timestamp, wanted.value.to_bits()));
            compare_labels(LabelSection::new(batch.bytes(&got.labels)), &wanted.labels);
        }
        assert_eq!(entry.histograms.len(), series.histograms.len());
        for (got, wanted) in batch.histograms(entry).iter().zip(&series.histograms) {
            compare_histograms(got, wanted);
        }
        compare_labels(batch.labels(entry), &series.labels);
    }
    assert_eq!(samples_end as usize, batch.samples.len());
    assert_eq!(histograms_end as usize, batch.histograms.len());
    assert_eq!(exemplars_end as usize, batch.exemplars.len());
    assert!(batch.starts_ms.is_empty());
    true
}

/// Entries that cannot be read are left out.
fn compare_metadata(batch: &WriteBatch, expected: &[Vec<u8>]) {
    let text = |range| batch.bytes(range).to_vec();
    let got: Vec<_> = batch
        .metadata
        .iter()
        .map(|it| OpaqueMetadata {
            kind: it.kind as i32,
            family: text(&it.family),
            help: text(&it.help),
            unit: text(&it.unit),
        })
        .collect();
    let mut got = got.into_iter().peekable();
    for body in expected {
        let Ok(mut wanted) = OpaqueMetadata::decode(&body[..]) else { continue };
        wanted.kind = if (0..8).contains(&wanted.kind) { wanted.kind } else { 0 };
        // Prost skips groups, whose keys end so.
        if got.next_if_eq(&wanted).is_none() {
            assert!(body.iter().any(|byte| matches!(byte & 7, 3 | 4)), "left out: {wanted:?}");
        }
    }
    assert_eq!(got.next(), None);
}

/// The same by their bits; what a message has of the other type is not looked at.
fn compare_histograms(got: &HistogramSample, wanted: &proto::prometheus::Histogram) {
    use crate::proto::prometheus::histogram::{Count, ZeroCount};
    let bits = |floats: &[f64]| floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
    let spans = |spans: &[proto::prometheus::BucketSpan]| {
        spans.iter().map(|span| BucketSpan { offset: span.offset, length: span.length }).collect::<Vec<_>>()
    };
    let hint =
        [CounterResetHint::Unknown, CounterResetHint::Reset, CounterResetHint::NotReset, CounterResetHint::Gauge]
            .get(wanted.reset_hint as usize)
            .copied()
            .unwrap_or_default();
    assert_eq!(got.t_ms, wanted.timestamp);
    match (&got.value, &wanted.count) {
        (HistogramValue::Float(it), Some(Count::CountFloat(count))) => {
            let zero = if let Some(ZeroCount::ZeroCountFloat(zero)) = wanted.zero_count { zero } else { 0.0 };
            assert_eq!(
                bits(&[it.count, it.zero_count, it.sum, it.zero_threshold]),
                bits(&[*count, zero, wanted.sum, wanted.zero_threshold])
            );
            assert_eq!((it.schema, it.reset_hint), (wanted.schema, hint));
            assert_eq!(it.positive_spans, spans(&wanted.positive_spans));
            assert_eq!(it.negative_spans, spans(&wanted.negative_spans));
            assert_eq!(bits(&it.positive_counts), bits(&wanted.positive_counts));
            assert_eq!(bits(&it.negative_counts), bits(&wanted.negative_counts));
            assert_eq!(bits(&it.custom_bounds), bits(&wanted.custom_values));
        }
        (HistogramValue::Integer(it), Some(Count::CountInt(_)) | None) => {
            let count = if let Some(Count::CountInt(count)) = wanted.count { count } else { 0 };
            let zero = if let Some(ZeroCount::ZeroCountInt(zero)) = wanted.zero_count { zero } else { 0 };
            assert_eq!((it.count, it.zero_count), (count, zero));
            assert_eq!(bits(&[it.sum, it.zero_threshold]), bits(&[wanted.sum, wanted.zero_threshold]));
            assert_eq!((it.schema, it.reset_hint), (wanted.schema, hint));
            assert_eq!(it.positive_spans, spans(&wanted.positive_spans));
            assert_eq!(it.negative_spans, spans(&wanted.negative_spans));
            assert_eq!(it.positive_deltas, wanted.positive_deltas);
            assert_eq!(it.negative_deltas, wanted.negative_deltas);
            assert_eq!(bits(&it.custom_bounds), bits(&wanted.custom_values));
        }
        other => panic!("{other:?}"),
    }
}

/// A section holds the very bodies that prost sees, and what prost can read of them is read the same.
fn compare_labels(section: LabelSection<'_>, expected: &[Vec<u8>]) {
    let mut walk = walk::Walk::new(section.bytes(), 0);
    let mut pairs = section.pairs();
    let mut readable = true;
    for body in expected {
        assert_eq!(walk.key().unwrap(), walk::Key { number: 1, wire: walk::LENGTH });
        let end = walk.enter().unwrap();
        assert_eq!(&section.bytes()[walk.at..end], body);
        walk.at = end;
        let pair = pairs.next();
        readable &= matches!(pair, Some(Ok(_))); // groups inside a label are refused here too
        if let (true, Some(Ok((name, value))), Ok(label)) =
            (readable, pair, proto::prometheus::Label::decode(&body[..]))
        {
            assert_eq!((name, value), (label.name.as_bytes(), label.value.as_bytes()));
        }
    }
    assert!(walk.is_done());
}

/// A field as some sender might write it: in bodies that prost wrote, keys and lengths with `slack` bytes too many.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) key: u64,
    value: Value,
    slack: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(Vec<u8>),
    Message(Vec<Field>),
}

fn varint(out: &mut Vec<u8>, mut value: u64, slack: usize) {
    let start = out.len();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    for _ in 0..slack.min(10 - (out.len() - start)) {
        *out.last_mut().unwrap() |= 0x80;
        out.push(0);
    }
}

pub(super) fn write(out: &mut Vec<u8>, fields: &[Field]) {
    for Field { key, value, slack } in fields {
        varint(out, *key, *slack);
        match value {
            Value::Varint(value) => varint(out, *value, *slack),
            Value::Fixed64(value) => out.extend(value.to_le_bytes()),
            Value::Fixed32(value) => out.extend(value.to_le_bytes()),
            Value::Bytes(bytes) => {
                varint(out, bytes.len() as u64, *slack);
                out.extend(bytes);
            }
            Value::Message(fields) => {
                let mut inner = Vec::new();
                write(&mut inner, fields);
                varint(out, inner.len() as u64, *slack);
                out.extend(inner);
            }
        }
    }
}

pub(super) fn field(number: u64, wire: u64, value: impl Strategy<Value = Value>) -> impl Strategy<Value = Field> {
    let slack = prop_oneof![9 => Just(0usize), 1 => 0usize..9];
    (value, slack).prop_map(move |(value, slack)| Field { key: number << 3 | wire, value, slack })
}

/// A field that no message of ours has; seldom one with a number or a type that is not allowed.
pub(super) fn unknown() -> impl Strategy<Value = Field> {
    let number =
        prop_oneof![20 => 5u64..40, 2 => (1u64 << 29) - 2..1 << 29, 1 => Just(0u64), 1 => (1u64 << 29)..1 << 40];
    prop_oneof![(number, any::<u64>(), 0usize..4, proptest::collection::vec(any::<u8>(), 0..20)).prop_map(
        |(number, n, kind, bytes)| {
            let (wire, value) = [
                (0, Value::Varint(n)),
                (1, Value::Fixed64(n)),
                (5, Value::Fixed32(n as u32)),
                (2, Value::Bytes(bytes)),
            ][kind]
                .clone();
            Field { key: number << 3 | wire, value, slack: 0 }
        }
    )]
}

pub(super) fn message(fields: impl Strategy<Value = Field>, max: usize) -> impl Strategy<Value = Value> {
    proptest::collection::vec(fields, 0..max).prop_map(Value::Message)
}

pub(super) fn text() -> impl Strategy<Value = Value> {
    prop_oneof![9 => ".{0,12}".prop_map(|t| Value::Bytes(t.into_bytes())),
                1 => proptest::collection::vec(any::<u8>(), 0..140).prop_map(Value::Bytes)]
}

fn label() -> impl Strategy<Value = Value> {
    message(prop_oneof![8 => field(1, 2, text()), 8 => field(2, 2, text()), 1 => unknown()], 4)
}

fn sample() -> impl Strategy<Value = Value> {
    let t_ms = prop_oneof![any::<i64>(), 0i64..2_000_000_000_000].prop_map(|t| Value::Varint(t as u64));
    message(
        prop_oneof![8 => field(1, 1, any::<u64>().prop_map(Value::Fixed64)), 8 => field(2, 0, t_ms), 1 => unknown()],
        4,
    )
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![0u64..20, any::<u64>()].prop_map(Value::Varint)
}

fn double() -> impl Strategy<Value = Value> {
    any::<u64>().prop_map(Value::Fixed64)
}

fn exemplar() -> impl Strategy<Value = Value> {
    message(
        prop_oneof![4 => field(1, 2, label()), 4 => field(2, 1, double()), 4 => field(3, 0, number()), 1 => unknown()],
        6,
    )
}

fn metadata() -> impl Strategy<Value = Value> {
    let text = |number| field(number, 2, text());
    message(prop_oneof![4 => field(1, 0, number()), 4 => text(2), 4 => text(4), 4 => text(5), 1 => unknown()], 6)
}

/// Every field in any order, and any number of times; numbers packed or one by one.
fn histogram() -> impl Strategy<Value = Value> {
    let span = || message(prop_oneof![field(1, 0, number()), field(2, 0, number())], 3);
    let varints = proptest::collection::vec(any::<u64>(), 0..4).prop_map(|numbers| {
        let mut out = Vec::new();
        numbers.iter().for_each(|number| varint(&mut out, *number, 0));
        Value::Bytes(out)
    });
    let doubles = proptest::collection::vec(any::<u64>(), 0..4)
        .prop_map(|numbers| Value::Bytes(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()));
    let pick = |from: &'static [u64]| prop::sample::select(from);
    let of = |numbers: &'static [u64], wire: u64, value: BoxedStrategy<Value>| {
        (pick(numbers), value).prop_map(move |(number, value)| Field { key: number << 3 | wire, value, slack: 0 })
    };
    let fields = prop_oneof![
        10 => of(&[1, 4, 6, 14, 15, 9, 12], 0, number().boxed()),
        10 => of(&[2, 3, 5, 7, 10, 13, 16], 1, double().boxed()),
        5 => of(&[8, 11], 2, span().boxed()),
        3 => of(&[9, 12], 2, varints.boxed()),
        3 => of(&[10, 13, 16], 2, doubles.boxed()),
        1 => unknown(),
        1 => field(3, 2, text()),
    ];
    message(fields, 12)
}

fn series() -> impl Strategy<Value = Value> {
    let fields = prop_oneof![
        60 => field(1, 2, label()),
        30 => field(2, 2, sample()),
        5 => field(3, 2, exemplar()),
        10 => field(4, 2, histogram()),
        5 => unknown(),
        1 => field(2, 0, any::<u64>().prop_map(Value::Varint)),
    ];
    // As real senders write it (labels, then samples), or in any order.
    (any::<bool>(), proptest::collection::vec(fields, 0..12)).prop_map(|(in_order, mut fields)| {
        if in_order {
            fields.sort_by_key(|f| f.key);
        }
        Value::Message(fields)
    })
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let fields = prop_oneof![20 => field(1, 2, series()), 2 => field(3, 2, metadata()), 1 => unknown()];
    proptest::collection::vec(fields, 0..8).prop_map(|fields| {
        let mut out = Vec::new();
        write(&mut out, &fields);
        out
    })
}

/// Messages with up to three other bytes, some of them cut short.
pub(super) fn damaged(messages: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let cut = prop::option::weighted(0.3, any::<prop::sample::Index>());
    (messages, changes, cut).prop_map(|(mut message, changes, cut)| {
        if message.is_empty() {
            return message;
        }
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        message.truncate(cut.map_or(message.len(), |cut| cut.index(message.len())));
        message
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

    #[test]
    fn what_is_encoded_is_decoded(
        series in proptest::collection::vec(
            (
                proptest::collection::btree_map(".{1,8}", ".{1,80}", 0..6),
                proptest::collection::vec((any::<i64>(), any::<u64>()), 0..6),
            ),
            0..6,
        ),
    ) {
        let series: Vec<(Labels, Vec<Sample>)> = series
            .iter()
            .map(|(labels, samples)| {
                let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())));
                (labels, samples.iter().map(|(t, bits)| Sample::new(*t, f64::from_bits(*bits))).collect())
            })
            .collect();
        let borrowed: Vec<(Labels, &[Sample])> = series.iter().map(|(l, s)| (l.clone(), &s[..])).collect();
        let message = encode(&borrowed);
        prop_assert!(compare(&message));
        prop_assert!(proto::prometheus::WriteRequest::decode(&message[..]).is_ok());
        let batch = decode(message.into(), &DecodeLimits::default()).unwrap();
        for ((labels, samples), entry) in series.iter().zip(&batch.series) {
            prop_assert_eq!(&labels_of(&batch, entry), labels);
            let same = batch.samples(entry).iter().zip(samples).all(|(a, b)| a.same(b));
            prop_assert!(same && batch.samples(entry).len() == samples.len());
        }
    }
}

fn labels_of(batch: &WriteBatch, entry: &longhaul_model::SeriesEntry) -> Labels {
    let pairs: Vec<_> = batch.labels(entry).pairs().map(Result::unwrap).collect();
    Labels::from_pairs(pairs.iter().map(|(n, v)| (std::str::from_utf8(n).unwrap(), std::str::from_utf8(v).unwrap())))
}

/// `labels`, where 's' stands for a sample between them.
fn series_of(parts: &[&str]) -> Vec<u8> {
    let fields = parts
        .iter()
        .map(|part| match part.split_once('=') {
            Some((name, value)) => {
                let text = |number: u64, text: &str| Field {
                    key: number << 3 | 2,
                    value: Value::Bytes(text.into()),
                    slack: 0,
                };
                Field { key: 0x0a, value: Value::Message(vec![text(1, name), text(2, value)]), slack: 0 }
            }
            None => {
                let t_ms = Field { key: 0x10, value: Value::Varint(7), slack: 0 };
                Field { key: 0x12, value: Value::Message(vec![t_ms]), slack: 0 }
            }
        })
        .collect();
    let mut out = Vec::new();
    write(&mut out, &[Field { key: 0x0a, value: Value::Message(fields), slack: 0 }]);
    out
}

#[test]
fn labels_in_one_run_stay_where_they_are_and_others_are_copied_behind() {
    let plain = series_of(&["a=1", "b=2", "s"]);
    let behind = series_of(&["s", "a=1", "b=2"]);
    let torn = series_of(&["a=1", "s", "b=2"]);
    for in_one_run in [&plain, &behind] {
        let batch = decode(in_one_run.clone().into(), &DecodeLimits::default()).unwrap();
        assert_eq!(batch.buffer.len(), in_one_run.len());
        assert_eq!(labels_of(&batch, &batch.series[0]).to_string(), r#"{a="1", b="2"}"#);
    }
    let message: Vec<u8> = [plain, torn.clone(), behind, torn].concat();
    assert!(compare(&message));
    let batch = decode(message.clone().into(), &DecodeLimits::default()).unwrap();
    let section_bytes = batch.series[0].labels.len();
    assert_eq!(batch.buffer.len(), message.len() + 2 * section_bytes);
    for entry in &batch.series {
        assert_eq!(batch.labels(entry).bytes(), batch.labels(&batch.series[0]).bytes());
        assert_eq!(batch.samples(entry).len(), 1);
    }
}

#[test]
fn limits_end_the_walk_where_they_are_passed() {
    let message: Vec<u8> = (0..3).flat_map(|_| series_of(&["a=1", "s", "s"])).collect();
    let with = |series_max, samples_max| {
        let limits = DecodeLimits { series_max, samples_max, ..DecodeLimits::default() };
        decode(message.clone().into(), &limits).map(|batch| batch.samples.len())
    };
    assert_eq!(with(3, 6), Ok(6));
    assert_eq!(with(2, 6), Err(WireError::TooMany { item: Item::Series, max: 2 }));
    assert_eq!(with(3, 5), Err(WireError::TooMany { item: Item::Samples, max: 5 }));
    let limits = DecodeLimits { series_max: 1, samples_max: 2, buckets_max: 3, ..DecodeLimits::default() };
    let refused = |message: &[u8], item, max| {
        let found = decode(message.to_vec().into(), &limits).map(drop);
        assert_eq!(found, Err(WireError::TooMany { item, max }));
    };
    refused(&[0x0a, 6, 0x22, 0, 0x22, 0, 0x22, 0], Item::Samples, 2);
    refused(&[0x0a, 6, 0x22, 0, 0x1a, 0, 0x1a, 0], Item::Samples, 2);
    refused(&[0x1a, 0, 0x1a, 0], Item::Metadata, 1);
    // Two histograms, one with an empty span and two packed deltas, one with a delta that is not packed.
    refused(&[0x0a, 12, 0x22, 6, 0x5a, 0, 0x62, 2, 1, 1, 0x22, 2, 0x60, 1], Item::Buckets, 3);
}

#[test]
fn memory_is_bounded_by_what_was_found_not_by_what_a_limit_allows() {
    let batch = decode(series_of(&["a=1", "s"]).into(), &DecodeLimits::default()).unwrap();
    assert!(batch.series.capacity() < 8 && batch.samples.capacity() < 8);
}

#[test]
fn errors_name_the_byte() {
    let at = |message: &[u8]| match decode(message.to_vec().into(), &DecodeLimits::default()) {
        Err(WireError::Malformed { at, what }) => (at, what),
        other => panic!("{other:?}"),
    };
    assert_eq!(at(&[0x0a, 0x05, 0x12]), (1, "a length beyond the end of the message"));
    assert_eq!(at(&[0x0a, 0x02, 0x12, 0x7f]), (3, "a length beyond the end of the message"));
    assert_eq!(at(&[0x0a, 0x03, 0x12, 0x01, 0x09]), (5, "the message ends inside a fixed-width value"));
    assert_eq!(at(&[0x08, 0x00]), (0, "a known field with a wrong wire type"));
    assert_eq!(at(&[0x0a, 0x02, 0x10, 0x00]), (2, "a known field with a wrong wire type"));
    assert_eq!(at(&[0x50, 0xff]), (1, "the message ends inside a varint"));
    assert_eq!(
        at(&[0x50, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
        (1, "a varint of more than 64 bits")
    );
    assert_eq!(at(&[&[0x50][..], &[0x80; 11]].concat()), (1, "a varint of more than ten bytes"));
    assert_eq!(at(&[0x02, 0x00]), (0, "field number 0"));
    assert_eq!(at(&[0x53, 0x54]), (0, "a group or an unknown wire type"));
    assert_eq!(at(&[0x57]), (0, "a group or an unknown wire type"));
    assert_eq!(at(&[0x80, 0x80, 0x80, 0x80, 0x10]), (0, "a field number above 2^29-1"));
}
