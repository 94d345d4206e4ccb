//! From a URL in the configuration to an open [`Store`].
//!
//! Credentials and endpoints come from each store's usual environment variables (`AWS_*`, `GOOGLE_*`, `AZURE_*`), never
//! from the URL, which ends up in logs.

use crate::error::{BucketError, Result};
use crate::store::{LocalDirectory, Store};
use longhaul_disk::Fs;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `file:///absolute/path`: a local directory.
    File(PathBuf),
    /// `memory:`: gone with the process; for tests.
    Memory,
    /// `s3://bucket/prefix`: S3 and what speaks its protocol.
    S3 {
        /// The bucket.
        bucket: String,
        /// What every key begins with; may be empty.
        prefix: String,
    },
    /// `gs://bucket/prefix`: Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: String,
        /// What every key begins with; may be empty.
        prefix: String,
    },
    /// `az://container/prefix`: Azure Blob Storage.
    Azure {
        /// The container.
        container: String,
        /// What every key begins with; may be empty.
        prefix: String,
    },
}

/// How patient a store is. A call that takes longer than [`StoreOptions::call_budget`] has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for one HTTP request, its body included. The largest are parts of uploads, 8 MiB.
    pub request_timeout: Duration,
    /// How often a request is sent again after a connection error or an answer of the 5xx kind.
    pub retries_max: usize,
    /// How long after the first request retries may still begin. `object_store`'s own default lasts three minutes, in
    /// which a query is long dead and a commit should long have asked what is there.
    pub retry_budget: Duration,
    /// Time for a whole call, retries included.
    pub call_budget: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(15),
            retries_max: 3,
            retry_budget: Duration::from_secs(10),
            call_budget: Duration::from_secs(30),
        }
    }
}

impl StoreUrl {
    /// Reads a URL of one of the schemes `file`, `memory`, `s3`, `gs`, `az`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: &str| BucketError::Configuration { url: text.to_owned(), reason: reason.to_owned() };
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let url = url::Url::parse(text).map_err(|error| {
            wrong(&format!(
                "{error}; expected file:///path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
            ))
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            // Not echoed: the text holds a secret.
            let url = format!("{}://...", url.scheme());
            return Err(BucketError::Configuration {
                url,
                reason: "credentials do not belong in the URL; they come from the environment".to_owned(),
            });
        }
        if url.query().is_some() || url.fragment().is_some() || url.port().is_some() {
            return Err(wrong(
                "a port, a query or a fragment has no meaning here; endpoints come from the environment",
            ));
        }
        let prefix = || -> Result<String> {
            let key = object_store::path::Path::from_url_path(url.path()).map_err(|error| wrong(&error.to_string()))?;
            Ok(key.to_string())
        };
        let bucket = || match url.host_str() {
            Some(host) if !host.is_empty() => Ok(host.to_owned()),
            _ => Err(wrong("the name of the bucket is missing")),
        };
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| wrong("expected file:///absolute/path"))?;
                if path.parent().is_none() {
                    return Err(wrong("the root of the file system is no bucket"));
                }
                Ok(Self::File(path))
            }
            "memory" => Ok(Self::Memory),
            "s3" => Ok(Self::S3 { bucket: bucket()?, prefix: prefix()? }),
            "gs" => Ok(Self::Gcs { bucket: bucket()?, prefix: prefix()? }),
            "az" => Ok(Self::Azure { container: bucket()?, prefix: prefix()? }),
            other => Err(wrong(&format!("unknown scheme {other:?}; file, s3, gs, az and memory are known"))),
        }
    }
}

impl std::str::FromStr for StoreUrl {
    type Err = BucketError;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file://{}", path.display()),
            Self::Memory => f.write_str("memory:"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Gcs { bucket, prefix } => write!(f, "gs://{bucket}/{prefix}"),
            Self::Azure { container, prefix } => write!(f, "az://{container}/{prefix}"),
        }
    }
}

/// Opens a store. Nothing is asked of it yet (see [`crate::probe`]); a local directory is created.
pub fn open_store(url: &StoreUrl, options: &StoreOptions) -> Result<Store> {
    let wrong = |reason: String| BucketError::Configuration { url: url.to_string(), reason };
    let failed = |error: object_store::Error| wrong(error.to_string());
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: options.retry_budget.min(Duration::from_secs(2)),
            base: 2.0,
        },
        max_retries: options.retries_max,
        retry_timeout: options.retry_budget,
    };
    let client = [
        (ClientConfigKey::ConnectTimeout, setting(options.connect_timeout)),
        (ClientConfigKey::Timeout, setting(options.request_timeout)),
    ];
    let mut directory = None;
    let (inner, prefix): (Arc<dyn ObjectStore>, &str) = match url {
        StoreUrl::File(path) => {
            create_durably(&longhaul_disk::RealFs, path)
                .map_err(|source| BucketError::Local { path: path.clone(), source })?;
            let store = LocalFileSystem::new_with_prefix(path).map_err(failed)?;
            let store = Arc::new(store.with_fsync(true).with_automatic_cleanup(true));
            let fs = Arc::new(longhaul_disk::RealFs);
            directory = Some(LocalDirectory { fs, path: path.clone(), objects: store.clone() });
            (store, "")
        }
        StoreUrl::Memory => (Arc::new(InMemory::new()), ""),
        StoreUrl::S3 { bucket, prefix } => {
            let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry);
            for (key, value) in client {
                builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
            }
            let is_true = |value: Option<String>| value.is_some_and(|value| value == "true");
            let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint).unwrap_or_default();
            let allow_http = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
            if endpoint.starts_with("http://") && !is_true(allow_http) {
                return Err(wrong(format!(
                    "the endpoint {endpoint} is not encrypted; AWS_ALLOW_HTTP=true allows that"
                )));
            }
            // Whatever the environment says: without it the manifest is not safe.
            let store = builder.with_conditional_put(S3ConditionalPut::ETagMatch).build().map_err(failed)?;
            (Arc::new(store), prefix)
        }
        StoreUrl::Gcs { bucket, prefix } => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry);
            for (key, value) in client {
                builder = builder.with_config(GoogleConfigKey::Client(key), value);
            }
            (Arc::new(builder.build().map_err(failed)?), prefix)
        }
        StoreUrl::Azure { container, prefix } => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(retry);
            for (key, value) in client {
                builder = builder.with_config(AzureConfigKey::Client(key), value);
            }
            (Arc::new(builder.build().map_err(failed)?), prefix)
        }
    };
    let near = matches!(url, StoreUrl::File(_) | StoreUrl::Memory);
    let store = Store::new(inner, prefix)?.with_call_budget(options.call_budget);
    let store = if near { store.with_cheap_reads() } else { store };
    Ok(match directory {
        Some(directory) => store.with_local(directory),
        None => store,
    })
}

/// Creates a directory so that it is still there after a crash.
fn create_durably(fs: &dyn Fs, path: &std::path::Path) -> std::io::Result<()> {
    fs.create_dir_all(path)?;
    let mut created = path;
    while let Some(parent) = created.parent() {
        // A parent that may not be opened was not made by us.
        if fs.sync_dir(parent).is_err() {
            break;
        }
        created = parent;
    }
    fs.sync_dir(path)
}

/// As `object_store` reads a duration.
fn setting(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

#[cfg(test)]
mod tests;
