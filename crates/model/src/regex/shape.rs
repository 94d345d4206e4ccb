//! What an expression amounts to: a list of texts, texts with gaps between them, or something that needs a machine.

use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Most texts that are listed for an expression which is no plain alternation.
const LITERALS_MAX: usize = 256;

/// Longest text that is listed, bytes.
const LITERAL_BYTES_MAX: usize = 64 << 10;

/// Most repetitions that are written out.
const REPEATS_MAX: usize = 100;

/// An expression's finite list of texts if it has one, and what all its matches begin with.
pub(super) struct Literals {
    /// All texts that match, sorted, unique.
    pub listed: Option<Vec<String>>,
    /// How every match begins.
    pub prefix: String,
}

/// Drops what holds anyhow when the whole text must match: `^` at the very beginning, `$` at the very end.
pub(super) fn without_anchors(hir: Hir) -> Hir {
    let trim = |hir: Hir| match hir.kind() {
        HirKind::Look(Look::Start | Look::End) => Hir::empty(),
        HirKind::Concat(parts) => {
            let is = |part: &Hir, look: Look| matches!(part.kind(), HirKind::Look(found) if *found == look);
            let from = parts.iter().take_while(|part| is(part, Look::Start)).count();
            let behind = parts[from..].iter().rev().take_while(|part| is(part, Look::End)).count();
            Hir::concat(parts[from..parts.len() - behind].to_vec())
        }
        _ => hir,
    };
    let hir = trim(hir);
    match hir.kind() {
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().cloned().map(trim).collect()),
        _ => hir,
    }
}

/// Finds the literals of an expression with `bars` alternatives.
pub(super) fn literals(hir: &Hir, bars: usize) -> Literals {
    let mut extractor = Extractor::new();
    extractor.kind(ExtractKind::Prefix).limit_class(LITERALS_MAX).limit_repeat(REPEATS_MAX);
    extractor.limit_literal_len(LITERAL_BYTES_MAX).limit_total(LITERALS_MAX.max(bars + 1));
    let found = extractor.extract(hir);
    let texts = found.literals().filter(|_| found.is_exact() && hir.properties().look_set().is_empty());
    let listed = texts.and_then(|texts| {
        let texts = texts.iter().map(|text| String::from_utf8(text.as_bytes().to_vec()).ok());
        let mut texts: Vec<String> = texts.collect::<Option<_>>()?;
        texts.sort_unstable();
        texts.dedup();
        Some(texts)
    });
    let prefix = found.longest_common_prefix().unwrap_or_default();
    // Texts that differ in the middle of a character have half of it in common.
    let whole_bytes = std::str::from_utf8(prefix).map_or_else(|error| error.valid_up_to(), str::len);
    Literals { listed, prefix: String::from_utf8_lossy(&prefix[..whole_bytes]).into_owned() }
}

/// Texts with gaps between them: `prefix`, then for each of `inner` a gap and a text, then a gap and `suffix`.
/// A gap is any text of at least so many characters.
#[derive(Debug)]
pub(super) struct Glob {
    prefix: Box<str>,
    inner: Box<[(u32, Box<str>)]>,
    last_gap: u32,
    suffix: Box<str>,
}

impl Glob {
    /// Reads an expression as a glob, if it is one with a gap.
    pub(super) fn new(hir: &Hir) -> Option<Self> {
        let parts = match hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        // Texts and the gaps between them in turn.
        let (mut texts, mut gaps) = (vec![String::new()], Vec::new());
        for part in parts {
            let last = texts.last_mut()?;
            match part.kind() {
                HirKind::Literal(literal) => last.push_str(std::str::from_utf8(&literal.0).ok()?),
                HirKind::Repetition(repetition) if repetition.max.is_none() && is_any(&repetition.sub) => {
                    match gaps.last_mut().filter(|_| last.is_empty()) {
                        Some(gap) => *gap += repetition.min,
                        None => {
                            gaps.push(repetition.min);
                            texts.push(String::new());
                        }
                    }
                }
                _ => return None,
            }
        }
        let last_gap = gaps.pop()?;
        let suffix = texts.pop()?.into();
        let mut texts = texts.into_iter().map(Box::from);
        let prefix = texts.next()?;
        Some(Self { prefix, inner: gaps.into_iter().zip(texts).collect(), last_gap, suffix })
    }

    /// Whether the whole of `text` matches.
    pub(super) fn is_match(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(&*self.prefix) else { return false };
        let Some(mut rest) = rest.strip_suffix(&*self.suffix) else { return false };
        for (gap, inner) in &self.inner {
            // The leftmost place leaves the most for the others.
            let Some(after) = skip(rest, *gap) else { return false };
            let Some(found) = after.find(&**inner) else { return false };
            rest = &after[found + inner.len()..];
        }
        skip(rest, self.last_gap).is_some()
    }

    /// The shortest length in characters, if any text of that length or more matches.
    pub(super) fn any_of_at_least(&self) -> Option<u32> {
        (self.prefix.is_empty() && self.inner.is_empty() && self.suffix.is_empty()).then_some(self.last_gap)
    }
}

/// `text` without its first `count` characters, if it has so many.
fn skip(text: &str, count: u32) -> Option<&str> {
    let mut rest = text.chars();
    for _ in 0..count {
        rest.next()?;
    }
    Some(rest.as_str())
}

fn is_any(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            matches!(class.ranges(), [all] if all.start() == '\0' && all.end() == char::MAX)
        }
        _ => false,
    }
}
