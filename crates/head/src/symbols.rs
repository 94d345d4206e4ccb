//! The texts of a tenant's labels, each kept once and known by a number.
//!
//! Numbers are never reused; a text is freed when nothing uses it any more.

use crate::HashSeed;
use crate::paged::Paged;
use hashbrown::HashTable;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Symbols {
    seed: HashSeed,
    by_text: HashTable<u32>,
    texts: Paged<Symbol>,
    text_bytes: usize,
}

#[derive(Debug)]
struct Symbol {
    text: Arc<str>,
    /// In how many places of the postings it stands, as a name or as a value.
    uses: u32,
}

impl Symbols {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self { seed, by_text: HashTable::new(), texts: Paged::new(), text_bytes: 0 }
    }

    /// All symbols lie below.
    pub(crate) fn next(&self) -> u32 {
        self.texts.next()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.text_bytes + self.by_text.allocation_size() + self.texts.heap_bytes()
    }

    /// The symbol of a text, if it has one.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.by_text.find(self.seed.text(text), |symbol| &**self.text(*symbol) == text).copied()
    }

    /// The text of a symbol.
    ///
    /// # Panics
    /// If the symbol is not in use.
    pub(crate) fn text(&self, symbol: u32) -> &Arc<str> {
        self.find_text(symbol).expect("a symbol lives as long as a series uses it")
    }

    /// The text of a symbol, if it is in use.
    pub(crate) fn find_text(&self, symbol: u32) -> Option<&Arc<str>> {
        Some(&self.texts.get(symbol)?.text)
    }

    /// The symbol of a text, made if need be. A new one has no use yet: [`Symbols::acquire`] must follow.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        let hash = self.seed.text(text);
        let texts = &self.texts;
        let known = self.by_text.find(hash, |symbol| texts.get(*symbol).is_some_and(|it| &*it.text == text));
        if let Some(symbol) = known {
            return *symbol;
        }
        let symbol = self.texts.push(Symbol { text: Arc::from(text), uses: 0 });
        self.text_bytes += text_heap_bytes(text);
        let (texts, seed) = (&self.texts, &self.seed);
        self.by_text.insert_unique(hash, symbol, |symbol| rehash(texts, seed, *symbol));
        symbol
    }

    /// Gives back the room that freed texts have left.
    pub(crate) fn shrink(&mut self) {
        if self.by_text.len() * 4 < self.by_text.capacity() {
            let (texts, seed) = (&self.texts, &self.seed);
            self.by_text.shrink_to(self.by_text.len() * 2, |symbol| rehash(texts, seed, *symbol));
        }
    }

    /// Counts one more use.
    pub(crate) fn acquire(&mut self, symbol: u32) {
        if let Some(symbol) = self.texts.get_mut(symbol) {
            symbol.uses += 1;
        }
    }

    /// Counts one use less; frees the text with the last one.
    pub(crate) fn release(&mut self, symbol: u32) {
        let Some(entry) = self.texts.get_mut(symbol) else { return };
        entry.uses -= 1;
        if entry.uses == 0 {
            let hash = self.seed.text(&entry.text);
            self.text_bytes -= text_heap_bytes(&entry.text);
            if let Ok(entry) = self.by_text.find_entry(hash, |it| *it == symbol) {
                entry.remove();
            }
            self.texts.take(symbol);
        }
    }
}

fn rehash(texts: &Paged<Symbol>, seed: &HashSeed, symbol: u32) -> u64 {
    texts.get(symbol).map_or(0, |it| seed.text(&it.text))
}

/// What an `Arc<str>` takes: two counters before the text, in words.
fn text_heap_bytes(text: &str) -> usize {
    16 + text.len().next_multiple_of(8)
}
