//! The programs that Longhaul is tested with and measured against, below `target/peers`: `prometheus`, `promtool`,
//! `prometheus-node-exporter` and `victoria-metrics` from Debian trixie, and a Python environment with moto's S3
//! server and the libraries of senders. Nothing is installed on the machine, and root is not needed: apt works on a state of its own, packages are
//! only unpacked. What is there already is not fetched again.

use crate::run::{Outcome, peers_dir, read, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SUITE: &str = "trixie";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Package, and the program in its /usr/bin.
const PROGRAMS: [(&str, &str); 4] = [
    ("prometheus", "prometheus"),
    ("promtool", "promtool"),
    ("prometheus-node-exporter", "prometheus-node-exporter"),
    ("victoria-metrics", "victoria-metrics"),
];
/// What to ask for, and the name under which it is then known.
const PYTHON_PACKAGES: [(&str, &str); 6] = [
    ("moto[server]", "moto"),
    ("opentelemetry-sdk", "opentelemetry-sdk"),
    ("opentelemetry-exporter-otlp-proto-http", "opentelemetry-exporter-otlp-proto-http"),
    ("opentelemetry-exporter-otlp-proto-grpc", "opentelemetry-exporter-otlp-proto-grpc"),
    ("prometheus-client", "prometheus-client"),
    ("influxdb-client", "influxdb-client"),
];

/// What is there.
pub struct Peers {
    /// The folder that holds the programs, and the Python environment as `venv`.
    pub dir: PathBuf,
    versions: Vec<(String, String)>,
}

impl Peers {
    /// Prints the versions.
    pub fn print(&self) {
        println!("peers in {}:", self.dir.display());
        for (name, version) in &self.versions {
            println!("  {name:<26}{version}");
        }
    }
}

/// Makes all peers available and tries each one.
pub fn install() -> Outcome<Peers> {
    let dir = peers_dir();
    fs::create_dir_all(&dir)?;
    let mut versions = Vec::new();
    let missing: Vec<_> = PROGRAMS.iter().filter(|(_, program)| !dir.join(program).exists()).collect();
    if !missing.is_empty() {
        let apt = Apt::new(&dir)?;
        apt.update()?;
        for (package, program) in missing {
            apt.unpack(package, program, &dir)?;
        }
    }
    for (package, program) in PROGRAMS {
        run_once(&dir.join(program))?;
        versions.push((package.to_owned(), fs::read_to_string(version_file(&dir, program))?));
    }
    versions.extend(python_environment(&dir)?);
    Ok(Peers { dir, versions })
}

/// A program that was built for another C library fails here, with its own words, and not in the middle of a test.
fn run_once(program: &Path) -> Outcome<()> {
    read(Command::new(program).arg("--version")).map(drop)
}

fn version_file(dir: &Path, program: &str) -> PathBuf {
    dir.join(format!("{program}.version"))
}

/// apt with sources, state and cache of its own.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    fn new(peers: &Path) -> Outcome<Self> {
        let dir = peers.join("apt");
        for folder in ["state/lists/partial", "cache/archives/partial", "root"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        fs::write(dir.join("state/status"), "")?;
        let mirror = debian_mirror()?;
        fs::write(dir.join("sources.list"), format!("deb [signed-by={KEYRING}] {mirror} {SUITE} main\n"))?;
        Ok(Self { dir })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let dir = self.dir.display();
        for option in [
            format!("Dir::State={dir}/state"),
            format!("Dir::State::status={dir}/state/status"),
            format!("Dir::Cache={dir}/cache"),
            format!("Dir::Etc::SourceList={dir}/sources.list"),
            "Dir::Etc::SourceParts=-".to_owned(),
            "APT::Sandbox::User=".to_owned(), // root's apt would otherwise step down to a user who cannot write here
        ] {
            command.args(["-o", &option]);
        }
        command.current_dir(&self.dir);
        command
    }

    fn update(&self) -> Outcome<()> {
        read(self.command("apt-get").args(["--quiet", "update"])).map(drop)
    }

    /// Fetches a package, unpacks it, and moves its program to `peers` as the last step: what is there is whole.
    fn unpack(&self, package: &str, program: &str, peers: &Path) -> Outcome<()> {
        println!("fetching {package} ({SUITE})");
        read(self.command("apt-get").args(["--quiet", "download", package]))?;
        let prefix = format!("{package}_");
        let archive = fs::read_dir(&self.dir)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
            .ok_or_else(|| format!("apt-get fetched no {package}"))?;
        let root = self.dir.join("root");
        run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&root))?;
        let version = read(Command::new("dpkg-deb").arg("--field").arg(&archive).arg("Version"))?;
        fs::write(version_file(peers, program), version.trim())?;
        fs::remove_file(&archive)?;
        fs::rename(root.join("usr/bin").join(program), peers.join(program))?;
        Ok(())
    }
}

/// Where this machine gets Debian from, by its own sources (both of apt's formats).
fn debian_mirror() -> Outcome<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(parts) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(parts.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.sort();
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| mirror_in(&text))
        .ok_or_else(|| "no Debian mirror in /etc/apt: the peers come from Debian's packages".into())
}

/// The first address that ends in `/debian`: the archive itself, as against security updates and strangers.
fn mirror_in(sources: &str) -> Option<String> {
    sources
        .lines()
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.contains("://") && word.ends_with("/debian"))
        .map(str::to_owned)
}

/// The Python environment; the packages in it with their versions. A name is there only once the whole of it is.
fn python_environment(peers: &Path) -> Outcome<Vec<(String, String)>> {
    let venv = peers.join("venv");
    if !venv.join("bin/pip").exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    }
    let version = |name: &str| {
        let script = format!("import importlib.metadata as m; print(m.version('{name}'))");
        read(Command::new(venv.join("bin/python")).args(["-c", &script])).map(|version| version.trim().to_owned())
    };
    let missing: Vec<&str> =
        PYTHON_PACKAGES.iter().filter(|(_, name)| version(name).is_err()).map(|(package, _)| *package).collect();
    if !missing.is_empty() {
        println!("fetching {}", missing.join(", "));
        run(Command::new(venv.join("bin/pip")).args(["install", "--quiet"]).args(&missing))?;
    }
    PYTHON_PACKAGES.iter().map(|(_, name)| Ok(((*name).to_owned(), version(name)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::mirror_in;

    #[test]
    fn the_mirror_is_the_archive_in_either_format() {
        let classic = "# deb http://old.example/debian x main\ndeb [signed-by=/k] http://a.example/debian-security s main\n\
                       deb http://a.example/debian/ bookworm main\n";
        assert_eq!(mirror_in(classic).as_deref(), Some("http://a.example/debian"));
        let deb822 =
            "Types: deb\n# http://snapshot.example/archive/debian/2025\nURIs: https://b.example/debian\nSuites: x\n";
        assert_eq!(mirror_in(deb822).as_deref(), Some("https://b.example/debian"));
        assert_eq!(mirror_in("deb https://c.example/apt cloud main\n"), None);
    }
}
