//! `longhaul block ls|inspect|verify|dump`: looks into blocks in a directory or in a bucket, ours and others'.

mod place;
mod print;

use clap::{Args, Subcommand};
use longhaul_block::{BlockError, BlockFiles, BlockMeta, Dump, verify};
use longhaul_bucket::{BucketError, CommitError};
use longhaul_compact::CompactError;
use longhaul_model::{BlockId, InvalidTenantId, TenantId};
use place::Place;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// What to do with blocks.
#[derive(Debug, Subcommand)]
pub(crate) enum BlockCommand {
    /// List blocks: those in a directory, or those that are live in a bucket
    Ls(Target),
    /// Show what a block's meta.json says, and its files
    Inspect(Target),
    /// Read a block wholly and check everything that can be checked
    Verify(Target),
    /// Print every series with its chunks and samples
    Dump(Target),
}

/// Which blocks.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// A block's directory, a directory of blocks, or a store URL (file:///..., s3://bucket/prefix, ...)
    place: String,
    /// The tenant, where the place is a store URL [default: all for ls, anonymous otherwise]
    #[arg(long)]
    tenant: Option<String>,
    /// The block, where the place holds several
    #[arg(long)]
    block: Option<String>,
    /// Print JSON, one document a line
    #[arg(long)]
    json: bool,
}

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("{0}")]
    Usage(String),
    #[error("tenant: {0}")]
    Tenant(#[from] InvalidTenantId),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Block(#[from] BlockError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot print: {0}")]
    Print(#[from] std::io::Error),
    #[error("{0} of {1} blocks are not sound")]
    Unsound(usize, usize),
    #[error("the manifests of {0} tenants cannot be read")]
    BrokenManifests(usize),
    #[error(transparent)]
    Compact(#[from] CompactError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("tenant {tenant}: {blocks} blocks cannot be read; --without-unreadable goes on without them")]
    Unreadable { tenant: TenantId, blocks: usize },
}

/// A block that can be read.
struct OpenBlock {
    /// The tenant, where the place has tenants.
    tenant: Option<TenantId>,
    meta: BlockMeta,
    files: Arc<dyn BlockFiles>,
}

/// Runs a command and prints on standard output.
pub(crate) async fn run(command: BlockCommand) -> Result<(), ToolError> {
    let (BlockCommand::Ls(target)
    | BlockCommand::Inspect(target)
    | BlockCommand::Verify(target)
    | BlockCommand::Dump(target)) = &command;
    let tenant = target.tenant.as_deref().map(TenantId::parse).transpose()?;
    let id = match target.block.as_deref().map(BlockId::from_string) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(error)) => return Err(ToolError::Usage(format!("--block: {error}"))),
    };
    let blocks = Place::parse(&target.place)?.blocks(tenant.as_ref(), id).await?;
    if blocks.is_empty() && !matches!(command, BlockCommand::Ls(_)) {
        return Err(ToolError::Usage(format!("{} holds no such block", target.place)));
    }
    let json = target.json;
    // Reading a remote block waits for the runtime, which must not happen on its own threads.
    tokio::task::spawn_blocking(move || {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        act(&command, &blocks, json, &mut out)?;
        Ok(out.flush()?)
    })
    .await
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn act(command: &BlockCommand, blocks: &[OpenBlock], json: bool, out: &mut dyn Write) -> Result<(), ToolError> {
    match command {
        BlockCommand::Ls(_) => print::list(blocks, json, out)?,
        BlockCommand::Inspect(_) => blocks.iter().try_for_each(|block| print::inspect(block, json, out))?,
        BlockCommand::Dump(_) => {
            for block in blocks {
                for series in Dump::new(block.files.as_ref())? {
                    print::series(&series?, json, out)?;
                }
            }
        }
        BlockCommand::Verify(_) => {
            let mut unsound = 0;
            for block in blocks {
                let report = verify(block.files.as_ref(), &block.meta);
                unsound += usize::from(!report.as_ref().is_ok_and(|report| report.problems.is_empty()));
                print::verified(block, &report, json, out)?;
            }
            if unsound > 0 {
                out.flush()?;
                return Err(ToolError::Unsound(unsound, blocks.len()));
            }
        }
    }
    Ok(())
}
