//! What takes room in a bucket: every object of a tenant, counted by what it is and by what the manifest says of its block.
//!
//! This is a LIST, for people; nothing is decided by it (I-MAN-3).

use crate::error::Result;
use crate::manifest::{BlockAddress, Manifest, Place};
use crate::tenant_store::TenantStore;
use longhaul_model::BlockId;
use object_store::ObjectMeta;
use object_store::path::Path as Key;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

/// Objects, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub objects: u64,
    /// All of them together, bytes.
    pub size_bytes: u64,
}

/// What a tenant has in the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Objects of live blocks by part: the first component of their path in the block, `chunks`, `index`, `meta.json`...
    pub live: BTreeMap<String, Tally>,
    /// Objects of retired blocks.
    pub retired: Tally,
    /// Objects in folders that are named like a block and that the manifest does not know.
    pub unknown: Tally,
    /// Those folders.
    pub unknown_blocks: BTreeSet<BlockId>,
    /// The manifest's versions, and what helps to find the newest.
    pub manifest: Tally,
    /// Whatever else lies in the tenant's folder.
    pub other: Tally,
    /// Live blocks without any object.
    pub missing: BTreeSet<BlockId>,
}

impl Tally {
    fn add(&mut self, object: &ObjectMeta) {
        self.objects += 1;
        self.size_bytes += object.size;
    }
}

impl TenantStore {
    /// Counts the objects in the tenant's folder, and those of its blocks that lie elsewhere.
    pub async fn survey(&self, manifest: &Manifest) -> Result<Survey> {
        let live = manifest.blocks.iter().map(|block| (block.address(), true));
        let retired = manifest.retired.iter().map(|block| (block.address(), false));
        let known: HashMap<BlockAddress, bool> = live.chain(retired).collect();
        let mut survey =
            Survey { missing: manifest.blocks.iter().map(|block| block.id).collect(), ..Survey::default() };
        let mut folders = vec![(self.folder(), Place::Tenant)];
        let elsewhere = known.keys().filter(|block| block.place == Place::Root);
        folders.extend(elsewhere.map(|block| (self.block_folder(*block), Place::Root)));
        for (folder, place) in folders {
            let root = match place {
                Place::Tenant => folder.clone(),
                Place::Root => self.store.key(""),
            };
            let mut visit = |object: ObjectMeta| {
                survey.add(&object, &root, place, &known);
                ControlFlow::Continue(())
            };
            self.store.for_each(&folder, &mut visit).await?;
        }
        Ok(survey)
    }
}

impl Survey {
    fn add(&mut self, object: &ObjectMeta, root: &Key, place: Place, known: &HashMap<BlockAddress, bool>) {
        let mut path = object.location.prefix_match(root).into_iter().flatten();
        let (first, second) = (path.next(), path.next());
        let name = first.as_ref().map_or("", |first| first.as_ref());
        let Ok(id) = BlockId::from_string(name) else {
            let tally = if name == "_longhaul" { &mut self.manifest } else { &mut self.other };
            return tally.add(object);
        };
        match known.get(&BlockAddress { id, place }) {
            Some(true) => {
                let part = second.as_ref().map_or("", |second| second.as_ref());
                self.live.entry(part.to_owned()).or_default().add(object);
                self.missing.remove(&id);
            }
            Some(false) => self.retired.add(object),
            None => {
                self.unknown.add(object);
                self.unknown_blocks.insert(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestStore, at, block, hours, id};
    use crate::{OperationId, RetiredBlock};

    #[tokio::test]
    async fn every_object_is_counted_once_and_by_what_it_is() {
        let tenant = TestStore::new().tenant();
        let put = async |key: Key, length: usize| tenant.store.put(&key, vec![0; length].into()).await.unwrap();
        let root = BlockAddress { id: id(5), place: Place::Root };
        for (block, file, length) in [
            (at(1), "chunks/000001", 100),
            (at(1), "chunks/000002", 50),
            (at(1), "index", 7),
            (at(1), "meta.json", 3),
            (at(2), "index", 11),
            (at(3), "index", 13),
            (root, "index", 17),
            // A block of another place that has a live block's name is not that block.
            (BlockAddress { id: id(1), place: Place::Root }, "index", 1000),
        ] {
            put(tenant.block_key(block, file), length).await;
        }
        put(tenant.store.key("team-a/markers/x"), 19).await;
        put(tenant.store.key("team-b/_longhaul/manifest/hint"), 1000).await;
        let mut foreign = block(5, hours(0, 2));
        foreign.place = Place::Root;
        let manifest = tenant
            .commit(None, "test", OperationId::new(1), |empty| {
                let mut next = empty.clone();
                next.blocks = vec![block(1, hours(0, 2)), foreign.clone(), block(9, hours(2, 4))];
                let place = Place::Tenant;
                next.retired = vec![RetiredBlock { id: id(2), place, since_ms: 0, replaced_by: Vec::new() }];
                Ok(next)
            })
            .await
            .unwrap();

        let survey = tenant.survey(&manifest).await.unwrap();
        let tally = |objects, size_bytes| Tally { objects, size_bytes };
        let parts: Vec<(&str, Tally)> = survey.live.iter().map(|(part, tally)| (part.as_str(), *tally)).collect();
        assert_eq!(parts, [("chunks", tally(2, 150)), ("index", tally(2, 24)), ("meta.json", tally(1, 3))]);
        assert_eq!((survey.retired, survey.unknown, survey.other), (tally(1, 11), tally(1, 13), tally(1, 19)));
        assert_eq!((survey.unknown_blocks, survey.missing), ([id(3)].into(), [id(9)].into()));
        assert_eq!(survey.manifest.objects, 2, "a version and the hint");
        assert_eq!(tenant.check_history(&manifest).await.unwrap(), 1);
    }
}
