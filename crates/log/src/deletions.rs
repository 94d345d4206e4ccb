//! Deletion frames: what a tenant wants gone of what stands before them in the log.
//!
//! ```text
//! tenant | id, 16 bytes | number of matchers | each: op, name, value | start and end of the range, signed
//!        | when it was asked for, signed
//! ```

use crate::varint::{Input, push, push_bytes, push_signed};
use crate::{Deletion, LogError};
use longhaul_model::{MatchOp, Matcher, TenantId, TimeRange, Tombstone};

/// Longest text of a deletion's matchers together, bytes: what an HTTP request may bring is shorter.
const SELECTOR_BYTES_MAX: usize = 1 << 20;

/// The ops by the byte that stands for each.
const OPS: [MatchOp; 4] = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];

/// Appends the payload for `deletion` to `out`.
pub(crate) fn encode(deletion: &Deletion, out: &mut Vec<u8>) -> Result<(), LogError> {
    let Tombstone { matchers, range } = &deletion.tombstone;
    let size_bytes: usize = matchers.iter().map(|matcher| matcher.name.len() + matcher.value.len()).sum();
    if size_bytes > SELECTOR_BYTES_MAX {
        return Err(LogError::TooLarge("a selector longer than a frame may hold"));
    }
    push_bytes(out, deletion.tenant.as_str().as_bytes());
    out.extend_from_slice(&deletion.id.to_le_bytes());
    push(out, matchers.len() as u64);
    for matcher in matchers {
        let op = OPS.iter().position(|op| *op == matcher.op).expect("all ops are listed");
        out.push(op as u8);
        push_bytes(out, matcher.name.as_bytes());
        push_bytes(out, matcher.value.as_bytes());
    }
    push_signed(out, range.start_ms);
    push_signed(out, range.end_ms);
    push_signed(out, deletion.since_ms);
    Ok(())
}

/// Reads what [`encode`] wrote; `None` if `payload` is anything else.
pub(crate) fn decode(payload: &[u8]) -> Option<Deletion> {
    let mut input = Input(payload);
    let tenant = TenantId::parse(input.text()?).ok()?;
    let id = u128::from_le_bytes(input.take(16)?.try_into().ok()?);
    let mut matchers = Vec::new();
    for _ in 0..input.varint()? {
        let op = *OPS.get(usize::from(input.byte()?))?;
        matchers.push(Matcher::new(input.text()?, op, input.text()?).ok()?);
    }
    let range = TimeRange::new(input.signed()?, input.signed()?);
    let since_ms = input.signed()?;
    let tombstone = Tombstone { matchers, range };
    input.is_empty().then_some(Deletion { tenant, id, tombstone, since_ms })
}
