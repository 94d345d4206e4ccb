//! Refusal frames, and what they say about a whole log.
//!
//! ```text
//! tenant | offset of the batch | how many | entries (as deltas) | samples within their entries
//! ```

use crate::samples::{SAMPLES_MAX, push_column, read_column};
use crate::varint::{Input, push, push_bytes};
use crate::{LogError, Offset, Refusals};
use hashbrown::HashMap;
use longhaul_model::TenantId;

/// Appends the payload for `refusals` to `out`.
pub(crate) fn encode(refusals: &Refusals, out: &mut Vec<u8>) -> Result<(), LogError> {
    if refusals.samples.len() > SAMPLES_MAX {
        return Err(LogError::TooLarge("more refusals than a frame may hold"));
    }
    push_bytes(out, refusals.tenant.as_str().as_bytes());
    push(out, refusals.batch);
    push(out, refusals.samples.len() as u64);
    let mut before = 0;
    let mut deltas: Vec<i64> = Vec::with_capacity(refusals.samples.len());
    for (entry, _) in &refusals.samples {
        deltas.push(i64::from(*entry) - before);
        before = i64::from(*entry);
    }
    push_column(out, &deltas);
    push_column(out, &refusals.samples.iter().map(|(_, sample)| i64::from(*sample)).collect::<Vec<_>>());
    Ok(())
}

/// Reads what [`encode`] wrote; `None` if `payload` is anything else.
pub(crate) fn decode(payload: &[u8]) -> Option<Refusals> {
    let mut input = Input(payload);
    let tenant = TenantId::parse(input.text()?).ok()?;
    let batch = input.varint()?;
    let count = usize::try_from(input.varint()?).ok().filter(|count| *count <= SAMPLES_MAX)?;
    let entries = read_column(&mut input, count)?;
    let within = read_column(&mut input, count)?;
    let mut entry = 0i64;
    let mut samples = Vec::with_capacity(count);
    for (delta, sample) in entries.into_iter().zip(within) {
        entry = entry.checked_add(delta)?;
        samples.push((u32::try_from(entry).ok()?, u32::try_from(sample).ok()?));
    }
    input.is_empty().then_some(Refusals { tenant, batch, samples })
}

/// The refused samples of all batches in the log.
///
/// Kept as they lie in the log: a tenant that sends nothing but conflicts must not cost more memory at the next start
/// than it took up on the disk.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    by_batch: HashMap<Offset, Vec<Box<[u8]>>>,
}

impl Refused {
    /// The refused samples of the batch at `batch`: (entry, sample within the entry), sorted; mostly none.
    pub fn of(&self, batch: Offset) -> Vec<(u32, u32)> {
        let payloads = self.by_batch.get(&batch).map_or(&[][..], Vec::as_slice);
        let mut samples: Vec<_> =
            payloads.iter().filter_map(|payload| decode(payload)).flat_map(|refusals| refusals.samples).collect();
        samples.sort_unstable();
        samples.dedup();
        samples
    }

    /// How many batches have refused samples.
    pub fn batches(&self) -> usize {
        self.by_batch.len()
    }

    /// Adds the payload of a frame that has been decoded before.
    pub(crate) fn add(&mut self, batch: Offset, payload: Box<[u8]>) {
        self.by_batch.entry(batch).or_default().push(payload);
    }
}
