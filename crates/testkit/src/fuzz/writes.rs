//! Writes: any bytes end in an answer, and what is decoded lies inside its buffer and its limits.

use longhaul_model::WriteBatch;
use longhaul_wire::exposition::{self, Dialect};
use longhaul_wire::influx::{self, Precision};
use longhaul_wire::otlp::{self, OtlpSettings, RunningTotals};
use longhaul_wire::remote_write::{self, DecodeLimits, v2};
use longhaul_wire::{Decoded, Reason, WireError};

/// Small enough that an input which gets round a limit is soon noticed.
const LIMITS: DecodeLimits =
    DecodeLimits { series_max: 1_000, samples_max: 2_000, buckets_max: 10_000, text_bytes_max: 1 << 20 };
/// A series, sample, histogram, exemplar or entry of metadata takes less in memory.
const ITEM_BYTES_MAX: usize = 512;
/// So does a bucket, with the span that it may have for itself.
const BUCKET_BYTES_MAX: usize = 64;
/// Room for totals of deltas: less than a long message can fill.
const DELTA_BYTES_MAX: usize = 1 << 16;
/// Longest input: the weight of a message grows with it.
const INPUT_BYTES_MAX: usize = 1 << 20;

/// A character that says which format, then the message or text.
pub fn decode_write(bytes: &[u8]) {
    let Some((format, message)) = bytes.split_first() else { return };
    if message.len() > INPUT_BYTES_MAX {
        return;
    }
    let decoded = match format {
        b'1' => {
            let refused = Vec::new();
            remote_write::decode(message.to_vec().into(), &LIMITS).map(|batch| Decoded { batch, refused })
        }
        b'2' => v2::decode(message, &LIMITS),
        b'p' => open_telemetry(message),
        b'j' => otlp::json_to_protobuf(message, INPUT_BYTES_MAX as u64).and_then(|message| open_telemetry(&message)),
        b't' => exposition::decode(message, Dialect::Text, 0, &LIMITS),
        b'o' => exposition::decode(message, Dialect::OpenMetrics, 0, &LIMITS),
        b'i' => influx::decode(message, Precision::Nanoseconds, 0, &LIMITS),
        _ => return,
    };
    if let Ok(decoded) = decoded {
        check(&decoded.batch, message.len());
    }
}

/// Both ways of histograms with bounds.
fn open_telemetry(message: &[u8]) -> Result<Decoded, WireError> {
    let weight = otlp::weigh(message);
    let custom = OtlpSettings { convert_histograms_to_nhcb: true, ..OtlpSettings::default() };
    let custom = otlp::decode(message, &custom, &LIMITS);
    let decoded = otlp::decode(message, &OtlpSettings::default(), &LIMITS);
    assert!(weight.is_ok() || decoded.is_err(), "what can be decoded can be weighed");
    let mut totals = RunningTotals::new(DELTA_BYTES_MAX);
    for _ in 0..2 {
        // Deltas are added up within their room; sent again they change nothing.
        let (settings, before) = (OtlpSettings::default(), totals.size_bytes());
        let is_first = totals.is_empty();
        let added = otlp::decode_deltas(message, &settings, &LIMITS, &mut totals, 0);
        assert!(totals.size_bytes() <= DELTA_BYTES_MAX);
        let Ok(Decoded { batch, refused }) = added else { break };
        check(&batch, message.len());
        if refused.iter().any(|it| it.reason == Reason::DeltaLimit) {
            break; // what there was no room for may find some the second time
        }
        assert!(is_first || totals.size_bytes() == before);
    }
    if let Ok(decoded) = custom {
        check(&decoded.batch, message.len());
    }
    decoded
}

fn check(batch: &WriteBatch, message_bytes: usize) {
    for series in &batch.series {
        // Panics where a range lies outside.
        let _ = batch.labels(series).pairs().count();
        let _ = (batch.samples(series).len(), batch.histograms(series).len());
        for exemplar in batch.exemplars(series) {
            let _ = batch.bytes(&exemplar.labels);
        }
    }
    for said in &batch.metadata {
        let _ = (batch.bytes(&said.family), batch.bytes(&said.help), batch.bytes(&said.unit));
    }
    let items = 2 * LIMITS.series_max + LIMITS.samples_max;
    let size_bytes_max = LIMITS.text_bytes_max.max(2 * message_bytes as u32) as usize
        + items as usize * ITEM_BYTES_MAX
        + LIMITS.buckets_max as usize * BUCKET_BYTES_MAX;
    assert!(batch.size_bytes() <= size_bytes_max, "{} bytes, {size_bytes_max} at most", batch.size_bytes());
}
