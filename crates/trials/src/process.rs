//! Those who work on the bucket: each opens what it has, does its work once when asked, and may be killed at any point.

use crate::site::{Site, tenant};
use longhaul_bucket::Store;
use longhaul_compact::{
    CollectReport, CollectSettings, Collector, CollectorParts, CompactReport, CompactSettings, Compactor,
    CompactorParts,
};
use longhaul_ingest::{IngestSettings, Ingester, IngesterParts};
use longhaul_log::LogSettings;
use longhaul_testkit::faulty_store::FaultyStore;
use longhaul_testkit::sim_fs::SimFs;
use std::sync::Arc;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Cuts what is in memory, merges it with what was cut before, ships and commits it, and lets the parts go.
    Ship,
    /// Merges blocks of the bucket.
    Compact,
    /// Takes garbage away.
    Collect,
}

pub(crate) const ROLES: [Role; 3] = [Role::Ship, Role::Compact, Role::Collect];

/// A process and its view of the bucket.
pub(crate) struct Process {
    pub(crate) view: FaultyStore,
    worker: Worker,
}

enum Worker {
    Ship(Ingester),
    Compact(Compactor),
    Collect(Collector),
}

impl Process {
    /// Starts a process on the disk of its role; nothing goes wrong meanwhile.
    pub(crate) async fn open(site: &Arc<Site>, role: Role) -> Self {
        Self::on(site, role, site.disk(role)).await
    }

    /// Starts another one of its role beside it: on its own machine, unless it is the only one there can be.
    pub(crate) async fn beside(site: &Arc<Site>, role: Role) -> Self {
        let disk = if role == Role::Ship { site.disk(role) } else { SimFs::new() };
        Self::on(site, role, disk).await
    }

    async fn on(site: &Arc<Site>, role: Role, disk: SimFs) -> Self {
        let view = FaultyStore::new(&site.world);
        let store = Store::new(Arc::new(view.clone()), "").unwrap();
        let (fs, ids) = (Arc::new(disk), site.ids());
        let clock = site.clock.clone();
        let worker = match role {
            Role::Ship => {
                // The loops never tick: a run says when something is done.
                let settings = IngestSettings {
                    tick_ms: u64::MAX >> 20,
                    manifest_refresh_ms: u64::MAX >> 20,
                    lanes: 1,
                    ..IngestSettings::default()
                };
                let parts = IngesterParts {
                    settings,
                    log_settings: LogSettings::default(),
                    data_dir: "/data".into(),
                    fs,
                    store,
                    clock,
                    ids,
                };
                Worker::Ship(Ingester::open(parts).await.unwrap())
            }
            Role::Compact => {
                let settings = CompactSettings { disk_reserve_bytes_max: 0, ..CompactSettings::default() };
                let publish = Arc::new(|_: &_, _| {});
                let parts = CompactorParts { settings, work_dir: "/work".into(), fs, store, clock, ids, publish };
                Worker::Compact(Compactor::open(parts).unwrap())
            }
            Role::Collect => {
                let settings = CollectSettings { objects_per_second_max: u32::MAX, ..site.collect_settings };
                let publish = Arc::new(|_: &_, _| {});
                Worker::Collect(Collector::new(CollectorParts { settings, store, clock, ids, publish }))
            }
        };
        Self { view, worker }
    }

    /// Does the work of its role; what went wrong.
    pub(crate) async fn act(&self) -> Result<(), String> {
        match &self.worker {
            Worker::Ship(ingester) => ingester.flush(Some(&tenant())).await.map_err(|error| error.to_string()),
            Worker::Compact(compactor) => match compactor.compact(Some(&tenant())).await {
                Ok(CompactReport { failures, .. }) => failures.first().map_or(Ok(()), |it| Err(it.error.clone())),
                Err(error) => Err(error.to_string()),
            },
            Worker::Collect(collector) => {
                let CollectReport { failures, stopped, .. } = collector.collect(Some(&tenant())).await;
                let stopped = stopped.map(|error| error.to_string());
                stopped.or_else(|| failures.first().map(|it| it.error.clone())).map_or(Ok(()), Err)
            }
        }
    }

    pub(crate) fn ingester(&self) -> &Ingester {
        match &self.worker {
            Worker::Ship(ingester) => ingester,
            _ => panic!("not an ingester"),
        }
    }

    /// Ends it in an orderly way; of one whose view is dead nothing reaches the world any more.
    pub(crate) async fn close(self) {
        match self.worker {
            Worker::Ship(ingester) => ingester.close().await,
            Worker::Compact(compactor) => compactor.close(),
            Worker::Collect(_) => {}
        }
    }
}
