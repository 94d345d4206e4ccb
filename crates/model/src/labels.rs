//! A series' identity: an immutable, sorted set of (name, value) pairs in one shared allocation.

use std::cmp::Ordering;
use std::sync::Arc;

/// A sorted label set without duplicate names and without empty values; cloning is one reference count.
///
/// All pairs lie in one string, each text behind its length. Lengths are written in six-bit groups, least significant
/// first, with bit 6 set on all but the last group: such bytes are ASCII, so that the whole stays valid UTF-8 and every
/// name and value is a plain slice of it.
///
/// Ordering is Prometheus': pair by pair, name then value, a prefix first (`model/labels`, `Compare`).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    packed: Arc<str>,
}

/// More than most sets take, so that building one allocates twice, not once for every doubling.
const USUAL_BYTES: usize = 512;

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Self { packed: Arc::from("") }
    }

    /// Builds a set from pairs in any order. Pairs with an empty value are dropped; of pairs with the same name the
    /// last one stays. (Input from outside is checked for duplicates before it gets here.)
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut sorted: Vec<(&str, &str)> = pairs.into_iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(b.0)); // stable: the last of equal names stays last
        let mut unique: Vec<(&str, &str)> = Vec::with_capacity(sorted.len());
        for pair in sorted {
            match unique.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => unique.push(pair),
            }
        }
        unique.retain(|pair| !pair.1.is_empty());
        Self::from_sorted(unique)
    }

    /// Builds a set from pairs that are sorted by name, without duplicates and without empty values.
    ///
    /// The order is the caller's promise, checked in debug builds.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut packed = String::with_capacity(USUAL_BYTES);
        let mut previous: Option<&str> = None;
        for (name, value) in pairs {
            debug_assert!(previous.is_none_or(|p| p < name), "labels out of order: {previous:?} then {name:?}");
            debug_assert!(!value.is_empty(), "label {name:?} has an empty value");
            previous = Some(name);
            push_text(&mut packed, name);
            push_text(&mut packed, value);
        }
        Self { packed: Arc::from(packed) }
    }

    /// The pairs in order of their names.
    pub fn iter(&self) -> LabelsIter<'_> {
        LabelsIter { rest: &self.packed }
    }

    /// The value of the label `name`, if the set has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().take_while(|pair| pair.0 <= name).find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// The value of `__name__`, or "".
    pub fn metric_name(&self) -> &str {
        self.get(crate::METRIC_NAME).unwrap_or("")
    }

    /// How many pairs the set has.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether the set has no pair.
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// Bytes that the texts take in memory.
    pub fn size_bytes(&self) -> usize {
        self.packed.len()
    }

    /// The set without the labels for which `drop` says so.
    pub fn without(&self, mut drop: impl FnMut(&str) -> bool) -> Self {
        Self::from_sorted(self.iter().filter(|pair| !drop(pair.0)))
    }

    /// A builder that starts from this set.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.packed, &other.packed) {
            return Ordering::Equal;
        }
        // The texts before the one in which the sets part are passed over, not compared: neighbours in a sorted run share
        // most of theirs.
        let (a, b) = (self.packed.as_bytes(), other.packed.as_bytes());
        let same = same_bytes(a, b);
        if same == a.len().min(b.len()) {
            return a.len().cmp(&b.len());
        }
        let mut at = 0;
        loop {
            let (length, header) = take_length(&a[at..]);
            let end = at + header + length;
            if end > same {
                break;
            }
            at = end;
        }
        take_text(&self.packed[at..]).0.cmp(take_text(&other.packed[at..]).0)
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Debug for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// `{name="value", ...}`, values escaped as Go's `%q` does for printable text.
impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

/// Iterates over the pairs of [`Labels`].
#[derive(Clone, Debug)]
pub struct LabelsIter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, rest) = take_text(self.rest);
        let (value, rest) = take_text(rest);
        self.rest = rest;
        Some((name, value))
    }
}

/// Changes a label set pair by pair.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `name` to `value`; an empty value removes the label.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.remove(name);
        if !value.is_empty() {
            self.pairs.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Removes `name`, if it is there.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.pairs.retain(|pair| pair.0 != name);
        self
    }

    /// The set as it stands.
    pub fn build(&self) -> Labels {
        Labels::from_pairs(self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

/// Makes the labels of one series after the other from numbers of texts. Neighbours in a sorted run share their first
/// pairs, which are laid once; those that share all of them share the set.
#[derive(Clone, Debug, Default)]
pub struct LabelsWriter {
    packed: String,
    /// The pairs of the last set, and where each one ends in `packed`.
    pairs: Vec<((u32, u32), usize)>,
    last: Option<Labels>,
}

impl LabelsWriter {
    /// The set of these pairs, which are sorted by name, without duplicates and without empty values. `text` must answer
    /// alike for as long as the writer lives.
    pub fn write<'a>(&mut self, pairs: &[(u32, u32)], text: impl Fn(u32) -> &'a str) -> Labels {
        let shared = pairs.iter().zip(&self.pairs).take_while(|(new, (old, _))| *new == old).count();
        if let Some(last) = &self.last
            && shared == pairs.len()
            && shared == self.pairs.len()
        {
            return last.clone();
        }
        self.pairs.truncate(shared);
        self.packed.truncate(self.pairs.last().map_or(0, |(_, end)| *end));
        for &(name, value) in &pairs[shared..] {
            push_text(&mut self.packed, text(name));
            push_text(&mut self.packed, text(value));
            self.pairs.push(((name, value), self.packed.len()));
        }
        let labels = Labels { packed: Arc::from(self.packed.as_str()) };
        debug_assert!(labels.iter().is_sorted_by(|a, b| a.0 < b.0), "labels out of order: {labels}");
        self.last = Some(labels.clone());
        labels
    }
}

/// How many bytes two texts have in common at their beginnings.
fn same_bytes(a: &[u8], b: &[u8]) -> usize {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let mut at = 0;
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let difference = word(a) ^ word(b);
        if difference != 0 {
            return at + difference.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + a[at..].iter().zip(&b[at..]).take_while(|(a, b)| a == b).count()
}

fn push_text(packed: &mut String, text: &str) {
    let mut length = text.len();
    while length >= 64 {
        packed.push(char::from((length & 63) as u8 | 64));
        length >>= 6;
    }
    packed.push(char::from(length as u8));
    packed.push_str(text);
}

fn take_text(packed: &str) -> (&str, &str) {
    let (length, header) = take_length(packed.as_bytes());
    packed[header..].split_at(length)
}

/// The length of the text that comes next, and how many bytes say so.
#[inline]
fn take_length(packed: &[u8]) -> (usize, usize) {
    let (mut length, mut shift, mut at) = (0usize, 0, 0);
    loop {
        let byte = packed[at];
        at += 1;
        length |= usize::from(byte & 63) << shift;
        shift += 6;
        if byte & 64 == 0 {
            return (length, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packing_keeps_every_pair(pairs in proptest::collection::btree_map(".{0,70}", ".{1,200}", 0..12)) {
            let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let back: Vec<_> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(back, pairs.clone().into_iter().collect::<Vec<_>>());
            for (name, value) in &pairs {
                prop_assert_eq!(labels.get(name), Some(value.as_str()));
            }
        }

        #[test]
        fn order_is_that_of_the_pair_lists(
            a in proptest::collection::btree_map("[a-c]{1,2}", "[x-z]{1,2}", 0..4),
            b in proptest::collection::btree_map("[a-c]{1,2}", "[x-z]{1,2}", 0..4),
        ) {
            let pack = |m: &std::collections::BTreeMap<String, String>|
                Labels::from_pairs(m.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            prop_assert_eq!(pack(&a).cmp(&pack(&b)), a.iter().cmp(b.iter()));
        }
    }

    proptest! {
        #[test]
        fn written_one_after_the_other_they_are_what_they_are_alone(
            sets in proptest::collection::vec(proptest::collection::btree_map(0u32..6, 6u32..9, 0..5), 0..12),
        ) {
            let texts: Vec<String> = (0..9).map(|n| format!("{n}").repeat(1 + n as usize * 20)).collect();
            let mut writer = LabelsWriter::default();
            for set in &sets {
                let pairs: Vec<(u32, u32)> = set.iter().map(|(name, value)| (*name, *value)).collect();
                let alone = pairs.iter().map(|(n, v)| (texts[*n as usize].as_str(), texts[*v as usize].as_str()));
                prop_assert_eq!(writer.write(&pairs, |n| &texts[n as usize]), Labels::from_sorted(alone));
            }
        }

        #[test]
        fn same_bytes_are_counted(a in "[ab]{0,40}", b in "[ab]{0,40}", shared in "[a-c]{0,30}") {
            let (a, b) = (shared.clone() + &a, shared + &b);
            let counted = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(same_bytes(a.as_bytes(), b.as_bytes()), counted);
        }

        #[test]
        fn long_texts_are_ordered_too(
            a in proptest::collection::btree_map("[a-b]{60,66}", "[x-y]{60,66}", 0..3),
            more in proptest::collection::btree_map("[b-c]{0,66}", "[x-z]{1,66}", 0..3),
        ) {
            let mut b = a.clone();
            b.extend(more);
            let pack = |m: &std::collections::BTreeMap<String, String>|
                Labels::from_pairs(m.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            prop_assert_eq!(pack(&a).cmp(&pack(&b)), a.iter().cmp(b.iter()));
            prop_assert_eq!(pack(&b).cmp(&pack(&a)), b.iter().cmp(a.iter()));
        }
    }

    #[test]
    fn long_values_and_builders() {
        let long = "v".repeat(300_000);
        let labels = Labels::from_pairs([("b", long.as_str()), ("a", "1"), ("a", "2"), ("empty", "")]);
        assert_eq!(labels.get("a"), Some("2"));
        assert_eq!(labels.get("b").map(str::len), Some(300_000));
        assert_eq!(labels.get("empty"), None);
        let mut builder = labels.to_builder();
        builder.set("c", "3").remove("b").set("a", "");
        assert_eq!(builder.build().to_string(), r#"{c="3"}"#);
    }
}
