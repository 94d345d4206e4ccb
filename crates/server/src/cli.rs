//! The command line.

use crate::block_tool::{self, BlockCommand};
use crate::bucket_tool::{self, BucketCommand};
use crate::config::{AuthMode, Config};
use crate::load::{self, LoadCommand};
use crate::serve;
use clap::{Args, Parser, Subcommand};
use longhaul_model::{SystemClock, TenantId};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// How long work that nobody waits for may hold up the end of the process.
const BLOCKING_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Parser)]
#[command(name = "longhaul", version, about = "A long-term metrics store for Prometheus: one binary, one bucket")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(ServeArguments),
    /// Make larger blocks of the bucket's smaller ones and take its garbage away, beside whatever else works on it
    Compact(CompactArguments),
    /// Check a configuration file
    CheckConfig {
        /// The YAML file
        file: PathBuf,
    },
    /// Look into blocks
    #[command(subcommand)]
    Block(BlockCommand),
    /// Look at whole buckets
    #[command(subcommand)]
    Bucket(BucketCommand),
    /// Drive a Prometheus-compatible server and measure what it costs
    #[command(subcommand)]
    Load(LoadCommand),
}

/// Flags override keys of the configuration file.
#[derive(Args)]
struct ServeArguments {
    /// Configuration file (YAML); every key has a default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where log, parts and the default bucket lie [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address for senders and queries [default: 127.0.0.1:9009]
    #[arg(long, value_name = "ADDRESS")]
    http_listen: Option<SocketAddr>,
    /// Address for operators [default: 127.0.0.1:9010]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// The bucket: file:///path, s3://bucket/prefix, gs://..., az://..., memory: [default: <data-dir>/bucket]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// How the tenant of a request is found [default: none]
    #[arg(long, value_enum)]
    auth: Option<AuthMode>,
    /// Allow --auth none on an address that others can reach
    #[arg(long)]
    insecure_bind: bool,
}

#[derive(Args)]
struct CompactArguments {
    /// End when nothing is left to do; `serve` is what goes on
    #[arg(long, required = true)]
    once: bool,
    /// One tenant only
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Configuration file (YAML), as for `serve`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where blocks are written before they are uploaded, and the default bucket lies [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The bucket, as for `serve` [default: <data-dir>/bucket]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// Prints what was done as JSON; an error if something failed.
async fn compact(arguments: CompactArguments) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut config =
        arguments.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load).map_err(|e| text(&e))?;
    config.data_dir = arguments.data_dir.unwrap_or(config.data_dir);
    config.store.url = arguments.store.or(config.store.url);
    let tenant = arguments.tenant.as_deref().map(TenantId::parse).transpose();
    let tenant = tenant.map_err(|error| format!("--tenant: {error}"))?;
    let report = serve::compact(config, tenant).await.map_err(|error| text(&error))?;
    let json = serde_json::to_string_pretty(&report).map_err(|error| text(&error))?;
    writeln!(std::io::stdout(), "{json}").map_err(|error| text(&error))?;
    report.failure().map_or(Ok(()), Err)
}

impl ServeArguments {
    fn config(self) -> Result<Config, crate::config::ConfigError> {
        let mut config = self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
        config.data_dir = self.data_dir.unwrap_or(config.data_dir);
        config.http.listen = self.http_listen.unwrap_or(config.http.listen);
        config.admin.listen = self.admin_listen.unwrap_or(config.admin.listen);
        config.store.url = self.store.or(config.store.url);
        config.auth.mode = self.auth.unwrap_or(config.auth.mode);
        config.auth.insecure_bind |= self.insecure_bind;
        Ok(config)
    }
}

/// Runs the command line; the process ends with what it returns.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(longhaul_promql::STACK_SIZE_BYTES)
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))
        .and_then(|runtime| {
            let done = runtime.block_on(run(cli.command));
            runtime.shutdown_timeout(BLOCKING_TIMEOUT); // a look-up whose client has gone may still be at work
            done
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("longhaul: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Serve(arguments) => {
            let config = arguments.config().map_err(|error| error.to_string())?;
            serve::run(config).await.map_err(|error| error.to_string())
        }
        Command::Compact(arguments) => compact(arguments).await,
        Command::CheckConfig { file } => {
            let config = Config::load(&file).map_err(|error| error.to_string())?;
            config.check().map_err(|error| format!("{}: {error}", file.display()))?;
            eprintln!("{}: OK", file.display());
            Ok(())
        }
        Command::Block(command) => block_tool::run(command).await.map_err(|error| error.to_string()),
        Command::Bucket(command) => bucket_tool::run(command).await.map_err(|error| error.to_string()),
        Command::Load(command) => {
            load::run(command, Arc::new(SystemClock::start())).await.map_err(|error| error.to_string())
        }
    }
}

/// Logs go to standard error; `RUST_LOG` chooses what (`info` unless set).
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    format.with_target(false).with_ansi(terminal).init();
}
