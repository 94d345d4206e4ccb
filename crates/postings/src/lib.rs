//! From matchers to a set of series: the same plan over every index, be it in memory, in a local part or in a bucket.
//!
//! Layer 1. Knows nothing of where an index is stored.

use longhaul_model::Matcher;
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
}

/// The series that satisfy all of `matchers`.
pub fn select<I: LabelIndex>(index: &I, matchers: &[Matcher]) -> Result<RoaringBitmap, I::Error> {
    let _ = matchers;
    index.all()
}
