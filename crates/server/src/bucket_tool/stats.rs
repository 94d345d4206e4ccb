//! `longhaul bucket stats`: what each tenant has in the bucket.

use super::Target;
use crate::block_tool::ToolError;
use jiff::Timestamp;
use longhaul_bucket::{Manifest, Survey, Tally, TenantStore};
use longhaul_model::{TenantId, TimeRange};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// What a tenant has.
#[derive(Debug, PartialEq, Serialize)]
struct TenantStats {
    tenant: TenantId,
    manifest_version: u64,
    manifest_author: String,
    /// Live blocks, by resolution.
    resolutions: Vec<ResolutionStats>,
    /// Their objects, by what they are.
    parts: Vec<PartStats>,
    retired: Rest,
    /// Folders that are named like a block and that the manifest does not know.
    unknown: Rest,
    /// The manifest's own objects.
    manifest: Rest,
    /// Other objects in the tenant's folder.
    other: Rest,
    /// Live blocks of which no object was found.
    missing: Vec<String>,
    quarantined: Vec<QuarantinedStats>,
    /// Deletions of series that are still being carried out.
    deletions: u64,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct ResolutionStats {
    /// Milliseconds a window; 0 for raw samples.
    resolution_ms: i64,
    blocks: u64,
    from_ms: i64,
    to_ms: i64,
    /// Of all blocks together: a series that is in ten blocks counts ten times.
    series: u64,
    samples: u64,
    size_bytes: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct PartStats {
    part: String,
    objects: u64,
    size_bytes: u64,
}

/// What is not live.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Rest {
    blocks: u64,
    objects: u64,
    size_bytes: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct QuarantinedStats {
    block: String,
    since_ms: i64,
    reason: String,
}

pub(super) async fn run(target: &Target) -> Result<(), ToolError> {
    let store = target.open()?;
    let mut out = std::io::stdout();
    for tenant in target.tenants(&store).await? {
        let tenant_store = TenantStore::new(store.clone(), tenant.clone());
        let Some(manifest) = tenant_store.load_manifest().await? else {
            return Err(ToolError::Usage(format!("tenant {tenant} has no manifest in {}", target.store)));
        };
        let survey = tenant_store.survey(&manifest).await?;
        let stats = TenantStats::of(tenant, &manifest, &survey);
        if target.json {
            writeln!(out, "{}", serde_json::to_string(&stats).map_err(std::io::Error::other)?)?;
        } else {
            stats.print(&mut out)?;
        }
    }
    Ok(())
}

impl TenantStats {
    fn of(tenant: TenantId, manifest: &Manifest, survey: &Survey) -> Self {
        let mut resolutions: BTreeMap<i64, (TimeRange, ResolutionStats)> = BTreeMap::new();
        for block in &manifest.blocks {
            let (range, stats) = resolutions.entry(block.resolution_ms).or_insert((block.range, Default::default()));
            *range = range.hull(&block.range);
            stats.blocks += 1;
            stats.series += block.series;
            stats.samples += block.samples;
            stats.size_bytes += block.size_bytes;
        }
        let with_range = |(resolution_ms, (range, stats)): (i64, (TimeRange, ResolutionStats))| ResolutionStats {
            resolution_ms,
            from_ms: range.start_ms,
            to_ms: range.end_ms,
            ..stats
        };
        let part = |(part, tally): (&String, &Tally)| PartStats {
            part: part.clone(),
            objects: tally.objects,
            size_bytes: tally.size_bytes,
        };
        let quarantined = manifest.quarantined.iter().map(|block| QuarantinedStats {
            block: block.id.to_string(),
            since_ms: block.since_ms,
            reason: block.reason.clone(),
        });
        Self {
            tenant,
            manifest_version: manifest.version,
            manifest_author: manifest.author.clone(),
            resolutions: resolutions.into_iter().map(with_range).collect(),
            parts: survey.live.iter().map(part).collect(),
            retired: Rest::of(manifest.retired.len(), survey.retired),
            unknown: Rest::of(survey.unknown_blocks.len(), survey.unknown),
            manifest: Rest::of(0, survey.manifest),
            other: Rest::of(0, survey.other),
            missing: survey.missing.iter().map(ToString::to_string).collect(),
            quarantined: quarantined.collect(),
            deletions: manifest.deletions.len() as u64,
        }
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(
            out,
            "tenant {}: version {} of the manifest, by {}",
            self.tenant, self.manifest_version, self.manifest_author
        )?;
        writeln!(
            out,
            "  {:<10}  {:>7}  {:>12}  {:>15}  {:>15}  {:<24}  {:<24}",
            "RESOLUTION", "BLOCKS", "SERIES", "SAMPLES", "BYTES", "FROM", "TO"
        )?;
        for it in &self.resolutions {
            writeln!(
                out,
                "  {:<10}  {:>7}  {:>12}  {:>15}  {:>15}  {:<24}  {:<24}",
                resolution(it.resolution_ms),
                it.blocks,
                it.series,
                it.samples,
                it.size_bytes,
                time(it.from_ms),
                time(it.to_ms)
            )?;
        }
        writeln!(out, "  {:<24}  {:>7}  {:>7}  {:>15}", "OBJECTS OF", "BLOCKS", "OBJECTS", "BYTES")?;
        for it in &self.parts {
            writeln!(out, "  {:<24}  {:>7}  {:>7}  {:>15}", it.part, "", it.objects, it.size_bytes)?;
        }
        let rest = [
            ("retired blocks", &self.retired),
            ("blocks in no manifest", &self.unknown),
            ("the manifest", &self.manifest),
            ("others", &self.other),
        ];
        for (name, it) in rest.into_iter().filter(|(_, it)| it.objects > 0) {
            let blocks = if it.blocks > 0 { it.blocks.to_string() } else { String::new() };
            writeln!(out, "  {name:<24}  {blocks:>7}  {:>7}  {:>15}", it.objects, it.size_bytes)?;
        }
        for block in &self.missing {
            writeln!(out, "  missing: {block} is live, and no object of it was found")?;
        }
        for it in &self.quarantined {
            writeln!(out, "  quarantined: {} since {}: {}", it.block, time(it.since_ms), it.reason)?;
        }
        if self.deletions > 0 {
            writeln!(out, "  deletions under way: {}", self.deletions)?;
        }
        Ok(())
    }
}

impl Rest {
    fn of(blocks: usize, tally: Tally) -> Self {
        Self { blocks: blocks as u64, objects: tally.objects, size_bytes: tally.size_bytes }
    }
}

pub(super) fn resolution(resolution_ms: i64) -> String {
    match resolution_ms {
        0 => "raw".to_owned(),
        _ if resolution_ms % 3_600_000 == 0 => format!("{}h", resolution_ms / 3_600_000),
        _ if resolution_ms % 60_000 == 0 => format!("{}m", resolution_ms / 60_000),
        _ => format!("{resolution_ms}ms"),
    }
}

pub(super) fn time(t_ms: i64) -> String {
    Timestamp::from_millisecond(t_ms).map_or_else(|_| t_ms.to_string(), |time| time.to_string())
}
