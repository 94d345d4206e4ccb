//! Where requests come from: threads that encode them, ahead of the clock as far as memory is granted, and hand them to
//! the connections. The order within a connection is the order in time.

use super::estate::Estate;
use super::value::hash;
use super::{LoadError, WriteArguments, recording};
use bytes::Bytes;
use longhaul_model::{LabelSection, Sample};
use longhaul_wire::remote_write::Encoder;
use longhaul_wire::snappy;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

/// An encoded request.
#[derive(Debug)]
pub struct Request {
    /// The compressed body.
    pub body: Bytes,
    /// Samples in it.
    pub samples: u32,
}

/// The requests of one connection, in order.
pub struct Feed {
    requests: mpsc::UnboundedReceiver<Result<Request, LoadError>>,
    granted: Arc<Semaphore>,
    granted_kib: u32,
}

impl Feed {
    /// The next request; None after the last one.
    pub async fn next(&mut self) -> Option<Result<Request, LoadError>> {
        let next = self.requests.recv().await;
        if let Some(Ok(request)) = &next {
            self.granted.add_permits(kib(request, self.granted_kib) as usize);
        }
        next
    }
}

/// Memory that a request takes of a grant of `granted_kib`.
fn kib(request: &Request, granted_kib: u32) -> u32 {
    (request.body.len() as u32 / 1024 + 1).min(granted_kib)
}

/// The encoding side of a [`Feed`].
pub struct Sink {
    requests: mpsc::UnboundedSender<Result<Request, LoadError>>,
    granted: Arc<Semaphore>,
    granted_kib: u32,
    full: mpsc::Sender<()>,
    runtime: Handle,
    encoder: Encoder,
    samples: u32,
}

impl Sink {
    /// Adds a series to the request in the making; returns how many samples it has now.
    pub fn push(&mut self, labels: LabelSection<'_>, samples: &[Sample]) -> u32 {
        self.encoder.push(labels, samples);
        self.samples += samples.len() as u32;
        self.samples
    }

    /// Ends the request in the making; blocks while no memory is granted. False once nobody listens.
    pub fn flush(&mut self) -> bool {
        if self.samples == 0 {
            return true;
        }
        let request = Request { body: Bytes::from(snappy::compress(self.encoder.bytes())), samples: self.samples };
        self.encoder.clear();
        self.samples = 0;
        let kib = kib(&request, self.granted_kib);
        match self.granted.try_acquire_many(kib) {
            Ok(permits) => permits.forget(),
            Err(_) => {
                let _ = self.full.try_send(()); // one word is enough
                match self.runtime.block_on(self.granted.acquire_many(kib)) {
                    Ok(permits) => permits.forget(),
                    Err(_) => return false,
                }
            }
        }
        self.requests.send(Ok(request)).is_ok()
    }

    /// Ends the feed with an error.
    pub fn fail(&mut self, error: LoadError) {
        drop(self.requests.send(Err(error)));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.granted.close(); // an encoder that waits for memory gives up
    }
}

/// Starts the encoders and waits until they have finished or the granted memory is full.
pub async fn start(arguments: &WriteArguments, start_ms: Option<i64>, now_ms: i64) -> Vec<Feed> {
    let connections = arguments.connections.max(1);
    let granted_kib = (arguments.ahead_mib * 1024 / connections).max(1024);
    let (full, mut is_full) = mpsc::channel(1);
    let (sinks, feeds): (Vec<_>, Vec<_>) = (0..connections).map(|_| pair(granted_kib, &full)).unzip();
    drop(full);
    if let Some(path) = arguments.recorded.clone() {
        std::thread::spawn(move || recording::encode(&path, start_ms, sinks));
    } else {
        let first_ms = start_ms.unwrap_or_else(|| now_ms - i64::from(arguments.samples) * arguments.step);
        for (index, sink) in sinks.into_iter().enumerate() {
            let arguments = arguments.clone();
            std::thread::spawn(move || encode_estate(&arguments, first_ms, index as u32, sink));
        }
    }
    is_full.recv().await; // None: all sinks are gone, everything is encoded
    feeds
}

fn pair(granted_kib: u32, full: &mpsc::Sender<()>) -> (Sink, Feed) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let granted = Arc::new(Semaphore::new(granted_kib as usize));
    let sink = Sink {
        requests: sender,
        granted: granted.clone(),
        granted_kib,
        full: full.clone(),
        runtime: Handle::current(),
        encoder: Encoder::new(),
        samples: 0,
    };
    (sink, Feed { requests: receiver, granted, granted_kib })
}

/// Scrape after scrape of the pods of one connection. Each pod is scraped at its own moment of the step, as Prometheus
/// spreads its targets.
fn encode_estate(arguments: &WriteArguments, first_ms: i64, index: u32, mut sink: Sink) {
    let (seed, step_s) = (arguments.seed, arguments.step as f64 / 1000.0);
    let estate = Estate::new(seed, arguments.series, index, arguments.connections.max(1));
    let mut values: Vec<f64> = estate
        .iter()
        .map(|(series, _)| series.shape.first(seed, u64::from(series.number), u64::from(series.pod)))
        .collect();
    for scrape in 0..u64::from(arguments.samples) {
        let scrape_ms = first_ms + scrape as i64 * arguments.step;
        for ((series, labels), value) in estate.iter().zip(&mut values) {
            let (number, pod) = (u64::from(series.number), u64::from(series.pod));
            *value = series.shape.next(*value, seed, number, pod, scrape, step_s);
            let offset_ms = hash(seed, pod, 0) as i64 & i64::MAX;
            let sample = Sample::new(scrape_ms + offset_ms % arguments.step.max(1), *value);
            if sink.push(labels, &[sample]) >= arguments.samples_per_request && !sink.flush() {
                return;
            }
        }
    }
    sink.flush();
}
