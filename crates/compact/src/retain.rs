//! Retention carried out: raw blocks of which nothing is kept are retired as they are; those that hold series which are kept no
//! more are found, to be rewritten like blocks that deletions list.
//!
//! Queries leave out what is past its retention whether it is still there or not (I-RETAIN-1). So none of this is urgent, and
//! a block is looked at for a selector only when the selector's time is over for all of it: it is rewritten once, not every
//! day. Merges leave out what is past by then anyway.

use crate::compactor::Inner;
use crate::error::CompactError;
use crate::job::AUTHOR;
use crate::report::CompactReport;
use longhaul_block::Block;
use longhaul_bucket::{CommitError, LiveBlock, Manifest, OperationId, Rejected, TenantStore};
use longhaul_model::{BlockId, Matcher, Retention, TenantId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::runtime::Handle;

/// Blocks that one plan looks into: a few requests each.
const LOOKS_MAX: usize = 200;

/// Blocks that hold series which are kept no more, with since when that is so, ms since the epoch.
pub(crate) type Expired = HashMap<BlockId, i64>;

/// Which blocks of each tenant were found to hold nothing of a selector, which is given by its number. Blocks never change.
pub(crate) type LookedInto = Mutex<BTreeMap<TenantId, HashSet<(BlockId, usize)>>>;

/// The raw blocks of which nothing is kept at `now_ms`.
pub(crate) fn past_blocks(manifest: &Manifest, retention: &Retention, now_ms: i64) -> Vec<BlockId> {
    let past = retention.past_of_all(now_ms);
    let is_past = |block: &&LiveBlock| block.resolution_ms == 0 && !past.is_empty() && past.covers(&block.range);
    manifest.blocks.iter().filter(is_past).map(|block| block.id).collect()
}

/// Readable raw blocks and selectors, by number, whose time is over for all of the block, with since when.
fn to_look_into(manifest: &Manifest, retention: &Retention, now_ms: i64) -> Vec<(LiveBlock, usize, i64)> {
    let quarantined: HashSet<BlockId> = manifest.quarantined.iter().map(|block| block.id).collect();
    let raw = manifest.blocks.iter().filter(|it| it.resolution_ms == 0 && !quarantined.contains(&it.id));
    let pairs = raw.flat_map(|block| {
        let since = |series: i64| block.range.end_ms.saturating_add(series);
        let over = retention.series.iter().enumerate().map(move |(n, series)| (n, since(series.raw_ms)));
        over.filter(|(_, since_ms)| *since_ms <= now_ms).map(|(n, since_ms)| (block.clone(), n, since_ms))
    });
    pairs.collect()
}

impl Inner {
    /// Retires the blocks of which nothing is kept. The manifest after that; none if others were at it.
    pub(crate) async fn retire_past(
        &self,
        store: &TenantStore,
        base: Arc<Manifest>,
        report: &Mutex<CompactReport>,
    ) -> Result<Option<Arc<Manifest>>, CompactError> {
        let (tenant, now_ms) = (store.tenant(), self.clock.now_ms());
        let retention = self.settings.retentions.of(tenant);
        let count = past_blocks(&base, retention, now_ms).len() as u64;
        if count == 0 {
            return Ok(Some(base));
        }
        let change = |manifest: &Manifest| match past_blocks(manifest, retention, now_ms) {
            past if past.is_empty() => Err(Rejected::Other("nothing is past its retention".into())),
            past => manifest.replace(&past, Vec::new(), now_ms),
        };
        match store.commit(Some(&base), AUTHOR, OperationId::new(self.ids.random()), change).await {
            Ok(manifest) => {
                tracing::info!(%tenant, blocks = count, "retired: nothing in them is kept any longer");
                self.metrics.blocks_past.fetch_add(count, Relaxed);
                report.lock().blocks_past += count;
                let manifest = Arc::new(manifest);
                self.learn(tenant, manifest.clone());
                Ok(Some(manifest))
            }
            Err(CommitError::Rejected(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The blocks that hold series which are kept no more. Each is looked into once for each selector; of those that cannot
    /// be read nothing is said.
    pub(crate) async fn find_expired(&self, store: &TenantStore, manifest: &Manifest) -> Expired {
        let tenant = store.tenant();
        let retention = self.settings.retentions.of(tenant);
        let mut expired = Expired::new();
        let mut clean = self.looked_into.lock().get(tenant).cloned().unwrap_or_default();
        clean.retain(|(id, _)| manifest.block(*id).is_some());
        let pairs = to_look_into(manifest, retention, self.clock.now_ms()).into_iter();
        for (live, n, since_ms) in
            pairs.filter(|it| !clean.contains(&(it.0.id, it.1))).take(LOOKS_MAX).collect::<Vec<_>>()
        {
            if self.closing.load(Relaxed) {
                break;
            }
            match holds(store, &live, retention.series[n].matchers.clone()).await {
                Ok(true) => {
                    let first = expired.entry(live.id).or_insert(since_ms);
                    *first = since_ms.min(*first);
                }
                Ok(false) => {
                    clean.insert((live.id, n));
                }
                Err(error) => tracing::warn!(%tenant, block = %live.id, error, "cannot look for what is kept no more"),
            }
        }
        if !clean.is_empty() {
            self.looked_into.lock().insert(tenant.clone(), clean);
        }
        expired
    }
}

/// Whether a block has series that satisfy all matchers.
async fn holds(store: &TenantStore, live: &LiveBlock, matchers: Vec<Matcher>) -> Result<bool, String> {
    let meta = store.block_meta(live.address()).await.map_err(|error| error.to_string())?;
    let files = store.block_files(live.address(), Handle::current());
    let look = move || Block::open(files, meta)?.label_names(&matchers).map(|names| !names.is_empty());
    let looked = tokio::task::spawn_blocking(look).await.map_err(|error| error.to_string())?;
    looked.map_err(|error| error.to_string())
}
