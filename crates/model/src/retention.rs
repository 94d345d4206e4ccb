//! How long samples are kept: plain values, from which follows at any time what is kept no more.
//!
//! **Invariant I-RETAIN-1:** a sample is kept as long as the shortest of the retentions that are about its series says; it is
//! in no answer from then on, and what is kept is in all of them.

use crate::{Matcher, TenantId, TimeRange, Tombstone};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long one tenant's samples are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retention {
    /// Of all series, ms; None keeps them for ever.
    pub raw_ms: Option<i64>,
    /// Of some series.
    pub series: Vec<SeriesRetention>,
}

/// How long the samples of some series are kept, if no longer than those of all.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesRetention {
    /// A series is meant if it satisfies all of these.
    pub matchers: Vec<Matcher>,
    /// How long its samples are kept, ms.
    pub raw_ms: i64,
}

/// How long the samples of all tenants are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retentions {
    /// Of tenants that are not named.
    pub defaults: Retention,
    /// Of those that are.
    pub tenants: BTreeMap<TenantId, Retention>,
}

impl Retentions {
    /// That of a tenant.
    pub fn of(&self, tenant: &TenantId) -> &Retention {
        self.tenants.get(tenant).unwrap_or(&self.defaults)
    }
}

impl Retention {
    /// The range of which nothing is kept at `now_ms`, whatever the series.
    pub fn past_of_all(&self, now_ms: i64) -> TimeRange {
        self.raw_ms.map_or(TimeRange::new(i64::MIN, i64::MIN), |kept_ms| before(now_ms, kept_ms))
    }

    /// What is kept no more at `now_ms`.
    pub fn past(&self, now_ms: i64) -> Vec<Arc<Tombstone>> {
        let all = self.raw_ms.map(|raw_ms| (Vec::new(), raw_ms));
        let series = self.series.iter().map(|series| (series.matchers.clone(), series.raw_ms));
        let past = |(matchers, kept_ms)| Arc::new(Tombstone { matchers, range: before(now_ms, kept_ms) });
        all.into_iter().chain(series).map(past).collect()
    }
}

/// What is as old as that, and older.
fn before(now_ms: i64, kept_ms: i64) -> TimeRange {
    TimeRange::new(i64::MIN, now_ms.saturating_sub(kept_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    /// I-RETAIN-1
    #[test]
    fn the_shortest_counts() {
        let dev = SeriesRetention { matchers: vec![Matcher::equal("env", "dev")], raw_ms: 10 };
        let debug = SeriesRetention { matchers: vec![Matcher::equal("level", "debug")], raw_ms: 5 };
        let retention = Retention { raw_ms: Some(100), series: vec![dev, debug] };
        let kept = |pairs: &[(&str, &str)], t_ms: i64| {
            let labels = Labels::from_pairs(pairs.iter().copied());
            !retention.past(1000).iter().any(|it| it.range.contains(t_ms) && it.is_about(&labels))
        };
        assert!(kept(&[], 900) && !kept(&[], 899));
        assert!(kept(&[("env", "dev")], 990) && !kept(&[("env", "dev")], 989));
        let both = [("env", "dev"), ("level", "debug")];
        assert!(kept(&both, 995) && !kept(&both, 994));
        assert_eq!(retention.past_of_all(1000), TimeRange::new(i64::MIN, 900));
        assert!(Retention::default().past(1000).is_empty() && Retention::default().past_of_all(1000).is_empty());
        let retentions = Retentions { defaults: retention.clone(), tenants: BTreeMap::new() };
        assert_eq!(retentions.of(&TenantId::anonymous()), &retention);
    }
}
