//! Blocks into one block, or several where one would have too many series: a k-way merge by labels whose memory does not
//! grow with the number of samples.
//!
//! **Invariant I-COMPACT-3:** every sample is accounted for. What the inputs' manifest entries say they hold, what came in,
//! what was dropped, and what is found in the outputs when they are read again are counted and hashed, and have to agree.

use crate::error::CompactError;
use crate::input::Input;
use crate::settings::CompactSettings;
use crate::work_dir::WorkDir;
use longhaul_block::{
    BlockError, BlockMeta, BlockWriter, Compaction, ContentHash, Coverage, Downsample, Dropped, ExemplarUnion,
    LocalFiles, LonghaulMeta, MergeAccount, Parent, ReadError, SeriesSource, ThanosMeta, VerifyReport, union_exemplars,
};
use longhaul_bucket::LiveBlock;
use longhaul_model::{BlockId, Exemplar, Labels, TenantId, TimeRange};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Least bytes of chunks that an input reads at a time: fewer make too many requests.
const BUFFER_BYTES_MIN: u64 = 256 << 10;
/// Most of them.
const BUFFER_BYTES_MAX: u64 = 8 << 20;

/// What came out.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The blocks in the work directory; none if no sample is left.
    pub(crate) outputs: Vec<BlockMeta>,
    /// Of what was merged.
    pub(crate) account: MergeAccount,
    /// What had been deleted and was not merged: samples, and their hash.
    pub(crate) dropped: (u64, ContentHash),
    /// Exemplars that were dropped because another input has the same.
    pub(crate) exemplars_duplicate: u64,
}

/// Why nothing did.
#[derive(Debug)]
pub(crate) enum MergeError {
    /// An input may be to blame: they have to be examined.
    Suspicious(String),
    /// None is.
    Other(CompactError),
}

/// Merges `inputs`, given in rising precedence, into blocks with ids that `mint` makes. Blocks the thread; ends early when
/// `closing` is set. What is in the work directory after an error is the caller's to remove.
pub(crate) fn merge(
    tenant: &TenantId,
    inputs: &[Input],
    work: &WorkDir,
    settings: &CompactSettings,
    mut mint: impl FnMut() -> BlockId,
    closing: &AtomicBool,
) -> Result<Merged, MergeError> {
    let buffer_bytes = settings.memory_bytes / inputs.len().max(1) as u64;
    let buffer_bytes = buffer_bytes.clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
    let sources: Result<Vec<SeriesSource<'_>>, BlockError> =
        inputs.iter().map(|input| input.series(buffer_bytes)).collect();
    let mut merge = longhaul_block::merge(sources.map_err(merge_error)?, settings.chunk_samples_max);
    let exemplars: Result<Vec<_>, BlockError> = inputs.iter().map(Input::exemplars).collect();
    let mut exemplars = Exemplars::new(union_exemplars(exemplars.map_err(merge_error)?));
    let mut create = || {
        let seed = seed(tenant, inputs, mint());
        let dir = work.block(seed.ulid);
        BlockWriter::create(work.fs.clone(), &dir, seed).map_err(merge_error)
    };
    let mut outputs = Vec::new();
    let mut writer: Option<BlockWriter> = None;
    for series in merge.by_ref() {
        let series = series.map_err(merge_error)?;
        if closing.load(Relaxed) {
            return Err(MergeError::Other(CompactError::Closed));
        }
        if let Some(mut full) = writer.take_if(|writer| writer.stats().num_series >= settings.series_per_block_max) {
            exemplars.write_before(Some(&series.series.labels), &mut full).map_err(merge_error)?;
            outputs.push(full.finish().map_err(merge_error)?);
        }
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(create()?),
        };
        writer.push_merged(&series).map_err(merge_error)?;
    }
    if writer.is_none() && !exemplars.is_empty() {
        writer = Some(create()?);
    }
    if let Some(mut last) = writer {
        exemplars.write_before(None, &mut last).map_err(merge_error)?;
        outputs.push(last.finish().map_err(merge_error)?);
    }
    let account = merge.account();
    drop(merge);
    let dropped = inputs.iter().map(Input::dropped);
    let dropped = (dropped.clone().map(Dropped::samples).sum(), sum(dropped.map(Dropped::hash)));
    let merged = Merged { outputs, account, dropped, exemplars_duplicate: exemplars.duplicates() };
    let read_back = merged.outputs.iter().map(|meta| verify(work, meta)).collect::<Result<Vec<_>, _>>()?;
    check_account(inputs, &merged, &read_back)?;
    Ok(merged)
}

/// The exemplars of all inputs, on their way into the outputs: each goes where the series around it go.
struct Exemplars<'a> {
    union: ExemplarUnion<'a>,
    next: Option<Result<(Labels, Exemplar), BlockError>>,
}

impl<'a> Exemplars<'a> {
    fn new(mut union: ExemplarUnion<'a>) -> Self {
        let next = union.next();
        Self { union, next }
    }

    fn is_empty(&self) -> bool {
        self.next.is_none()
    }

    fn duplicates(&self) -> u64 {
        self.union.duplicates()
    }

    /// Writes those of series that come before `end`; all without one.
    fn write_before(&mut self, end: Option<&Labels>, writer: &mut BlockWriter) -> Result<(), BlockError> {
        while let Some(next) = self.next.take_if(|next| match (next, end) {
            (Ok((series, _)), Some(end)) => *series < *end,
            _ => true,
        }) {
            let (series, exemplar) = next?;
            writer.push_exemplar(&series, &exemplar)?;
            self.next = self.union.next();
        }
        Ok(())
    }
}

/// I-COMPACT-3
fn check_account(inputs: &[Input], merged: &Merged, read_back: &[VerifyReport]) -> Result<(), MergeError> {
    let account = &merged.account;
    // Foreign blocks have no hash, and what their own tombstones delete does not come in.
    let is_known = |input: &Input| input.live.format > 0 && input.meta().stats.num_tombstones == 0;
    if inputs.iter().all(is_known) {
        let samples: u64 = inputs.iter().map(|input| input.live.samples).sum();
        let hash = sum(inputs.iter().map(|input| input.live.content_hash));
        let (dropped, hash_dropped) = merged.dropped;
        if (samples, hash) != (account.samples_in + dropped, account.hash_in.plus(hash_dropped)) {
            let came = account.samples_in + dropped;
            let reason =
                format!("{came} samples came in, {dropped} deleted ones among them, where the manifest has {samples}");
            return Err(MergeError::Suspicious(reason));
        }
        let exemplars: u64 = inputs.iter().map(|input| input.meta().exemplars()).sum();
        let exemplars_out: u64 = merged.outputs.iter().map(BlockMeta::exemplars).sum();
        let kept = exemplars_out + merged.exemplars_duplicate;
        if exemplars < kept || exemplars != kept && !inputs.iter().any(Input::has_deleted) {
            let reason = format!("{exemplars_out} exemplars went out of {exemplars}");
            return Err(MergeError::Other(CompactError::Unsound(reason)));
        }
    }
    let samples: u64 = read_back.iter().map(|output| output.stats.num_samples).sum();
    let hash = sum(read_back.iter().map(|output| output.content_hash));
    if (samples, hash) != (account.samples_out(), account.hash_out()) {
        let reason = format!("{samples} samples went out where {} should have", account.samples_out());
        return Err(MergeError::Other(CompactError::Unsound(reason)));
    }
    Ok(())
}

fn sum(hashes: impl Iterator<Item = ContentHash>) -> ContentHash {
    hashes.fold(ContentHash::default(), ContentHash::plus)
}

/// Re-reads what was written.
fn verify(work: &WorkDir, meta: &BlockMeta) -> Result<VerifyReport, MergeError> {
    let files = LocalFiles::new(work.fs.clone(), work.block(meta.ulid));
    let report = longhaul_block::verify(&files, meta).and_then(VerifyReport::sound);
    report.map_err(|error| MergeError::Other(CompactError::Unsound(error.to_string())))
}

/// What the samples do not say of an output. Its range comes from them.
fn seed(tenant: &TenantId, inputs: &[Input], id: BlockId) -> BlockMeta {
    let lives = || inputs.iter().map(|input| &input.live);
    let mut meta = BlockMeta::new(id, TimeRange::new(0, 0));
    let mut sources: Vec<BlockId> = lives().flat_map(|live| live.sources.iter().copied()).collect();
    sources.sort_unstable();
    sources.dedup();
    let mut parents: Vec<Parent> =
        lives().map(|live| Parent { ulid: live.id, min_ms: live.range.start_ms, end_ms: live.range.end_ms }).collect();
    parents.sort_by_key(|parent| (parent.min_ms, parent.ulid));
    let level = 1 + lives().map(|live| live.level).max().unwrap_or(0);
    meta.compaction = Compaction { level, sources, parents, ..Compaction::default() };
    let resolution = inputs.first().map_or(0, |input| input.live.resolution_ms);
    meta.thanos = Some(ThanosMeta {
        version: Some(1),
        source: "longhaul".into(),
        downsample: Downsample { resolution, ..Downsample::default() },
        ..ThanosMeta::default()
    });
    meta.longhaul = Some(LonghaulMeta { coverage: join_coverage(lives()), ..LonghaulMeta::new(tenant.clone()) });
    meta
}

/// The stretches of logs that blocks hold together: those of one range that follow each other become one, and so do those
/// of one stretch whose ranges follow each other.
fn join_coverage<'a>(lives: impl Iterator<Item = &'a LiveBlock>) -> Vec<Coverage> {
    let mut all: Vec<Coverage> = lives.flat_map(|live| live.coverage.iter().copied()).collect();
    all.sort_unstable_by_key(|it| (it.log_id, it.partition, it.range, it.from, it.to));
    all.dedup_by(|next, kept| {
        let same = (next.log_id, next.partition, next.range) == (kept.log_id, kept.partition, kept.range);
        let joins = same && next.from <= kept.to;
        if joins {
            kept.to = kept.to.max(next.to);
        }
        joins
    });
    all.sort_unstable_by_key(|it| (it.log_id, it.partition, it.from, it.to, it.range));
    all.dedup_by(|next, kept| {
        let same =
            (next.log_id, next.partition, next.from, next.to) == (kept.log_id, kept.partition, kept.from, kept.to);
        let joins = same && next.range.start_ms <= kept.range.end_ms;
        if joins {
            kept.range = kept.range.hull(&next.range);
        }
        joins
    });
    all
}

/// What an error of reading, merging or writing says about the inputs.
fn merge_error(error: BlockError) -> MergeError {
    match error {
        BlockError::Read(ReadError::Other { .. }) => MergeError::Other(CompactError::Fetch(error)),
        BlockError::Write { path, error } => {
            MergeError::Other(CompactError::Io { action: "write", path, source: error })
        }
        error => MergeError::Suspicious(error.to_string()),
    }
}
