//! Our own metrics, prefix `longhaul_`.

use longhaul_bucket::StoreMetrics;
use longhaul_compact::{CollectMetrics, CompactMetrics, ScrubMetrics, TenantState};
use longhaul_ingest::Ingester;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::Semaphore;

/// Upper bounds of request durations, seconds.
const DURATIONS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteStatus {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RouteStatus, Counter>,
    durations: Family<Route, Histogram>,
}

impl Metrics {
    /// What compaction counts comes from `compaction`, what is taken away from `collection`, what is read to be checked from
    /// `scrubbing`; `query_slots` has `queries_max` permits, of which each query holds one for as long as anything works for it.
    pub(crate) fn new(
        ingester: Ingester,
        store: Arc<StoreMetrics>,
        compaction: Arc<CompactMetrics>,
        collection: Arc<CollectMetrics>,
        scrubbing: Arc<ScrubMetrics>,
        query_slots: Arc<Semaphore>,
        queries_max: usize,
    ) -> Self {
        let mut registry = Registry::with_prefix("longhaul");
        let requests = Family::default();
        registry.register("http_requests", "HTTP requests by route and status", requests.clone());
        let durations = Family::<Route, Histogram>::new_with_constructor(|| Histogram::new(DURATIONS));
        registry.register("http_request_duration_seconds", "Time to answer HTTP requests", durations.clone());
        registry.register_collector(Box::new(IngestCollector { ingester }));
        registry.register_collector(Box::new(StoreCollector { store }));
        registry.register_collector(Box::new(CompactCollector { compaction }));
        registry.register_collector(Box::new(GarbageCollector { collection }));
        registry.register_collector(Box::new(ScrubCollector { scrubbing }));
        registry.register_collector(Box::new(QueryCollector { query_slots, queries_max }));
        Self { registry, requests, durations }
    }

    pub(crate) fn observe_request(&self, route: &str, status: u16, seconds: f64) {
        self.requests.get_or_create(&RouteStatus { route: route.to_owned(), status }).inc();
        self.durations.get_or_create(&Route { route: route.to_owned() }).observe(seconds);
    }

    /// The metrics as OpenMetrics text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string does not fail");
        text
    }
}

struct IngestCollector {
    ingester: Ingester,
}

impl std::fmt::Debug for IngestCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IngestCollector")
    }
}

impl Collector for IngestCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (metrics, totals) = (self.ingester.metrics(), self.ingester.totals());
        let counters: [(&str, &str, &AtomicU64); 15] = [
            ("samples_stored", "Samples stored", &metrics.samples_stored),
            ("samples_duplicate", "Samples that were there already", &metrics.samples_duplicate),
            ("zeros_stored", "Zeros stored where counters began", &metrics.zeros_stored),
            ("exemplars_stored", "Exemplars stored", &metrics.exemplars_stored),
            (
                "samples_dropped",
                "Samples, histograms and exemplars that their tenants do not want",
                &metrics.samples_dropped,
            ),
            ("samples_refused", "Samples, histograms and exemplars refused", &metrics.samples_refused),
            ("metadata_left_out", "Metadata for which there was no room", &metrics.metadata_left_out),
            ("writes_turned_away", "Writes answered with 503", &metrics.requests_turned_away),
            ("parts_written", "Parts cut from heads", &metrics.parts_written),
            ("cuts_failed", "Cuts that failed", &metrics.cuts_failed),
            ("heads_logged_again", "Tiny heads logged again", &metrics.heads_logged_again),
            ("blocks_shipped", "Blocks shipped", &metrics.blocks_shipped),
            ("ships_failed", "Ships that failed and are tried again", &metrics.ships_failed),
            ("samples_replayed", "Samples replayed at start", &metrics.samples_replayed),
            ("log_damage", "Damaged places found in the log at start", &metrics.log_damage),
        ];
        for (name, help, value) in counters {
            counter(&mut encoder, name, help, value.load(Relaxed))?;
        }
        let gauges = [
            ("tenants", "Tenants in memory", totals.tenants as u64),
            ("head_series", "Series in memory", totals.series),
            ("head_samples", "Samples in memory", totals.samples),
            ("head_exemplars", "Exemplars in memory", totals.exemplars),
            ("head_chunk_bytes", "Bytes of chunks and exemplars in memory", totals.chunk_bytes),
            ("head_series_bytes", "Bytes of labels, postings and tables in memory", totals.series_bytes),
            ("parts", "Local parts", totals.parts as u64),
            ("log_bytes", "Bytes of log on disk", totals.log_bytes),
            ("log_end_offset", "Last durable offset of the log", totals.log_end),
        ];
        for (name, help, value) in gauges {
            gauge(&mut encoder, name, help, value)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct StoreCollector {
    store: Arc<StoreMetrics>,
}

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let store = &self.store;
        let counters = [
            ("store_gets", "GETs to the store", &store.gets),
            ("store_puts", "PUTs to the store", &store.puts),
            ("store_lists", "LISTs to the store", &store.lists),
            ("store_heads", "HEADs to the store", &store.heads),
            ("store_deletes", "DELETEs to the store", &store.deletes),
            ("store_read_bytes", "Bytes read from the store", &store.read_bytes),
            ("store_written_bytes", "Bytes written to the store", &store.written_bytes),
            ("store_errors", "Failed calls to the store", &store.errors),
        ];
        for (name, help, value) in counters {
            counter(&mut encoder, name, help, value.load(Relaxed))?;
        }
        Ok(())
    }
}

/// One figure of a tenant.
type Figure = fn(&TenantState) -> f64;

#[derive(Debug)]
struct CompactCollector {
    compaction: Arc<CompactMetrics>,
}

impl Collector for CompactCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let metrics = &self.compaction;
        let counters = [
            ("compaction_runs", "Looks at the bucket for what to compact", &metrics.runs),
            ("compaction_jobs", "Compactions that were committed", &metrics.jobs),
            ("compaction_jobs_failed", "Compactions that failed and are tried again", &metrics.jobs_failed),
            ("compaction_jobs_obsolete", "Compactions in vain: others had been quicker", &metrics.jobs_obsolete),
            ("compaction_input_blocks", "Blocks that were merged", &metrics.blocks_in),
            ("compaction_output_blocks", "Blocks that took their place", &metrics.blocks_out),
            ("compaction_input_bytes", "Bytes of merged blocks", &metrics.bytes_in),
            ("compaction_output_bytes", "Bytes of the blocks that took their place", &metrics.bytes_out),
            ("compaction_input_samples", "Samples that compactions read", &metrics.samples_in),
            ("compaction_output_samples", "Samples that compactions wrote", &metrics.samples_out),
            ("compaction_duplicate_samples", "Samples that a later one replaced", &metrics.samples_duplicate),
            (
                "compaction_deleted_samples",
                "Samples that had been deleted or are kept no more",
                &metrics.samples_deleted,
            ),
            ("compaction_past_blocks", "Blocks of which nothing is kept any longer", &metrics.blocks_past),
            ("compaction_dropped_blocks", "Unreadable blocks that a deletion waited for", &metrics.blocks_dropped),
        ];
        for (name, help, value) in counters {
            counter(&mut encoder, name, help, value.load(Relaxed))?;
        }
        let seconds = ConstCounter::new(metrics.duration_ns.load(Relaxed) as f64 / 1e9);
        let help = "Time that compactions took";
        seconds.encode(encoder.encode_descriptor(
            "compaction_duration_seconds",
            help,
            None,
            seconds.metric_type(),
        )?)?;
        let tenants = metrics.tenants.lock().clone();
        let figures: [(&str, &str, Figure); 3] = [
            ("compaction_lag_seconds", "For how long the oldest compaction has been due", |it| it.lag_ms as f64 / 1e3),
            ("quarantined_blocks", "Blocks that cannot be read", |it| it.quarantined as f64),
            ("bucket_blocks", "Live blocks in the bucket", |it| it.blocks as f64),
        ];
        for (name, help, figure) in figures {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (tenant, state) in &tenants {
                let labels = [("tenant", tenant.as_str())];
                ConstGauge::new(figure(state)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct GarbageCollector {
    collection: Arc<CollectMetrics>,
}

impl Collector for GarbageCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let metrics = &self.collection;
        let counters = [
            ("collection_runs", "Looks at the bucket for garbage that came to their end", &metrics.runs),
            ("collection_runs_stopped", "Looks at the bucket for garbage that did not", &metrics.runs_stopped),
            ("collection_blocks_marked", "Replaced blocks whose deletion was announced", &metrics.blocks_marked),
            ("collection_blocks_deleted", "Replaced blocks that are gone", &metrics.blocks_deleted),
            ("collection_orphans_deleted", "Uploads that never became blocks and are gone", &metrics.orphans_deleted),
            ("collection_objects_deleted", "Objects of both that are gone", &metrics.objects_deleted),
            ("collection_manifests_deleted", "Old versions of manifests that are gone", &metrics.versions_deleted),
        ];
        for (name, help, value) in counters {
            counter(&mut encoder, name, help, value.load(Relaxed))?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct ScrubCollector {
    scrubbing: Arc<ScrubMetrics>,
}

impl Collector for ScrubCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let metrics = &self.scrubbing;
        let counters = [
            ("scrub_blocks", "Blocks that were read to be checked", &metrics.blocks),
            ("scrub_bytes", "Bytes of them", &metrics.bytes),
            ("scrub_quarantined_blocks", "Blocks that were found to be damaged", &metrics.quarantined),
            ("scrub_failures", "Blocks and tenants that could not be read", &metrics.failures),
        ];
        for (name, help, value) in counters {
            counter(&mut encoder, name, help, value.load(Relaxed))?;
        }
        let read_up_to = ConstGauge::new(metrics.read_up_to_ms.load(Relaxed) as f64 / 1e3);
        let (name, help) = ("scrub_read_up_to_seconds", "What came due before this moment has been checked");
        read_up_to.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }
}

#[derive(Debug)]
struct QueryCollector {
    query_slots: Arc<Semaphore>,
    queries_max: usize,
}

impl Collector for QueryCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let running = self.queries_max.saturating_sub(self.query_slots.available_permits());
        gauge(&mut encoder, "queries_running", "Queries that something works for", running as u64)?;
        gauge(&mut encoder, "queries_running_max", "Queries that may run at once", self.queries_max as u64)
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), std::fmt::Error> {
    let metric = ConstCounter::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), std::fmt::Error> {
    let metric = ConstGauge::new(value as i64);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}
