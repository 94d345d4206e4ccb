//! Writing local blocks: a cut's view, or the merge of several parts, verified before it gets its name.

use crate::deletions::{InForce, tombstones_of};
use crate::error::IngestError;
use crate::parts::{self, Part};
use crate::tenant::Tenant;
use longhaul_block::{
    BlockMeta, BlockWriter, ContentHash, Coverage, ExemplarSource, LocalFiles, LonghaulMeta, Parent, SeriesSource,
    VerifyReport,
};
use longhaul_disk::Fs;
use longhaul_head::CutView;
use longhaul_model::{Clock, IdSource, LogId, TimeRange};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The local log has one partition.
pub(crate) const PARTITION: u32 = 0;

/// What is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    content_hash: ContentHash,
    exemplars: u64,
}

impl Content {
    fn of(meta: &BlockMeta) -> Self {
        let content_hash = meta.longhaul.as_ref().map(|longhaul| longhaul.content_hash).unwrap_or_default();
        Self { content_hash, exemplars: meta.exemplars() }
    }
}

/// Writes blocks below the data directory. All of its work blocks.
#[derive(Debug)]
pub(crate) struct PartWriter {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<IdSource>,
    pub(crate) data_dir: PathBuf,
    pub(crate) chunk_samples_max: u16,
}

impl PartWriter {
    /// Writes what a cut took as a part of its tenant; None if all of it has been deleted since.
    pub(crate) fn write_view(
        &self,
        tenant: &Tenant,
        view: &CutView,
        log_id: LogId,
    ) -> Result<Option<Part>, IngestError> {
        let coverage =
            Coverage { log_id, partition: PARTITION, range: view.range(), from: view.from(), to: view.through() };
        let (mut series, exemplars) = (view.series().peekable(), view.exemplars());
        if series.peek().is_none() && exemplars.is_empty() {
            return Ok(None);
        }
        let written = self.write(&tenant.parts_dir, self.seed(tenant, vec![coverage]), |writer| {
            series.try_for_each(|series| writer.push(&series))?;
            exemplars.iter().try_for_each(|(series, exemplar)| writer.push_exemplar(series, exemplar))?;
            Ok(None)
        });
        written.map(Some)
    }

    /// Writes the merge of `parts`, given in rising precedence, as one block in `into`, without what `deletions` are about;
    /// None if nothing else is in them. With `replaces` its meta names them, so that a start after a crash drops them.
    pub(crate) fn write_merged(
        &self,
        tenant: &Tenant,
        parts: &[Arc<Part>],
        deletions: &[InForce],
        into: &Path,
        replaces: bool,
    ) -> Result<Option<Part>, IngestError> {
        let coverage = parts.iter().flat_map(|part| part.coverage().iter().copied()).collect();
        let mut meta = self.seed(tenant, coverage);
        if replaces {
            let parent = |meta: &BlockMeta| Parent { ulid: meta.ulid, min_ms: meta.min_ms, end_ms: meta.end_ms };
            meta.compaction.parents = parts.iter().map(|part| parent(part.block.meta())).collect();
        }
        let mut sources: Vec<SeriesSource<'_>> = Vec::with_capacity(parts.len());
        // What the metas say that there is; of a part that loses something, what comes in.
        let exemplars_in = AtomicU64::new(0);
        let mut exemplar_sources: Vec<ExemplarSource<'_>> = Vec::with_capacity(parts.len());
        for part in parts {
            let tombstones = tombstones_of(part, deletions);
            let deleted = !tombstones.is_empty();
            let block = part.without(tombstones);
            let series = block.select(&[], TimeRange::ALL).map_err(IngestError::part(&part.dir))?;
            sources.push(Box::new(series.into_series()));
            let exemplars = block.exemplars(&[], TimeRange::ALL).map_err(IngestError::part(&part.dir))?;
            if deleted {
                exemplar_sources.push(Box::new(exemplars.inspect(|_| {
                    exemplars_in.fetch_add(1, Relaxed);
                })));
            } else {
                exemplars_in.fetch_add(part.block.meta().exemplars(), Relaxed);
                exemplar_sources.push(Box::new(exemplars));
            }
        }
        let mut merge = longhaul_block::merge(sources, self.chunk_samples_max);
        let mut exemplars = longhaul_block::union_exemplars(exemplar_sources);
        let (first, first_exemplar) = (merge.next(), exemplars.next());
        if first.is_none() && first_exemplar.is_none() {
            return Ok(None);
        }
        let written = self.write(into, meta, |writer| {
            first.into_iter().chain(merge.by_ref()).try_for_each(|merged| writer.push_merged(&merged?))?;
            first_exemplar.into_iter().chain(exemplars.by_ref()).try_for_each(|next| {
                let (series, exemplar) = next?;
                writer.push_exemplar(&series, &exemplar)
            })?;
            let content_hash = merge.account().hash_out();
            Ok(Some(Content { content_hash, exemplars: exemplars_in.load(Relaxed) - exemplars.duplicates() }))
        });
        written.map(Some)
    }

    /// The meta of a new block, whose range comes from its samples.
    fn seed(&self, tenant: &Tenant, coverage: Vec<Coverage>) -> BlockMeta {
        let mut meta = BlockMeta::new(self.ids.block_id(self.clock.now_ms()), TimeRange::new(0, 0));
        meta.longhaul = Some(LonghaulMeta { coverage, ..LonghaulMeta::new(tenant.id.clone()) });
        meta
    }

    /// Writes a block beside its final place, verifies it as it lies on disk, and gives it its name. `fill` says what must
    /// be in it, as far as that is known apart from what is written.
    fn write(
        &self,
        into: &Path,
        meta: BlockMeta,
        fill: impl FnOnce(&mut BlockWriter) -> longhaul_block::Result<Option<Content>>,
    ) -> Result<Part, IngestError> {
        self.make_dir(into)?;
        let fs = &self.fs;
        let (unfinished, dir) = parts::directories(into, meta.ulid);
        let filled = || {
            let mut writer = BlockWriter::create(fs.clone(), &unfinished, meta)?;
            let expected = fill(&mut writer)?;
            Ok((writer.finish()?, expected))
        };
        let written = filled().map_err(IngestError::part(&dir)).and_then(|(meta, expected)| {
            if expected.is_some_and(|expected| expected != Content::of(&meta)) {
                let reason = "samples or exemplars were lost in the merge".to_owned();
                return Err(IngestError::Unsound { dir: dir.clone(), reason });
            }
            verify(fs, &unfinished, &meta)?;
            fs.rename(&unfinished, &dir).map_err(IngestError::io("rename", &unfinished))?;
            fs.sync_dir(into).map_err(IngestError::io("sync", into))?;
            Part::open(fs, dir.clone())
        });
        if written.is_err() {
            // What is left of it in spite of this does no harm: a start removes what has no name of its own yet, and
            // what has holds what it says.
            let _ = fs.remove_dir_all(&unfinished);
            let _ = parts::remove(fs.as_ref(), &dir);
        }
        written
    }

    /// Re-reads a part wholly.
    pub(crate) fn verify(&self, part: &Part) -> Result<(), IngestError> {
        verify(&self.fs, &part.dir, part.block.meta())
    }

    /// Creates a directory below the data directory so that its name survives a crash.
    fn make_dir(&self, dir: &Path) -> Result<(), IngestError> {
        self.fs.create_dir_all(dir).map_err(IngestError::io("create", dir))?;
        for parent in dir.ancestors().skip(1).take_while(|parent| parent.starts_with(&self.data_dir)) {
            self.fs.sync_dir(parent).map_err(IngestError::io("sync", parent))?;
        }
        Ok(())
    }
}

fn verify(fs: &Arc<dyn Fs>, dir: &Path, meta: &BlockMeta) -> Result<(), IngestError> {
    let report = longhaul_block::verify(&LocalFiles::new(fs.clone(), dir), meta).and_then(VerifyReport::sound);
    report.map(drop).map_err(IngestError::part(dir))
}
