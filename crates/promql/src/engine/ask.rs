//! Questions to the source: those that the plan knows, and those that come up on the way (`info`). Each distinct one is
//! asked once.

use crate::engine::QueryError;
use crate::engine::collide;
use crate::engine::evaluate::Run;
use crate::engine::info::{self, InfoSeries};
use crate::engine::select::instant;
use crate::engine::stage::weight;
use crate::engine::stream::{SharedSeries, chunk_bytes};
use crate::engine::tally::Tally;
use crate::engine::vector::Vector;
use crate::engine::window::Windows;
use crate::plan::{Answer, InfoSelector, Node};
use crate::source::{SelectRequest, SeriesSet};
use futures::lock::Mutex;
use longhaul_chunk::{Samples, merge_samples};
use longhaul_model::Labels;
use std::sync::Arc;

/// Answers of the source that are held because more than one operator reads them, or may.
pub struct Answers {
    /// To the plan's fetches, by their index.
    planned: Vec<Mutex<Option<Arc<SharedSeries>>>>,
    /// To questions that came up during the evaluation.
    others: Mutex<Vec<(SelectRequest, Arc<SharedSeries>)>>,
}

impl Answers {
    /// None yet.
    pub fn new(fetches: usize) -> Self {
        Self { planned: (0..fetches).map(|_| Mutex::new(None)).collect(), others: Mutex::new(Vec::new()) }
    }
}

impl Run {
    /// Begins the answer to a fetch.
    pub async fn select(&self, fetch: usize) -> Result<Box<dyn SeriesSet>, QueryError> {
        self.budget.check()?;
        let fetch = &self.plan.fetches[fetch];
        let request = SelectRequest {
            matchers: fetch.matchers.clone(),
            range: fetch.range,
            labels: fetch.labels.clone(),
            newest_only: fetch.newest_only,
        };
        Ok(self.source.select(&request).await?)
    }

    /// The whole answer to a fetch, asked for once.
    pub async fn shared(&self, fetch: usize) -> Result<Arc<SharedSeries>, QueryError> {
        let mut slot = self.answers.planned[fetch].lock().await;
        if let Some(shared) = &*slot {
            return Ok(Arc::clone(shared));
        }
        let shared = self.gather(self.select(fetch).await?).await?;
        *slot = Some(Arc::clone(&shared));
        Ok(shared)
    }

    /// The whole answer to a question that is not in the plan, asked once.
    async fn ask(&self, request: SelectRequest) -> Result<Arc<SharedSeries>, QueryError> {
        let mut others = self.answers.others.lock().await;
        let same = |other: &SelectRequest| other.matchers == request.matchers && other.range == request.range;
        if let Some((_, shared)) = others.iter().find(|(other, _)| same(other)) {
            return Ok(Arc::clone(shared));
        }
        self.budget.check()?;
        let shared = self.gather(self.source.select(&request).await?).await?;
        others.push((request, Arc::clone(&shared)));
        Ok(shared)
    }

    async fn gather(&self, mut set: Box<dyn SeriesSet>) -> Result<Arc<SharedSeries>, QueryError> {
        let (mut series, mut held) = (Vec::new(), self.budget.nothing_held());
        while let Some(batch) = set.next_batch().await? {
            self.budget.check()?;
            self.budget.count_series(batch.len() as u64)?;
            held.grow(batch.iter().map(chunk_bytes).sum())?;
            series.extend(batch);
        }
        set.warnings().into_iter().for_each(|text| self.notes.warn(text));
        Ok(Arc::new(SharedSeries { series, _held: held }))
    }

    /// `info(input, selector)`
    pub async fn info(
        self: &Arc<Self>,
        input: &Arc<Node>,
        selector: &InfoSelector,
        tally: Option<Tally>,
    ) -> Result<Vector, QueryError> {
        let Vector { series, held, .. } = self.vector(input).await?;
        let (by, budget) = (selector.clone(), self.budget.clone());
        let asked = self.on_pool(move || info::question(&series, &by, &budget).map(|matchers| (series, matchers)));
        let (series, matchers) = asked.await??;
        let answer = match matchers {
            Some(matchers) => Some(self.ask(SelectRequest::all(matchers, selector.windows.reach())).await?),
            None => None,
        };
        let (budget, selector) = (self.budget.clone(), selector.clone());
        let join = move || -> Result<Vector, QueryError> {
            let (mut infos, mut infos_held, mut samples) = (Vec::new(), budget.nothing_held(), Samples::default());
            for info in answer.iter().flat_map(|answer| &answer.series) {
                budget.check()?;
                samples.clear();
                merge_samples(&info.chunks, selector.windows.reach(), &mut samples)?;
                budget.count_samples(weight(&samples))?;
                if !samples.histograms.t_ms.is_empty() {
                    refuse_histograms(&info.labels, &samples, &selector.windows)?;
                }
                if let Some(points) = instant(&info.labels, &samples, &selector.windows, Answer::Time) {
                    infos_held.grow(points.size_bytes())?;
                    tally.iter().for_each(|tally| tally.instant(&points));
                    infos.push(InfoSeries(points));
                }
            }
            collide::merge(info::join(series, infos, &selector, &budget)?)
        };
        let described = self.on_pool(join).await?;
        drop(held);
        described
    }
}

/// Info metrics are floats.
fn refuse_histograms(labels: &Labels, samples: &Samples, windows: &Windows) -> Result<(), QueryError> {
    match instant(labels, samples, windows, Answer::Value) {
        Some(points) if points.has_histograms() => {
            let text = format!("this should be an info metric, with float samples: {labels}");
            Err(QueryError::Execution(text))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
