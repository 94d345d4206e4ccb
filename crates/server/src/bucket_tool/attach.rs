//! `longhaul bucket attach`: takes over a bucket of Prometheus, Thanos, Mimir or Cortex as it is. Blocks are neither copied
//! nor changed; what is made is a manifest that names them.

use super::Target;
use super::found::{Found, LeftOut, candidates, left_out};
use crate::block_tool::ToolError;
use crate::serve::system_ids;
use clap::Args;
use longhaul_bucket::{
    BlockAddress, Candidate, CommitError, Manifest, OperationId, Place, Rejected, Store, TenantStore, root_blocks,
};
use longhaul_model::{BlockId, IdSource, TenantId, is_tagged};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::time::Duration;

/// Who commits, for people who read a manifest.
const AUTHOR: &str = "attach";
/// Whose blocks become that lie uppermost in the store, unless something is said.
const TENANT: &str = "anonymous";

#[derive(Debug, Args)]
pub(crate) struct AttachArguments {
    #[command(flatten)]
    target: Target,
    /// The blocks lie uppermost in the store, as Thanos and Prometheus have them, and become those of --tenant
    /// [default: anonymous]. Without this, tenants are the folders that hold blocks, as Mimir and Cortex have them
    #[arg(long)]
    root: bool,
    /// With --root: the external label whose value is the tenant of a block; blocks without it become those of --tenant, or are
    /// left out if that is not given
    #[arg(long, value_name = "LABEL", requires = "root")]
    tenant_label: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on looking for blocks that others add, this often (5m, 1h)
    #[arg(long, value_name = "INTERVAL", conflicts_with = "dry_run")]
    follow: Option<String>,
}

/// What was done for a tenant, or would be.
#[derive(Debug, Serialize)]
struct Report {
    tenant: TenantId,
    /// The version of the manifest that names them; of the one before it in a dry run, 0 if there is none.
    version: u64,
    attached: Vec<Attached>,
    left_out: Vec<LeftOut>,
    applied: bool,
}

#[derive(Debug, Serialize)]
struct Attached {
    block: String,
    min_time_ms: i64,
    max_time_ms: i64,
    resolution_ms: i64,
    series: u64,
    samples: u64,
    labels: BTreeMap<String, String>,
}

pub(super) async fn run(arguments: &AttachArguments) -> Result<(), ToolError> {
    let interval = arguments.follow.as_deref().map(crate::config::quantity::Duration::parse).transpose();
    let interval = interval.map_err(|error| ToolError::Usage(format!("--follow: {error}")))?;
    let store = arguments.target.open()?;
    let ids = system_ids();
    attach(arguments, &store, &ids).await?;
    let Some(interval) = interval else { return Ok(()) };
    loop {
        tokio::time::sleep(Duration::from_millis(interval.ms.max(1000) as u64)).await;
        if let Err(error) = attach(arguments, &store, &ids).await {
            tracing::warn!(%error, "cannot look for new blocks; it will be tried again");
        }
    }
}

async fn attach(arguments: &AttachArguments, store: &Store, ids: &IdSource) -> Result<(), ToolError> {
    if arguments.root {
        return attach_root(arguments, store, ids).await;
    }
    let tenants = match &arguments.target.tenant {
        Some(tenant) => vec![TenantId::parse(tenant)?],
        None => TenantStore::tenants_with_blocks(store).await?,
    };
    let mut looked_at = 0;
    for tenant in tenants {
        let tenant_store = TenantStore::new(store.clone(), tenant);
        let base = tenant_store.load_manifest().await?;
        let known = known_of(base.as_ref(), Place::Tenant);
        let folders = tenant_store.block_folders().await?;
        looked_at += folders.len();
        let new: Vec<_> = folders.into_iter().filter(|id| !known.contains(id)).map(BlockAddress::of_tenant).collect();
        let found = candidates(&tenant_store, &new, refuse).await?;
        commit(arguments, &tenant_store, base, found, ids).await?;
    }
    if looked_at == 0 {
        let there = root_blocks(store).await?.len();
        let hint = if there > 0 { format!("; {there} lie uppermost in the store: --root") } else { String::new() };
        return Err(ToolError::Usage(format!("no folder of a tenant holds a block{hint}")));
    }
    Ok(())
}

async fn attach_root(arguments: &AttachArguments, store: &Store, ids: &IdSource) -> Result<(), ToolError> {
    let fallback = match (&arguments.target.tenant, &arguments.tenant_label) {
        (Some(tenant), _) => Some(TenantId::parse(tenant)?),
        (None, None) => Some(TenantId::parse(TENANT)?),
        (None, Some(_)) => None,
    };
    let mut manifests = BTreeMap::new();
    for tenant in TenantStore::tenants(store).await?.into_iter().chain(fallback.clone()) {
        let manifest = TenantStore::new(store.clone(), tenant.clone()).load_manifest().await?;
        manifests.insert(tenant, manifest);
    }
    let known: HashSet<BlockId> =
        manifests.values().flat_map(|manifest| known_of(manifest.as_ref(), Place::Root)).collect();
    let blocks = root_blocks(store).await?;
    if blocks.is_empty() {
        return Err(ToolError::Usage("no block lies uppermost in the store".into()));
    }
    let new: Vec<_> = blocks.into_iter().filter(|block| !known.contains(&block.id)).collect();
    let any = TenantStore::new(store.clone(), TenantId::parse(TENANT)?); // what lies uppermost is in nobody's folder
    let whose = |candidate: &Candidate| whose(candidate, arguments.tenant_label.as_deref(), fallback.as_ref());
    let found = candidates(&any, &new, |it| refuse(it).or_else(|| whose(it).err())).await?;

    let mut by_tenant: BTreeMap<TenantId, Vec<Candidate>> = manifests
        .keys()
        .filter(|tenant| fallback.as_ref() == Some(tenant))
        .map(|it| (it.clone(), Vec::new()))
        .collect();
    for candidate in found.blocks {
        let tenant = whose(&candidate).map_err(ToolError::Usage)?;
        by_tenant.entry(tenant).or_default().push(candidate);
    }
    for it in &found.left_out {
        eprintln!("left out: {it}");
    }
    for (tenant, blocks) in by_tenant {
        let base = manifests.remove(&tenant).flatten();
        let found = Found { blocks, left_out: Vec::new(), unreadable: 0 };
        commit(arguments, &TenantStore::new(store.clone(), tenant), base, found, ids).await?;
    }
    Ok(())
}

/// The blocks of a place that a manifest knows.
fn known_of(manifest: Option<&Manifest>, place: Place) -> HashSet<BlockId> {
    let live = manifest.into_iter().flat_map(|manifest| &manifest.blocks).map(|block| block.address());
    let retired = manifest.into_iter().flat_map(|manifest| &manifest.retired).map(|block| block.address());
    live.chain(retired).filter(|block| block.place == place).map(|block| block.id).collect()
}

/// Why a block is not attached, if it is not.
fn refuse(candidate: &Candidate) -> Option<String> {
    if candidate.meta.longhaul.is_some() || is_tagged(candidate.meta.ulid) {
        return Some("it is a block of ours that no manifest knows: garbage, or `bucket rebuild-manifest`".to_owned());
    }
    candidate.fault.clone()
}

/// The tenant of a block that lies uppermost in the store.
fn whose(candidate: &Candidate, label: Option<&str>, fallback: Option<&TenantId>) -> Result<TenantId, String> {
    let value = label.and_then(|label| candidate.meta.thanos.as_ref()?.labels.get(label));
    match (value, fallback) {
        (Some(value), _) => TenantId::parse(value).map_err(|error| format!("its label says {value:?}: {error}")),
        (None, Some(fallback)) => Ok(fallback.clone()),
        (None, None) => Err(format!("it has no external label {}", label.unwrap_or_default())),
    }
}

async fn commit(
    arguments: &AttachArguments,
    store: &TenantStore,
    base: Option<Manifest>,
    found: Found,
    ids: &IdSource,
) -> Result<(), ToolError> {
    let before = base.clone().unwrap_or_default();
    let adopted = before.adopt(&found.blocks);
    let is_new =
        |it: &&Candidate| adopted.manifest.block(it.meta.ulid).is_some() && before.block(it.meta.ulid).is_none();
    let attached: Vec<Attached> = found.blocks.iter().filter(is_new).map(Attached::of).collect();
    let left_out = left_out(found.left_out, &adopted.fates);
    let mut report =
        Report { tenant: store.tenant().clone(), version: before.version, attached, left_out, applied: false };
    if !report.attached.is_empty() && !arguments.dry_run {
        let change = |newest: &Manifest| {
            let next = newest.adopt(&found.blocks).manifest;
            if next.blocks.len() > newest.blocks.len() {
                Ok(next)
            } else {
                Err(Rejected::Other("nothing is new".into()))
            }
        };
        match store.commit(base.as_ref(), AUTHOR, OperationId::new(ids.random()), change).await {
            Ok(manifest) => (report.version, report.applied) = (manifest.version, true),
            Err(CommitError::Rejected(_)) => report.attached.clear(), // another has just done the same
            Err(error) => return Err(error.into()),
        }
    }
    report.print(arguments.target.json)?;
    Ok(())
}

impl Attached {
    fn of(candidate: &Candidate) -> Self {
        let meta = &candidate.meta;
        let labels = meta.external_labels().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            block: meta.ulid.to_string(),
            min_time_ms: meta.min_ms,
            max_time_ms: meta.end_ms,
            resolution_ms: meta.resolution_ms(),
            series: meta.stats.num_series,
            samples: meta.stats.num_samples,
            labels: labels.collect(),
        }
    }
}

impl Report {
    fn print(&self, json: bool) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if json {
            return writeln!(out, "{}", serde_json::to_string(self).map_err(std::io::Error::other)?);
        }
        let done = match (self.applied, self.attached.is_empty()) {
            (true, _) => format!("version {} of the manifest has", self.version),
            (false, true) => "there are".to_owned(),
            (false, false) => "there would be".to_owned(),
        };
        writeln!(out, "tenant {}: {done} {} new blocks", self.tenant, self.attached.len())?;
        for it in &self.attached {
            let resolution = super::stats::resolution(it.resolution_ms);
            let labels: Vec<String> = it.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            let (from, to) = (super::stats::time(it.min_time_ms), super::stats::time(it.max_time_ms));
            writeln!(out, "  attached: {} {resolution} {from} to {to} {{{}}}", it.block, labels.join(", "))?;
        }
        self.left_out.iter().try_for_each(|it| writeln!(out, "  left out: {it}"))
    }
}
