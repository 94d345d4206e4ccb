//! What kind of metric a family is, in the words of OpenMetrics and of `/api/v1/metadata`.

/// The kind of a metric family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Nobody said.
    #[default]
    Unknown,
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
    /// Buckets that go up and down.
    GaugeHistogram,
    /// Quantiles, sum and count.
    Summary,
    /// Labels without a value of interest.
    Info,
    /// One series a state.
    StateSet,
}

impl MetricKind {
    /// All kinds, each at the number by which remote write knows it.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::GaugeHistogram,
        Self::Summary,
        Self::Info,
        Self::StateSet,
    ];

    /// The kind with remote write's `number`; what is not known there is [`Self::Unknown`].
    pub fn from_number(number: u64) -> Self {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied().unwrap_or_default()
    }

    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places() {
        for (number, kind) in MetricKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            assert_eq!(MetricKind::from_number(number as u64), kind);
        }
        assert_eq!(MetricKind::from_number(8), MetricKind::Unknown);
        assert_eq!(MetricKind::from_number(u64::MAX), MetricKind::Unknown);
    }
}
