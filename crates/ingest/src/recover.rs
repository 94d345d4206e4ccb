//! Starting: what parts, the log and the manifest say together becomes heads again.
//!
//! 1. Take the data directory; open the log, which repairs its tail.
//! 2. Open the parts; drop those that the manifest covers.
//! 3. Replay: skip what a part or the manifest covers and what was refused, apply the rest (**I-COVER-2**).
//! 4. If a part or a manifest knows offsets beyond the log's end, the disk has lost some: a new log id starts. Its
//!    offsets go on behind all that are known, so that what comes later wins over what was there before.
//! 5. Start lanes and log.

use crate::accepted::key_of;
use crate::cut::blocking;
use crate::delete::from_log;
use crate::error::IngestError;
use crate::ingester::{IngesterParts, Inner, Tenants};
use crate::lane::{Lanes, LogHandle};
use crate::metrics::IngestMetrics;
use crate::part_writer::{PARTITION, PartWriter};
use crate::parts::ReplayedParts;
use crate::settings::IngestSettings;
use crate::tenant::Tenant;
use crate::{metadata, parts, ship};
use longhaul_bucket::{BucketError, Deletion, Manifest, Store, TenantStore};
use longhaul_disk::Fs;
use longhaul_head::{HashSeed, Series, Verdict};
use longhaul_log::{Offset, Opened, RecordKind, Refusals, ReplaySeries};
use longhaul_model::{Labels, LogId, TenantId, TimeRange};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Folders of the data directory.
const PARTS: &str = "parts";
const SHIP: &str = "ship";
pub(crate) const METADATA: &str = "metadata";
/// How long to wait before the store is asked again at start.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Recovers everything under the data directory.
pub(crate) async fn open(from: IngesterParts) -> Result<Arc<Inner>, IngestError> {
    let handle = Handle::current();
    blocking(move || recover(from, &handle)).await
}

fn recover(from: IngesterParts, handle: &Handle) -> Result<Arc<Inner>, IngestError> {
    let IngesterParts { settings, log_settings, data_dir, fs, store, clock, ids } = from;
    let lock = take_data_dir(fs.as_ref(), &data_dir)?;
    let log_dir = data_dir.join("log");
    let open_log = || longhaul_log::open(fs.clone(), log_dir.clone(), log_settings.clone(), ids.log_id());
    let mut opened = open_log()?;
    let metrics = Arc::new(IngestMetrics::default());
    report_damage(&opened, &metrics);

    let seed = HashSeed::new(ids.random());
    let tenants = Tenants::new(&settings, seed, data_dir.join(PARTS), store.clone(), opened.log_id());
    read_metadata(fs.as_ref(), &data_dir.join(METADATA), &tenants)?;
    open_parts(&fs, &data_dir, &tenants, &store, handle)?;

    let part_writer = PartWriter {
        fs: fs.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        data_dir: data_dir.clone(),
        chunk_samples_max: settings.chunk_samples_max,
    };
    let replay =
        Replay { tenants: &tenants, handle, log_id: opened.log_id(), part_writer: &part_writer, settings: &settings };
    metrics.samples_replayed.store(replay.run(&opened)?, Relaxed);
    let known_end = known_end(&tenants, Some(opened.log_id()));
    if known_end > opened.end() {
        tracing::error!(
            log_end = opened.end(),
            known_end,
            "the log ends before what the bucket or a part has of it: the disk has lost writes or is an old copy; a new \
             log starts"
        );
        replay.cut_everything(opened.end())?;
        drop(opened);
        fs.remove_dir_all(&log_dir).map_err(IngestError::io("remove", &log_dir))?;
        opened = open_log()?;
        tenants.all().iter().for_each(|tenant| tenant.owed.forget());
    }
    opened.continue_after(self::known_end(&tenants, None));

    let log_handle = LogHandle::default();
    let lanes =
        Lanes::start(settings.lanes, &log_handle, &metrics).map_err(IngestError::io("start threads for", &data_dir))?;
    let deliver_to = lanes.clone();
    let log = Arc::new(opened.start(Box::new(move |delivery| deliver_to.deliver(delivery))));
    log_handle.set(&log);
    Ok(Arc::new(Inner {
        settings,
        data_dir,
        clock,
        part_writer,
        log_id: log.log_id(),
        log,
        lanes,
        tenants,
        gate: Arc::default(),
        metrics,
        closing: watch::channel(false).0,
        _lock: lock,
    }))
}

/// Locks the data directory and lays out its folders.
fn take_data_dir(fs: &dyn Fs, data_dir: &Path) -> Result<Box<dyn Send + Sync>, IngestError> {
    fs.create_dir_all(data_dir).map_err(IngestError::io("create", data_dir))?;
    let lock = fs.lock(&data_dir.join("lock")).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => IngestError::InUse(data_dir.to_owned()),
        _ => IngestError::io("lock", data_dir)(error),
    })?;
    for dir in [data_dir.join(PARTS), data_dir.join(SHIP), data_dir.join(METADATA)] {
        fs.create_dir_all(&dir).map_err(IngestError::io("create", &dir))?;
    }
    fs.sync_dir(data_dir).map_err(IngestError::io("sync", data_dir))?;
    // The directory's own name has to survive as well; who may not open a parent has not created it just now.
    for parent in data_dir.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
        match fs.sync_dir(parent) {
            Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => {
                return Err(IngestError::io("sync", parent)(error));
            }
            _ => {}
        }
    }
    Ok(lock)
}

/// Gives the tenants what was saved of their metadata. A file that cannot be read is none: senders will say it all again.
fn read_metadata(fs: &dyn Fs, dir: &Path, tenants: &Tenants) -> Result<(), IngestError> {
    for entry in fs.list(dir).map_err(IngestError::io("list", dir))? {
        let Some(id) = metadata::tenant_of(&entry.name) else { continue }; // one that was being written
        let path = dir.join(&entry.name);
        let file = fs.read(&path).map_err(IngestError::io("read", &path))?;
        if !tenants.get_or_create(&id).metadata.restore(&file) {
            tracing::warn!(path = %path.display(), "saved metadata is damaged and left out");
        }
    }
    Ok(())
}

/// Opens the parts of all tenants, drops what the manifests cover, finds what was on its way to the bucket.
fn open_parts(
    fs: &Arc<dyn Fs>,
    data_dir: &Path,
    tenants: &Tenants,
    store: &Store,
    handle: &Handle,
) -> Result<(), IngestError> {
    for id in handle.block_on(until_answered("list its tenants", || TenantStore::tenants(store)))? {
        tenants.get_or_create(&id);
    }
    let parts_dir = data_dir.join(PARTS);
    for entry in fs.list(&parts_dir).map_err(IngestError::io("list", &parts_dir))? {
        let Ok(id) = TenantId::parse(&entry.name) else { continue };
        let tenant = tenants.get_or_create(&id);
        let recovered = parts::recover(fs, &tenant.parts_dir)?;
        recovered.parts.into_iter().for_each(|part| tenant.parts.swap(Some(Arc::new(part)), &[]));
        tenant.add_damaged(recovered.damaged);
    }
    let mut shipping = ship::recover(fs, &data_dir.join(SHIP))?;
    for tenant in tenants.all() {
        let manifest = manifest_of(&tenant, handle)?;
        drop_covered_parts(fs.as_ref(), &tenant, &manifest)?;
        shipping.resume(fs.as_ref(), &tenant, &manifest)?;
    }
    Ok(())
}

/// The highest offset of a log, or of any, that a manifest or a part knows.
fn known_end(tenants: &Tenants, log_id: Option<LogId>) -> Offset {
    let is_meant = |id: LogId| log_id.is_none_or(|log_id| log_id == id);
    let of_tenant = |tenant: &Tenant| {
        let (manifest, parts) = (tenant.known_manifest(), tenant.parts.all());
        let in_bucket = manifest.through.entries().iter().filter(|it| is_meant(it.log_id)).map(|it| it.to).max();
        let deletions = manifest.deletions.iter().filter(|it| is_meant(it.log_id)).map(|it| it.offset).max();
        let stretches = parts.iter().flat_map(|part| part.coverage()).filter(|it| is_meant(it.log_id));
        in_bucket.max(deletions).max(stretches.map(|it| it.to).max()).unwrap_or(0)
    };
    tenants.all().iter().map(|tenant| of_tenant(tenant)).max().unwrap_or(0)
}

/// Asks the store until it answers: without the manifests nobody knows what of the log is in the bucket already.
/// What no waiting mends (no access, a corrupt manifest) ends the start.
async fn until_answered<T, F: Future<Output = Result<T, BucketError>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> Result<T, BucketError> {
    loop {
        match ask().await {
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the store does not answer; it is asked again to {what}");
            }
            answered => return answered,
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

fn manifest_of(tenant: &Tenant, handle: &Handle) -> Result<Arc<Manifest>, BucketError> {
    handle.block_on(until_answered("read a manifest", || tenant.manifest()))
}

/// Removes the parts whose every stretch the manifest covers: they were shipped, and the crash came before the end.
fn drop_covered_parts(fs: &dyn Fs, tenant: &Tenant, manifest: &Manifest) -> Result<(), IngestError> {
    for part in tenant.parts.all().iter().filter(|part| part.is_covered_by(manifest)) {
        tenant.parts.swap(None, &[part.id()]);
        parts::remove(fs, &part.dir)?;
    }
    Ok(())
}

fn report_damage(opened: &Opened, metrics: &IngestMetrics) {
    for damage in opened.damage() {
        metrics.log_damage.fetch_add(1, Relaxed);
        tracing::error!(?damage, "the log is damaged; the segment is kept aside and reading went on behind the damage");
    }
    if let Some(tail) = opened.torn_tail() {
        tracing::info!(?tail, "cut off the unfinished end of the log");
    }
}

/// The replay of a log into empty heads.
struct Replay<'a> {
    tenants: &'a Tenants,
    handle: &'a Handle,
    log_id: LogId,
    part_writer: &'a PartWriter,
    settings: &'a IngestSettings,
}

/// A tenant with what is known to be covered.
struct Replayed {
    tenant: Arc<Tenant>,
    manifest: Arc<Manifest>,
    /// By parts: range, and the last offset.
    by_parts: Vec<(TimeRange, Offset)>,
}

/// After how many records the replay looks at the memory that it has filled.
const RECORDS_PER_LOOK: usize = 1024;

impl Replay<'_> {
    /// Applies the log; returns how many samples were.
    fn run(&self, opened: &Opened) -> Result<u64, IngestError> {
        let refused = opened.refused();
        let mut known: HashMap<TenantId, Replayed> = HashMap::new();
        let mut applied = 0;
        for (number, record) in opened.replay().enumerate() {
            let record = record?;
            let entries = match record.kind {
                RecordKind::Samples(entries) => entries,
                RecordKind::Deletion(deletion) => {
                    let deletion = from_log(deletion, self.log_id, record.offset);
                    self.known(&mut known, &record.tenant)?.delete(deletion);
                    continue;
                }
                RecordKind::Refusals { .. } => continue,
            };
            let replayed = self.known(&mut known, &record.tenant)?;
            let refusals = refused.of(record.offset);
            let mut left_out = Vec::new();
            for entry in &entries {
                applied += self.apply(replayed, entry, record.offset, &refusals, &mut left_out);
            }
            if !left_out.is_empty() {
                // The crash came before the record of it; nobody was told. It is made up for before anybody is.
                let refusals = Refusals { tenant: record.tenant, batch: record.offset, samples: left_out };
                replayed.tenant.owed.missing(refusals);
            }
            if number % RECORDS_PER_LOOK == RECORDS_PER_LOOK - 1 && self.memory_is_full() {
                self.cut_everything(record.offset)?;
            }
        }
        Ok(applied)
    }

    fn known<'k>(
        &self,
        known: &'k mut HashMap<TenantId, Replayed>,
        id: &TenantId,
    ) -> Result<&'k Replayed, IngestError> {
        Ok(match known.entry(id.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.tenant(id)?),
        })
    }

    fn apply(
        &self,
        replayed: &Replayed,
        entry: &ReplaySeries,
        offset: Offset,
        refusals: &[(u32, u32)],
        left_out: &mut Vec<(u32, u32)>,
    ) -> u64 {
        let tenant = &replayed.tenant;
        let (mut series, mut applied) = (None, 0);
        let is_wanted = |index: usize, t_ms: i64| {
            let is_refused = refusals.binary_search(&(entry.entry, index as u32)).is_ok();
            !is_refused && !replayed.is_covered(t_ms, offset, self.log_id)
        };
        let mut judged = |index: usize, verdict: Verdict| match verdict {
            Verdict::Stored => applied += 1,
            Verdict::Duplicate => {}
            Verdict::DuplicateOfOlder | Verdict::Conflict => left_out.push((entry.entry, index as u32)),
        };
        for (index, sample) in entry.samples.iter().enumerate() {
            if is_wanted(index, sample.t_ms) {
                let series = series.get_or_insert_with(|| find_or_create(tenant, &entry.labels));
                judged(index, tenant.head.apply(series, *sample, offset, &ReplayedParts(tenant)));
            }
        }
        for (index, sample) in (entry.samples.len()..).zip(&entry.others) {
            if is_wanted(index, sample.t_ms) {
                let series = series.get_or_insert_with(|| find_or_create(tenant, &entry.labels));
                judged(index, tenant.head.apply_any(series, sample.clone(), offset, &ReplayedParts(tenant)));
            }
        }
        for exemplar in entry.exemplars.iter().filter(|it| !replayed.is_covered(it.t_ms, offset, self.log_id)) {
            let series = series.get_or_insert_with(|| find_or_create(tenant, &entry.labels));
            tenant.head.apply_exemplar(series, exemplar.clone(), offset);
        }
        applied
    }

    fn memory_is_full(&self) -> bool {
        let chunk_bytes: usize = self.tenants.all().iter().map(|tenant| tenant.head.stats().chunk_bytes).sum();
        chunk_bytes as u64 > self.settings.chunk_budget_bytes
    }

    /// Makes parts of all that is in the heads. Nothing runs yet but this thread, so it may play the lane.
    fn cut_everything(&self, through: Offset) -> Result<(), IngestError> {
        for tenant in self.tenants.all() {
            for state in tenant.head.ranges() {
                let Some(view) = tenant.head.cut(state.range, through) else { continue };
                if let Some(part) = self.part_writer.write_view(&tenant, &view, self.log_id)? {
                    tenant.parts.swap(Some(Arc::new(part)), &[]);
                }
                tenant.head.release(&view);
            }
        }
        Ok(())
    }

    fn tenant(&self, id: &TenantId) -> Result<Replayed, IngestError> {
        let tenant = self.tenants.get_or_create(id);
        let manifest = manifest_of(&tenant, self.handle)?;
        let parts = tenant.parts.all();
        let ours = parts.iter().flat_map(|part| part.coverage()).filter(|stretch| stretch.log_id == self.log_id);
        let by_parts = ours.map(|stretch| (stretch.range, stretch.to)).collect();
        Ok(Replayed { tenant, manifest, by_parts })
    }
}

impl Replayed {
    /// Applies a deletion unless it is over: the manifest has none of it, and has everything that it was about.
    fn delete(&self, deletion: Deletion) {
        if self.manifest.deletion(deletion.id).is_some() {
            self.tenant.head.delete(&deletion.tombstone); // the list has it from the manifest
        } else if !self.manifest.is_behind(&deletion) {
            self.tenant.apply_deletion(deletion);
        }
    }

    fn is_covered(&self, t_ms: i64, offset: Offset, log_id: LogId) -> bool {
        self.manifest.covered(log_id, PARTITION, t_ms, offset)
            || self.by_parts.iter().any(|(range, to)| offset <= *to && range.contains(t_ms))
    }
}

fn find_or_create(tenant: &Tenant, labels: &Labels) -> Arc<Series> {
    let pairs: Vec<(&str, &str)> = labels.iter().collect();
    tenant.head.create(key_of(tenant, labels), &pairs).expect("I-COVER-2: a replay is under no limit of series")
}
