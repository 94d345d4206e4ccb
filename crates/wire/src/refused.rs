//! What a decoder leaves out of a batch because it cannot be what the sender meant, counted by reason, so that the sender
//! is told: never a silent success.

/// Why something of a request is not in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Labels refer to symbols that the request does not have, or are not in pairs.
    SymbolReference,
    /// The series has neither samples nor histograms nor exemplars.
    NoSamples,
    /// A sum or histogram says what was added since its last point, or does not say since when it counts.
    Temporality,
    /// A delta of a series that the sender's totals have no room for.
    DeltaLimit,
    /// No name of a metric or label can be made of a name.
    Name,
    /// A data point or exemplar has no value, or buckets that cannot be.
    DataPoint,
    /// A line of a text is none of its format.
    Line,
}

/// How often a reason was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// How many samples, histograms and exemplars are missing because of it; a series that has none counts as one.
    pub count: u64,
    /// What exactly was found the first time.
    pub first: String,
}

/// Counts `count` more for `reason`; `first` is called only the first time.
pub(crate) fn add(all: &mut Vec<Refused>, reason: Reason, count: u64, first: impl FnOnce() -> String) {
    match all.iter_mut().find(|refused| refused.reason == reason) {
        Some(refused) => refused.count += count,
        None => all.push(Refused { reason, count, first: first() }),
    }
}
