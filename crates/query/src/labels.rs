//! Look-ups of label names, label values and series, over everything that a tenant has.

use crate::view::{Sources, TenantSource, blocking, storage};
use longhaul_model::{Labels, Matcher, TimeRange};
use longhaul_promql::source::SourceError;
use std::collections::BTreeSet;

/// What is looked up.
#[derive(Clone, Debug)]
pub struct LabelRequest {
    /// Selectors; a series counts if it satisfies all matchers of any of them. Without any, all series count.
    pub selectors: Vec<Vec<Matcher>>,
    /// When the series must have samples; blocks answer for their whole range.
    pub range: TimeRange,
}

impl LabelRequest {
    fn selectors(&self) -> impl Iterator<Item = &[Matcher]> {
        let everything: Option<&[Matcher]> = self.selectors.is_empty().then_some(&[]);
        self.selectors.iter().map(Vec::as_slice).chain(everything)
    }
}

impl TenantSource {
    /// The names of the labels that the series have, sorted.
    pub async fn label_names(&self, request: LabelRequest) -> Result<Vec<String>, SourceError> {
        self.look_up(request, |sources, request, found| {
            for matchers in request.selectors() {
                for block in &sources.blocks {
                    found.extend(block.label_names(matchers).map_err(|error| storage(block, error))?);
                }
                found.extend(sources.head.label_names(matchers, request.range).iter().map(|name| name.to_string()));
            }
            Ok(())
        })
        .await
    }

    /// The values that the series have for the label `name`, sorted.
    pub async fn label_values(&self, name: String, request: LabelRequest) -> Result<Vec<String>, SourceError> {
        self.look_up(request, move |sources, request, found| {
            for matchers in request.selectors() {
                for block in &sources.blocks {
                    found.extend(block.label_values(&name, matchers).map_err(|error| storage(block, error))?);
                }
                let values = sources.head.label_values(&name, matchers, request.range);
                found.extend(values.iter().map(|value| value.to_string()));
            }
            Ok(())
        })
        .await
    }

    /// The label sets of the series, sorted.
    pub async fn series(&self, request: LabelRequest) -> Result<Vec<Labels>, SourceError> {
        self.look_up(request, |sources, request, found| {
            for matchers in request.selectors() {
                for block in &sources.blocks {
                    found.extend(block.series(matchers, request.range).map_err(|error| storage(block, error))?);
                }
                found.extend(sources.head.series_labels(matchers, request.range));
            }
            Ok(())
        })
        .await
    }

    /// What is known to be missing from every answer.
    pub fn warnings(&self) -> &[String] {
        &self.view.missing
    }

    async fn look_up<T: Ord + Send + 'static>(
        &self,
        mut request: LabelRequest,
        collect: impl FnOnce(&Sources, &LabelRequest, &mut BTreeSet<T>) -> Result<(), SourceError> + Send + 'static,
    ) -> Result<Vec<T>, SourceError> {
        let source = self.clone();
        request.range = self.kept_of(request.range);
        blocking(move |handle| {
            let sources = source.open(request.range, handle)?;
            let mut found = BTreeSet::new();
            collect(&sources, &request, &mut found)?;
            Ok(found.into_iter().collect())
        })
        .await
    }
}
