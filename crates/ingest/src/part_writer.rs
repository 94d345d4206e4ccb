//! Writing local blocks: a cut's view, or the merge of several parts, verified before it gets its name.

use crate::error::IngestError;
use crate::parts::{self, Part};
use crate::tenant::Tenant;
use longhaul_block::{BlockMeta, Coverage, LocalFiles, LonghaulMeta, MergeAccount, Parent, SeriesSource, VerifyReport};
use longhaul_disk::Fs;
use longhaul_head::CutView;
use longhaul_model::{Clock, IdSource, LogId, TimeRange};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The local log has one partition.
pub(crate) const PARTITION: u32 = 0;

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
    /// Writes what a cut took as a part of its tenant.
    pub(crate) fn write_view(&self, tenant: &Tenant, view: &CutView, log_id: LogId) -> Result<Part, IngestError> {
        let coverage =
            Coverage { log_id, partition: PARTITION, range: view.range(), from: view.from(), to: view.through() };
        let series: SeriesSource<'_> = Box::new(view.series().map(Ok));
        self.write(&tenant.parts_dir, self.seed(tenant, vec![coverage]), series, |_, _| Ok(()))
    }

    /// Writes the merge of `parts`, given in rising precedence, as one block in `into`. With `replaces` its meta names
    /// them, so that a start after a crash drops them.
    pub(crate) fn write_merged(
        &self,
        tenant: &Tenant,
        parts: &[Arc<Part>],
        into: &Path,
        replaces: bool,
    ) -> Result<Part, IngestError> {
        let coverage = parts.iter().flat_map(|part| part.coverage().iter().copied()).collect();
        let mut meta = self.seed(tenant, coverage);
        if replaces {
            let parent = |meta: &BlockMeta| Parent { ulid: meta.ulid, min_ms: meta.min_ms, end_ms: meta.end_ms };
            meta.compaction.parents = parts.iter().map(|part| parent(part.block.meta())).collect();
        }
        let mut sources: Vec<SeriesSource<'_>> = Vec::with_capacity(parts.len());
        for part in parts {
            let series = part.block.select(&[], TimeRange::ALL).map_err(IngestError::part(&part.dir))?;
            sources.push(Box::new(series.into_series()));
        }
        let mut merge = longhaul_block::merge(sources, self.chunk_samples_max);
        let account = Cell::new(MergeAccount::default());
        let series = std::iter::from_fn(|| {
            let next = merge.next();
            account.set(merge.account());
            next
        });
        self.write(into, meta, series, |dir, meta| {
            let account = account.get();
            let expected = account.hash_in.minus(account.hash_duplicates);
            if meta.longhaul.as_ref().is_some_and(|longhaul| longhaul.content_hash == expected) {
                Ok(())
            } else {
                Err(IngestError::Unsound { dir: dir.to_owned(), reason: "samples were lost in the merge".into() })
            }
        })
    }

    /// The meta of a new block, whose range comes from its samples.
    fn seed(&self, tenant: &Tenant, coverage: Vec<Coverage>) -> BlockMeta {
        let mut meta = BlockMeta::new(self.ids.block_id(self.clock.now_ms()), TimeRange::new(0, 0));
        meta.longhaul = Some(LonghaulMeta { coverage, ..LonghaulMeta::new(tenant.id.clone()) });
        meta
    }

    /// Writes a block beside its final place, verifies it as it lies on disk, and gives it its name.
    fn write(
        &self,
        into: &Path,
        meta: BlockMeta,
        series: impl Iterator<Item = longhaul_block::Result<longhaul_chunk::SeriesChunks>>,
        check: impl FnOnce(&Path, &BlockMeta) -> Result<(), IngestError>,
    ) -> Result<Part, IngestError> {
        self.make_dir(into)?;
        let fs = &self.fs;
        let (unfinished, dir) = parts::directories(into, meta.ulid);
        let written = longhaul_block::write(fs.clone(), &unfinished, meta, series)
            .map_err(IngestError::part(&dir))
            .and_then(|meta| {
                check(&dir, &meta)?;
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
