//! `longhaul bucket verify`: reads everything that is live, and says what is wrong with it.

use super::Target;
use crate::block_tool::ToolError;
use crate::progress::progress_bar;
use clap::Args;
use futures::StreamExt;
use longhaul_bucket::{LiveBlock, Manifest, TenantStore};
use longhaul_compact::{CompactError, Examined, examine};
use longhaul_model::TenantId;
use std::io::Write;
use tokio::runtime::Handle;

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    target: Target,
    /// Blocks that are read at once
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    json: bool,
    blocks: usize,
    unsound: usize,
    broken_tenants: usize,
}

pub(super) async fn run(arguments: &VerifyArguments) -> Result<(), ToolError> {
    let target = &arguments.target;
    let store = target.open()?;
    let mut findings = Findings { json: target.json, ..Findings::default() };
    let tenants = target.tenants(&store).await?;
    for tenant in &tenants {
        let tenant_store = TenantStore::new(store.clone(), tenant.clone());
        let manifest = match newest(&tenant_store).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Err(ToolError::Usage(format!("tenant {tenant} has no manifest in {}", target.store))),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                findings.tenant(tenant, &error.to_string())?;
                continue;
            }
        };
        blocks(&tenant_store, &manifest, usize::from(arguments.jobs), &mut findings).await?;
    }
    if !target.json {
        let Findings { blocks, unsound, .. } = findings;
        writeln!(std::io::stdout(), "{} tenants, {blocks} blocks, {unsound} of them not sound", tenants.len())?;
    }
    match (findings.unsound, findings.broken_tenants) {
        (0, 0) => Ok(()),
        (unsound, 0) => Err(ToolError::Unsound(unsound, findings.blocks)),
        (_, tenants) => Err(ToolError::BrokenManifests(tenants)),
    }
}

/// The newest manifest, once all that lead to it have been checked.
async fn newest(store: &TenantStore) -> Result<Option<Manifest>, longhaul_bucket::BucketError> {
    let manifest = store.load_manifest().await?;
    if let Some(manifest) = &manifest {
        store.check_history(manifest).await?;
    }
    Ok(manifest)
}

async fn blocks(
    store: &TenantStore,
    manifest: &Manifest,
    jobs: usize,
    findings: &mut Findings,
) -> Result<(), ToolError> {
    let bytes = manifest.blocks.iter().map(|block| block.size_bytes).sum();
    let progress = progress_bar(Some(bytes), "bytes");
    let mut examined = futures::stream::iter(&manifest.blocks)
        .map(|live| async move { (live, examine_beside(store.clone(), live.clone()).await) })
        .buffered(jobs);
    while let Some((live, examined)) = examined.next().await {
        let examined = examined?;
        progress.inc(live.size_bytes);
        let quarantined = manifest.quarantined.iter().find(|it| it.id == live.id).map(|it| it.reason.as_str());
        progress.suspend(|| findings.block(store.tenant(), live, &examined, quarantined))?;
    }
    progress.finish_and_clear();
    Ok(())
}

/// Examines a block on a thread that may block.
async fn examine_beside(store: TenantStore, live: LiveBlock) -> Result<Examined, CompactError> {
    let handle = Handle::current();
    let work = move || {
        let files = store.block_files(live.address(), handle.clone());
        examine(&store, &live, &*files, &handle)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

impl Findings {
    fn block(
        &mut self,
        tenant: &TenantId,
        live: &LiveBlock,
        examined: &Examined,
        quarantined: Option<&str>,
    ) -> std::io::Result<()> {
        self.blocks += 1;
        self.unsound += usize::from(!examined.problems.is_empty());
        let mut out = std::io::stdout().lock();
        if self.json {
            let document = serde_json::json!({
                "tenant": tenant, "block": live.id.to_string(), "sound": examined.problems.is_empty(),
                "samples": examined.samples, "bytes_read": examined.bytes_read, "quarantined": quarantined,
                "problems": examined.problems,
            });
            return writeln!(out, "{document}");
        }
        let name = format!("{tenant} {}", live.id);
        if examined.problems.is_empty() {
            writeln!(out, "{name}: sound, {} samples, {} bytes read", examined.samples, examined.bytes_read)?;
        }
        examined.problems.iter().try_for_each(|problem| writeln!(out, "{name}: {problem}"))?;
        quarantined.map_or(Ok(()), |reason| writeln!(out, "{name}: is in quarantine: {reason}"))
    }

    fn tenant(&mut self, tenant: &TenantId, problem: &str) -> std::io::Result<()> {
        self.broken_tenants += 1;
        let mut out = std::io::stdout().lock();
        if self.json {
            let document = serde_json::json!({ "tenant": tenant, "sound": false, "problems": [problem] });
            return writeln!(out, "{document}");
        }
        writeln!(out, "{tenant}: {problem}")
    }
}
