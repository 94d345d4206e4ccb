//! What of a batch a tenant wants: which replica of a pair is listened to, then relabelling, then labels that are dropped;
//! in Mimir's order. It stands between a decoder and [`crate::Ingester::write`], and costs tenants without rules nothing.
//!
//! Invariant: what comes out has label sections that are canonical, or those that came in where they cannot be taken apart:
//! whoever checks them next refuses those.

mod election;
mod rule;

#[cfg(test)]
mod tests;

pub use election::ElectionSettings;
pub use rule::{Action, RuleConfig};

use crate::refusal::{Cause, Refusals};
use crate::validate;
use bytes::Bytes;
use election::{Elections, Vote};
use longhaul_model::{LabelSection, SeriesEntry, TenantId, WriteBatch};
use parking_lot::Mutex;
use rule::{LabelMap, Rule};
use std::borrow::Cow;
use std::collections::HashMap;

/// Bytes that the labels of a batch may grow by: rules can write a value many times.
const GROWTH_BYTES_MAX: usize = 64 << 20;
/// Longer names of clusters and replicas are not remembered; no limit lets such values in.
const NAME_BYTES_MAX: usize = 4096;

/// What a tenant wants, as it stands in a configuration.
#[derive(Clone, Debug, Default)]
pub struct ScreenSettings {
    /// Rules, in the order in which they are applied.
    pub rules: Vec<RuleConfig>,
    /// Labels that no series keeps.
    pub drop_labels: Vec<String>,
    /// How replicas are told apart, if one of them is to be elected.
    pub election: Option<ElectionSettings>,
    /// Whether a zero is stored where a counter began.
    pub zeros_at_start: bool,
    /// Whether OpenTelemetry's deltas are added up, and not refused.
    pub otlp_deltas: bool,
}

/// The wishes of all tenants.
#[derive(Debug, Default)]
pub struct Screen {
    default: Wishes,
    tenants: HashMap<TenantId, Wishes>,
    elections: Mutex<Elections>,
}

/// What a tenant wants, ready to be applied.
#[derive(Debug, Default)]
struct Wishes {
    rules: Vec<Rule>,
    drop_labels: Vec<String>,
    election: Option<ElectionSettings>,
    zeros_at_start: bool,
    otlp_deltas: bool,
}

/// What is left of a batch.
#[derive(Debug, Default)]
pub struct Screened {
    /// What is to be stored.
    pub batch: WriteBatch,
    /// What the tenant does not want: its senders have done nothing wrong.
    pub dropped: Dropped,
    /// What cannot be stored.
    pub refusals: Refusals,
}

/// How much was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Floats.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

/// What becomes of a series.
enum Fate {
    /// It is as it was.
    Same,
    /// Its labels are these bytes of the new ones.
    Changed {
        start: usize,
    },
    Dropped,
    Refused(Cause),
}

impl Screen {
    /// The wishes of tenants in general, and of those that have others.
    ///
    /// # Errors
    /// A rule that cannot be: which, and why.
    pub fn new(
        default: &ScreenSettings,
        tenants: impl IntoIterator<Item = (TenantId, ScreenSettings)>,
    ) -> Result<Self, String> {
        let of = |(tenant, settings)| match Wishes::new(&settings) {
            Ok(wishes) => Ok((tenant, wishes)),
            Err(error) => Err(format!("tenant {tenant}: {error}")),
        };
        Ok(Self {
            default: Wishes::new(default)?,
            tenants: tenants.into_iter().map(of).collect::<Result<_, _>>()?,
            elections: Mutex::default(),
        })
    }

    /// Whether a tenant wants a zero where a counter began ([`crate::WriteLimits::zeros_at_start`]).
    pub fn wants_zeros_at_start(&self, tenant: &TenantId) -> bool {
        self.wishes(tenant).zeros_at_start
    }

    /// Whether a tenant wants OpenTelemetry's deltas to be added up.
    pub fn wants_otlp_deltas(&self, tenant: &TenantId) -> bool {
        self.wishes(tenant).otlp_deltas
    }

    fn wishes(&self, tenant: &TenantId) -> &Wishes {
        self.tenants.get(tenant).unwrap_or(&self.default)
    }

    /// Applies a tenant's wishes to what it sent.
    pub fn apply(&self, tenant: &TenantId, mut batch: WriteBatch, now_ms: i64) -> Screened {
        let wishes = self.wishes(tenant);
        if wishes.are_none() {
            return Screened { batch, ..Screened::default() };
        }
        let mut pass = Pass { screen: self, wishes, tenant, now_ms, texts: batch.buffer.to_vec(), last_vote: None };
        let (first_text, mut dropped, mut refusals) = (pass.texts.len(), Dropped::default(), Refusals::default());
        let mut series = std::mem::take(&mut batch.series);
        series.retain_mut(|entry| {
            let section = batch.labels(entry);
            match pass.judge(section, first_text) {
                Fate::Same => true,
                Fate::Changed { start } => {
                    entry.labels = start as u32..pass.texts.len() as u32;
                    true
                }
                Fate::Dropped => {
                    dropped.add(entry);
                    false
                }
                Fate::Refused(cause) => {
                    let count = entry.samples.len() + entry.histograms.len() + entry.exemplars.len();
                    refusals.add(cause, count as u64, || validate::describe(section));
                    false
                }
            }
        });
        batch.series = series;
        batch.buffer = Bytes::from(pass.texts);
        Screened { batch, dropped, refusals }
    }
}

/// One batch being screened.
struct Pass<'a> {
    screen: &'a Screen,
    wishes: &'a Wishes,
    tenant: &'a TenantId,
    now_ms: i64,
    /// The batch's texts, and behind them the new label sections.
    texts: Vec<u8>,
    /// All series of a request are of one replica, as a rule.
    last_vote: Option<(String, String, Vote)>,
}

impl Pass<'_> {
    fn judge(&mut self, section: LabelSection<'_>, first_text: usize) -> Fate {
        let Some(mut labels) = take_apart(section) else { return Fate::Same };
        match self.vote(&mut labels) {
            Vote::Elected => {}
            Vote::NotElected => return Fate::Dropped,
            Vote::TooMany => return Fate::Refused(Cause::TooManyClusters),
        }
        if !self.wishes.rules.iter().all(|rule| rule.apply(&mut labels)) {
            return Fate::Dropped;
        }
        for name in &self.wishes.drop_labels {
            labels.remove(name.as_str());
        }
        if labels.is_empty() {
            return Fate::Dropped;
        }
        let start = self.texts.len();
        for (name, value) in &labels {
            LabelSection::push(&mut self.texts, name, value);
        }
        if self.texts.len() > GROWTH_BYTES_MAX + first_text {
            self.texts.truncate(start);
            return Fate::Refused(Cause::LabelSetTooLarge);
        }
        Fate::Changed { start }
    }

    /// Whether the replica that the labels name is listened to; its label is taken out. Series that name none are.
    fn vote(&mut self, labels: &mut LabelMap<'_>) -> Vote {
        let Some(settings) = &self.wishes.election else { return Vote::Elected };
        let named = |label: &str| labels.get(label).filter(|value| value.len() <= NAME_BYTES_MAX);
        let (Some(cluster), Some(replica)) = (named(&settings.cluster_label), named(&settings.replica_label)) else {
            return Vote::Elected;
        };
        let last = self.last_vote.as_ref().filter(|(of, by, _)| of == cluster && by == replica);
        let vote = match last {
            Some((.., vote)) => *vote,
            None => {
                let mut elections = self.screen.elections.lock();
                let vote = elections.hear(self.tenant, cluster, replica, self.now_ms, settings);
                self.last_vote = Some((cluster.to_string(), replica.to_string(), vote));
                vote
            }
        };
        labels.remove(settings.replica_label.as_str());
        vote
    }
}

/// Labels without empty values; None if they are no labels, or one is there twice.
fn take_apart(section: LabelSection<'_>) -> Option<LabelMap<'_>> {
    let mut labels = LabelMap::new();
    for pair in section.pairs() {
        let (name, value) = pair.ok()?;
        let (name, value) = (str::from_utf8(name).ok()?, str::from_utf8(value).ok()?);
        if name.is_empty() || labels.insert(Cow::Borrowed(name), Cow::Borrowed(value)).is_some() {
            return None;
        }
    }
    labels.retain(|_, value| !value.is_empty());
    Some(labels)
}

impl Wishes {
    fn new(settings: &ScreenSettings) -> Result<Self, String> {
        let rule = |(at, config)| Rule::new(config).map_err(|error| format!("rule {}: {error}", at + 1));
        Ok(Self {
            rules: settings.rules.iter().enumerate().map(rule).collect::<Result<_, _>>()?,
            drop_labels: settings.drop_labels.clone(),
            election: settings.election.clone(),
            zeros_at_start: settings.zeros_at_start,
            otlp_deltas: settings.otlp_deltas,
        })
    }

    fn are_none(&self) -> bool {
        self.rules.is_empty() && self.drop_labels.is_empty() && self.election.is_none()
    }
}

impl Dropped {
    fn add(&mut self, entry: &SeriesEntry) {
        self.samples += entry.samples.len() as u64;
        self.histograms += entry.histograms.len() as u64;
        self.exemplars += entry.exemplars.len() as u64;
    }

    /// All together.
    pub fn count(&self) -> u64 {
        self.samples + self.histograms + self.exemplars
    }
}
