//! The whole HTTP surface in process: the router over an ingester with an in-memory bucket.

mod conformance;
mod deletion;
mod federate;
mod grafana;
mod import;
mod intake;
mod otlp;
mod query;
mod read;
mod retention;
mod status;

use crate::app::{App, AppState};
use crate::config::Config;
use crate::http::otlp::TenantTotals;
use crate::http::router;
use crate::metrics::Metrics;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use longhaul_bucket::Store;
use longhaul_compact::{Collector, CollectorParts, Compactor, CompactorParts, Publish};
use longhaul_disk::RealFs;
use longhaul_ingest::{Ingester, IngesterParts};
use longhaul_model::write_batch::{ExemplarEntry, HistogramSample, HistogramValue};
use longhaul_model::{
    Clock, Exemplar, IdSource, LabelSection, Labels, ManualClock, Measurement, Sample, SeriesEntry, TenantId,
    Value as Measured, WriteBatch,
};
use longhaul_promql::engine::{Engine, EngineSettings};
use longhaul_query::BlockCache;
use longhaul_wire::{remote_write, snappy};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Ten minutes after the first sample of the conformance cases.
const NOW_MS: i64 = 1_704_067_800_500;

/// A server without sockets.
struct Server {
    app: AppState,
    clock: Arc<ManualClock>,
    router: Router,
    _data_dir: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Bytes,
    /// The same as text.
    body: String,
}

impl Server {
    async fn start(config: Config) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let manual = Arc::new(ManualClock::at(NOW_MS));
        let clock: Arc<dyn Clock> = manual.clone();
        let store = Store::memory();
        let mut id = 0;
        let ids = Arc::new(IdSource::new(move || {
            id += 1;
            id
        }));
        let ingester = Ingester::open(IngesterParts {
            settings: config.ingest_settings(2),
            log_settings: config.log_settings(),
            data_dir: data_dir.path().to_owned(),
            fs: Arc::new(RealFs),
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        })
        .await
        .unwrap();
        let publish: Publish = {
            let ingester = ingester.clone();
            Arc::new(move |tenant, manifest| ingester.publish_manifest(tenant, manifest))
        };
        let compactor = Compactor::open(CompactorParts {
            settings: config.compact_settings().unwrap(),
            work_dir: data_dir.path().join("compact"),
            fs: Arc::new(RealFs),
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            publish: publish.clone(),
        })
        .unwrap();
        let collector = Collector::new(CollectorParts {
            settings: config.collect_settings(),
            store: store.clone(),
            clock: clock.clone(),
            ids,
            publish,
        });
        let queries_max = config.query.concurrent_max;
        let query_slots = Arc::new(Semaphore::new(queries_max));
        let app = AppState(Arc::new(App {
            common_limits: config.write_limits(),
            retentions: config.retention.retentions().unwrap(),
            screen: config.intake.screen().unwrap(),
            otlp_totals: TenantTotals::default(),
            started_ms: NOW_MS,
            metrics: Metrics::new(
                ingester.clone(),
                store.metrics().clone(),
                compactor.metrics().clone(),
                collector.metrics().clone(),
                Arc::default(),
                query_slots.clone(),
                queries_max,
            ),
            engine: Engine::new(EngineSettings::default()),
            blocks: Arc::new(BlockCache::new(16, 16 << 20)),
            query_slots,
            clock,
            ingester,
            compactor,
            collector,
            config,
        }));
        Self { router: router(&app), app, clock: manual, _data_dir: data_dir }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, bytes, body }
    }

    async fn get(&self, path_and_query: &str) -> Answer {
        self.send(Request::get(path_and_query).body(Body::empty()).unwrap()).await
    }

    async fn post_form(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn write(&self, tenant: &str, series: &[(Labels, &[Sample])]) {
        let body = snappy::compress(&remote_write::encode(series));
        let request = Request::post("/api/v1/push").header("X-Scope-OrgID", tenant).body(Body::from(body)).unwrap();
        let answer = self.send(request).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    }
}

impl Server {
    /// Stores samples of any kind, and exemplars.
    async fn put(&self, labels: &Labels, samples: Vec<Measurement>, exemplars: &[Exemplar]) {
        let mut section = Vec::new();
        labels.iter().for_each(|(name, value)| LabelSection::push(&mut section, name, value));
        let labels = 0..section.len() as u32;
        let mut batch = WriteBatch::default();
        for Exemplar { t_ms, value, labels } in exemplars {
            let start = section.len() as u32;
            labels.iter().for_each(|(name, value)| LabelSection::push(&mut section, name, value));
            batch.exemplars.push(ExemplarEntry { labels: start..section.len() as u32, t_ms: *t_ms, value: *value });
        }
        batch.buffer = section.into();
        for Measurement { t_ms, start_ms, value } in samples {
            let value = match value {
                Measured::Float(value) => {
                    batch.samples.push(Sample::new(t_ms, value));
                    batch.starts_ms.push(start_ms);
                    continue;
                }
                Measured::Histogram(histogram) => HistogramValue::Integer(histogram),
                Measured::FloatHistogram(histogram) => HistogramValue::Float(histogram),
            };
            batch.histograms.push(HistogramSample { t_ms, start_ms, value });
        }
        batch.series.push(SeriesEntry {
            labels,
            samples: 0..batch.samples.len() as u32,
            histograms: 0..batch.histograms.len() as u32,
            exemplars: 0..batch.exemplars.len() as u32,
        });
        let report = self
            .app
            .ingester
            .write(&TenantId::anonymous(), &batch, &self.app.write_limits(&TenantId::anonymous()))
            .await
            .unwrap();
        assert!(report.refusals.is_empty(), "{:?}", report.refusals);
    }
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers[CONTENT_TYPE], "application/json");
        serde_json::from_str(&self.body).unwrap()
    }
}
