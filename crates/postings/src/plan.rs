//! From matchers to look-ups: one plan, the same for every index.
//!
//! All matchers of a label together accept some of its values, and either accept or refuse series without it. A label
//! that must be there keeps what its look-up finds; one that may be missing excludes what its complement finds.

use crate::Lookup;
use longhaul_model::{MatchOp, Matcher};

/// One look-up, and what its result is for.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) name: &'a str,
    pub(crate) effect: Effect,
    pub(crate) source: Source<'a>,
}

/// What a step does with the series that it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// Only they remain.
    Keep,
    /// They go.
    Exclude,
}

/// Which values of its label a step looks up, the cheapest way first.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// The listed ones.
    Values(Vec<&'a str>),
    /// Those that begin with a prefix and that `matchers` all accept; or, `inverted`, that one of them refuses.
    Tested { prefix: &'a str, matchers: Vec<&'a Matcher>, inverted: bool },
    /// All of them.
    Name,
}

/// The steps that find what `matchers` select, in the order in which to take them: keeping before excluding, cheap
/// before dear. None if it is clear that nothing can be found.
pub(crate) fn plan(matchers: &[Matcher]) -> Option<Vec<Step<'_>>> {
    let mut by_name: Vec<&Matcher> = matchers.iter().collect();
    by_name.sort_by(|a, b| a.name.cmp(&b.name));
    let mut steps = Vec::new();
    for matchers in by_name.chunk_by(|a, b| a.name == b.name) {
        plan_label(matchers, &mut steps)?;
    }
    steps.sort_by_key(|step| (step.effect, step.source.cost()));
    Some(steps)
}

/// The values that a matcher accepts, leaving aside whether it accepts the empty one.
enum Accepts<'a> {
    /// Only these.
    Listed(Vec<&'a str>),
    /// All but these.
    AllBut(Vec<&'a str>),
    /// Those that pass its expression.
    Tested,
}

fn accepts(matcher: &Matcher) -> Accepts<'_> {
    let listed: Vec<&str> = match matcher.regex() {
        None => vec![matcher.value.as_str()],
        Some(regex) => match regex.literals() {
            Some(literals) => literals.iter().map(String::as_str).collect(),
            // That the second leaves out the empty value makes no difference here.
            None if regex.matches_everything() || regex.matches_all_but_empty() => {
                return match matcher.op {
                    MatchOp::NotRegex => Accepts::Listed(Vec::new()),
                    _ => Accepts::AllBut(Vec::new()),
                };
            }
            None => return Accepts::Tested,
        },
    };
    let listed = listed.into_iter().filter(|value| !value.is_empty()).collect();
    if matcher.is_positive() { Accepts::Listed(listed) } else { Accepts::AllBut(listed) }
}

/// Appends the steps for all matchers of one label; None if they contradict each other.
fn plan_label<'a>(matchers: &[&'a Matcher], steps: &mut Vec<Step<'a>>) -> Option<()> {
    let name = matchers.first()?.name.as_str();
    let may_be_missing = matchers.iter().all(|matcher| matcher.matches_empty());
    let mut shortest: Option<Vec<&str>> = None;
    let (mut refused, mut tested) = (Vec::new(), Vec::new());
    for &matcher in matchers {
        match accepts(matcher) {
            Accepts::Listed(values) => {
                if shortest.as_ref().is_none_or(|shortest| values.len() < shortest.len()) {
                    shortest = Some(values);
                }
            }
            Accepts::AllBut(values) => refused.extend(values),
            Accepts::Tested => tested.push(matcher),
        }
    }
    let mut push = |effect, source| steps.push(Step { name, effect, source });

    if let Some(mut values) = shortest {
        values.retain(|value| matchers.iter().all(|matcher| matcher.matches(value)));
        match (may_be_missing, values.is_empty()) {
            (false, true) => return None,
            (false, false) => push(Effect::Keep, Source::Values(values)),
            (true, true) => push(Effect::Exclude, Source::Name),
            (true, false) => {
                push(Effect::Exclude, Source::Tested { prefix: "", matchers: matchers.to_vec(), inverted: true });
            }
        }
        return Some(());
    }
    if !may_be_missing {
        // A positive expression that needs the label narrows the look-up; what only excludes is cheaper to subtract.
        let positive = tested.iter().filter(|matcher| matcher.is_positive());
        match positive.filter_map(|matcher| matcher.regex()).map(|regex| regex.prefix()).max_by_key(|text| text.len()) {
            Some(prefix) => {
                push(Effect::Keep, Source::Tested { prefix, matchers: matchers.to_vec(), inverted: false });
                return Some(());
            }
            None => push(Effect::Keep, Source::Name),
        }
    }
    if !refused.is_empty() {
        refused.sort_unstable();
        refused.dedup();
        push(Effect::Exclude, Source::Values(refused));
    }
    for matcher in tested {
        let refuses_prefix = matcher.regex().filter(|_| !matcher.is_positive()).map_or("", |regex| regex.prefix());
        push(Effect::Exclude, Source::Tested { prefix: refuses_prefix, matchers: vec![matcher], inverted: true });
    }
    Some(())
}

impl<'a> Source<'a> {
    /// What is to be fetched for it.
    pub(crate) fn lookup<'s>(&'s self, name: &'a str) -> Lookup<'s> {
        match self {
            Self::Values(values) => Lookup::Values(name, values),
            Self::Tested { prefix, .. } => Lookup::Prefix(name, prefix),
            Self::Name => Lookup::Name(name),
        }
    }

    /// A guess that orders steps: lists by their length, then tests by how little their prefix leaves, then all.
    fn cost(&self) -> (u8, usize) {
        match self {
            Self::Values(values) => (0, values.len()),
            Self::Tested { prefix, .. } => (1, usize::MAX - prefix.len()),
            Self::Name => (2, 0),
        }
    }
}
