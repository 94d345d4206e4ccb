//! What the numbers in sample frames stand for: written into a segment on first use, and a second time further on.
//!
//! ```text
//! tenant | symbols: count, (number, text)... | series: count, (number as delta, pairs, labels)...
//! labels: (as before, name, value)... [as before]
//! ```
//!
//! Series that are created together share most of their labels place by place (a pod's metrics differ in the name), so
//! labels are told as differences: how many pairs are those of the series before in the frame, then one pair that is not.
//!
//! The numbers are the writing process's own and mean nothing beyond the segment.

use crate::Batch;
use crate::varint::{Input, push, push_bytes, push_signed};
use hashbrown::HashMap;
use longhaul_model::{Labels, TenantId};
use std::collections::hash_map;
use std::sync::Arc;

/// A frame of definitions is closed beyond this length, so that damage to one costs few second reads, and copies can be
/// laid in small portions.
const PAYLOAD_BYTES: usize = 256 << 10;

/// Which numbers a segment knows already.
#[derive(Debug, Default)]
pub(crate) struct Defined {
    series: NumberSet,
    symbols: hash_map::HashMap<u32, NumberSet>,
    pairs: Vec<(u32, u32)>,
    pairs_before: Vec<(u32, u32)>,
    symbol_bytes: Vec<u8>,
    series_bytes: Vec<u8>,
}

impl Defined {
    /// Calls `lay` with the payload of each frame that must stand before the samples of `batch`, mostly none. From
    /// then on its series count as defined.
    pub(crate) fn define<B: Batch>(&mut self, batch: &B, lay: &mut dyn FnMut(Vec<u8>)) {
        let mut entry = 0;
        while entry < batch.entries() {
            if self.series.contains(batch.series_number(entry)) {
                entry += 1;
            } else {
                entry = self.define_from(entry, batch, lay);
            }
        }
    }

    /// Fills one frame with the unknown series from `entry` on; returns the entry to go on with.
    fn define_from<B: Batch>(&mut self, mut entry: usize, batch: &B, lay: &mut dyn FnMut(Vec<u8>)) -> usize {
        let symbols = self.symbols.entry(batch.tenant_number()).or_default();
        let (mut symbol_count, mut series_count, mut before) = (0u64, 0u64, 0i64);
        self.symbol_bytes.clear();
        self.series_bytes.clear();
        self.pairs_before.clear();
        while entry < batch.entries() && self.symbol_bytes.len() + self.series_bytes.len() < PAYLOAD_BYTES {
            let number = batch.series_number(entry);
            if self.series.insert(number) {
                self.pairs.clear();
                batch.label_symbols(entry, &mut self.pairs);
                for symbol in self.pairs.iter().flat_map(|pair| [pair.0, pair.1]) {
                    if symbols.insert(symbol) {
                        push(&mut self.symbol_bytes, u64::from(symbol));
                        push_bytes(&mut self.symbol_bytes, batch.symbol(symbol).as_bytes());
                        symbol_count += 1;
                    }
                }
                push_signed(&mut self.series_bytes, i64::from(number) - before);
                before = i64::from(number);
                push(&mut self.series_bytes, self.pairs.len() as u64);
                push_pairs(&mut self.series_bytes, &self.pairs, &self.pairs_before);
                std::mem::swap(&mut self.pairs, &mut self.pairs_before);
                series_count += 1;
            }
            entry += 1;
        }
        let mut payload = Vec::with_capacity(self.symbol_bytes.len() + self.series_bytes.len() + 200);
        push_bytes(&mut payload, batch.tenant().as_str().as_bytes());
        push(&mut payload, symbol_count);
        payload.extend_from_slice(&self.symbol_bytes);
        push(&mut payload, series_count);
        payload.extend_from_slice(&self.series_bytes);
        lay(payload);
        entry
    }
}

/// Lays the pairs of a series as differences to those of the series before.
fn push_pairs(out: &mut Vec<u8>, pairs: &[(u32, u32)], before: &[(u32, u32)]) {
    let mut at = 0;
    while at < pairs.len() {
        let same = pairs[at..].iter().zip(before.get(at..).unwrap_or_default()).take_while(|(a, b)| a == b).count();
        push(out, same as u64);
        at += same;
        if let Some((name, value)) = pairs.get(at) {
            push(out, u64::from(*name));
            push(out, u64::from(*value));
            at += 1;
        }
    }
}

/// Reads `count` pairs into `pairs`, given those of the series before; `None` if the input is no such thing.
fn read_pairs(input: &mut Input<'_>, count: usize, before: &[(u32, u32)], pairs: &mut Vec<(u32, u32)>) -> Option<()> {
    pairs.clear();
    while pairs.len() < count {
        let (at, same) = (pairs.len(), input.u32()? as usize);
        if same > count - at {
            return None;
        }
        if same > 0 {
            pairs.extend_from_slice(before.get(at..at + same)?);
        }
        if pairs.len() < count {
            pairs.push((input.u32()?, input.u32()?));
        }
    }
    Some(())
}

/// A set of numbers that are mostly dense: a bitmap in pages, so that a process which has counted far does not pay for
/// what a segment never sees.
#[derive(Debug, Default)]
struct NumberSet {
    pages: Vec<Option<Box<[u64; PAGE_WORDS]>>>,
}

const PAGE_WORDS: usize = 64; // 4096 numbers in 512 bytes: thousands of small tenants have one each

impl NumberSet {
    fn place(number: u32) -> (usize, usize, u64) {
        let number = number as usize;
        (number / (PAGE_WORDS * 64), number / 64 % PAGE_WORDS, 1 << (number % 64))
    }

    fn contains(&self, number: u32) -> bool {
        let (page, word, bit) = Self::place(number);
        matches!(self.pages.get(page), Some(Some(words)) if words[word] & bit != 0)
    }

    /// Whether the number is new.
    fn insert(&mut self, number: u32) -> bool {
        let (page, word, bit) = Self::place(number);
        if page >= self.pages.len() {
            self.pages.resize(page + 1, None);
        }
        let words = self.pages[page].get_or_insert_with(|| Box::new([0; PAGE_WORDS]));
        let new = words[word] & bit == 0;
        words[word] |= bit;
        new
    }
}

/// All that the readable definition frames of a segment say.
///
/// Frames are added in any order and any number of times; only then is anything resolved, so that samples find a
/// definition of which only the second copy could be read.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    tenants: HashMap<TenantId, u32>,
    symbols: HashMap<(u32, u32), Arc<str>>,
    series: HashMap<u32, SeriesDefinition>,
    pairs: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct SeriesDefinition {
    tenant: u32,
    first_pair: usize,
    pairs: u32,
    labels: Option<Labels>,
}

impl Definitions {
    /// Adds what a frame says; `None` if its payload cannot be decoded (what came before that point stays).
    pub(crate) fn add(&mut self, payload: &[u8]) -> Option<()> {
        let mut input = Input(payload);
        let tenant = TenantId::parse(input.text()?).ok()?;
        let next = self.tenants.len() as u32;
        let tenant = *self.tenants.entry(tenant).or_insert(next);
        for _ in 0..input.varint()? {
            let symbol = input.u32()?;
            let text = input.text()?;
            self.symbols.entry((tenant, symbol)).or_insert_with(|| Arc::from(text));
        }
        let (mut number, mut pairs, mut before) = (0i64, Vec::new(), Vec::new());
        for _ in 0..input.varint()? {
            number = number.checked_add(input.signed()?)?;
            let series = u32::try_from(number).ok()?;
            let count = input.u32()?;
            read_pairs(&mut input, count as usize, &before, &mut pairs)?;
            if let hashbrown::hash_map::Entry::Vacant(vacant) = self.series.entry(series) {
                vacant.insert(SeriesDefinition { tenant, first_pair: self.pairs.len(), pairs: count, labels: None });
                self.pairs.extend_from_slice(&pairs);
            }
            std::mem::swap(&mut pairs, &mut before);
        }
        input.is_empty().then_some(())
    }

    /// The labels of a series, decoded on first use and shared from then on; `None` if no readable frame defines it.
    pub(crate) fn labels(&mut self, series: u32) -> Option<Labels> {
        let definition = self.series.get_mut(&series)?;
        if definition.labels.is_none() {
            let pairs = &self.pairs[definition.first_pair..][..definition.pairs as usize];
            let text = |symbol: u32| self.symbols.get(&(definition.tenant, symbol)).map(|text| &**text);
            let pairs = pairs.iter().map(|(name, value)| Some((text(*name)?, text(*value)?)));
            definition.labels = Some(Labels::from_pairs(pairs.collect::<Option<Vec<_>>>()?));
        }
        definition.labels.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_from_their_differences() {
        let all: [&[(u32, u32)]; 7] = [
            &[(1, 2), (3, 4), (5, 6)],
            &[(1, 9), (3, 4), (5, 6)],
            &[(1, 9), (3, 4)],
            &[],
            &[(7, 7)],
            &[(7, 7)],
            &[(7, 7), (8, 8)],
        ];
        let (mut before, mut read): (&[(u32, u32)], Vec<_>) = (&[], Vec::new());
        for pairs in all {
            let mut bytes = Vec::new();
            push_pairs(&mut bytes, pairs, before);
            let mut input = Input(&bytes);
            assert_eq!(read_pairs(&mut input, pairs.len(), before, &mut read), Some(()));
            assert!(input.is_empty() && read == pairs, "{pairs:?} after {before:?}: {read:?}");
            before = pairs;
        }
        // More of the series before than it has, or than is wanted.
        assert_eq!(read_pairs(&mut Input(&[2]), 2, &[(1, 1)], &mut read), None);
        assert_eq!(read_pairs(&mut Input(&[2]), 1, &[(1, 1), (2, 2)], &mut read), None);
    }

    #[test]
    fn a_number_set_holds_what_was_put_in() {
        let mut set = NumberSet::default();
        for number in [0, 1, 63, 64, 4095, 4096, 1 << 20, u32::MAX] {
            assert!(!set.contains(number));
            assert!(set.insert(number));
            assert!(!set.insert(number));
            assert!(set.contains(number));
        }
        assert!(!set.contains(2) && !set.contains(u32::MAX - 1));
    }
}
