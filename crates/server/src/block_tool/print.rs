//! What the block commands print: text for people, or one JSON document a line.

use super::OpenBlock;
use jiff::Timestamp;
use longhaul_block::{BlockError, BlockFile, DumpChunk, DumpSeries, VerifyReport};
use longhaul_chunk::Encoding;
use longhaul_model::{BucketSpan, CounterResetHint, Labels, Measurement, Value as Measured, is_stale};
use serde_json::{Map, Value, json};
use std::io::{Result, Write};

pub(super) fn list(blocks: &[OpenBlock], json: bool, out: &mut dyn Write) -> Result<()> {
    if !json {
        writeln!(
            out,
            "{:<26}  {:<20}  {:<24}  {:<24}  {:>5}  {:>10}  {:>10}  {:>12}",
            "BLOCK", "TENANT", "FROM", "TO", "LEVEL", "SERIES", "CHUNKS", "SAMPLES"
        )?;
    }
    for block in blocks {
        let (meta, stats) = (&block.meta, &block.meta.stats);
        let tenant = tenant_of(block);
        if json {
            let document = json!({
                "ulid": meta.ulid.to_string(), "tenant": tenant, "minTime": meta.min_ms, "maxTime": meta.end_ms,
                "level": meta.compaction.level, "resolution": meta.resolution_ms(), "series": stats.num_series,
                "chunks": stats.num_chunks, "samples": stats.num_samples,
            });
            writeln!(out, "{document}")?;
        } else {
            writeln!(
                out,
                "{:<26}  {:<20}  {:<24}  {:<24}  {:>5}  {:>10}  {:>10}  {:>12}",
                meta.ulid.to_string(),
                tenant.unwrap_or("-"),
                time(meta.min_ms),
                time(meta.end_ms),
                meta.compaction.level,
                stats.num_series,
                stats.num_chunks,
                stats.num_samples
            )?;
        }
    }
    Ok(())
}

pub(super) fn inspect(block: &OpenBlock, json: bool, out: &mut dyn Write) -> Result<()> {
    let meta: Value = serde_json::from_slice(&block.meta.to_json())?;
    let files: Vec<(String, u64)> = files_of(block);
    if json {
        let files: Map<String, Value> = files.into_iter().map(|(path, size_bytes)| (path, size_bytes.into())).collect();
        return writeln!(out, "{}", json!({ "meta": meta, "files": files }));
    }
    writeln!(out, "{}", serde_json::to_string_pretty(&meta)?)?;
    for (path, size_bytes) in files {
        writeln!(out, "{size_bytes:>14}  {path}")?;
    }
    Ok(())
}

pub(super) fn verified(
    block: &OpenBlock,
    report: &std::result::Result<VerifyReport, BlockError>,
    json: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let problems: Vec<String> = match report {
        Ok(report) => report
            .problems
            .iter()
            .map(|found| format!("{} at {}: {}", found.file, found.offset, found.reason))
            .collect(),
        Err(error) => vec![error.to_string()],
    };
    let (id, bytes_read) = (block.meta.ulid.to_string(), report.as_ref().map_or(0, |report| report.bytes_read));
    if json {
        let document = json!({
            "ulid": id, "sound": problems.is_empty(), "bytesRead": bytes_read, "problems": problems,
            "contentHash": report.as_ref().ok().map(|report| report.content_hash.to_string()),
        });
        return writeln!(out, "{document}");
    }
    if problems.is_empty() {
        let samples = report.as_ref().map_or(0, |report| report.stats.num_samples);
        return writeln!(out, "{id}: sound, {samples} samples, {bytes_read} bytes read");
    }
    problems.iter().try_for_each(|problem| writeln!(out, "{id}: {problem}"))
}

pub(super) fn series(series: &DumpSeries, json: bool, out: &mut dyn Write) -> Result<()> {
    if !json {
        writeln!(out, "{}", series.labels)?;
    }
    let (mut chunks, mut samples) = (Vec::new(), Vec::new());
    for it in &series.chunks {
        chunks.push(chunk(it));
        match it.decode() {
            _ if it.chunk.encoding == Encoding::ThanosAggregate => match it.aggregates() {
                Ok(_) if json => {} // among the chunks
                Ok(found) => found.iter().try_for_each(|(aggregate, _, samples)| {
                    let name = aggregate.as_str();
                    samples.iter().try_for_each(|it| writeln!(out, "  {} {} {name}", it.t_ms, it.value))
                })?,
                Err(error) if json => samples.push(json!({ "error": error.to_string() })),
                Err(error) => writeln!(out, "  [{}, {}] {error}", it.chunk.min_ms, it.chunk.max_ms)?,
            },
            Ok(decoded) if json => samples.extend(decoded.iter().map(sample)),
            Ok(decoded) => decoded.iter().try_for_each(|it| writeln!(out, "  {}", line(it)))?,
            Err(error) if json => samples.push(json!({ "error": error.to_string() })),
            Err(error) => writeln!(out, "  [{}, {}] {error}", it.chunk.min_ms, it.chunk.max_ms)?,
        }
    }
    if json {
        writeln!(out, "{}", json!({ "labels": labels(&series.labels), "chunks": chunks, "samples": samples }))?;
    }
    Ok(())
}

fn chunk(it: &DumpChunk) -> Value {
    let mut document = json!({
        "mint": it.chunk.min_ms, "maxt": it.chunk.max_ms, "ref": it.reference, "enc": it.chunk.encoding.byte(),
        "n": it.samples,
    });
    if let Some(hint) = it.reset_hint {
        document["counter_reset_header"] = match hint {
            CounterResetHint::Unknown => "unknown",
            CounterResetHint::Reset => "reset",
            CounterResetHint::NotReset => "not_reset",
            CounterResetHint::Gauge => "gauge",
        }
        .into();
    }
    for (aggregate, chunk, samples) in it.aggregates().unwrap_or_default() {
        let samples: Vec<Value> = samples.iter().map(|it| json!([it.t_ms, number(it.value)])).collect();
        document["aggr"][aggregate.as_str()] = json!({ "enc": chunk.encoding.byte(), "samples": samples });
    }
    document
}

/// A sample as the conformance dumps write it; one that has a start has it as third element.
fn sample(it: &Measurement) -> Value {
    let value = value(&it.value);
    if it.start_ms == 0 { json!([it.t_ms, value]) } else { json!([it.t_ms, value, it.start_ms]) }
}

fn line(it: &Measurement) -> String {
    let value = match &it.value {
        Measured::Float(value) if !is_stale(*value) => value.to_string(),
        _ if it.value.is_stale() => "stale".to_owned(),
        histogram => value(histogram).to_string(),
    };
    if it.start_ms == 0 { format!("{} {value}", it.t_ms) } else { format!("{} {value} since {}", it.t_ms, it.start_ms) }
}

fn value(value: &Measured) -> Value {
    let spans = |spans: &[BucketSpan]| spans.iter().map(|span| json!([span.offset, span.length])).collect::<Vec<_>>();
    let numbers = |values: &[f64]| values.iter().map(|value| number(*value)).collect::<Vec<_>>();
    match value {
        Measured::Float(value) => number(*value),
        _ if value.is_stale() => "stale".into(),
        Measured::Histogram(it) => json!({
            "count": it.count, "zero": it.zero_count, "sum": number(it.sum), "schema": it.schema,
            "zt": number(it.zero_threshold), "pspans": spans(&it.positive_spans), "nspans": spans(&it.negative_spans),
            "pdeltas": it.positive_deltas, "ndeltas": it.negative_deltas, "custom": numbers(&it.custom_bounds),
        }),
        Measured::FloatHistogram(it) => json!({
            "count": number(it.count), "zero": number(it.zero_count), "sum": number(it.sum), "schema": it.schema,
            "zt": number(it.zero_threshold), "pspans": spans(&it.positive_spans), "nspans": spans(&it.negative_spans),
            "pcounts": numbers(&it.positive_counts), "ncounts": numbers(&it.negative_counts),
            "custom": numbers(&it.custom_bounds),
        }),
    }
}

/// A number as the conformance dumps write it: what JSON has no number for as text.
fn number(value: f64) -> Value {
    if is_stale(value) {
        "stale".into()
    } else if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        value.into()
    }
}

fn labels(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn tenant_of(block: &OpenBlock) -> Option<&str> {
    let own = block.meta.longhaul.as_ref().map(|longhaul| &longhaul.tenant);
    block.tenant.as_ref().or(own).map(|tenant| tenant.as_str())
}

fn files_of(block: &OpenBlock) -> Vec<(String, u64)> {
    use BlockFile::{Columns, Exemplars, Index, Lookup, Tombstones};
    let fixed = [Index, Lookup, Tombstones, Exemplars, Columns].into_iter();
    let present = |file: BlockFile| block.files.size(file).ok().map(|size_bytes| (file.path(), size_bytes));
    fixed.filter_map(present).chain((0..).map(BlockFile::Chunks).map_while(present)).collect()
}

fn time(t_ms: i64) -> String {
    Timestamp::from_millisecond(t_ms).map_or_else(|_| t_ms.to_string(), |time| time.to_string())
}
