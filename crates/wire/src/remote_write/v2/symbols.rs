//! The texts of a request and the label sections that references to them stand for.

use super::REQUEST_SYMBOLS;
use crate::remote_write::{push_varint, varint_bytes};
use crate::walk::{LENGTH, Walk, wrong_wire_type};
use crate::{Item, WireError};
use longhaul_model::METRIC_NAME;

/// Far more texts than a request has series; each takes eight bytes in memory and two in the message.
const SYMBOLS_MAX: u32 = 1 << 20;

const LABEL: u8 = 0x0a; // the parts of a label section, see `longhaul_model::LabelSection`
const NAME: u8 = 0x0a;
const VALUE: u8 = 0x12;

/// The symbols, in the message.
pub(super) struct Symbols<'a> {
    message: &'a [u8],
    /// Where each lies, its length in front of it included.
    places: Vec<(u32, u32)>,
}

/// References that are no labels, and what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadReference {
    /// There is no such symbol.
    Missing(u32),
    /// The last name has no value.
    Unpaired,
}

impl<'a> Symbols<'a> {
    /// Finds the symbols of a message, wherever they stand in it. Not checked for UTF-8.
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut symbols = Self { message, places: Vec::new() };
        let mut walk = Walk::new(message, 0);
        while !walk.is_done() {
            let start = walk.at;
            let key = walk.key()?;
            if key.number == REQUEST_SYMBOLS {
                if key.wire != LENGTH {
                    return Err(wrong_wire_type(start));
                }
                if symbols.places.len() >= SYMBOLS_MAX as usize {
                    return Err(WireError::TooMany { item: Item::Symbols, max: SYMBOLS_MAX });
                }
                let framed_at = walk.at;
                walk.skip(LENGTH)?;
                symbols.places.push((framed_at as u32, walk.at as u32));
            } else {
                walk.skip(key.wire)?;
            }
        }
        Ok(symbols)
    }

    /// The text of a symbol.
    pub fn text(&self, reference: u32) -> Option<&'a [u8]> {
        let framed = self.framed(reference)?;
        let length_bytes = framed.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        Some(&framed[length_bytes..])
    }

    /// How long the section of these labels is.
    #[inline(always)]
    pub fn section_bytes(&self, references: &[u32]) -> Result<usize, BadReference> {
        let (pairs, rest) = references.as_chunks::<2>();
        let mut size_bytes = 0;
        for [name, value] in pairs {
            let label = self.label_bytes(*name)? + self.label_bytes(*value)?;
            size_bytes += 1 + varint_bytes(label as u64) + label;
        }
        if rest.is_empty() { Ok(size_bytes) } else { Err(BadReference::Unpaired) }
    }

    /// Appends the section of labels whose length is known.
    ///
    /// # Panics
    /// If [`Self::section_bytes`] refuses them.
    #[inline(always)]
    pub fn push_section(&self, references: &[u32], section: &mut Vec<u8>) {
        for [name, value] in references.as_chunks::<2>().0 {
            let framed = |reference| self.framed(reference).expect("references that were checked");
            let (name, value) = (framed(*name), framed(*value));
            section.push(LABEL);
            push_varint(section, (2 + name.len() + value.len()) as u64);
            section.push(NAME);
            section.extend_from_slice(name);
            section.push(VALUE);
            section.extend_from_slice(value);
        }
    }

    /// The reference to the metric's name.
    pub fn metric_name(&self, references: &[u32]) -> Option<u32> {
        let pairs = references.as_chunks::<2>().0.iter();
        pairs.filter(|[name, _]| self.text(*name) == Some(METRIC_NAME.as_bytes())).map(|[_, value]| *value).next()
    }

    /// Labels as text for a message, as far as there are symbols for them.
    pub fn describe(&self, references: &[u32]) -> String {
        let text = |reference| String::from_utf8_lossy(self.text(reference).unwrap_or(b"?")).into_owned();
        let pairs = references.as_chunks::<2>().0.iter().take(8);
        let labels: Vec<String> = pairs.map(|[name, value]| format!("{}={:?}", text(*name), text(*value))).collect();
        format!("{{{}}}", labels.join(", "))
    }

    /// What is wrong with references, as text.
    pub fn explain(&self, bad: BadReference) -> String {
        match bad {
            BadReference::Missing(reference) => format!("symbol {reference} of {}", self.places.len()),
            BadReference::Unpaired => "a name without a value".to_owned(),
        }
    }

    /// A key and what follows it.
    #[inline(always)]
    fn label_bytes(&self, reference: u32) -> Result<usize, BadReference> {
        let (start, end) = self.places.get(reference as usize).ok_or(BadReference::Missing(reference))?;
        Ok(1 + (end - start) as usize)
    }

    #[inline(always)]
    fn framed(&self, reference: u32) -> Option<&'a [u8]> {
        let (start, end) = *self.places.get(reference as usize)?;
        Some(&self.message[start as usize..end as usize])
    }
}
