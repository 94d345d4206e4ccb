//! Keys that stay within their tenant, the way to the newest manifest, and deletion in order.

use super::*;
use crate::OperationId;
use crate::testing::*;
use bytes::Bytes;

async fn with_versions(tenant: &TenantStore, count: u64) -> Vec<Manifest> {
    let mut versions: Vec<Manifest> = Vec::new();
    for n in 1..=count {
        let change = |base: &Manifest| base.ship(block(n, hours(0, 2)), &[]);
        versions.push(tenant.commit(versions.last(), "test", OperationId::new(n.into()), change).await.unwrap());
    }
    versions
}

/// Trims as a collector does: the boundary, then every version that a LIST shows below it.
async fn trim(tenant: &TenantStore, version: u64) {
    let boundary = tenant.raise_trim_boundary(version).await.unwrap();
    for old in tenant.versions().await.unwrap().iter().filter(|it| it.version < boundary.version()) {
        tenant.delete_version(old.version, boundary).await.unwrap();
    }
}

/// Deletes what there is of a block, in order; how many objects that were.
async fn delete_block(tenant: &TenantStore, block: BlockAddress) -> usize {
    let objects = tenant.block_objects(block).await.unwrap();
    for object in &objects {
        tenant.delete_block_object(block, object).await.unwrap();
    }
    objects.len()
}

/// I-TENANT-1
#[tokio::test]
async fn keys_stay_within_their_tenant() {
    let tenant = |name: &str| TenantStore::new(TestStore::new().store(), TenantId::parse(name).unwrap());
    assert_eq!(tenant("a").version_key(7).to_string(), "some/prefix/a/_longhaul/manifest/00000000000000000007");
    assert_eq!(
        tenant("a").block_key(at(0), "chunks/000001").to_string(),
        format!("some/prefix/a/{}/chunks/000001", id(0))
    );
    for name in ["a", "...", "a.b_c*d'(e)!", "x!-_.*'()"] {
        let tenant = tenant(name);
        for key in [tenant.version_key(u64::MAX), tenant.hint_key(), tenant.block_folder(at(1))] {
            let parts: Vec<&str> = key.as_ref().split('/').collect();
            assert_eq!(parts[..3], ["some", "prefix", name], "neither escaped nor escaping");
        }
    }
    let bare = TenantStore::new(Store::memory(), TenantId::anonymous());
    assert_eq!(bare.hint_key().to_string(), "anonymous/_longhaul/manifest/hint");
}

#[tokio::test]
async fn one_tenant_does_not_see_another() {
    let store = Store::memory();
    let tenants = ["a", "a*", "ab"].map(|name| TenantStore::new(store.clone(), TenantId::parse(name).unwrap()));
    let versions = with_versions(&tenants[0], 3).await;
    with_versions(&tenants[2], 1).await;
    assert_eq!(tenants[0].load_manifest().await.unwrap().as_ref(), versions.last());
    assert_eq!(tenants[1].load_manifest().await.unwrap(), None);
    assert_eq!(tenants[2].load_manifest().await.unwrap().unwrap().version, 1);
    // Ids are a tenant's own: deleting a block of one leaves that of another.
    for tenant in &tenants {
        tenant.store.put(&tenant.block_key(at(1), "meta.json"), Bytes::from_static(b"{}")).await.unwrap();
    }
    assert_eq!(delete_block(&tenants[0], at(1)).await, 1);
    assert!(store.exists(&tenants[2].block_key(at(1), "meta.json")).await.unwrap());
}

#[tokio::test]
async fn tenants_are_those_with_a_manifest() {
    let store = Store::new(TestStore::new(), "p").unwrap();
    assert_eq!(TenantStore::tenants(&store).await.unwrap(), []);
    let names = ["b", "a*'()", "c"].map(|name| TenantId::parse(name).unwrap());
    for tenant in &names[..2] {
        with_versions(&TenantStore::new(store.clone(), tenant.clone()), 1).await;
    }
    let without = TenantStore::new(store.clone(), names[2].clone());
    for key in [without.block_key(at(1), "meta.json"), store.key("__mimir_cluster/seed.json"), store.key("file")] {
        store.put(&key, Bytes::from_static(b"{}")).await.unwrap();
    }
    let b = TenantStore::new(store.clone(), names[0].clone());
    store.delete(&b.hint_key()).await.unwrap();
    assert_eq!(TenantStore::tenants(&store).await.unwrap(), [names[1].clone(), names[0].clone()]);
}

/// The hint may be missing, old, ahead of the truth or garbage: the newest version is found.
#[tokio::test]
async fn the_hint_need_not_be_right() {
    let tenant = TestStore::new().tenant();
    let versions = with_versions(&tenant, 21).await;
    for hint in
        [None, Some("1"), Some("7"), Some("20"), Some("21"), Some("22"), Some("18446744073709551615"), Some("x")]
    {
        match hint {
            None => tenant.store.delete(&tenant.hint_key()).await.unwrap(),
            Some(text) => tenant.store.put(&tenant.hint_key(), Bytes::from(text)).await.unwrap(),
        }
        assert_eq!(tenant.load_manifest().await.unwrap().as_ref(), versions.last(), "{hint:?}");
    }
    trim(&tenant, 20).await;
    for hint in ["3", "25", "0"] {
        tenant.store.put(&tenant.hint_key(), Bytes::from(hint)).await.unwrap();
        assert_eq!(tenant.load_manifest().await.unwrap().as_ref(), versions.last(), "{hint:?} after trimming");
    }
}

/// I-MAN-3
#[tokio::test]
async fn an_up_to_date_hint_makes_loading_cheap() {
    let test = TestStore::new();
    with_versions(&test.tenant(), 5).await;
    test.take_calls();
    test.tenant().load_manifest().await.unwrap();
    let calls = test.take_calls();
    assert!(calls.len() <= 6, "{calls:?}");
    assert!(calls.iter().all(|(call, _)| *call != Call::List), "I-MAN-3: truth never comes from a LIST");
}

#[tokio::test]
async fn damage_is_reported_as_damage() {
    let tenant = TestStore::new().tenant();
    let versions = with_versions(&tenant, 3).await;
    let key = tenant.version_key(3);
    let sound = tenant.store.get(&key).await.unwrap();
    for at in [0, 9, sound.len() - 1] {
        let mut damaged = sound.to_vec();
        damaged[at] ^= 1;
        tenant.store.put(&key, damaged.into()).await.unwrap();
        let error = tenant.load_manifest().await.unwrap_err();
        assert!(matches!(error, BucketError::Corrupt { .. }), "{error}");
    }
    // A version 3 that is sound but has another predecessor.
    let other = TestStore::new().tenant();
    let mut foreign = with_versions(&other, 4).await[2].clone();
    foreign.previous_hash[0] ^= 1;
    tenant.store.put(&key, foreign.encode()).await.unwrap();
    for result in
        [tenant.load_manifest().await, tenant.load_newer(&versions[1]).await, tenant.load_newer(&versions[0]).await]
    {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("predecessor"), "{error}");
    }
    // A predecessor that is gone although nobody trimmed it.
    tenant.store.put(&key, sound).await.unwrap();
    tenant.store.delete(&tenant.version_key(2)).await.unwrap();
    let error = tenant.load_manifest().await.unwrap_err();
    assert!(matches!(error, BucketError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn trimming_writes_the_boundary_first_and_never_lowers_it() {
    let test = TestStore::new();
    let tenant = test.tenant();
    with_versions(&tenant, 6).await;
    assert!(tenant.raise_trim_boundary(7).await.unwrap_err().is_not_found());
    test.take_calls();
    trim(&tenant, 4).await;
    let calls = test.take_calls();
    let changes: Vec<_> = calls
        .iter()
        .filter(|(call, _)| matches!(call, Call::Create | Call::Update | Call::Put | Call::Delete))
        .map(|(call, key)| (*call, key.rsplit('/').next().unwrap().trim_start_matches('0')))
        .collect();
    let expected = [(Call::Create, "trim"), (Call::Delete, "1"), (Call::Delete, "2"), (Call::Delete, "3")];
    assert_eq!(changes, expected);
    trim(&tenant, 5).await;
    trim(&tenant, 5).await;
    assert_eq!(tenant.raise_trim_boundary(4).await.unwrap().version(), 5);
    assert_eq!(tenant.trim_boundary().await.unwrap(), 5);
    assert_eq!(tenant.load_manifest().await.unwrap().unwrap().version, 6);
}

/// Local directories cannot compare and swap; of those who try at once some are told to come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_lowers_the_boundary_of_a_local_directory() {
    let dir = tempfile::tempdir().unwrap();
    let url = crate::StoreUrl::File(dir.path().to_owned());
    let open = || TenantStore::new(crate::open_store(&url, &Default::default()).unwrap(), TenantId::anonymous());
    with_versions(&open(), 40).await;
    let mut seen = 0;
    for round in 0..9u64 {
        let turns = (1..=4).map(|n| {
            tokio::spawn({
                let tenant = open();
                async move { tenant.raise_trim_boundary(round * 4 + n).await.map(|boundary| (n, boundary.version())) }
            })
        });
        let mut raised = 0;
        for turn in futures::future::join_all(turns).await {
            match turn.unwrap() {
                Ok((n, boundary)) => {
                    assert!(boundary >= round * 4 + n, "it is where it was asked for, or above");
                    raised = raised.max(boundary);
                }
                Err(BucketError::Local { source, .. }) => assert_eq!(source.kind(), std::io::ErrorKind::WouldBlock),
                Err(error) => panic!("{error}"),
            }
        }
        let now = open().trim_boundary().await.unwrap();
        assert!(now >= seen && now >= raised, "{now} after {seen} and {raised}");
        seen = now;
    }
    trim(&open(), 38).await;
    assert_eq!(open().load_manifest().await.unwrap().unwrap().version, 40);
    assert_eq!(open().versions().await.unwrap()[0].version, 38);
}

/// Rule 2: `meta.json` goes first, the deletion mark last.
#[tokio::test]
async fn blocks_are_deleted_in_order() {
    let test = TestStore::new();
    let tenant = test.tenant();
    for file in ["chunks/000001", "index", "meta.json", "zzz"] {
        tenant.store.put(&tenant.block_key(at(1), file), Bytes::from_static(b"x")).await.unwrap();
    }
    tenant.mark_deleted(at(1), 1_700_000_000_123, "replaced").await.unwrap();
    let mark = tenant.store.get(&tenant.block_key(at(1), "deletion-mark.json")).await.unwrap();
    let mark: serde_json::Value = serde_json::from_slice(&mark).unwrap();
    assert_eq!(mark["deletion_time"], 1_700_000_000);
    assert_eq!(mark["version"], 1);
    assert_eq!(mark["id"], id(1).to_string());
    test.take_calls();
    assert_eq!(delete_block(&tenant, at(1)).await, 5);
    let deleted: Vec<String> =
        test.take_calls().into_iter().filter(|(call, _)| *call == Call::Delete).map(|(_, key)| key).collect();
    assert!(deleted[0].ends_with("/meta.json") && deleted[4].ends_with("/deletion-mark.json"), "{deleted:?}");
    assert_eq!(delete_block(&tenant, at(1)).await, 0);
    assert!(tenant.block_meta(at(1)).await.unwrap_err().is_not_found());
}
