//! `crates/wire/src/proto` from `proto/`. The generator is a feature of its own: it is built only when it is needed.

use crate::run::Outcome;

#[cfg(not(feature = "proto"))]
mod task {
    use crate::run::{Outcome, cargo, root, run};

    /// Runs this very task with the generator built in.
    fn again(arguments: &[&str]) -> Outcome<()> {
        let with_generator = ["run", "--quiet", "--package", "xtask", "--features", "proto", "--", "proto"];
        run(cargo().args(with_generator).args(arguments).current_dir(root()))
    }

    pub fn generate() -> Outcome<()> {
        again(&[])
    }

    pub fn check() -> Outcome<()> {
        again(&["--check"])
    }
}

#[cfg(feature = "proto")]
mod task {
    use crate::run::{Outcome, root};
    use std::path::Path;

    const SOURCES: [&str; 5] = [
        "prometheus/write.proto",
        "prometheus/read.proto",
        "prometheus/write_v2.proto",
        "prometheus/metrics.proto",
        "opentelemetry/metrics.proto",
    ];
    const GENERATED: [&str; 4] =
        ["prometheus.rs", "io.prometheus.write.v2.rs", "io.prometheus.client.rs", "opentelemetry.rs"];

    fn generate_into(dir: &Path) -> Outcome<()> {
        let descriptors = protox::compile(SOURCES, [root().join("proto")])?;
        prost_build::Config::new().out_dir(dir).compile_fds(descriptors)?;
        Ok(())
    }

    pub fn generate() -> Outcome<()> {
        generate_into(&root().join("crates/wire/src/proto"))
    }

    pub fn check() -> Outcome<()> {
        let fresh = std::env::temp_dir().join(format!("longhaul-proto-{}", std::process::id()));
        std::fs::create_dir_all(&fresh)?;
        let outcome = generate_into(&fresh).and_then(|()| {
            for name in GENERATED {
                let committed = root().join("crates/wire/src/proto").join(name);
                if std::fs::read(fresh.join(name))? != std::fs::read(&committed)? {
                    return Err(format!("{} is not what proto/ says: cargo xtask proto", committed.display()).into());
                }
            }
            Ok(())
        });
        std::fs::remove_dir_all(&fresh)?;
        outcome
    }
}

/// Writes the generated files.
pub fn generate() -> Outcome<()> {
    task::generate()
}

/// Fails if the committed files are not what `proto/` says.
pub fn check() -> Outcome<()> {
    task::check()
}
