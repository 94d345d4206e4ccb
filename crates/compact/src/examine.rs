//! Is a live block what the manifest says it is, and whole? Reads every byte that a query could.

use crate::error::CompactError;
use crate::input::{Fault, Unusable, meta_of, unusable};
use longhaul_block::{BlockFiles, verify};
use longhaul_bucket::{LiveBlock, TenantStore};
use tokio::runtime::Handle;

/// What an examination found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Samples that were found.
    pub samples: u64,
    /// What is wrong with the block, as texts for people; empty for a sound one.
    pub problems: Vec<String>,
}

/// Verifies a live block, read through `files`, and holds it against its entry in the manifest. The error is that of a store
/// that does not answer, and says nothing about the block. Blocks the thread; not for those of `handle`'s runtime.
pub fn examine(
    store: &TenantStore,
    live: &LiveBlock,
    files: &dyn BlockFiles,
    handle: &Handle,
) -> Result<Examined, CompactError> {
    let meta = match meta_of(store, live, handle) {
        Ok(meta) => meta,
        Err(unreadable) => return Examined::unreadable(unreadable),
    };
    let report = match verify(files, &meta) {
        Ok(report) => report,
        Err(error) => return Examined::unreadable(unusable(live.id, error)),
    };
    let mut problems: Vec<String> =
        report.problems.iter().map(|found| format!("{} at {}: {}", found.file, found.offset, found.reason)).collect();
    // Foreign blocks have no hash, and what tombstones delete is in the block and not in what it counts for.
    let counts = live.format > 0 && report.stats.num_tombstones == 0;
    if problems.is_empty()
        && counts
        && (live.samples, live.content_hash) != (report.stats.num_samples, report.content_hash)
    {
        problems.push("its content hash is not the one that the manifest has".to_owned());
    }
    Ok(Examined { bytes_read: report.bytes_read, samples: report.stats.num_samples, problems })
}

impl Examined {
    fn unreadable(why: Unusable) -> Result<Self, CompactError> {
        match why {
            Unusable::Fault(Fault { reason, .. }) => Ok(Self { problems: vec![reason], ..Self::default() }),
            Unusable::Error(error) => Err(error),
        }
    }
}
