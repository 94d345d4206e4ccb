//! Where blocks are: a directory or a bucket.

use super::{OpenBlock, ToolError};
use longhaul_block::{BlockMeta, LocalFiles};
use longhaul_bucket::{Store, StoreOptions, StoreUrl, TenantStore, open_store};
use longhaul_disk::{Fs, RealFs};
use longhaul_model::{BlockId, TenantId};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// A place that holds blocks.
pub(super) enum Place {
    Directory(PathBuf),
    Bucket(Store),
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self, ToolError> {
        if text.contains("://") {
            Ok(Self::Bucket(open_store(&StoreUrl::parse(text)?, &StoreOptions::default())?))
        } else {
            Ok(Self::Directory(PathBuf::from(text)))
        }
    }

    /// The blocks of the place, or the one asked for.
    pub(super) async fn blocks(
        &self,
        tenant: Option<&TenantId>,
        id: Option<BlockId>,
    ) -> Result<Vec<OpenBlock>, ToolError> {
        match self {
            Self::Directory(dir) => in_directory(dir, id),
            Self::Bucket(store) => in_bucket(store, tenant, id).await,
        }
    }
}

fn in_directory(dir: &Path, id: Option<BlockId>) -> Result<Vec<OpenBlock>, ToolError> {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ToolError::Io { path, source }
    };
    let entries = fs.list(dir).map_err(io(dir))?;
    let dirs: Vec<PathBuf> = if entries.iter().any(|entry| entry.name == "meta.json") {
        vec![dir.to_owned()]
    } else {
        let is_block = |name: &str| BlockId::from_string(name).is_ok();
        entries
            .iter()
            .filter(|entry| entry.is_dir && is_block(&entry.name))
            .map(|entry| dir.join(&entry.name))
            .collect()
    };
    let mut blocks = Vec::new();
    for dir in dirs {
        let path = dir.join("meta.json");
        let meta = BlockMeta::parse(&fs.read(&path).map_err(io(&path))?)?;
        if id.is_none_or(|id| id == meta.ulid) {
            blocks.push(OpenBlock { tenant: None, meta, files: Arc::new(LocalFiles::new(fs.clone(), dir)) });
        }
    }
    Ok(blocks)
}

async fn in_bucket(store: &Store, tenant: Option<&TenantId>, id: Option<BlockId>) -> Result<Vec<OpenBlock>, ToolError> {
    let tenants = match tenant {
        Some(tenant) => vec![tenant.clone()],
        None => TenantStore::tenants(store).await?,
    };
    let mut blocks = Vec::new();
    for tenant in tenants {
        let store = TenantStore::new(store.clone(), tenant.clone());
        let manifest = store.load_manifest().await?.unwrap_or_default();
        for live in manifest.blocks.iter().filter(|live| id.is_none_or(|id| id == live.id)) {
            blocks.push(OpenBlock {
                tenant: Some(tenant.clone()),
                meta: store.block_meta(live.address()).await?,
                files: store.block_files(live.address(), Handle::current()),
            });
        }
    }
    Ok(blocks)
}
