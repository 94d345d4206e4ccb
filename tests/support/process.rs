//! Child processes that a test starts, waits for, kills, and never leaves behind.

use super::wait_for;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long a process may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a process may take to end when it is asked to.
const END_TIMEOUT: Duration = Duration::from_secs(60);

/// A process with an HTTP port.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// A running Longhaul. It keeps its ports when it is started again.
pub struct Longhaul {
    process: Process,
    launch: Launch,
    /// `http://127.0.0.1:port`
    pub url: String,
    /// The operators' address.
    pub admin_url: String,
}

/// How a Longhaul is started.
struct Launch {
    dir: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A port that nothing listens on and that no outgoing connection of this machine gets: below the ephemeral range, so
/// that a server that was killed finds its port free when it comes back.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 15_000 + (std::process::id() % 128) as u16 * 128;
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Process {
    /// Starts `command` and waits until `ready_url` answers 200. Its output goes to `<dir>/<name>.log`.
    pub async fn start(name: &str, command: &mut Command, dir: &Path, ready_url: &str) -> Self {
        let mut process = Self::spawn(name, command, dir);
        process.ready(ready_url).await;
        process
    }

    /// Starts `command` and does not wait.
    pub fn spawn(name: &str, command: &mut Command, dir: &Path) -> Self {
        let log = dir.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    /// Waits until `url` answers 200.
    pub async fn ready(&mut self, url: &str) {
        let client = reqwest::Client::new();
        let started = Instant::now();
        while !client.get(url).send().await.is_ok_and(|answer| answer.status() == 200) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status}:\n{}", self.name, self.log_tail());
            }
            assert!(started.elapsed() < START_TIMEOUT, "{} does not get ready:\n{}", self.name, self.log_tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processor time that it has used so far, in steps of 10 ms (`/proc`, proc(5)).
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
        // utime and stime are the 14th and 15th field, the name in parentheses the second.
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// SIGKILL: no destructor, no flush, nothing.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; does not wait.
    pub fn ask_to_end(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the end of a process", END_TIMEOUT, async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    /// SIGTERM, and waits for a clean end.
    pub async fn terminate(&mut self) {
        self.ask_to_end();
        let status = self.ended().await;
        assert!(status.success(), "{} ended with {status}:\n{}", self.name, self.log_tail());
    }

    /// Everything that it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of its output.
    pub fn log_tail(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- end of the log of {}:\n{}", self.name, self.log_tail());
        }
    }
}

impl Launch {
    fn spawn(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::spawn("longhaul", &mut command, &self.dir)
    }
}

impl Longhaul {
    /// Starts the binary with its data in `<dir>/data`, and further arguments.
    pub async fn start(dir: &Path, arguments: &[&str]) -> Self {
        Self::start_with(dir, arguments, &[]).await
    }

    /// Starts it with a configuration file of this text.
    pub async fn configured(dir: &Path, yaml: &str) -> Self {
        Self::start(dir, &["--config", &Self::configuration(dir, yaml)]).await
    }

    /// Writes a configuration file; its path.
    pub fn configuration(dir: &Path, yaml: &str) -> String {
        let path = dir.join("longhaul.yaml");
        std::fs::write(&path, yaml).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Starts it with arguments and environment variables.
    pub async fn start_with(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let (http, admin) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let data = dir.join("data").to_str().unwrap().to_owned();
        let fixed = ["serve", "--http-listen", &http, "--admin-listen", &admin, "--data-dir", &data];
        let launch = Launch {
            dir: dir.to_owned(),
            arguments: fixed.iter().chain(arguments).map(ToString::to_string).collect(),
            environment: environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        };
        let mut server = Self {
            process: launch.spawn(),
            launch,
            url: format!("http://{http}"),
            admin_url: format!("http://{admin}"),
        };
        server.ready().await;
        server
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after its end, at the same addresses, and does not wait.
    pub fn spawn_again(&mut self) {
        self.process = self.launch.spawn();
    }

    /// Starts it again after its end, at the same addresses.
    pub async fn start_again(&mut self) {
        self.spawn_again();
        self.ready().await;
    }

    /// Waits until it serves.
    pub async fn ready(&mut self) {
        self.process.ready(&format!("{}/-/ready", self.url)).await;
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// SIGTERM, and waits for a clean end.
    pub async fn terminate(&mut self) {
        self.process.terminate().await;
    }

    /// Cuts and ships everything.
    pub async fn flush(&self) {
        let (status, text) = self.try_flush().await;
        assert_eq!(status, 204, "flush: {text}");
    }

    /// Asks to cut and ship everything; status and text of the answer.
    pub async fn try_flush(&self) -> (u16, String) {
        let answer = reqwest::Client::new().post(format!("{}/-/flush", self.admin_url)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}
