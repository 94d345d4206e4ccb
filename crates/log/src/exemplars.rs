//! What a frame of kind 7 has behind the payload of a mixed frame: the exemplars of the batch, as columns.
//!
//! ```text
//! exemplars per entry | times (as deltas) | values | texts: count, text... | labels of each: pairs, (name, value)...
//! ```

use crate::samples::{SAMPLES_MAX, SampleColumns, ValueWriter, push_column, read_column, read_values};
use crate::varint::{Input, push, push_bytes};
use crate::{Batch, LogError, mixed};
use hashbrown::HashMap;
use longhaul_model::{Exemplar, Labels, TenantId};

/// The decoded exemplars.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    /// How many of them each entry has.
    pub(crate) counts: Vec<u32>,
    /// Entry by entry.
    pub(crate) exemplars: Vec<Exemplar>,
}

/// Appends the exemplars of `batch`.
pub(crate) fn encode<B: Batch>(batch: &B, out: &mut Vec<u8>) -> Result<(), LogError> {
    let counts: Vec<i64> = (0..batch.entries()).map(|entry| batch.exemplars(entry).len() as i64).collect();
    let all: Vec<&Exemplar> = (0..batch.entries()).flat_map(|entry| batch.exemplars(entry)).collect();
    if all.len() > SAMPLES_MAX {
        return Err(LogError::TooLarge("more exemplars than a frame may hold"));
    }
    push_column(out, &counts);
    push_column(out, &mixed::deltas(all.iter().map(|exemplar| exemplar.t_ms)));
    let mut values = ValueWriter::default();
    all.iter().for_each(|exemplar| values.push(out, exemplar.value));
    values.finish(out);
    let (mut numbers, mut texts, mut labels) = (HashMap::new(), Vec::new(), Vec::new());
    for exemplar in all {
        push(&mut labels, exemplar.labels.len() as u64);
        for text in exemplar.labels.iter().flat_map(|(name, value)| [name, value]) {
            let next = numbers.len() as u64;
            push(
                &mut labels,
                *numbers.entry(text).or_insert_with(|| {
                    push_bytes(&mut texts, text.as_bytes());
                    next
                }),
            );
        }
    }
    push(out, numbers.len() as u64);
    out.append(&mut texts);
    out.append(&mut labels);
    Ok(())
}

/// Reads the payload of a frame with exemplars; `None` if it is anything else.
pub(crate) fn decode(payload: &[u8]) -> Option<(TenantId, SampleColumns, mixed::Others, Exemplars)> {
    let mut input = Input(payload);
    let (tenant, columns, others) = mixed::read(&mut input)?;
    let mut found = Exemplars::default();
    let mut total = 0usize;
    for count in read_column(&mut input, columns.series.len())? {
        let count = u32::try_from(count).ok()?;
        total = total.checked_add(count as usize).filter(|total| *total <= SAMPLES_MAX)?;
        found.counts.push(count);
    }
    let times = mixed::sums(read_column(&mut input, total)?);
    let values = read_values(&mut input, total)?;
    let mut texts = Vec::new();
    for _ in 0..input.varint()? {
        texts.push(input.text()?);
    }
    for (t_ms, value) in times.into_iter().zip(values) {
        let mut pairs = Vec::new();
        for _ in 0..input.varint()? {
            let mut text = || texts.get(usize::try_from(input.varint()?).ok()?).copied();
            pairs.push((text()?, text()?));
        }
        found.exemplars.push(Exemplar { t_ms, value, labels: Labels::from_pairs(pairs) });
    }
    input.is_empty().then_some((tenant, columns, others, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, Scratch};
    use crate::tests::support::World;
    use longhaul_model::Sample;
    use longhaul_testkit::measurements::measurement;
    use proptest::prelude::*;

    fn payload(exemplars: Vec<Vec<Exemplar>>) -> Vec<u8> {
        let world = World::new(&[3]);
        let entries = (0..3).map(|series| (series, vec![Sample::new(7, 1.5)])).collect();
        let batch = world.mixed(entries, vec![vec![measurement(8, 1, 1)]]).with_exemplars(exemplars);
        let mut out = Vec::new();
        samples::encode(&batch, &mut Scratch::default(), &mut out).unwrap();
        mixed::encode(&batch, &mut out).unwrap();
        encode(&batch, &mut out).unwrap();
        out
    }

    fn exemplar() -> impl Strategy<Value = Exemplar> {
        let labels = proptest::collection::btree_map("[a-c]{1,3}", "\\PC{1,6}", 0..4);
        (any::<i64>(), any::<f64>(), labels).prop_map(|(t_ms, value, labels)| {
            let labels = Labels::from_pairs(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            Exemplar { t_ms, value, labels }
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_and_nothing_shorter_is(
            first in proptest::collection::vec(exemplar(), 0..6),
            last in proptest::collection::vec(exemplar(), 0..3),
            cut in any::<prop::sample::Index>(),
        ) {
            let payload = payload(vec![first.clone(), vec![], last.clone()]);
            let (_, columns, others, decoded) = decode(&payload).unwrap();
            prop_assert_eq!((columns.times, others.counts), (vec![7, 7, 7], vec![1, 0, 0]));
            prop_assert_eq!(decoded.counts, [first.len() as u32, 0, last.len() as u32]);
            prop_assert_eq!(decoded.exemplars, [first, last].concat());
            prop_assert!(decode(&payload[..cut.index(payload.len())]).is_none());
        }

        #[test]
        fn changed_bytes_end_in_an_answer(
            exemplars in proptest::collection::vec(exemplar(), 1..6),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut payload = payload(vec![exemplars]);
            for (at, byte) in changes {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            decode(&payload);
        }
    }
}
