//! Label sets as bytes: the form in which a series is known by one hash, without being taken apart.
//!
//! A *label section* is the run of `labels` fields (number 1) of a remote-write `TimeSeries` as protobuf lays it out:
//! for each label `0A len (0A len name 12 len value)`. It is *canonical* when names are sorted and unique, no value is
//! empty, and every length is a minimal varint. Senders produce canonical sections nearly always, so the hash of a
//! request's own bytes finds a known series; whatever misses is taken apart, checked and written canonically first.
//! Invariant: two canonical sections are equal if and only if their label sets are.

/// Writes and reads label sections.
#[derive(Clone, Copy, Debug)]
pub struct LabelSection<'a>(&'a [u8]);

/// A section that is no sequence of `labels` fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed label at byte {at} of the label section")]
pub struct MalformedSection {
    /// Where, in bytes from the start of the section.
    pub at: usize,
}

const LABEL: u8 = 0x0a; // TimeSeries.labels
const NAME: u8 = 0x0a; // Label.name
const VALUE: u8 = 0x12; // Label.value

impl<'a> LabelSection<'a> {
    /// Looks at `bytes` as a section; nothing is checked yet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes of the section.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The pairs as they stand: in any order, with duplicates, not checked for UTF-8. Missing names and values are
    /// empty; of repeated fields in one label the last counts, unknown fields are skipped, as protobuf has it.
    pub fn pairs(&self) -> impl Iterator<Item = Result<(&'a [u8], &'a [u8]), MalformedSection>> + 'a {
        let (section, mut at, mut failed) = (self.0, 0, false);
        std::iter::from_fn(move || {
            if failed || at >= section.len() {
                return None;
            }
            let start = at;
            let pair = read_label(section, &mut at);
            failed = pair.is_none();
            Some(pair.ok_or(MalformedSection { at: start }))
        })
    }

    /// Appends the canonical form of one pair to `out`. Calling it in the order of the names, each once, without
    /// empty values, writes a canonical section.
    pub fn push(out: &mut Vec<u8>, name: &str, value: &str) {
        out.push(LABEL);
        let length = 2 + varint_len(name.len()) + name.len() + varint_len(value.len()) + value.len();
        push_varint(out, length);
        out.push(NAME);
        push_varint(out, name.len());
        out.extend_from_slice(name.as_bytes());
        out.push(VALUE);
        push_varint(out, value.len());
        out.extend_from_slice(value.as_bytes());
    }
}

fn read_label<'a>(section: &'a [u8], at: &mut usize) -> Option<(&'a [u8], &'a [u8])> {
    if section.get(*at) != Some(&LABEL) {
        return None;
    }
    *at += 1;
    let body = read_bytes(section, at)?;
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut inner = 0;
    while inner < body.len() {
        let key = read_varint(body, &mut inner)?;
        match (key >> 3, key & 7) {
            (1, 2) => name = read_bytes(body, &mut inner)?,
            (2, 2) => value = read_bytes(body, &mut inner)?,
            (_, 0) => drop(read_varint(body, &mut inner)?),
            (_, 1) => inner = inner.checked_add(8).filter(|end| *end <= body.len())?,
            (_, 2) => drop(read_bytes(body, &mut inner)?),
            (_, 5) => inner = inner.checked_add(4).filter(|end| *end <= body.len())?,
            _ => return None,
        }
    }
    Some((name, value))
}

fn read_bytes<'a>(from: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let length = usize::try_from(read_varint(from, at)?).ok()?;
    let end = at.checked_add(length)?;
    let bytes = from.get(*at..end)?;
    *at = end;
    Some(bytes)
}

fn read_varint(from: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *from.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn push_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_len(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_pushed_is_read(pairs in proptest::collection::vec((".{0,200}", ".{0,300}"), 0..8)) {
            let mut bytes = Vec::new();
            for (name, value) in &pairs {
                LabelSection::push(&mut bytes, name, value);
            }
            let read: Vec<_> = LabelSection::new(&bytes).pairs().map(Result::unwrap).collect();
            let expected: Vec<_> = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn arbitrary_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let pairs: Vec<_> = LabelSection::new(&bytes).pairs().collect();
            prop_assert!(pairs.len() <= bytes.len());
        }
    }

    #[test]
    fn the_first_malformed_label_ends_the_walk() {
        let mut bytes = Vec::new();
        LabelSection::push(&mut bytes, "a", "b");
        let good = bytes.len();
        bytes.extend_from_slice(&[0x0a, 0x7f]);
        let pairs: Vec<_> = LabelSection::new(&bytes).pairs().collect();
        assert_eq!(pairs, [Ok((&b"a"[..], &b"b"[..])), Err(MalformedSection { at: good })]);
    }
}
