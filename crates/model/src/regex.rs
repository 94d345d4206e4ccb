//! Regular expressions in Go's RE2 dialect, anchored at both ends, as Prometheus matches labels with them.
//!
//! Most expressions in queries are lists of texts or texts with `.*` between them; those are matched as such, and say
//! so, that an index can look them up. The rest goes to a finite automaton. Nothing here backtracks.

mod class;
mod expand;
mod parse;
mod shape;

use parse::Groups;
use regex_automata::{Anchored, Input, meta};
use regex_syntax::hir::{Hir, Look};
use shape::Glob;
use std::sync::{Arc, OnceLock};

/// Most memory of a compiled automaton, bytes.
const MACHINE_BYTES_MAX: usize = 10 << 20;

/// The same for one with groups, which is somewhat larger.
const GROUPING_BYTES_MAX: usize = 4 * MACHINE_BYTES_MAX;

/// Why an expression is refused, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegexError(pub String);

/// A compiled, fully anchored expression. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AnchoredRegex(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    expression: Box<str>,
    prefix: Box<str>,
    strategy: Strategy,
    /// The machine that finds groups, made when it is first asked for.
    grouping: OnceLock<Option<Grouping>>,
}

#[derive(Debug)]
enum Strategy {
    /// A finite list of texts, sorted.
    Listed(Vec<String>),
    /// Texts with gaps between them.
    Glob(Glob),
    /// An automaton.
    Machine(meta::Regex),
}

#[derive(Debug)]
struct Grouping {
    machine: meta::Regex,
    names: Vec<Option<Box<str>>>,
}

impl AnchoredRegex {
    /// Compiles `^(?s:expression)$`.
    ///
    /// # Errors
    /// What Go refuses, in its words; beyond that, an expression whose automaton would be larger than 10 MiB or whose
    /// tree would be higher than 100.
    pub fn new(expression: &str) -> Result<Self, RegexError> {
        let parsed = parse::parse(expression, Groups::Ignored)?;
        let hir = shape::without_anchors(parsed.hir);
        let literals = shape::literals(&hir, parsed.bars);
        let strategy = match (literals.listed, Glob::new(&hir)) {
            (Some(listed), _) => Strategy::Listed(listed),
            (None, Some(glob)) => Strategy::Glob(glob),
            (None, None) => Strategy::Machine(
                compile(hir, MACHINE_BYTES_MAX).map_err(|_| parse::error("expression too large", expression))?,
            ),
        };
        let (expression, prefix) = (expression.into(), literals.prefix.into());
        Ok(Self(Arc::new(Inner { expression, prefix, strategy, grouping: OnceLock::new() })))
    }

    /// Whether the whole of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.0.strategy {
            Strategy::Listed(listed) => listed.binary_search_by(|listed| listed.as_str().cmp(text)).is_ok(),
            Strategy::Glob(glob) => glob.is_match(text),
            Strategy::Machine(machine) => text.starts_with(&*self.0.prefix) && machine.is_match(anchored(text)),
        }
    }

    /// The finite list of texts that the expression stands for (`a|b|c`), if it is one; sorted, unique, and possibly
    /// empty or with the empty text in it.
    pub fn literals(&self) -> Option<&[String]> {
        match &self.0.strategy {
            Strategy::Listed(listed) => Some(listed),
            _ => None,
        }
    }

    /// A text with which every match begins; possibly empty.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// Whether the expression is `.*` in some form: every text matches.
    pub fn matches_everything(&self) -> bool {
        matches!(&self.0.strategy, Strategy::Glob(glob) if glob.any_of_at_least() == Some(0))
    }

    /// Whether the expression is `.+` in some form: every text but the empty one matches.
    pub fn matches_all_but_empty(&self) -> bool {
        matches!(&self.0.strategy, Strategy::Glob(glob) if glob.any_of_at_least() == Some(1))
    }

    /// Expands `template` (Go's `$1`, `${name}`) with the groups of a match of the whole of `text`; None without match.
    pub fn expand(&self, text: &str, template: &str) -> Option<String> {
        if !self.is_match(text) {
            return None;
        }
        if !template.contains('$') {
            return Some(template.to_owned());
        }
        let grouping = self.0.grouping.get_or_init(|| {
            let parsed = parse::parse(&self.0.expression, Groups::Captured).ok()?;
            Some(Grouping { machine: compile(parsed.hir, GROUPING_BYTES_MAX).ok()?, names: parsed.group_names })
        });
        let grouping = grouping.as_ref()?;
        let mut captures = grouping.machine.create_captures();
        grouping.machine.captures(anchored(text), &mut captures);
        let group = |index: usize| captures.get_group(index).map(|span| &text[span.range()]);
        captures.is_match().then(|| expand::expand(template, &grouping.names, group))
    }
}

fn anchored(text: &str) -> Input<'_> {
    Input::new(text).anchored(Anchored::Yes)
}

fn compile(hir: Hir, size_bytes_max: usize) -> Result<meta::Regex, Box<meta::BuildError>> {
    let whole = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    let config = meta::Config::new().nfa_size_limit(Some(size_bytes_max));
    meta::Builder::new().configure(config).build_from_hir(&whole).map_err(Box::new)
}

#[cfg(test)]
mod tests;
