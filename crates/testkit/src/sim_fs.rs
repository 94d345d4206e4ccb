//! A file system in memory that remembers in which order things were done to it, so that tests can ask: what could a
//! disk hold if the machine had died right here?
//!
//! [`SimFs`] implements [`disk::Fs`](longhaul_disk::Fs). Reading shows the live state, like the page cache of a running
//! machine. Every change goes into a *trace*; [`SimFs::crash_states`] replays a prefix of it and builds file systems as
//! a disk could hold them then:
//!
//! - What `sync_data` covered is there, byte for byte. What was appended since may be absent, present, cut at any
//!   512-byte sector, or there in some sectors and zero in others.
//! - What `sync_dir` covered is there, name for name. Every later create, rename and removal in that directory is kept
//!   or lost by itself; a rename is never half done. A rename between directories counts for the one it went to.
//! - Bytes whose sync failed stay uncertain for ever: a later sync that succeeds says nothing about them.
//! - `truncate` syncs, as [`Fs::truncate`] promises.
//!
//! ```
//! use longhaul_disk::Fs;
//! use longhaul_testkit::sim_fs::SimFs;
//! use std::path::Path;
//!
//! let fs = SimFs::new();
//! let mut file = fs.create(Path::new("/log"))?;
//! file.append(b"one")?;
//! file.sync_data()?;
//! fs.sync_dir(Path::new("/"))?;
//! fs.mark("acked one"); // what the test promised at this point of the trace
//! file.append(b"two")?;
//! for disk in fs.crash_states(fs.trace_len(), 7) {
//!     assert!(disk.read(Path::new("/log"))?.starts_with(b"one"));
//! }
//! # std::io::Result::Ok(())
//! ```

mod image;

use image::{Image, NodeId};
use longhaul_disk::{Entry, File, Fs, ReadAt, Space};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many seeded mixtures [`SimFs::crash_states`] adds to the two extremes.
pub const MIXTURES: u64 = 4;

/// `errno` of an I/O error.
pub const EIO: i32 = 5;
/// `errno` of a full disk.
pub const ENOSPC: i32 = 28;

/// A file system in memory; clones are the same file system.
#[derive(Clone)]
pub struct SimFs {
    state: Arc<Mutex<State>>,
}

/// One step of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A file was created.
    Create(PathBuf),
    /// Bytes were appended to an open file.
    Append {
        /// Which file; a number, since it may have been renamed.
        file: usize,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// An open file was synced.
    SyncData {
        /// Which file.
        file: usize,
    },
    /// A sync failed; what it should have covered stays uncertain.
    SyncFailed {
        /// Which file.
        file: usize,
    },
    /// A file was cut to so many bytes and synced.
    Truncate(PathBuf, u64),
    /// A file or directory was renamed.
    Rename(PathBuf, PathBuf),
    /// A file was removed.
    RemoveFile(PathBuf),
    /// A directory was removed with all in it.
    RemoveDirAll(PathBuf),
    /// A directory and its missing parents were created.
    CreateDirAll(PathBuf),
    /// A directory was synced.
    SyncDir(PathBuf),
    /// The test's own note ([`SimFs::mark`]).
    Mark(String),
}

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// [`Fs::create`]; nothing is created.
    Create,
    /// [`File::append`]; the first half of the bytes is appended.
    Append,
    /// [`File::sync_data`]; what it should have covered stays uncertain for ever.
    SyncData,
    /// [`Fs::sync_dir`]; nothing becomes durable.
    SyncDir,
    /// [`Fs::rename`]; nothing happens.
    Rename,
    /// [`Fs::truncate`]; nothing happens.
    Truncate,
    /// [`Fs::remove_file`]; nothing happens.
    RemoveFile,
    /// [`ReadAt::read_exact_at`].
    Read,
}

#[derive(Debug)]
struct Fault {
    point: FaultPoint,
    skip: usize,
    errno: i32,
}

struct State {
    /// What the trace began with.
    initial: Image,
    live: Image,
    trace: Vec<Operation>,
    /// The image after so many operations of the trace: crash points are mostly visited in order.
    replayed: (usize, Image),
    faults: Vec<Fault>,
    space: Space,
    locks: BTreeSet<PathBuf>,
}

impl Default for SimFs {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SimFs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimFs({} operations)", self.state.lock().trace.len())
    }
}

impl SimFs {
    /// An empty file system: nothing but the root directory.
    pub fn new() -> Self {
        Self::from_image(Image::new())
    }

    fn from_image(image: Image) -> Self {
        let space = Space { available_bytes: 1 << 40, total_bytes: 1 << 40 };
        let (initial, live, replayed) = (image.clone(), image.clone(), (0, image));
        let state =
            State { initial, live, trace: Vec::new(), replayed, faults: Vec::new(), space, locks: BTreeSet::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A file system of its own that holds what this one shows now, all of it durable; its trace is empty.
    pub fn fork(&self) -> Self {
        let state = self.state.lock();
        Self::from_image(state.live.after_crash(&mut image::Keep::Everything))
    }

    /// Adds a note to the trace, for example what has been acknowledged.
    pub fn mark(&self, label: impl Into<String>) {
        self.state.lock().trace.push(Operation::Mark(label.into()));
    }

    /// How many operations the trace has.
    pub fn trace_len(&self) -> usize {
        self.state.lock().trace.len()
    }

    /// The trace so far.
    pub fn trace(&self) -> Vec<Operation> {
        self.state.lock().trace.clone()
    }

    /// The notes within the first `prefix_len` operations.
    pub fn marks(&self, prefix_len: usize) -> Vec<String> {
        let state = self.state.lock();
        let marks = state.trace[..prefix_len].iter().filter_map(|operation| match operation {
            Operation::Mark(label) => Some(label.clone()),
            _ => None,
        });
        marks.collect()
    }

    /// What a disk could hold if the machine had died after the first `prefix_len` operations of the trace: only what
    /// was synced; everything; [`MIXTURES`] mixtures drawn from `seed`. Each is a file system of its own.
    pub fn crash_states(&self, prefix_len: usize, seed: u64) -> Vec<Self> {
        let state = &mut *self.state.lock();
        if state.replayed.0 > prefix_len {
            state.replayed = (0, state.initial.clone());
        }
        for operation in &state.trace[state.replayed.0..prefix_len] {
            state.replayed.1.apply(operation).expect("what worked once works again");
        }
        state.replayed.0 = prefix_len;
        let mut choices = vec![image::Keep::Synced, image::Keep::Everything];
        for mixture in 0..MIXTURES {
            let mut random = StdRng::seed_from_u64(seed ^ (prefix_len as u64) << 20 ^ mixture << 56);
            random.next_u64();
            choices.push(image::Keep::Drawn(Box::new(random)));
        }
        choices.iter_mut().map(|keep| Self::from_image(state.replayed.1.after_crash(keep))).collect()
    }

    /// Lets the operation at `point` fail with `errno`, after `skip` more of its kind have succeeded.
    pub fn fail(&self, point: FaultPoint, skip: usize, errno: i32) {
        self.state.lock().faults.push(Fault { point, skip, errno });
    }

    /// Takes back what [`Self::fail`] said of `point` and has not struck yet.
    pub fn let_succeed(&self, point: FaultPoint) {
        self.state.lock().faults.retain(|fault| fault.point != point);
    }

    /// What [`Fs::space`] answers from now on. Appending does not use it up.
    pub fn set_space(&self, space: Space) {
        self.state.lock().space = space;
    }

    /// Changes a file's bytes behind everybody's back, durably and outside the trace: bit rot, a stale page.
    pub fn damage(&self, path: impl AsRef<Path>, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        let file = state.live.file_at(path.as_ref()).expect("only a file can be damaged");
        change(state.live.content_mut(file));
        let rotten = state.live.after_crash(&mut image::Keep::Everything);
        (state.initial, state.replayed) = (rotten.clone(), (0, rotten));
        state.trace.clear();
    }

    fn run(&self, point: Option<FaultPoint>, operation: Operation) -> io::Result<()> {
        let mut state = self.state.lock();
        if let Some(point) = point {
            state.strike(point)?;
        }
        state.run(operation)
    }
}

impl State {
    fn strike(&mut self, point: FaultPoint) -> io::Result<()> {
        let Some(at) = self.faults.iter().position(|fault| fault.point == point) else { return Ok(()) };
        if self.faults[at].skip > 0 {
            self.faults[at].skip -= 1;
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(self.faults.remove(at).errno))
    }

    fn run(&mut self, operation: Operation) -> io::Result<()> {
        self.live.apply(&operation)?;
        self.trace.push(operation);
        Ok(())
    }
}

struct SimFile {
    fs: SimFs,
    file: NodeId,
}

impl std::fmt::Debug for SimFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimFile({})", self.file)
    }
}

impl File for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.fs.state.lock();
        let struck = state.strike(FaultPoint::Append);
        let bytes = if struck.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        state.run(Operation::Append { file: self.file, bytes: bytes.into() })?;
        struck
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.fs.state.lock();
        let struck = state.strike(FaultPoint::SyncData);
        let file = self.file;
        state.run(if struck.is_ok() { Operation::SyncData { file } } else { Operation::SyncFailed { file } })?;
        struck
    }
}

impl ReadAt for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.fs.state.lock().live.content(self.file).len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.fs.state.lock();
        state.strike(FaultPoint::Read)?;
        let content = state.live.content(self.file);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let bytes = content[start..].get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

struct Locked {
    fs: SimFs,
    path: PathBuf,
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.fs.state.lock().locks.remove(&self.path);
    }
}

impl Fs for SimFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.run(Some(FaultPoint::Create), Operation::Create(path.to_owned()))?;
        let file = self.state.lock().live.file_at(path)?;
        Ok(Box::new(SimFile { fs: self.clone(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadAt>> {
        let file = self.state.lock().live.file_at(path)?;
        Ok(Arc::new(SimFile { fs: self.clone(), file }))
    }

    fn truncate(&self, path: &Path, len_bytes: u64) -> io::Result<()> {
        self.run(Some(FaultPoint::Truncate), Operation::Truncate(path.to_owned(), len_bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(Some(FaultPoint::Rename), Operation::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.run(Some(FaultPoint::RemoveFile), Operation::RemoveFile(path.to_owned()))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.run(None, Operation::RemoveDirAll(path.to_owned()))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.run(None, Operation::CreateDirAll(path.to_owned()))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.run(Some(FaultPoint::SyncDir), Operation::SyncDir(path.to_owned()))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.state.lock().live.list(path)
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        Ok(self.state.lock().space)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        if !self.state.lock().locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Locked { fs: self.clone(), path: path.to_owned() }))
    }
}

#[cfg(test)]
mod tests;
