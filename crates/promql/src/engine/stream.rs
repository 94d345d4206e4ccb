//! Batches of series through the CPU pool into a sink, in order.
//!
//! The async side pulls batches from the source and hands them out; threads decode and evaluate them side by side; each
//! finished batch goes to the sink when all before it have gone. So a sink sees every series in label order, whatever
//! the number of threads and whatever the batches: the bits of a sum depend on the data only.

use crate::budget::Held;
use crate::engine::QueryError;
use crate::engine::points::SeriesPoints;
use crate::engine::pool::Pool;
use crate::engine::stage::Line;
use crate::source::{SeriesSet, UnreadBatch};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use longhaul_chunk::{Samples, SeriesChunks, sample_count};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Values in a batch, about: enough that handing a batch over costs nothing beside its work, few enough that batches
/// spread over threads.
const BATCH_VALUES: usize = 16 * 1024;

/// A decoded sample: its time, its value and since when it counts.
const SAMPLE_BYTES: usize = 24;

/// What takes in series one after the other. `Item` is what a thread makes of a series beforehand.
pub trait Sink: Send + 'static {
    /// What a thread makes of a series, before the sink sees it.
    type Item: Send + 'static;

    /// Takes in the next one.
    fn take(&mut self, item: Self::Item) -> Result<(), QueryError>;
}

/// Where series come from.
pub enum Feed {
    /// From the source, as it delivers.
    Source {
        /// The rest of the answer.
        set: Box<dyn SeriesSet>,
        /// What was delivered and not handed out yet.
        pending: std::vec::IntoIter<SeriesChunks>,
        /// Accounts for that.
        held: Held,
    },
    /// From an answer that several selectors share.
    Shared(Arc<SharedSeries>, usize),
    /// From another operator.
    Points {
        /// What is left of it.
        rest: std::vec::IntoIter<SeriesPoints>,
        /// Accounts for it.
        _held: Held,
    },
}

/// An answer of the source that is held for several selectors.
pub struct SharedSeries {
    /// The series.
    pub series: Vec<SeriesChunks>,
    /// Accounts for them.
    pub _held: Held,
}

enum Batch {
    Unread(UnreadBatch),
    Read(ReadBatch),
}

enum ReadBatch {
    Chunks(Vec<SeriesChunks>),
    Shared(Arc<SharedSeries>, std::ops::Range<usize>),
    Points(Vec<SeriesPoints>),
}

/// Runs all series of `feed` through `line` and `prepare` into `sink`. `steps`: how long a series is, to size batches.
pub async fn drive<S: Sink>(
    pool: &Pool,
    mut feed: Feed,
    line: Line,
    steps: usize,
    prepare: impl Fn(SeriesPoints) -> S::Item + Send + Sync + 'static,
    sink: S,
) -> Result<S, QueryError> {
    let series_max = (BATCH_VALUES / steps.max(1)).clamp(1, 512);
    let in_flight_max = 4 * pool.threads();
    let budget = line.budget.clone();
    let (done, mut finished) = unbounded();
    let work = Arc::new(Work { line, steps, prepare, order: Mutex::new(Order::new(sink)), done });
    let (mut number, mut in_flight, mut more) = (0, 0, true);
    while more || in_flight > 0 {
        budget.check()?;
        if more && in_flight < in_flight_max {
            match feed.next(series_max, &work.line).await? {
                Some(batch) => {
                    let held = budget.hold(match &batch {
                        Batch::Read(batch) => batch.size_bytes(steps),
                        Batch::Unread(_) => 0, // counted when it is read
                    })?;
                    let work = Arc::clone(&work);
                    pool.spawn(move || work.run(number, batch, held));
                    (number, in_flight) = (number + 1, in_flight + 1);
                }
                None => more = false,
            }
        } else {
            finished.next().await;
            in_flight -= 1;
            if work.order.lock().failed.is_some() {
                break;
            }
        }
    }
    let mut order = work.order.lock();
    match (order.failed.take(), order.sink.take()) {
        (Some(error), _) => Err(error),
        (None, Some(sink)) => Ok(sink),
        (None, None) => Err(QueryError::execution("evaluation ended early")),
    }
}

impl Feed {
    async fn next(&mut self, series_max: usize, line: &Line) -> Result<Option<Batch>, QueryError> {
        Ok(match self {
            Self::Source { set, pending, held } => {
                while pending.as_slice().is_empty() {
                    if let Some(unread) = set.unread_batch(series_max).await? {
                        return Ok(Some(Batch::Unread(unread)));
                    }
                    match set.next_batch().await? {
                        Some(series) => {
                            line.budget.count_series(series.len() as u64)?;
                            *held = line.budget.hold(series.iter().map(chunk_bytes).sum())?;
                            *pending = series.into_iter();
                        }
                        None => {
                            set.warnings().into_iter().for_each(|text| line.notes.warn(text));
                            return Ok(None);
                        }
                    }
                }
                let batch: Vec<SeriesChunks> = pending.by_ref().take(series_max).collect();
                held.shrink(batch.iter().map(chunk_bytes).sum()); // the batch accounts for itself
                Some(Batch::Read(ReadBatch::Chunks(batch)))
            }
            Self::Shared(shared, from) => {
                let range = *from..shared.series.len().min(*from + series_max);
                *from = range.end;
                (!range.is_empty()).then(|| Batch::Read(ReadBatch::Shared(Arc::clone(shared), range)))
            }
            Self::Points { rest, .. } => {
                let batch: Vec<SeriesPoints> = rest.by_ref().take(series_max).collect();
                (!batch.is_empty()).then_some(Batch::Read(ReadBatch::Points(batch)))
            }
        })
    }
}

impl ReadBatch {
    /// What it holds while it is worked on: chunks, the samples of one series at a time, and the points that come of
    /// them.
    fn size_bytes(&self, steps: usize) -> usize {
        let (chunks, samples, series) = match self {
            Self::Chunks(all) => (all.iter().map(chunk_bytes).sum(), most_sample_bytes(all), all.len()),
            Self::Shared(shared, range) => (0, most_sample_bytes(&shared.series[range.clone()]), range.len()),
            Self::Points(points) => (0, steps * SAMPLE_BYTES, points.len()),
        };
        chunks + samples + series * (size_of::<SeriesPoints>() + steps * 8)
    }
}

/// Bytes of a series' chunks.
pub fn chunk_bytes(series: &SeriesChunks) -> usize {
    series.labels.size_bytes() + series.chunks.iter().map(|chunk| chunk.data.len() + 64).sum::<usize>()
}

/// Bytes of the samples of the series that has the most of them. (What a corrupt chunk claims is found out when it is
/// decoded.)
fn most_sample_bytes(all: &[SeriesChunks]) -> usize {
    let samples = |series: &SeriesChunks| -> usize {
        series.chunks.iter().map(|chunk| usize::from(sample_count(chunk).unwrap_or(0))).sum()
    };
    all.iter().map(samples).max().unwrap_or(0) * SAMPLE_BYTES
}

/// What all jobs of one drive share.
struct Work<S: Sink, P> {
    line: Line,
    steps: usize,
    prepare: P,
    order: Mutex<Order<S>>,
    done: UnboundedSender<()>,
}

/// Brings finished batches back into their order. The sink is away while some thread feeds it.
struct Order<S: Sink> {
    next: usize,
    waiting: BTreeMap<usize, Finished<S>>,
    sink: Option<S>,
    failed: Option<QueryError>,
}

/// What came of a batch, and the account of what it holds.
struct Finished<S: Sink> {
    items: Result<Vec<S::Item>, QueryError>,
    _held: Held,
}

impl<S: Sink> Order<S> {
    fn new(sink: S) -> Self {
        Self { next: 0, waiting: BTreeMap::new(), sink: Some(sink), failed: None }
    }

    /// The next batch with the sink to feed it to, if it has come and nobody else feeds.
    fn claim(&mut self) -> Option<(S, Finished<S>)> {
        let sink = self.sink.take()?;
        match self.waiting.remove(&self.next) {
            Some(finished) => {
                self.next += 1;
                Some((sink, finished))
            }
            None => {
                self.sink = Some(sink);
                None
            }
        }
    }
}

impl<S: Sink, P: Fn(SeriesPoints) -> S::Item> Work<S, P> {
    fn read(&self, read: UnreadBatch, held: &mut Held) -> Result<ReadBatch, QueryError> {
        let series = read()?;
        self.line.budget.count_series(series.len() as u64)?;
        let batch = ReadBatch::Chunks(series);
        held.grow(batch.size_bytes(self.steps))?;
        Ok(batch)
    }

    /// One job: evaluates a batch, then feeds the sink as far as batches have come.
    fn run(&self, number: usize, batch: Batch, mut held: Held) {
        let evaluated = catch_unwind(AssertUnwindSafe(|| self.evaluate(batch, &mut held)));
        let items = evaluated.unwrap_or_else(|_| Err(panicked()));
        let mut order = self.order.lock();
        order.waiting.insert(number, Finished { items, _held: held });
        let mut turn = order.claim();
        drop(order);
        while let Some((sink, finished)) = turn {
            let fed = catch_unwind(AssertUnwindSafe(|| feed(sink, finished))).unwrap_or_else(|_| Err(panicked()));
            let mut order = self.order.lock();
            turn = match fed {
                Ok(sink) => {
                    order.sink = Some(sink);
                    order.claim()
                }
                Err(error) => {
                    order.failed = Some(error);
                    None
                }
            };
            drop(order);
            // One message a batch that the sink has taken. After the last one the sink is back in its place.
            let _ = self.done.unbounded_send(());
        }
    }

    fn evaluate(&self, batch: Batch, held: &mut Held) -> Result<Vec<S::Item>, QueryError> {
        self.line.budget.check()?;
        let batch = match batch {
            Batch::Unread(read) => self.read(read, held)?,
            Batch::Read(batch) => batch,
        };
        let mut samples = Samples::default();
        let mut items = Vec::new();
        let mut push = |points: Option<SeriesPoints>| -> Result<(), QueryError> {
            if let Some(points) = points {
                // How large histograms are is known only now.
                held.grow(points.histogram_bytes())?;
                items.push((self.prepare)(points));
            }
            self.line.budget.check()
        };
        match batch {
            ReadBatch::Chunks(all) => {
                for series in all {
                    push(self.line.decode(&series, &mut samples)?)?;
                }
            }
            ReadBatch::Shared(shared, range) => {
                for series in &shared.series[range] {
                    push(self.line.decode(series, &mut samples)?)?;
                }
            }
            ReadBatch::Points(all) => {
                for points in all {
                    push(self.line.apply(points, &mut samples)?)?;
                }
            }
        }
        Ok(items)
    }
}

fn feed<S: Sink>(mut sink: S, finished: Finished<S>) -> Result<S, QueryError> {
    for item in finished.items? {
        sink.take(item)?;
    }
    Ok(sink)
}

fn panicked() -> QueryError {
    QueryError::execution("unexpected error: an operator panicked")
}
