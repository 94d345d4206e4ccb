//! `info(v, {selector})`: a vector's series with the labels of the info metrics (`target_info` and its kin) that describe
//! the same thing at the same step, as Prometheus joins them (`promql/info.go`).
//!
//! Two series describe the same thing if their identifying labels are the same. Which info series are asked for follows
//! from the series to be described, so the selection happens in the middle of the evaluation.

use crate::budget::{Budget, Pace};
use crate::engine::QueryError;
use crate::engine::points::{Identity, Presence, SeriesPoints};
use crate::engine::vector::Vector;
use crate::plan::InfoSelector;
use longhaul_model::{Labels, METRIC_NAME, MatchOp, Matcher};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The labels that say which thing a series describes. They are the same for all info metrics.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// An info series over the steps: its values are the times of its samples, seconds.
#[derive(Debug)]
pub struct InfoSeries(pub SeriesPoints);

/// What the source is to be asked for, so that all info series of `base` are among the answer. None: `base` has nothing
/// to be described by.
pub fn question(
    base: &[SeriesPoints],
    selector: &InfoSelector,
    budget: &Budget,
) -> Result<Option<Vec<Matcher>>, QueryError> {
    let (mut values, mut pace) = (BTreeMap::<&str, BTreeSet<&str>>::new(), budget.pace());
    for series in base.iter().filter(|series| !selector.is_info(&series.labels)) {
        pace.go_on(series.labels.size_bytes())?;
        for name in IDENTIFYING {
            if let Some(value) = series.labels.get(name) {
                values.entry(name).or_default().insert(value);
            }
        }
    }
    if values.is_empty() {
        return Ok(None);
    }
    let mut matchers = selector.names.clone();
    matchers.extend(selector.data.iter().cloned());
    for (name, values) in values {
        matchers.push(any_of(name, &values)?);
    }
    Ok(Some(matchers))
}

/// A matcher for a label that has one of these values.
fn any_of(name: &str, values: &BTreeSet<&str>) -> Result<Matcher, QueryError> {
    if let (Some(value), 1) = (values.first(), values.len()) {
        return Ok(Matcher::equal(name, *value));
    }
    let literals: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    Matcher::new(name, MatchOp::Regex, literals.join("|")).map_err(|error| QueryError::execution(error.to_string()))
}

/// A regular expression that matches this text only.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// The info series of one thing that have the same name, by their index.
type Group = Vec<usize>;

/// All info series, by what they describe.
struct Index {
    infos: Vec<SeriesPoints>,
    /// By identifying labels; inside, by name.
    groups: HashMap<Labels, BTreeMap<String, Group>>,
}

/// Describes `base` by `infos`.
///
/// # Errors
///
/// If at some step two info series of one name describe the same thing and none is newer, if two info metrics give the
/// same label different values, or if the query must stop or would hold too much.
pub fn join(
    base: Vec<SeriesPoints>,
    infos: Vec<InfoSeries>,
    selector: &InfoSelector,
    budget: &Budget,
) -> Result<Vector, QueryError> {
    let (mut out, mut pace) = (Vector::new(budget), budget.pace());
    let Some(steps) = base.first().map(SeriesPoints::steps) else { return Ok(out) };
    let mut active = Presence::none(steps);
    base.iter().for_each(|series| active.unite(&series.there()));
    let index = Index::new(infos);
    index.refuse_ambiguous(&active, &mut pace)?;
    for series in base {
        if selector.is_info(&series.labels) {
            out.push(series)?;
        } else {
            out.go_on(series.steps())?;
            index.describe(&series, selector, &mut out)?;
        }
    }
    Ok(out)
}

impl Index {
    fn new(infos: Vec<InfoSeries>) -> Self {
        let infos: Vec<SeriesPoints> = infos.into_iter().map(|info| info.0).collect();
        let mut groups: HashMap<Labels, BTreeMap<String, Group>> = HashMap::new();
        for (at, info) in infos.iter().enumerate() {
            let names = groups.entry(identity(&info.labels)).or_default();
            names.entry(info.labels.metric_name().to_owned()).or_default().push(at);
        }
        Self { infos, groups }
    }

    /// At the steps where anything is to be described, no two info series of a group may be equally new.
    fn refuse_ambiguous(&self, active: &Presence, pace: &mut Pace) -> Result<(), QueryError> {
        for group in self.groups.values().flat_map(BTreeMap::values).filter(|group| group.len() > 1) {
            pace.go_on(group.len() * active.steps())?;
            for step in active.iter() {
                self.newest(group, step)?;
            }
        }
        Ok(())
    }

    /// The newest info series of a group at a step.
    fn newest(&self, group: &Group, step: usize) -> Result<Option<usize>, QueryError> {
        let mut newest: Option<usize> = None;
        for &at in group.iter().filter(|at| self.infos[**at].present.get(step)) {
            let time = |at: usize| self.infos[at].values[step];
            newest = match newest {
                Some(best) if time(best) > time(at) => Some(best),
                Some(best) if time(best) == time(at) => {
                    let (existing, new) = (&self.infos[best].labels, &self.infos[at].labels);
                    return Err(QueryError::execution(format!(
                        "found duplicate series for info metric: existing {existing} @ {t_ms}, new {new} @ {t_ms}",
                        t_ms = (time(at) * 1000.0).round()
                    )));
                }
                _ => Some(at),
            };
        }
        Ok(newest)
    }

    /// Adds to `out` a series as its info series describe it: one result for each set of them that is there at some step.
    fn describe(&self, series: &SeriesPoints, selector: &InfoSelector, out: &mut Vector) -> Result<(), QueryError> {
        let groups = self.groups.get(&identity(&series.labels));
        let mut described: Vec<(Vec<usize>, Presence)> = Vec::new();
        // Mostly the same ones describe it at all steps.
        let (mut by, mut last) = (Vec::new(), 0);
        for step in series.there().iter() {
            by.clear();
            for group in groups.into_iter().flat_map(BTreeMap::values) {
                by.extend(self.newest(group, step)?);
            }
            if described.get(last).is_none_or(|(known, _)| *known != by) {
                last = described.iter().position(|(known, _)| *known == by).unwrap_or(described.len());
            }
            if last == described.len() {
                described.push((by.clone(), Presence::none(series.steps())));
            }
            described[last].1.set(step);
        }
        for (by, steps) in described {
            if by.is_empty() && !selector.data.iter().all(Matcher::matches_empty) {
                continue;
            }
            let mut one = series.clone();
            one.keep(&steps);
            one.labels = self.labels(&series.labels, &by, selector)?;
            one.identity = one.identity.or(Some(Identity::Merge));
            out.push(one)?;
        }
        Ok(())
    }

    /// The labels of a series with those of its info series. What it has itself stays as it is.
    fn labels(&self, own: &Labels, by: &[usize], selector: &InfoSelector) -> Result<Labels, QueryError> {
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        let wanted = |name: &str| {
            name != METRIC_NAME && (selector.data.is_empty() || selector.data.iter().any(|data| data.name == name))
        };
        for info in by {
            for (name, value) in self.infos[*info].labels.iter().filter(|(name, _)| wanted(name)) {
                if added.get(name).is_some_and(|other| *other != value) {
                    return Err(QueryError::execution(format!("conflicting label: {name}")));
                }
                if own.get(name).is_none() {
                    added.insert(name, value);
                }
            }
        }
        Ok(if added.is_empty() { own.clone() } else { Labels::from_pairs(own.iter().chain(added)) })
    }
}

/// The labels that say which thing a series describes.
fn identity(labels: &Labels) -> Labels {
    labels.without(|name| !IDENTIFYING.contains(&name))
}

#[cfg(test)]
mod tests;
