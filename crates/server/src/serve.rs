//! `longhaul serve`: from a configuration to a running server, and down again.
//!
//! 1. Check the configuration, open the store, probe it.
//! 2. Recover log, parts and manifests; only then open the listeners: who gets an answer gets a ready server.
//! 3. On SIGTERM or SIGINT: stop accepting, answer what is in flight, close the log.

use crate::app::{App, AppState};
use crate::config::{Config, ConfigError};
use crate::http::otlp::TenantTotals;
use crate::metrics::Metrics;
use crate::upkeep::{UpkeepReport, upkeep};
use crate::{http, self_scrape};
use axum::serve::ListenerExt;
use longhaul_bucket::{BucketError, Store, StoreOptions, StoreUrl, open_store, probe};
use longhaul_compact::{
    Collector, CollectorParts, CompactError, Compactor, CompactorParts, Publish, Scrubber, ScrubberParts,
};
use longhaul_disk::RealFs;
use longhaul_ingest::{IngestError, Ingester, IngesterParts};
use longhaul_model::{Clock, IdSource, SystemClock, TenantId};
use longhaul_promql::engine::{Engine, EngineSettings};
use longhaul_query::BlockCache;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// How long connections may take to finish once the server goes down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Why the server does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("store: {0}")]
    Store(#[from] BucketError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error("compactor: {0}")]
    Compact(#[from] CompactError),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Runs a server until it is told to stop.
pub(crate) async fn run(config: Config) -> Result<(), ServeError> {
    config.check()?;
    raise_open_files_limit();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let ids = Arc::new(system_ids());

    let (url, store) = open_bucket(&config, &ids).await?;
    let ingester = Ingester::open(IngesterParts {
        settings: config.ingest_settings(cores),
        log_settings: config.log_settings(),
        data_dir: config.data_dir.clone(),
        fs: Arc::new(RealFs),
        store: store.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    })
    .await?;
    let publish: Publish = {
        let ingester = ingester.clone();
        Arc::new(move |tenant, manifest| ingester.publish_manifest(tenant, manifest))
    };
    let compactor = Compactor::open(CompactorParts {
        settings: config.compact_settings()?,
        work_dir: config.data_dir.join("compact"),
        fs: Arc::new(RealFs),
        store: store.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        publish: publish.clone(),
    })?;
    let collector = Collector::new(CollectorParts {
        settings: config.collect_settings(),
        store: store.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        publish: publish.clone(),
    });
    let scrubber = Scrubber::new(ScrubberParts {
        settings: config.scrub_settings(),
        store: store.clone(),
        clock: clock.clone(),
        ids,
        publish,
    });

    let threads = if config.query.threads == 0 { cores } else { config.query.threads };
    let queries_max = config.query.concurrent_max;
    let query_slots = Arc::new(Semaphore::new(queries_max));
    let app = AppState(Arc::new(App {
        common_limits: config.write_limits(),
        retentions: config.retention.retentions()?,
        screen: config.intake.screen()?,
        otlp_totals: TenantTotals::default(),
        started_ms: clock.now_ms(),
        metrics: Metrics::new(
            ingester.clone(),
            store.metrics().clone(),
            compactor.metrics().clone(),
            collector.metrics().clone(),
            scrubber.metrics().clone(),
            query_slots.clone(),
            queries_max,
        ),
        engine: Engine::new(EngineSettings { threads, ..EngineSettings::default() }),
        blocks: Arc::new(BlockCache::new(config.query.open_blocks_max, config.query.page_cache.bytes)),
        query_slots,
        clock,
        ingester,
        compactor,
        collector,
        config,
    }));
    let main = listen(app.config.http.listen).await?;
    let admin = listen(app.config.admin.listen).await?;
    tracing::info!(http = %main.local_addr()?, admin = %admin.local_addr()?, store = %url, "ready");

    let (stop, stopped) = watch::channel(false);
    let scrape = app.config.self_scrape.enabled.then(|| {
        let tenant = TenantId::parse(&app.config.self_scrape.tenant).expect("checked with the configuration");
        tokio::spawn(self_scrape::run(app.0.clone(), tenant))
    });
    let compacting = app.config.compactor.enabled.then(|| {
        let compactor = app.compactor.clone();
        tokio::spawn(async move { compactor.run_forever().await })
    });
    let collecting = app.config.compactor.enabled.then(|| {
        let collector = app.collector.clone();
        tokio::spawn(async move { collector.run_forever().await })
    });
    let scrubbing = app.config.scrubber.enabled.then(|| {
        let scrubber = scrubber.clone();
        tokio::spawn(async move { scrubber.run_forever().await })
    });
    let servers = tokio::spawn(serve_both(main, admin, app.clone(), stopped));
    wait_for_signal().await?;
    tracing::info!("stopping: no new requests, answering those in flight");
    app.compactor.close();
    scrubber.close();
    for task in scrape.into_iter().chain(compacting).chain(collecting).chain(scrubbing) {
        task.abort();
    }
    let _ = stop.send(true);
    match tokio::time::timeout(DRAIN_TIMEOUT, servers).await {
        Ok(Ok(served)) => served?,
        Ok(Err(panic)) => tracing::error!(%panic, "a listener failed"),
        Err(_) => tracing::warn!("some connections did not end in time"),
    }
    app.ingester.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Connections, parts and opened blocks each hold files; the soft limit on these is a thousand on many machines, for the
/// sake of programs that `select`.
fn raise_open_files_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
}

/// Compacts a bucket and collects its garbage until nothing is left to do, beside whatever else works on it.
pub(crate) async fn compact(config: Config, tenant: Option<TenantId>) -> Result<UpkeepReport, ServeError> {
    config.check()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let publish: Publish = Arc::new(|_, _| {}); // nobody asks this process
    let ids = Arc::new(system_ids());
    let (_, store) = open_bucket(&config, &ids).await?;
    let compactor = Compactor::open(CompactorParts {
        settings: config.compact_settings()?,
        work_dir: config.data_dir.join("compact-once"), // a server may use the data directory
        fs: Arc::new(RealFs),
        store: store.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        publish: publish.clone(),
    })?;
    let collector = Collector::new(CollectorParts { settings: config.collect_settings(), store, clock, ids, publish });
    Ok(upkeep(&compactor, &collector, tenant.as_ref()).await?)
}

/// The bucket and its URL, once it has been found fit.
async fn open_bucket(config: &Config, ids: &IdSource) -> Result<(String, Store), ServeError> {
    let url = config.store_url()?;
    let store = open_store(&StoreUrl::parse(&url)?, &StoreOptions::default())?;
    probe_until_answered(&store, ids).await?;
    Ok((url, store))
}

/// A store that lies is refused; one that is away is waited for.
async fn probe_until_answered(store: &Store, ids: &IdSource) -> Result<(), ServeError> {
    loop {
        match probe(store, ids.random()).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the store does not answer; it is asked again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

async fn serve_both(
    main: TcpListener,
    admin: TcpListener,
    app: AppState,
    stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let stop = |mut stopped: watch::Receiver<bool>| async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    // Answers are small and written at once: waiting for more to send only delays them.
    let main = main.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let (served, admin_served) = tokio::join!(
        axum::serve(main, http::router(&app)).with_graceful_shutdown(stop(stopped.clone())),
        axum::serve(admin, http::admin_router(&app)).with_graceful_shutdown(stop(stopped)),
    );
    served.and(admin_served)
}

async fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Ids from the operating system's randomness.
#[expect(clippy::disallowed_methods, reason = "the one place where real randomness comes in")]
pub(crate) fn system_ids() -> IdSource {
    let mut generator = rand::rng();
    let mut seeded: rand::rngs::StdRng = rand::SeedableRng::from_rng(&mut generator);
    IdSource::new(move || rand::RngExt::random(&mut seeded))
}
