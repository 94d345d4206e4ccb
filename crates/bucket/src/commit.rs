//! Making a version of the manifest real: the one place where the truth changes.
//!
//! A version is created with put-if-absent over the one whose hash it holds (**I-MAN-1**). What a store answers to that
//! is never believed, only what is there afterwards; the operation id says whose it is (**I-MAN-2**). A version below
//! the trim boundary was created in a place where a newer one had been, and does not count.

use crate::error::{BucketError, CommitError, Rejected, Result};
use crate::manifest::Manifest;
use crate::tenant_store::TenantStore;
use bytes::Bytes;
use std::time::Duration;

/// Names one commit, so that its author recognises it whatever the store answered: 128 fresh random bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub uuid::Uuid);

impl OperationId {
    /// The operation with these bits.
    pub fn new(random: u128) -> Self {
        Self(uuid::Uuid::from_u128(random))
    }
}

impl std::fmt::Display for OperationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How many races for the next version are lost before a commit gives up.
const RACES_MAX: u32 = 100;
/// How often one version is tried while its outcome is unclear.
const ATTEMPTS_MAX: u32 = 5;
/// First pause after a lost race or an unclear outcome; doubled up to 64 of it.
const PAUSE: Duration = Duration::from_millis(5);

/// What is at a version after an attempt to create it.
enum Outcome {
    /// The manifest of this operation.
    Ours(Manifest),
    /// That of another.
    Theirs(Manifest),
    /// Nothing any more: the version is below the trim boundary.
    Trimmed,
}

impl TenantStore {
    /// Applies `change` to the newest manifest and commits the result as its next version; returns the version that
    /// the operation made, as it was read back from the store.
    ///
    /// `base` is the newest version that the caller knows; none (or version 0) if the tenant had no manifest. Whenever
    /// another was quicker, `change` is called again with that version, and has to check again that it still applies.
    /// It sees to the content only: version, hash, author and operation id are set here.
    ///
    /// After [`CommitError::Unclear`] the same call may be repeated: an operation found in a version after `base` is
    /// not applied again.
    pub async fn commit(
        &self,
        base: Option<&Manifest>,
        author: &str,
        operation: OperationId,
        change: impl Fn(&Manifest) -> Result<Manifest, Rejected>,
    ) -> Result<Manifest, CommitError> {
        let mut newest = base.cloned().unwrap_or_default();
        for race in 0..RACES_MAX {
            let mut next = change(&newest)?;
            next.succeed(&newest, author, operation);
            let mut outcome = self.create(&mut next, operation).await?;
            if let Outcome::Theirs(theirs) = outcome {
                // The first one says whether `newest` was what it claimed to be.
                if newest.version > 0 {
                    self.check_follows(&theirs, &newest)?;
                }
                outcome = self.walk(theirs, operation).await?;
            }
            if let Outcome::Ours(manifest) | Outcome::Theirs(manifest) = &outcome
                && manifest.version < self.trim_boundary().await?
            {
                // Our base lies below the boundary: what was made or found on it is no part of the truth.
                outcome = Outcome::Trimmed;
            }
            match outcome {
                Outcome::Ours(manifest) => {
                    self.write_hint(manifest.version).await;
                    return Ok(manifest);
                }
                Outcome::Theirs(manifest) => newest = manifest,
                Outcome::Trimmed => newest = self.load_manifest().await?.unwrap_or_default(),
            }
            tokio::time::sleep(pause(operation, race)).await;
        }
        Err(CommitError::Contended(RACES_MAX))
    }

    /// Creates the version, or finds out who did.
    async fn create(&self, next: &mut Manifest, operation: OperationId) -> Result<Outcome, CommitError> {
        let version = next.version;
        let key = self.version_key(version);
        let bytes = next.encode();
        let mut last = BucketError::NotFound { key: key.clone() };
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(pause(operation, attempt)).await;
            }
            let answer = self.store.put_if_absent(&key, Bytes::clone(&bytes)).await;
            // A time-out may hide a success, "exists" may be our own earlier request, and a conflict may be about a
            // request that came to nothing. Trying the same bytes again is safe in all cases: only one can be there.
            match self.load_version(version).await {
                Ok(found) if found.operation == operation => return Ok(Outcome::Ours(found)),
                Ok(found) => return Ok(Outcome::Theirs(found)),
                Err(error @ (BucketError::Corrupt { .. } | BucketError::Unsupported { .. })) => {
                    return Err(error.into());
                }
                Err(BucketError::NotFound { .. }) => match answer {
                    Ok(()) if version < self.trim_boundary().await? => return Ok(Outcome::Trimmed),
                    Ok(()) => {
                        let reason = format!("{key} is not there right after it was written");
                        return Err(BucketError::Unfit { store: self.store.to_string(), reason }.into());
                    }
                    // Refused before anything happened, and nothing is there.
                    Err(error) if !error.is_transient() && !matches!(error, BucketError::Exists { .. }) => {
                        return Err(error.into());
                    }
                    Err(error) => last = error,
                },
                Err(error) => last = error,
            }
        }
        Err(CommitError::Unclear { version, source: last })
    }

    /// From a version of another up to the newest one, or to the one that this operation made in an earlier call.
    async fn walk(&self, theirs: Manifest, operation: OperationId) -> Result<Outcome> {
        let mut newest = theirs;
        loop {
            let next = match self.load_version(newest.version + 1).await {
                Ok(next) => next,
                Err(error) if error.is_not_found() => return Ok(Outcome::Theirs(newest)),
                Err(error) => return Err(error),
            };
            self.check_follows(&next, &newest)?;
            if next.operation == operation {
                return Ok(Outcome::Ours(next));
            }
            newest = next;
        }
    }
}

impl Manifest {
    /// Makes this the version after `previous`.
    pub(crate) fn succeed(&mut self, previous: &Self, author: &str, operation: OperationId) {
        self.version = previous.version + 1;
        self.previous_hash = previous.hash();
        self.author = author.to_owned();
        self.operation = operation;
        self.blocks.sort_by_key(|block| (block.range.start_ms, block.id));
    }
}

/// Doubles with every turn; those who lost together do not come back together.
fn pause(operation: OperationId, turn: u32) -> Duration {
    let longest = PAUSE.saturating_mul(1 << turn.min(6));
    let spread = (operation.0.as_u128() >> (turn % 16 * 8)) as u32 % 256;
    longest.mul_f64(0.5 + f64::from(spread) / 512.0)
}

#[cfg(test)]
mod tests;
