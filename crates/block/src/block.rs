//! A block that can be asked: open, select, label names and values.

use crate::deleted::{Deleted, is_covered, ranges_of};
use crate::error::{BlockError, ReadError, Result};
use crate::exemplars::BlockExemplars;
use crate::files::{BlockFile, BlockFiles, read_range};
use crate::index::IndexReader;
use crate::lookup::{ChunkPlace, Lookup, PageCache, Selection, build_lookup, with_external};
use crate::meta::BlockMeta;
use crate::select::{BlockSeries, walk};
use crate::tombstones::Tombstones;
use bytes::Bytes;
use hashbrown::HashMap;
use longhaul_model::{Labels, Matcher, TimeRange};
use longhaul_postings::{LabelIndex, RoaringBitmap};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Up to this many series, their labels are read one by one to see which names and values they have; with more the
/// postings are cheaper.
const SERIES_READ_MAX: u64 = 1000;

/// An open block. Cloning is cheap; all clones share what was read.
#[derive(Clone)]
pub struct Block {
    pub(crate) inner: Arc<Inner>,
    pub(crate) deleted: Option<Arc<Deleted>>,
}

pub(crate) struct Inner {
    pub files: Arc<dyn BlockFiles>,
    meta: BlockMeta,
    pub lookup: Lookup,
    /// What the block's own tombstones delete, by labels as a query sees them.
    pub deleted: HashMap<Labels, Vec<TimeRange>>,
}

impl Block {
    /// Opens a block: reads the footer of its `lookup` (one read), or builds a lookup in memory from `index` when the
    /// block has none that this program reads; reads the tombstones if `meta` counts any.
    pub fn open(files: Arc<dyn BlockFiles>, meta: BlockMeta) -> Result<Self> {
        let footer_bytes = meta.longhaul.as_ref().map_or(0, |longhaul| longhaul.lookup_footer_bytes);
        match Lookup::open(files.clone(), meta.file_size_bytes(BlockFile::Lookup), footer_bytes) {
            Ok(lookup) => Self::with(files, meta, lookup),
            Err(BlockError::Read(ReadError::Missing(_)) | BlockError::Unsupported { .. }) => {
                Self::open_from_index(files, meta)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens a block without its `lookup`, which may be damaged: one is built in memory from `index`.
    pub fn open_from_index(files: Arc<dyn BlockFiles>, meta: BlockMeta) -> Result<Self> {
        let bytes = build_lookup(&*files, &meta)?;
        Self::open_with_lookup(files, meta, bytes.into())
    }

    /// Opens a block with a `lookup` that [`build_lookup`] made, read from memory.
    pub fn open_with_lookup(files: Arc<dyn BlockFiles>, meta: BlockMeta, lookup: Bytes) -> Result<Self> {
        let lookup = Lookup::open(Arc::new(InMemory(lookup)), None, 0)?;
        Self::with(files, meta, lookup)
    }

    fn with(files: Arc<dyn BlockFiles>, meta: BlockMeta, lookup: Lookup) -> Result<Self> {
        let deleted = match meta.stats.num_tombstones {
            0 => HashMap::new(),
            _ => read_tombstones(&*files, &meta)?,
        };
        Ok(Self { inner: Arc::new(Inner { files, meta, lookup, deleted }), deleted: None })
    }

    /// Keeps what is read of the lookup in `cache` from now on, for all clones. A block that keeps its pages already goes on
    /// with the cache that it has.
    pub fn keep_pages(&self, cache: &Arc<PageCache>) {
        self.inner.lookup.keep_pages(cache);
    }

    /// The block's `meta.json`.
    pub fn meta(&self) -> &BlockMeta {
        &self.inner.meta
    }

    /// How many series the block holds.
    pub fn series_count(&self) -> u64 {
        self.inner.lookup.series().into()
    }

    /// The series that satisfy all of `matchers`, with their chunks that meet `range`, deletions applied. Chunks may
    /// hold samples outside `range`.
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<BlockSeries> {
        let mut ordinals = self.all_matching(matchers)?;
        let deleted = self.leave_out_deleted(&mut ordinals)?;
        Ok(BlockSeries::new(self.clone(), ordinals, range, deleted))
    }

    /// The exemplars in `range` of the series that satisfy all of `matchers`, deletions applied.
    pub fn exemplars(&self, matchers: &[Matcher], range: TimeRange) -> Result<BlockExemplars> {
        BlockExemplars::new(self.clone(), matchers, range)
    }

    /// The label sets of the series that satisfy all of `matchers` and have a chunk that meets `range` and is not deleted as
    /// a whole, in label order.
    pub fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>> {
        let mut matching = self.all_matching(matchers)?;
        let deleted = self.leave_out_deleted(&mut matching)?;
        let mut found = Vec::new();
        walk(&self.inner.lookup, &matching, |labels, chunks| {
            let deleted = ranges_of(&deleted, labels);
            let meets = |chunk: &ChunkPlace| TimeRange::inclusive(chunk.min_ms, chunk.max_ms).overlaps(&range);
            if chunks.iter().any(|chunk| meets(chunk) && !is_covered(chunk, &deleted)) {
                found.push(labels.clone());
            }
        })?;
        Ok(found)
    }

    /// The names of the labels that the series satisfying all of `matchers` have, sorted. A series that is deleted as a
    /// whole has none.
    pub fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>> {
        let all = || self.inner.lookup.names().map(|(name, _)| name.to_owned());
        let gone = self.gone()?.filter(|gone| !gone.is_empty());
        if matchers.is_empty() && gone.is_none() {
            return Ok(all().collect());
        }
        let selection = self.selection();
        let mut matching = self.matching(&selection, matchers)?;
        gone.inspect(|gone| matching -= *gone);
        if matching.len() <= SERIES_READ_MAX {
            let mut names = BTreeSet::new();
            self.each_label(&matching, |name, _| {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            })?;
            return Ok(names.into_iter().collect());
        }
        selection.fetch_names()?;
        let mut names = Vec::new();
        for name in all() {
            if !selection.with_name(&name)?.is_disjoint(&matching) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The values that the label `name` has among the series satisfying all of `matchers`, sorted. A series that is deleted
    /// as a whole has none.
    pub fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>> {
        let gone = self.gone()?.filter(|gone| !gone.is_empty());
        let selection = self.selection();
        if matchers.is_empty() && gone.is_none() {
            return selection.values(name);
        }
        let mut matching = self.matching(&selection, matchers)?;
        gone.inspect(|gone| matching -= *gone);
        if matching.len() <= SERIES_READ_MAX && matching.len() <= self.inner.lookup.values_count(name) {
            let mut values = BTreeSet::new();
            self.each_label(&matching, |of, value| {
                if of == name && !values.contains(value) {
                    values.insert(value.to_owned());
                }
            })?;
            return Ok(values.into_iter().collect());
        }
        let mut values = Vec::new();
        selection.for_each_value(name, &mut |value, series| {
            if !series.is_disjoint(&matching) {
                values.push(value.to_owned());
            }
        })?;
        Ok(values)
    }

    /// Every label name with the number of its values in the block, sorted by name: what the footer knows.
    pub fn cardinality(&self) -> impl Iterator<Item = (&str, u64)> {
        self.inner.lookup.names()
    }

    fn selection(&self) -> Selection<'_> {
        Selection::new(&self.inner.lookup)
    }

    pub(crate) fn all_matching(&self, matchers: &[Matcher]) -> Result<RoaringBitmap> {
        self.matching(&self.selection(), matchers)
    }

    fn matching(&self, selection: &Selection<'_>, matchers: &[Matcher]) -> Result<RoaringBitmap> {
        longhaul_postings::select(selection, matchers)
    }

    fn each_label(&self, ordinals: &RoaringBitmap, mut visit: impl FnMut(&str, &str)) -> Result<()> {
        walk(&self.inner.lookup, ordinals, |labels, _| labels.iter().for_each(|(name, value)| visit(name, value)))
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Block").field(&self.inner.meta.ulid.to_string()).finish()
    }
}

/// A lookup that was built and not stored.
struct InMemory(Bytes);

impl BlockFiles for InMemory {
    fn read(&self, file: BlockFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ReadError> {
        let size_bytes = self.size(file)?;
        let cut = |range: &Range<u64>| match range.start <= range.end && range.end <= size_bytes {
            true => Ok(self.0.slice(range.start as usize..range.end as usize)),
            false => Err(ReadError::Truncated { file, end: range.end, size_bytes }),
        };
        ranges.iter().map(cut).collect()
    }

    fn size(&self, file: BlockFile) -> Result<u64, ReadError> {
        match file {
            BlockFile::Lookup => Ok(self.0.len() as u64),
            other => Err(ReadError::Missing(other)),
        }
    }
}

/// Reads the tombstones, and from the index whose they are.
fn read_tombstones(files: &dyn BlockFiles, meta: &BlockMeta) -> Result<HashMap<Labels, Vec<TimeRange>>> {
    let size_bytes = files.size(BlockFile::Tombstones)?;
    let tombstones = Tombstones::parse(&read_range(files, BlockFile::Tombstones, 0..size_bytes)?)?;
    let index = IndexReader::open(files)?;
    let known = index.all_series()?;
    let of_series = tombstones.by_series.keys().copied().filter(|reference| known.binary_search(reference).is_ok());
    let external = meta.external_labels();
    let mut deleted = HashMap::new();
    for entry in index.series(of_series.collect::<Vec<_>>()) {
        let entry = entry?;
        let labels = with_external(entry.labels, &external);
        deleted.insert(labels, tombstones.by_series[&entry.reference].clone());
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests;
