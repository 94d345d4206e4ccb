//! A tenant's prefix in object storage: names of objects, the manifest that says which blocks are live, uploads in the
//! right order, ranged reads.
//!
//! Layer 3. [`open_store`] and [`probe`] at the start of a process; then one [`TenantStore`] a tenant, which is the only
//! way to form an object key. Layout: docs/formats/bucket.md; the manifest: docs/formats/manifest.md. A manifest is a
//! plain value ([`Manifest`]) with pure functions from one version to the next; [`TenantStore::commit`] is the one
//! place that makes a version real.
//!
//! Knows nothing of PromQL, heads, logs' contents, HTTP, or when something is shipped, compacted or deleted.

mod bucket_index;
mod commit;
mod deletion;
mod error;
mod history;
mod inventory;
mod local_files;
mod manifest;
mod probe;
mod refound;
mod remote_files;
mod store;
mod survey;
mod tenant_store;
mod upload;
mod url;

pub use commit::OperationId;
pub use deletion::BlockObject;
pub use error::{BucketError, CommitError, Rejected, Result};
pub use history::{StoredVersion, TrimBoundary};
pub use inventory::{FoundBlock, FoundContent, root_blocks};
pub use manifest::{
    BlockAddress, Candidate, Deletion, Fate, LiveBlock, Manifest, Place, Precedence, QuarantinedBlock, Rebuilt,
    RetiredBlock, Through, ThroughEntry, settle,
};
pub use probe::probe;
pub use refound::Remains;
pub use store::{Store, StoreMetrics};
pub use survey::{Survey, Tally};
pub use tenant_store::TenantStore;
pub use upload::Uploaded;
pub use url::{StoreOptions, StoreUrl, open_store};

#[cfg(test)]
mod testing;
