//! A tenant's parts: local blocks that are not in the bucket yet, in rising precedence.
//!
//! `<data>/parts/<tenant>/<ulid>/` is a part; `<ulid>.tmp` one that was being written when the process ended.

use crate::deletions::InForce;
use crate::error::IngestError;
use crate::tenant::Tenant;
use arc_swap::ArcSwap;
use longhaul_block::{Block, BlockMeta, Coverage, LocalFiles};
use longhaul_bucket::Manifest;
use longhaul_chunk::measurement_at;
use longhaul_disk::Fs;
use longhaul_head::OlderSamples;
use longhaul_model::{BlockId, Labels, Matcher, TimeRange, Tombstone, Value};
use parking_lot::Mutex;
use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The ending of a directory that is not a part yet.
const UNFINISHED: &str = ".tmp";
/// The ending of a part that cannot be opened.
const DAMAGED: &str = ".damaged";

/// A local block.
pub struct Part {
    /// Its block, open.
    pub block: Arc<Block>,
    /// Where it lies.
    pub dir: PathBuf,
    /// The hull of the ranges that it covers.
    pub range: TimeRange,
    /// Bytes of its files.
    pub size_bytes: u64,
}

impl Part {
    /// The part's id.
    pub fn id(&self) -> BlockId {
        self.block.meta().ulid
    }

    /// The stretches of the log that it holds.
    pub fn coverage(&self) -> &[Coverage] {
        coverage_of(self.block.meta())
    }

    /// Whether all that it holds is in the bucket.
    pub(crate) fn is_covered_by(&self, manifest: &Manifest) -> bool {
        let through = &manifest.through;
        let arrived = |it: &Coverage| through.reached(it.log_id, it.partition, it.range) >= it.to;
        !self.coverage().is_empty() && self.coverage().iter().all(arrived)
    }

    /// When it was written, ms since the epoch: the time in its id.
    pub(crate) fn written_ms(&self) -> i64 {
        self.id().timestamp_ms() as i64
    }

    /// Its block without what `tombstones` are about.
    pub(crate) fn without(&self, tombstones: Vec<Arc<Tombstone>>) -> Arc<Block> {
        match tombstones.is_empty() {
            true => self.block.clone(),
            false => Arc::new(self.block.without(tombstones)),
        }
    }

    /// The last offset that it holds: what orders parts by precedence.
    pub(crate) fn last_offset(&self) -> u64 {
        self.coverage().iter().map(|coverage| coverage.to).max().unwrap_or(0)
    }

    pub(crate) fn open(fs: &Arc<dyn Fs>, dir: PathBuf) -> Result<Self, IngestError> {
        let json = fs.read(&dir.join("meta.json")).map_err(IngestError::io("read", &dir))?;
        let meta = BlockMeta::parse(&json).map_err(IngestError::part(&dir))?;
        let range = coverage_of(&meta).iter().fold(meta.range(), |hull, coverage| hull.hull(&coverage.range));
        let size_bytes = size_of(fs.as_ref(), &dir).map_err(IngestError::io("list", &dir))?;
        let block = Block::open(Arc::new(LocalFiles::new(fs.clone(), &dir)), meta).map_err(IngestError::part(&dir))?;
        Ok(Self { block: Arc::new(block), dir, range, size_bytes })
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({} {} {:?})", self.id(), self.range, self.coverage())
    }
}

/// What a block of ours covers; foreign blocks cover nothing.
pub(crate) fn coverage_of(meta: &BlockMeta) -> &[Coverage] {
    meta.longhaul.as_ref().map_or(&[], |longhaul| &longhaul.coverage)
}

/// The parts that a tenant has now.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    list: ArcSwap<Vec<Arc<Part>>>,
    /// Held by who changes the list: a cut adds while a ship takes away.
    changing: Mutex<()>,
}

impl Parts {
    /// The parts in rising precedence.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<Part>>> {
        self.list.load_full()
    }

    /// The parts with these ids, in rising precedence.
    pub(crate) fn find(&self, ids: &[BlockId]) -> Vec<Arc<Part>> {
        self.list.load().iter().filter(|part| ids.contains(&part.id())).cloned().collect()
    }

    /// Adds a part and takes others away in one step.
    pub(crate) fn swap(&self, add: Option<Arc<Part>>, remove: &[BlockId]) {
        let _changing = self.changing.lock();
        let mut list: Vec<Arc<Part>> =
            self.list.load().iter().filter(|part| !remove.contains(&part.id())).cloned().collect();
        list.extend(add);
        list.sort_by_key(|part| (part.last_offset(), part.id()));
        self.list.store(Arc::new(list));
    }

    fn newest_ms(&self) -> i64 {
        self.list.load().iter().map(|part| part.block.meta().end_ms - 1).max().unwrap_or(i64::MIN)
    }
}

/// The parts as a lane asks them: it must not judge a sample by a part that it could not read.
pub(crate) struct AskedParts<'a> {
    tenant: &'a Tenant,
    failed: Cell<bool>,
}

/// The parts as a replay asks them. Whatever was judged by a part is on record and not replayed, so that a part that
/// cannot be read has nothing to say of what is.
pub(crate) struct ReplayedParts<'a>(pub(crate) &'a Tenant);

impl<'a> AskedParts<'a> {
    pub(crate) fn new(tenant: &'a Tenant) -> Self {
        Self { tenant, failed: Cell::new(false) }
    }

    /// Whether a part could not be read since the last call; the sample that was asked for is not stored then.
    pub(crate) fn take_failed(&self) -> bool {
        self.failed.take()
    }
}

impl OlderSamples for AskedParts<'_> {
    fn newest_ms(&self) -> i64 {
        self.tenant.parts.newest_ms()
    }

    fn value_at(&self, labels: &Labels, t_ms: i64) -> Option<Value> {
        find_value(self.tenant, labels, t_ms).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot look for a late sample in a part");
            self.failed.set(true);
            Some(Value::Float(f64::NAN)) // any value will do, so that the sample is not stored
        })
    }
}

impl OlderSamples for ReplayedParts<'_> {
    fn newest_ms(&self) -> i64 {
        self.0.parts.newest_ms()
    }

    fn value_at(&self, labels: &Labels, t_ms: i64) -> Option<Value> {
        find_value(self.0, labels, t_ms).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot look for a late sample in a part");
            None
        })
    }
}

/// The value that a tenant's parts have of a series at `t_ms`, unless it is deleted.
fn find_value(tenant: &Tenant, labels: &Labels, t_ms: i64) -> Result<Option<Value>, IngestError> {
    let matchers: Vec<Matcher> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let range = TimeRange::inclusive(t_ms, t_ms);
    let deletions = tenant.deletions.all();
    let is_deleted = |part: &Part| {
        let tombstone = |it: &InForce| it.deletion.tombstone.clone();
        deletions
            .iter()
            .any(|it| tombstone(it).range.contains(t_ms) && tombstone(it).is_about(labels) && it.is_about(part))
    };
    let parts = tenant.parts.all();
    let holding = parts.iter().rev().filter(|part| part.block.meta().range().overlaps(&range));
    for part in holding.filter(|part| !is_deleted(part)) {
        if let Some(found) = value_in(part, &matchers, labels, range)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn value_in(
    part: &Part,
    matchers: &[Matcher],
    labels: &Labels,
    range: TimeRange,
) -> Result<Option<Value>, IngestError> {
    let failed = || IngestError::part(&part.dir);
    for series in part.block.select(matchers, range).map_err(failed())?.into_series() {
        let series = series.map_err(failed())?;
        if series.labels > *labels {
            break; // the others have these labels and more, and there may be very many of them
        }
        if series.labels == *labels {
            return measurement_at(&series.chunks, range.start_ms)
                .map(|found| found.map(|it| it.value))
                .map_err(|error| IngestError::Unsound { dir: part.dir.clone(), reason: error.to_string() });
        }
    }
    Ok(None)
}

/// Puts a part's directory where no start takes it for a part; returns the new one.
pub(crate) fn put_aside(fs: &dyn Fs, dir: &Path) -> Result<PathBuf, IngestError> {
    let mut aside = dir.as_os_str().to_owned();
    aside.push(DAMAGED);
    let aside = PathBuf::from(aside);
    fs.rename(dir, &aside).map_err(IngestError::io("rename", dir))?;
    fs.sync_dir(dir.parent().unwrap_or(Path::new("."))).map_err(IngestError::io("sync", dir))?;
    Ok(aside)
}

/// The directory of a part that is being written, and the one that it will have.
pub(crate) fn directories(parts_dir: &Path, id: BlockId) -> (PathBuf, PathBuf) {
    (parts_dir.join(format!("{id}{UNFINISHED}")), parts_dir.join(id.to_string()))
}

/// What [`recover`] found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) parts: Vec<Part>,
    /// Directories of parts that cannot be opened.
    pub(crate) damaged: Vec<PathBuf>,
}

/// Opens the parts under `parts_dir`, and removes what a crash left half written and what a local merge has replaced.
/// One that cannot be opened is set aside: it harms only what is asked of its own data.
pub(crate) fn recover(fs: &Arc<dyn Fs>, parts_dir: &Path) -> Result<Recovered, IngestError> {
    // A process that was killed may have left names that are visible and not yet durable: what is decided by them now
    // must not be undone by a crash.
    fs.sync_dir(parts_dir).map_err(IngestError::io("sync", parts_dir))?;
    let mut found = Recovered::default();
    for entry in fs.list(parts_dir).map_err(IngestError::io("list", parts_dir))? {
        let dir = parts_dir.join(&entry.name);
        if entry.name.ends_with(UNFINISHED) {
            tracing::info!(dir = %dir.display(), "removing a part that was not finished");
            fs.remove_dir_all(&dir).map_err(IngestError::io("remove", &dir))?;
        } else if entry.name.ends_with(DAMAGED) {
            found.damaged.push(dir);
        } else if entry.is_dir && BlockId::from_string(&entry.name).is_ok() {
            match Part::open(fs, dir.clone()) {
                Ok(part) => found.parts.push(part),
                Err(error) if error.is_damage() => {
                    tracing::error!(%error, "a part cannot be opened and is set aside");
                    found.damaged.push(put_aside(fs.as_ref(), &dir)?);
                }
                Err(error) => return Err(error),
            }
        } else {
            tracing::warn!(path = %dir.display(), "not a part; left alone");
        }
    }
    let parents =
        |part: &Part| part.block.meta().compaction.parents.iter().map(|parent| parent.ulid).collect::<Vec<_>>();
    let replaced: Vec<BlockId> = found.parts.iter().flat_map(parents).collect();
    let (gone, kept) = found.parts.into_iter().partition::<Vec<_>, _>(|part| replaced.contains(&part.id()));
    for part in gone {
        remove(fs.as_ref(), &part.dir)?;
    }
    Ok(Recovered { parts: kept, damaged: found.damaged })
}

/// Removes the directory of a part, so that a crash leaves either all of it or something that counts as unfinished.
pub(crate) fn remove(fs: &dyn Fs, dir: &Path) -> Result<(), IngestError> {
    let mut unfinished = dir.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = Path::new(&unfinished);
    fs.rename(dir, unfinished).map_err(IngestError::io("rename", dir))?;
    fs.sync_dir(dir.parent().unwrap_or(Path::new("."))).map_err(IngestError::io("sync", dir))?;
    fs.remove_dir_all(unfinished).map_err(IngestError::io("remove", unfinished))
}

/// Bytes of all files below `dir`.
fn size_of(fs: &dyn Fs, dir: &Path) -> io::Result<u64> {
    let mut size_bytes = 0;
    for entry in fs.list(dir)? {
        size_bytes += if entry.is_dir { size_of(fs, &dir.join(&entry.name))? } else { entry.len_bytes };
    }
    Ok(size_bytes)
}
