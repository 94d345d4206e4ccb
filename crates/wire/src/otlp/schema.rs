//! OTLP's messages as a table: what its JSON is turned into protobuf by, and what a message is weighed with before it is
//! decoded.
//!
//! Source: `opentelemetry/proto/metrics/v1/metrics.proto`; names are those of its JSON. Fields that nothing is made of are
//! not in it.

use crate::WireError;
use crate::proto::opentelemetry as proto;
use crate::walk::{LENGTH, Walk};
use std::mem::size_of;

/// A message: its fields, and what an empty one takes in memory, bytes.
pub(super) struct Table {
    pub fields: &'static [Field],
    size_bytes: usize,
}

/// A field of a message, repeated or not.
pub(super) struct Field {
    pub number: u32,
    pub name: &'static str,
    pub kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Message(&'static Table),
    Text,
    /// Bytes that JSON has in base64.
    Base64,
    /// Bytes that JSON has in hexadecimal digits: ids of traces and spans.
    Hex,
    Fixed64,
    SignedFixed64,
    Double,
    /// `int64`, `uint64` and `uint32`.
    Varint,
    /// `sint32`.
    ZigZag,
    Bool,
    Temporality,
}

use Kind::{Base64, Bool, Double, Fixed64, Hex, Message, SignedFixed64, Temporality, Text, Varint, ZigZag};

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind }
}

const fn table<T>(fields: &'static [Field]) -> Table {
    Table { fields, size_bytes: size_of::<T>() }
}

pub(super) static REQUEST: Table =
    table::<proto::ExportMetricsServiceRequest>(&[field(1, "resourceMetrics", Message(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Table = table::<proto::ResourceMetrics>(&[
    field(1, "resource", Message(&RESOURCE)),
    field(2, "scopeMetrics", Message(&SCOPE_METRICS)),
    field(3, "schemaUrl", Text),
]);
static RESOURCE: Table = table::<proto::Resource>(&[field(1, "attributes", Message(&KEY_VALUE))]);
static SCOPE_METRICS: Table = table::<proto::ScopeMetrics>(&[
    field(1, "scope", Message(&SCOPE)),
    field(2, "metrics", Message(&METRIC)),
    field(3, "schemaUrl", Text),
]);
static SCOPE: Table = table::<proto::InstrumentationScope>(&[
    field(1, "name", Text),
    field(2, "version", Text),
    field(3, "attributes", Message(&KEY_VALUE)),
]);
static KEY_VALUE: Table = table::<proto::KeyValue>(&[field(1, "key", Text), field(2, "value", Message(&ANY_VALUE))]);
static ANY_VALUE: Table = table::<proto::AnyValue>(&[
    field(1, "stringValue", Text),
    field(2, "boolValue", Bool),
    field(3, "intValue", Varint),
    field(4, "doubleValue", Double),
    field(5, "arrayValue", Message(&ARRAY_VALUE)),
    field(6, "kvlistValue", Message(&KEY_VALUE_LIST)),
    field(7, "bytesValue", Base64),
]);
static ARRAY_VALUE: Table = table::<proto::ArrayValue>(&[field(1, "values", Message(&ANY_VALUE))]);
static KEY_VALUE_LIST: Table = table::<proto::KeyValueList>(&[field(1, "values", Message(&KEY_VALUE))]);
static METRIC: Table = table::<proto::Metric>(&[
    field(1, "name", Text),
    field(2, "description", Text),
    field(3, "unit", Text),
    field(5, "gauge", Message(&GAUGE)),
    field(7, "sum", Message(&SUM)),
    field(9, "histogram", Message(&HISTOGRAM)),
    field(10, "exponentialHistogram", Message(&EXPONENTIAL_HISTOGRAM)),
    field(11, "summary", Message(&SUMMARY)),
]);
static GAUGE: Table = table::<proto::Gauge>(&[field(1, "dataPoints", Message(&NUMBER_POINT))]);
static SUM: Table = table::<proto::Sum>(&[
    field(1, "dataPoints", Message(&NUMBER_POINT)),
    field(2, "aggregationTemporality", Temporality),
    field(3, "isMonotonic", Bool),
]);
static HISTOGRAM: Table = table::<proto::Histogram>(&[
    field(1, "dataPoints", Message(&HISTOGRAM_POINT)),
    field(2, "aggregationTemporality", Temporality),
]);
static EXPONENTIAL_HISTOGRAM: Table = table::<proto::ExponentialHistogram>(&[
    field(1, "dataPoints", Message(&EXPONENTIAL_POINT)),
    field(2, "aggregationTemporality", Temporality),
]);
static SUMMARY: Table = table::<proto::Summary>(&[field(1, "dataPoints", Message(&SUMMARY_POINT))]);
static NUMBER_POINT: Table = table::<proto::NumberDataPoint>(&[
    field(7, "attributes", Message(&KEY_VALUE)),
    field(2, "startTimeUnixNano", Fixed64),
    field(3, "timeUnixNano", Fixed64),
    field(4, "asDouble", Double),
    field(6, "asInt", SignedFixed64),
    field(5, "exemplars", Message(&EXEMPLAR)),
    field(8, "flags", Varint),
]);
static HISTOGRAM_POINT: Table = table::<proto::HistogramDataPoint>(&[
    field(9, "attributes", Message(&KEY_VALUE)),
    field(2, "startTimeUnixNano", Fixed64),
    field(3, "timeUnixNano", Fixed64),
    field(4, "count", Fixed64),
    field(5, "sum", Double),
    field(6, "bucketCounts", Fixed64),
    field(7, "explicitBounds", Double),
    field(8, "exemplars", Message(&EXEMPLAR)),
    field(10, "flags", Varint),
]);
static EXPONENTIAL_POINT: Table = table::<proto::ExponentialHistogramDataPoint>(&[
    field(1, "attributes", Message(&KEY_VALUE)),
    field(2, "startTimeUnixNano", Fixed64),
    field(3, "timeUnixNano", Fixed64),
    field(4, "count", Fixed64),
    field(5, "sum", Double),
    field(6, "scale", ZigZag),
    field(7, "zeroCount", Fixed64),
    field(8, "positive", Message(&BUCKETS)),
    field(9, "negative", Message(&BUCKETS)),
    field(10, "flags", Varint),
    field(11, "exemplars", Message(&EXEMPLAR)),
]);
static BUCKETS: Table = table::<proto::exponential_histogram_data_point::Buckets>(&[
    field(1, "offset", ZigZag),
    field(2, "bucketCounts", Varint),
]);
static SUMMARY_POINT: Table = table::<proto::SummaryDataPoint>(&[
    field(7, "attributes", Message(&KEY_VALUE)),
    field(2, "startTimeUnixNano", Fixed64),
    field(3, "timeUnixNano", Fixed64),
    field(4, "count", Fixed64),
    field(5, "sum", Double),
    field(6, "quantileValues", Message(&QUANTILE)),
    field(8, "flags", Varint),
]);
static QUANTILE: Table =
    table::<proto::summary_data_point::ValueAtQuantile>(&[field(1, "quantile", Double), field(2, "value", Double)]);
static EXEMPLAR: Table = table::<proto::Exemplar>(&[
    field(7, "filteredAttributes", Message(&KEY_VALUE)),
    field(2, "timeUnixNano", Fixed64),
    field(3, "asDouble", Double),
    field(6, "asInt", SignedFixed64),
    field(4, "spanId", Hex),
    field(5, "traceId", Hex),
]);

/// How deep messages may lie in one another; attributes can hold attributes. It is what prost allows.
const DEPTH_MAX: u32 = 100;
/// Of a vector, while it grows, as much again may be in use.
const GROWTH: u64 = 2;

/// What the message takes in memory once it is decoded, bytes: two bytes on the wire can be hundreds.
pub fn weigh(message: &[u8]) -> Result<u64, WireError> {
    weigh_message(Walk::new(message, 0), &REQUEST, DEPTH_MAX)
}

fn weigh_message(mut walk: Walk<'_>, table: &Table, depth_left: u32) -> Result<u64, WireError> {
    let mut weight = 0;
    while !walk.is_done() {
        let key = walk.key()?;
        let field = table.fields.iter().find(|field| field.number == key.number);
        match (field.map(|field| field.kind), key.wire) {
            (Some(Message(inner)), LENGTH) if depth_left > 0 => {
                let message = walk.message()?;
                weight += GROWTH * inner.size_bytes as u64 + weigh_message(message, inner, depth_left - 1)?;
            }
            (Some(Varint), LENGTH) => {
                // Packed numbers of a byte each, at the worst.
                let start = walk.at;
                walk.skip(LENGTH)?;
                weight += GROWTH * size_of::<u64>() as u64 * (walk.at - start) as u64;
            }
            (Some(Varint), wire) => {
                walk.skip(wire)?;
                weight += GROWTH * size_of::<u64>() as u64;
            }
            (_, wire) => {
                let start = walk.at;
                walk.skip(wire)?;
                weight += GROWTH * (walk.at - start) as u64;
            }
        }
    }
    Ok(weight)
}
