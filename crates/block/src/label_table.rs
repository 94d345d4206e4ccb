//! Who has which label: the postings of a block while it is being built, by series ordinals.
//!
//! Filled series by series in label order by the lookup writer; sorted once at the end, it gives the index its symbols
//! and postings and the lookup its pages. Some 100 bytes a series are kept: each distinct text once, and for each pair
//! the ordinals of its series as differences, mostly one byte each.

use crate::cursor::push_uvarint;
use hashbrown::HashTable;
use hashbrown::hash_map::HashMap;
use longhaul_model::Labels;
use smallvec::SmallVec;
use std::hash::BuildHasher;

/// Texts, pairs of them, and the series of each pair.
#[derive(Default)]
pub(crate) struct LabelTable {
    texts: Vec<Box<str>>,
    by_text: HashTable<u32>,
    /// Seeded anew each time: the texts come from outside. Nothing that is written depends on it.
    hasher: foldhash::fast::RandomState,
    pairs: HashMap<(u32, u32), Ordinals, foldhash::fast::FixedState>,
    previous: Option<Labels>,
    previous_ids: Vec<(u32, u32)>,
    series: u32,
}

impl LabelTable {
    /// Adds the next series.
    pub fn push(&mut self, labels: &Labels) {
        let mut ids = Vec::with_capacity(labels.len());
        let previous = self.previous.replace(labels.clone());
        // Neighbours share most of their labels, and in the same places.
        let mut before = previous.iter().flat_map(Labels::iter).zip(std::mem::take(&mut self.previous_ids));
        for (name, value) in labels.iter() {
            let pair = match before.next() {
                Some((old, pair)) if old == (name, value) => pair,
                Some((old, pair)) if old.0 == name => (pair.0, self.id(value)),
                _ => (self.id(name), self.id(value)),
            };
            self.pairs.entry(pair).or_default().push(self.series);
            ids.push(pair);
        }
        self.series += 1;
        self.previous_ids = ids;
    }

    /// The pairs of the series that was added last, as numbers of texts.
    pub fn last(&self) -> &[(u32, u32)] {
        &self.previous_ids
    }

    fn id(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        if let Some(id) = self.by_text.find(hash, |id| &*self.texts[*id as usize] == text) {
            return *id;
        }
        let id = self.texts.len() as u32;
        self.texts.push(text.into());
        self.by_text.insert_unique(hash, id, |id| self.hasher.hash_one(&*self.texts[*id as usize]));
        id
    }

    /// The text with a number that [`Self::last`] gave.
    pub fn text(&self, id: u32) -> &str {
        &self.texts[id as usize]
    }

    /// The table in the order of the files.
    pub fn sort(self) -> SortedLabels {
        let mut order: Vec<u32> = (0..self.texts.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.texts[*a as usize].cmp(&self.texts[*b as usize]));
        let mut rank = vec![0u32; order.len()];
        for (place, id) in order.iter().enumerate() {
            rank[*id as usize] = place as u32;
        }
        let mut texts = self.texts;
        let symbols: Vec<Box<str>> = order.iter().map(|id| std::mem::take(&mut texts[*id as usize])).collect();
        let mut pairs: Vec<Pair> = self
            .pairs
            .into_iter()
            .map(|((name, value), series)| Pair { name: rank[name as usize], value: rank[value as usize], series })
            .collect();
        pairs.sort_unstable_by_key(|pair| (pair.name, pair.value));
        SortedLabels { symbols, pairs, series: self.series }
    }
}

/// A [`LabelTable`] in the order of the files.
pub(crate) struct SortedLabels {
    /// Every text, sorted: a symbol's number in the index is its place here.
    pub symbols: Vec<Box<str>>,
    /// Every pair, sorted by name, then value.
    pub pairs: Vec<Pair>,
    /// How many series there are.
    pub series: u32,
}

/// A label and the series that have it.
pub(crate) struct Pair {
    /// Number of the name's symbol.
    pub name: u32,
    /// Number of the value's symbol.
    pub value: u32,
    /// Which series.
    pub series: Ordinals,
}

impl SortedLabels {
    /// The number of a symbol.
    pub fn symbol(&self, text: &str) -> Option<u32> {
        self.symbols.binary_search_by(|symbol| (**symbol).cmp(text)).ok().map(|place| place as u32)
    }

    /// The text of a symbol.
    pub fn text(&self, symbol: u32) -> &str {
        &self.symbols[symbol as usize]
    }

    /// The pairs of each name, name by name.
    pub fn by_name(&self) -> impl Iterator<Item = &[Pair]> {
        self.pairs.chunk_by(|a, b| a.name == b.name)
    }
}

/// A rising list of series ordinals as varint differences, in place while it is short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ordinals {
    last: u32,
    count: u32,
    differences: SmallVec<[u8; 16]>,
}

impl Ordinals {
    /// Appends an ordinal above all before; the last one again changes nothing.
    pub fn push(&mut self, ordinal: u32) {
        if self.count > 0 && ordinal == self.last {
            return;
        }
        debug_assert!(self.count == 0 || ordinal > self.last, "ordinals rise");
        let mut difference = ordinal - self.last;
        while difference >= 0x80 {
            self.differences.push(difference as u8 | 0x80);
            difference >>= 7;
        }
        self.differences.push(difference as u8);
        self.last = ordinal;
        self.count += 1;
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// The ordinals, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (mut at, mut ordinal) = (0, 0u32);
        std::iter::from_fn(move || {
            let mut shift = 0;
            loop {
                let byte = *self.differences.get(at)?;
                at += 1;
                ordinal += u32::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    return Some(ordinal);
                }
            }
        })
    }

    /// The differences as they are stored: the first ordinal, then each one's distance from the one before.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.differences);
    }
}

/// Appends a rising list in the form of [`Ordinals`].
pub(crate) fn push_ordinals(out: &mut Vec<u8>, ordinals: impl IntoIterator<Item = u32>) {
    let mut last = 0;
    for ordinal in ordinals {
        push_uvarint(out, u64::from(ordinal - last));
        last = ordinal;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ordinals_come_back(set in proptest::collection::btree_set(any::<u32>(), 0..100)) {
            let mut ordinals = Ordinals::default();
            set.iter().for_each(|ordinal| ordinals.push(*ordinal));
            prop_assert_eq!(ordinals.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            let (mut stored, mut pushed) = (Vec::new(), Vec::new());
            ordinals.append_to(&mut stored);
            push_ordinals(&mut pushed, set);
            prop_assert_eq!(stored, pushed);
        }
    }

    #[test]
    fn texts_and_pairs_are_sorted_and_numbered() {
        let mut table = LabelTable::default();
        table.push(&Labels::from_pairs([("job", "b"), ("z", "é")]));
        table.push(&Labels::from_pairs([("job", "b"), ("z", "zz")]));
        table.push(&Labels::from_pairs([("job", "c"), ("y", "b")]));
        assert_eq!(size_of::<Ordinals>(), 32);
        let sorted = table.sort();
        assert_eq!(sorted.symbols.iter().map(|s| &**s).collect::<Vec<_>>(), ["b", "c", "job", "y", "z", "zz", "é"]);
        let pairs: Vec<_> = sorted
            .pairs
            .iter()
            .map(|p| (sorted.text(p.name), sorted.text(p.value), p.series.iter().collect::<Vec<_>>()))
            .collect();
        let expected = [
            ("job", "b", vec![0, 1]),
            ("job", "c", vec![2]),
            ("y", "b", vec![2]),
            ("z", "zz", vec![1]),
            ("z", "é", vec![0]),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(sorted.by_name().map(<[Pair]>::len).collect::<Vec<_>>(), [2, 1, 2]);
    }
}
