//! `longhaul bucket rebuild-manifest`: a new manifest for a tenant that has lost its own, from the blocks that are there.

use super::Target;
use super::found::{LeftOut, candidates, left_out};
use crate::block_tool::ToolError;
use crate::serve::system_ids;
use clap::Args;
use longhaul_bucket::{BlockAddress, Candidate, CommitError, Manifest, OperationId, Place, Rebuilt, Rejected};
use longhaul_bucket::{Remains, TenantStore};
use longhaul_model::{Clock, SystemClock, TenantId};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;

/// Who commits, for people who read a manifest.
const AUTHOR: &str = "rebuild-manifest";

#[derive(Debug, Args)]
pub(crate) struct RebuildArguments {
    #[command(flatten)]
    target: Target,
    /// Do it; without this it is only said what would be done. No server and no compactor may run on the bucket
    #[arg(long)]
    apply: bool,
    /// Rebuild the manifest of a tenant that has one, damaged or not; what it still says of deletions, retired blocks and
    /// logs is kept
    #[arg(long)]
    replace: bool,
    /// Go on without blocks whose meta.json cannot be read: their samples are missing from then on
    #[arg(long)]
    without_unreadable: bool,
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
struct Report {
    tenant: TenantId,
    /// The version that is there, readable or not; 0 for none.
    version: u64,
    /// What is wrong with it.
    damage: Option<String>,
    next_version: u64,
    live: Vec<String>,
    live_bytes: u64,
    retired: Vec<String>,
    quarantined: Vec<LeftOut>,
    left_out: Vec<LeftOut>,
    /// Of `left_out`, those whose samples may be nowhere else.
    unreadable: usize,
    /// Deletions that were being carried out are not known any more.
    deletions_lost: bool,
    applied: bool,
}

pub(super) async fn run(arguments: &RebuildArguments) -> Result<(), ToolError> {
    let target = &arguments.target;
    let store = target.open()?;
    let tenants: BTreeSet<TenantId> = match &target.tenant {
        Some(tenant) => [TenantId::parse(tenant)?].into(),
        None => {
            let with_blocks = TenantStore::tenants_with_blocks(&store).await?;
            TenantStore::tenants(&store).await?.into_iter().chain(with_blocks).collect()
        }
    };
    let mut applied = true;
    for tenant in tenants {
        let tenant_store = TenantStore::new(store.clone(), tenant.clone());
        match rebuild(arguments, &tenant_store).await {
            Ok(report) => {
                report.print(target.json)?;
                applied &= report.applied;
            }
            // Who asks for all tenants asks for those that need it.
            Err(ToolError::Usage(reason)) if target.tenant.is_none() => eprintln!("{reason}"),
            Err(error) => return Err(error),
        }
    }
    if !applied {
        eprintln!("nothing was changed; --apply does it");
    }
    Ok(())
}

async fn rebuild(arguments: &RebuildArguments, store: &TenantStore) -> Result<Report, ToolError> {
    let tenant = store.tenant();
    let remains = store.manifest_remains().await?;
    if remains.highest > 0 && !arguments.replace {
        let state = remains.damage.as_ref().map_or(String::new(), |damage| format!(", which is damaged ({damage})"));
        return Err(ToolError::Usage(format!(
            "tenant {tenant} has version {} of a manifest{state}; --replace rebuilds it",
            remains.highest
        )));
    }
    let base = remains.readable.as_ref();
    let folders = store.block_folders().await?.into_iter().map(BlockAddress::of_tenant);
    let elsewhere = base.into_iter().flat_map(|manifest| &manifest.blocks).map(|live| live.address());
    let blocks: Vec<BlockAddress> = folders.chain(elsewhere.filter(|block| block.place == Place::Root)).collect();
    let found = candidates(store, &blocks, |it| is_of_another(tenant, it)).await?;
    if base.is_none() && !found.blocks.iter().any(|it| it.meta.longhaul.is_some()) {
        let reason =
            format!("tenant {tenant} has no block of ours; `bucket attach` makes a manifest for those of others");
        return Err(ToolError::Usage(reason));
    }
    let rebuilt = Manifest::rebuild(base, &found.blocks, SystemClock::start().now_ms());
    let mut report = Report::of(tenant, &remains, &rebuilt);
    report.unreadable = found.unreadable;
    report.left_out = left_out(found.left_out, &rebuilt.fates);
    if arguments.apply {
        if found.unreadable > 0 && !arguments.without_unreadable {
            report.print(arguments.target.json)?;
            return Err(ToolError::Unreadable { tenant: tenant.clone(), blocks: found.unreadable });
        }
        report.next_version = apply(store, &remains, rebuilt.manifest).await?.version;
        report.applied = true;
    }
    Ok(report)
}

/// A block that lies in a folder that is not its tenant's must not be read as the tenant's.
fn is_of_another(tenant: &TenantId, candidate: &Candidate) -> Option<String> {
    let ours = candidate.meta.longhaul.as_ref().filter(|ours| ours.tenant != *tenant)?;
    Some(format!("it is a block of tenant {}", ours.tenant))
}

async fn apply(store: &TenantStore, remains: &Remains, manifest: Manifest) -> Result<Manifest, CommitError> {
    let operation = OperationId::new(system_ids().random());
    let (Some(base), None) = (&remains.readable, &remains.damage) else {
        return store.refound(remains, manifest, AUTHOR, operation).await;
    };
    let change = |newest: &Manifest| match newest.version == base.version {
        true => Ok(manifest.clone()),
        false => Err(Rejected::Other("the manifest has moved on: something else is at work on the bucket".into())),
    };
    store.commit(Some(base), AUTHOR, operation, change).await
}

impl Report {
    fn of(tenant: &TenantId, remains: &Remains, rebuilt: &Rebuilt) -> Self {
        let manifest = &rebuilt.manifest;
        let quarantined = manifest.quarantined.iter().map(|it| LeftOut::new(it.id, it.reason.clone()));
        Self {
            tenant: tenant.clone(),
            version: remains.highest,
            damage: remains.damage.clone(),
            next_version: remains.highest + 1,
            live: manifest.blocks.iter().map(|block| block.id.to_string()).collect(),
            live_bytes: manifest.blocks.iter().map(|block| block.size_bytes).sum(),
            retired: manifest.retired.iter().map(|block| block.id.to_string()).collect(),
            quarantined: quarantined.collect(),
            left_out: Vec::new(),
            unreadable: 0,
            deletions_lost: remains.readable.is_none(),
            applied: false,
        }
    }

    fn print(&self, json: bool) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        if json {
            return writeln!(out, "{}", serde_json::to_string(self).map_err(std::io::Error::other)?);
        }
        let Self { tenant, version, next_version, .. } = self;
        let is = if self.applied { "is" } else { "would be" };
        match (version, &self.damage) {
            (0, _) => writeln!(out, "tenant {tenant}: there is no manifest")?,
            (_, None) => writeln!(out, "tenant {tenant}: version {version} of the manifest can be read")?,
            (_, Some(damage)) => writeln!(out, "tenant {tenant}: version {version} of the manifest: {damage}")?,
        }
        let (live, retired) = (self.live.len(), self.retired.len());
        writeln!(
            out,
            "  version {next_version} {is} {live} live blocks with {} bytes, {retired} retired",
            self.live_bytes
        )?;
        self.live.iter().try_for_each(|block| writeln!(out, "  live: {block}"))?;
        self.retired.iter().try_for_each(|block| writeln!(out, "  retired: {block}"))?;
        self.quarantined.iter().try_for_each(|it| writeln!(out, "  quarantined: {it}"))?;
        self.left_out.iter().try_for_each(|it| writeln!(out, "  left out: {it}"))?;
        if self.deletions_lost {
            writeln!(out, "  deletions of series that were under way are not known any more: ask for them again")?;
        }
        Ok(())
    }
}
