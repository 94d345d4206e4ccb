//! From matchers to a set of series: the same plan over every index, be it in memory, in a local part or in a bucket.
//!
//! Layer 1.
//!
//! Knows nothing of where an index is stored, of chunks or of times.

mod plan;

use longhaul_model::Matcher;
use plan::{Effect, Source};
pub use roaring::RoaringBitmap;

/// An index of series by their labels. Series are numbered by `u32` in an order that is the index's own.
pub trait LabelIndex {
    /// Why a look-up failed.
    type Error;

    /// Announces what is about to be looked up, so that an index far away can fetch it in one round.
    fn prefetch(&self, lookups: &[Lookup<'_>]) -> Result<(), Self::Error> {
        let _ = lookups;
        Ok(())
    }

    /// Every series.
    fn all(&self) -> Result<RoaringBitmap, Self::Error>;

    /// The series whose label `name` has one of `values`.
    fn with_values(&self, name: &str, values: &[&str]) -> Result<RoaringBitmap, Self::Error>;

    /// The series whose label `name` has a non-empty value that begins with `prefix` and that `keep` accepts.
    fn with_values_where(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<RoaringBitmap, Self::Error>;

    /// The series that have the label `name` at all.
    fn with_name(&self, name: &str) -> Result<RoaringBitmap, Self::Error> {
        self.with_values_where(name, "", &mut |_| true)
    }
}

/// One look-up of a plan, for [`LabelIndex::prefetch`].
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// All series.
    All,
    /// The given values of a label.
    Values(&'a str, &'a [&'a str]),
    /// All values of a label that begin with a prefix.
    Prefix(&'a str, &'a str),
    /// Whether series have a label at all.
    Name(&'a str),
}

/// The series that satisfy all of `matchers`; a label that a series does not have counts as empty.
///
/// Looks up as little as it can: what narrows most comes first, and nothing more once nothing is left.
pub fn select<I: LabelIndex + ?Sized>(index: &I, matchers: &[Matcher]) -> Result<RoaringBitmap, I::Error> {
    let Some(steps) = plan::plan(matchers) else { return Ok(RoaringBitmap::new()) };
    let mut lookups: Vec<Lookup<'_>> = steps.iter().map(|step| step.source.lookup(step.name)).collect();
    let keeps = steps.first().is_some_and(|step| step.effect == Effect::Keep);
    if !keeps {
        lookups.push(Lookup::All);
    }
    index.prefetch(&lookups)?;
    let mut selected = if keeps { None } else { Some(index.all()?) };
    for step in &steps {
        if selected.as_ref().is_some_and(RoaringBitmap::is_empty) {
            break;
        }
        let found = match &step.source {
            Source::Values(values) => index.with_values(step.name, values)?,
            Source::Tested { prefix, matchers, inverted } => {
                let mut keep = |value: &str| matchers.iter().all(|matcher| matcher.matches(value)) != *inverted;
                index.with_values_where(step.name, prefix, &mut keep)?
            }
            Source::Name => index.with_name(step.name)?,
        };
        selected = Some(match (selected, step.effect) {
            (None, _) => found,
            (Some(selected), Effect::Keep) => selected & found,
            (Some(selected), Effect::Exclude) => selected - found,
        });
    }
    Ok(selected.unwrap_or_default())
}

#[cfg(test)]
mod tests;
