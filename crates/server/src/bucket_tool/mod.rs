//! `longhaul bucket stats|verify|rebuild-manifest|attach`: works on a whole bucket, every tenant in it, without a server.

mod attach;
mod found;
mod rebuild;
mod stats;
mod verify;

use crate::block_tool::ToolError;
use clap::{Args, Subcommand};
use longhaul_bucket::{Store, StoreOptions, StoreUrl, TenantStore, open_store};
use longhaul_model::TenantId;
use std::path::Path;

/// What to do with a bucket.
#[derive(Debug, Subcommand)]
pub(crate) enum BucketCommand {
    /// Show what each tenant has in the bucket, and what takes room
    Stats(Target),
    /// Read every live block wholly and check everything that can be checked
    Verify(verify::VerifyArguments),
    /// Make a manifest anew from the blocks that are there, for tenants that have lost theirs
    RebuildManifest(rebuild::RebuildArguments),
    /// Take over a bucket of Prometheus, Thanos, Mimir or Cortex as it is
    Attach(attach::AttachArguments),
}

/// Which bucket.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// A store URL (file:///..., s3://bucket/prefix, ...), or the directory of a local bucket
    store: String,
    /// One tenant only
    #[arg(long)]
    tenant: Option<String>,
    /// Print JSON, one document a line
    #[arg(long)]
    json: bool,
}

impl Target {
    /// The bucket. A directory is not created.
    fn open(&self) -> Result<Store, ToolError> {
        let url = if self.store.contains(':') { StoreUrl::parse(&self.store)? } else { directory(&self.store)? };
        if let StoreUrl::File(path) = &url
            && !path.is_dir()
        {
            return Err(ToolError::Usage(format!("{} is no directory", path.display())));
        }
        Ok(open_store(&url, &StoreOptions::default())?)
    }

    /// The tenant that was asked for, or all that have a manifest.
    async fn tenants(&self, store: &Store) -> Result<Vec<TenantId>, ToolError> {
        match &self.tenant {
            Some(tenant) => Ok(vec![TenantId::parse(tenant)?]),
            None => Ok(TenantStore::tenants(store).await?),
        }
    }
}

fn directory(path: &str) -> Result<StoreUrl, ToolError> {
    let absolute = std::path::absolute(Path::new(path));
    absolute.map(StoreUrl::File).map_err(|source| ToolError::Io { path: path.into(), source })
}

/// Runs a command and prints on standard output.
pub(crate) async fn run(command: BucketCommand) -> Result<(), ToolError> {
    match command {
        BucketCommand::Stats(target) => stats::run(&target).await,
        BucketCommand::Verify(arguments) => verify::run(&arguments).await,
        BucketCommand::RebuildManifest(arguments) => rebuild::run(&arguments).await,
        BucketCommand::Attach(arguments) => attach::run(&arguments).await,
    }
}
