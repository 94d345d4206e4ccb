//! A new beginning for a tenant whose manifest cannot be read.
//!
//! The version that is made stands above all that are there and may follow none of them: the trim boundary is raised to it,
//! so that nobody looks below. Until the boundary is there the manifest is as unreadable as before, and the same may be done
//! again. Whoever has a version of before in memory must be stopped first.

use crate::commit::OperationId;
use crate::error::{BucketError, CommitError, Result};
use crate::manifest::Manifest;
use crate::tenant_store::TenantStore;

/// Versions below the newest that are tried for one that can be read.
const TRIED_MAX: usize = 100;

/// What is left of a tenant's manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remains {
    /// The highest version of which anything is left, be it readable or not; 0 if there is none.
    pub highest: u64,
    /// The newest of them that can be read.
    pub readable: Option<Manifest>,
    /// What is wrong with the newest version; nothing if it can be read, or if there is none.
    pub damage: Option<String>,
}

impl TenantStore {
    /// Looks for what is left of the manifest.
    pub async fn manifest_remains(&self) -> Result<Remains> {
        let damage = match self.load_manifest().await {
            Ok(Some(manifest)) => {
                return Ok(Remains { highest: manifest.version, readable: Some(manifest), damage: None });
            }
            Ok(None) => None,
            Err(error @ (BucketError::Corrupt { .. } | BucketError::NotFound { .. })) => Some(error.to_string()),
            Err(error) => return Err(error), // of a newer program, or the store does not answer
        };
        let versions = self.versions().await?;
        let boundary = self.trim_boundary().await.unwrap_or(0); // may be what is damaged
        let highest = versions.last().map_or(0, |last| last.version).max(boundary);
        let mut readable = None;
        for version in versions.iter().rev().take(TRIED_MAX) {
            match self.load_version(version.version).await {
                Ok(manifest) => {
                    readable = Some(manifest);
                    break;
                }
                Err(BucketError::Corrupt { .. } | BucketError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Remains { highest, readable, damage })
    }

    /// Makes `manifest` the newest version, above what `remains`. [`BucketError::Exists`] if somebody else was quicker.
    pub async fn refound(
        &self,
        remains: &Remains,
        mut manifest: Manifest,
        author: &str,
        operation: OperationId,
    ) -> Result<Manifest, CommitError> {
        let newest = remains.readable.as_ref().filter(|manifest| manifest.version == remains.highest);
        manifest.succeed(newest.unwrap_or(&Manifest::default()), author, operation);
        manifest.version = remains.highest + 1;
        let (version, key) = (manifest.version, self.version_key(manifest.version));
        self.store.put_if_absent(&key, manifest.encode()).await?;
        let found = self.load_version(version).await?;
        if version > 1 {
            self.store.put(&self.trim_key(), version.to_string().into()).await?;
        }
        self.write_hint(version).await;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestStore, block, hours};

    fn with_block(manifest: &Manifest, n: u64) -> Manifest {
        manifest.ship(block(n, hours(n as i64, n as i64 + 1)), &[]).unwrap()
    }

    #[tokio::test]
    async fn whatever_was_lost_there_is_a_new_beginning() {
        type Which<'a> = &'a dyn Fn(u64) -> bool;
        let all = |_: u64| true;
        let newest = |version: u64| version == 3;
        let cases: [(Which<'_>, Which<'_>, u64, Option<u64>); 5] = [
            (&|_| false, &all, 0, None),                    // all versions are gone
            (&|_| false, &newest, 2, Some(2)),              // the newest is gone: what is left reads well
            (&newest, &|_| false, 3, Some(2)),              // the newest is damaged
            (&all, &|_| false, 3, None),                    // all are damaged
            (&|version| version == 2, &newest, 2, Some(1)), // one is gone, the one before it is damaged
        ];
        for (case, (damaged, gone, highest, readable)) in cases.into_iter().enumerate() {
            let tenant = TestStore::new().tenant();
            let mut base = None;
            for n in 1..=3 {
                let operation = OperationId::new(n.into());
                base =
                    Some(tenant.commit(base.as_ref(), "test", operation, |old| Ok(with_block(old, n))).await.unwrap());
            }
            for version in 1..=3 {
                let key = tenant.version_key(version);
                if gone(version) {
                    tenant.store.delete(&key).await.unwrap();
                } else if damaged(version) {
                    tenant.store.put(&key, "nonsense".into()).await.unwrap();
                }
            }
            let remains = tenant.manifest_remains().await.unwrap();
            let found = remains.readable.as_ref().map(|manifest| manifest.version);
            assert_eq!((remains.highest, found), (highest, readable), "case {case}");
            assert_eq!(remains.damage.is_some(), highest > 0 && readable != Some(highest), "case {case}");

            let made = with_block(&Manifest::default(), 7);
            let made = tenant.refound(&remains, made, "rebuild", OperationId::new(9)).await.unwrap();
            let loaded = tenant.load_manifest().await.unwrap().unwrap();
            assert_eq!((&loaded, loaded.version, loaded.blocks.len()), (&made, highest + 1, 1), "case {case}");
            let next = tenant.commit(Some(&loaded), "test", OperationId::new(10), |old| Ok(with_block(old, 8))).await;
            assert_eq!(next.unwrap().blocks.len(), 2, "case {case}");
            assert_eq!(tenant.check_history(&tenant.load_manifest().await.unwrap().unwrap()).await.unwrap(), 2);
        }
    }
}
