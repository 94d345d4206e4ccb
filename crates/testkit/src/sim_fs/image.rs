//! The state of a simulated file system: what is seen, what is durable, and what hangs between.

use super::Operation;
use longhaul_disk::Entry;
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Component, Path};

/// A file or directory, by its place in the table of nodes.
pub(super) type NodeId = usize;

const ROOT: NodeId = 0;
/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// All files and directories, with what is not durable yet.
#[derive(Clone, Debug)]
pub(super) struct Image {
    nodes: Vec<Node>,
    /// Changes of names that no sync of a directory has covered, oldest first.
    pending: Vec<NameChange>,
}

#[derive(Clone, Debug)]
enum Node {
    Dir { live: BTreeMap<String, NodeId>, durable: BTreeMap<String, NodeId> },
    File { content: Vec<u8>, volatile: Vec<Volatile> },
}

/// Bytes of a file that no sync has covered.
#[derive(Clone, Debug)]
struct Volatile {
    range: Range<usize>,
    /// A sync that should have covered them failed: no later one does.
    given_up: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    dir: NodeId,
    name: String,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(Place, NodeId),
    Unlink(Place),
    Rename(Place, Place, NodeId),
}

/// What a crash keeps of what was not durable.
#[derive(Debug)]
pub(super) enum Keep {
    Synced,
    Everything,
    Drawn(Box<StdRng>),
}

impl Keep {
    fn name(&mut self) -> bool {
        match self {
            Self::Synced => false,
            Self::Everything => true,
            Self::Drawn(random) => random.random_bool(0.5),
        }
    }

    /// Copies what is kept of `range` from `content` to `kept`, which is lengthened with zeros as needed.
    fn bytes(&mut self, content: &[u8], range: Range<usize>, kept: &mut Vec<u8>) {
        let mut keep = |range: Range<usize>| {
            if kept.len() < range.start {
                kept.resize(range.start, 0);
            }
            if !range.is_empty() {
                kept.truncate(range.start); // ranges come in order: nothing stands behind
                kept.extend_from_slice(&content[range]);
            }
        };
        let Self::Drawn(random) = self else {
            return if matches!(self, Self::Everything) {
                keep(range)
            };
        };
        let sectors = range.start / SECTOR_BYTES..range.end.div_ceil(SECTOR_BYTES);
        match random.random_range(0..4) {
            0 => {}
            1 => keep(range),
            2 => keep(range.start..range.end.min(random.random_range(sectors) * SECTOR_BYTES).max(range.start)),
            _ => {
                for sector in sectors {
                    if random.random_bool(0.5) {
                        let start = range.start.max(sector * SECTOR_BYTES);
                        keep(start..range.end.min((sector + 1) * SECTOR_BYTES));
                    }
                }
                if random.random_bool(0.5) {
                    kept.resize(kept.len().max(range.end), 0); // the length arrived, the content did not
                }
            }
        }
    }
}

impl Image {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Dir { live: BTreeMap::new(), durable: BTreeMap::new() }], pending: Vec::new() }
    }

    /// Carries out one operation of a trace.
    pub(super) fn apply(&mut self, operation: &Operation) -> io::Result<()> {
        match operation {
            Operation::Create(path) => {
                let place = self.place(path)?;
                if self.lookup(&place).is_some() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                let node = self.add(Node::File { content: Vec::new(), volatile: Vec::new() });
                self.link(place, node)
            }
            Operation::Append { file, bytes } => {
                let (content, volatile) = self.file_mut(*file);
                let range = content.len()..content.len() + bytes.len();
                content.extend_from_slice(bytes);
                match volatile.last_mut() {
                    Some(last) if last.range.end == range.start && !last.given_up => last.range.end = range.end,
                    _ => volatile.push(Volatile { range, given_up: false }),
                }
                Ok(())
            }
            Operation::SyncData { file } => {
                self.file_mut(*file).1.retain(|volatile| volatile.given_up);
                Ok(())
            }
            Operation::SyncFailed { file } => {
                self.file_mut(*file).1.iter_mut().for_each(|volatile| volatile.given_up = true);
                Ok(())
            }
            Operation::Truncate(path, length) => {
                let file = self.file_at(path)?;
                let (content, volatile) = self.file_mut(file);
                content.resize(*length as usize, 0);
                volatile.retain(|volatile| volatile.given_up && volatile.range.start < content.len());
                volatile.iter_mut().for_each(|volatile| volatile.range.end = volatile.range.end.min(content.len()));
                Ok(())
            }
            Operation::Rename(from, to) => self.rename(from, to),
            Operation::RemoveFile(path) => {
                self.file_at(path)?;
                let place = self.place(path)?;
                self.unlink(place)
            }
            Operation::RemoveDirAll(path) => {
                let place = self.place(path)?;
                let node = self.lookup(&place).ok_or(io::ErrorKind::NotFound)?;
                self.dir(node)?;
                self.unlink_tree(place, node)
            }
            Operation::CreateDirAll(path) => self.create_dir_all(path),
            Operation::SyncDir(path) => {
                let dir = self.resolve(path)?;
                self.dir(dir)?;
                self.sync_dir(dir);
                Ok(())
            }
            Operation::Mark(_) => Ok(()),
        }
    }

    /// The image that a machine finds which starts after a crash: all of it durable.
    pub(super) fn after_crash(&self, keep: &mut Keep) -> Self {
        let mut crashed = self.clone_names();
        for change in &self.pending {
            if keep.name() {
                crashed.make_durable(change);
            }
        }
        let mut after = Self::new();
        self.copy_durable(&crashed, ROOT, &mut after, ROOT, keep);
        after
    }

    /// The names alone, without any content.
    fn clone_names(&self) -> Self {
        let nodes = self.nodes.iter().map(|node| match node {
            Node::Dir { .. } => node.clone(),
            Node::File { .. } => Node::File { content: Vec::new(), volatile: Vec::new() },
        });
        Self { nodes: nodes.collect(), pending: Vec::new() }
    }

    fn copy_durable(&self, names: &Self, from: NodeId, after: &mut Self, to: NodeId, keep: &mut Keep) {
        let Node::Dir { durable, .. } = &names.nodes[from] else { return };
        for (name, child) in durable {
            let node = match &self.nodes[*child] {
                Node::Dir { .. } => Node::Dir { live: BTreeMap::new(), durable: BTreeMap::new() },
                Node::File { content, volatile } => {
                    Node::File { content: kept_content(content, volatile, keep), volatile: Vec::new() }
                }
            };
            let copy = after.add(node);
            if let Node::Dir { live, durable } = &mut after.nodes[to] {
                live.insert(name.clone(), copy);
                durable.insert(name.clone(), copy);
            }
            self.copy_durable(names, *child, after, copy, keep);
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let dir = self.resolve(path)?;
        let entries = self.dir(dir)?.iter().map(|(name, node)| match &self.nodes[*node] {
            Node::Dir { .. } => Entry { name: name.clone(), is_dir: true, len_bytes: 0 },
            Node::File { content, .. } => Entry { name: name.clone(), is_dir: false, len_bytes: content.len() as u64 },
        });
        Ok(entries.collect())
    }

    pub(super) fn file_at(&self, path: &Path) -> io::Result<NodeId> {
        let node = self.resolve(path)?;
        match &self.nodes[node] {
            Node::File { .. } => Ok(node),
            Node::Dir { .. } => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn content(&self, file: NodeId) -> &[u8] {
        match &self.nodes[file] {
            Node::File { content, .. } => content,
            Node::Dir { .. } => &[],
        }
    }

    pub(super) fn content_mut(&mut self, file: NodeId) -> &mut Vec<u8> {
        self.file_mut(file).0
    }

    fn file_mut(&mut self, file: NodeId) -> (&mut Vec<u8>, &mut Vec<Volatile>) {
        match &mut self.nodes[file] {
            Node::File { content, volatile } => (content, volatile),
            Node::Dir { .. } => panic!("node {file} is a directory; handles exist for files only"),
        }
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn dir(&self, node: NodeId) -> io::Result<&BTreeMap<String, NodeId>> {
        match &self.nodes[node] {
            Node::Dir { live, .. } => Ok(live),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn names_mut(&mut self, dir: NodeId) -> (&mut BTreeMap<String, NodeId>, &mut BTreeMap<String, NodeId>) {
        match &mut self.nodes[dir] {
            Node::Dir { live, durable } => (live, durable),
            Node::File { .. } => panic!("node {dir} is a file; places lie in directories only"),
        }
    }

    fn resolve(&self, path: &Path) -> io::Result<NodeId> {
        names(path)?.into_iter().try_fold(ROOT, |dir, name| {
            self.dir(dir)?.get(&name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }

    fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = names(path)?;
        let name = names.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = names.into_iter().try_fold(ROOT, |dir, name| {
            self.dir(dir)?.get(&name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        })?;
        self.dir(dir)?;
        Ok(Place { dir, name })
    }

    fn lookup(&self, place: &Place) -> Option<NodeId> {
        self.dir(place.dir).ok()?.get(&place.name).copied()
    }

    fn link(&mut self, place: Place, node: NodeId) -> io::Result<()> {
        self.names_mut(place.dir).0.insert(place.name.clone(), node);
        self.pending.push(NameChange::Link(place, node));
        Ok(())
    }

    fn unlink(&mut self, place: Place) -> io::Result<()> {
        self.names_mut(place.dir).0.remove(&place.name);
        self.pending.push(NameChange::Unlink(place));
        Ok(())
    }

    fn unlink_tree(&mut self, place: Place, node: NodeId) -> io::Result<()> {
        if let Node::Dir { live, .. } = &self.nodes[node] {
            for (name, child) in live.clone() {
                self.unlink_tree(Place { dir: node, name }, child)?;
            }
        }
        self.unlink(place)
    }

    fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut dir = ROOT;
        for name in names(path)? {
            let place = Place { dir, name };
            dir = match self.lookup(&place) {
                Some(node) => node,
                None => {
                    let node = self.add(Node::Dir { live: BTreeMap::new(), durable: BTreeMap::new() });
                    self.link(place, node)?;
                    node
                }
            };
            self.dir(dir)?;
        }
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        let node = self.lookup(&from).ok_or(io::ErrorKind::NotFound)?;
        if let Some(Node::Dir { live, .. }) = self.lookup(&to).map(|there| &self.nodes[there])
            && !live.is_empty()
        {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.names_mut(from.dir).0.remove(&from.name);
        self.names_mut(to.dir).0.insert(to.name.clone(), node);
        self.pending.push(NameChange::Rename(from, to, node));
        Ok(())
    }

    fn sync_dir(&mut self, dir: NodeId) {
        let mut rest = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            if change.target().dir == dir {
                if let NameChange::Rename(from, ..) = &change {
                    // What happened before under the old name can no longer come true by itself.
                    rest.retain(|earlier: &NameChange| earlier.target() != from);
                }
                self.make_durable(&change);
            } else {
                rest.push(change);
            }
        }
        self.pending = rest;
    }

    fn make_durable(&mut self, change: &NameChange) {
        match change {
            NameChange::Link(place, node) => drop(self.names_mut(place.dir).1.insert(place.name.clone(), *node)),
            NameChange::Unlink(place) => drop(self.names_mut(place.dir).1.remove(&place.name)),
            NameChange::Rename(from, to, node) => {
                self.names_mut(from.dir).1.remove(&from.name);
                self.names_mut(to.dir).1.insert(to.name.clone(), *node);
            }
        }
    }
}

impl NameChange {
    /// The place whose directory must be synced for the change to be durable.
    fn target(&self) -> &Place {
        match self {
            Self::Link(place, _) | Self::Unlink(place) | Self::Rename(_, place, _) => place,
        }
    }
}

fn kept_content(content: &[u8], volatile: &[Volatile], keep: &mut Keep) -> Vec<u8> {
    let mut kept = Vec::with_capacity(content.len());
    let mut at = 0;
    for Volatile { range, .. } in volatile {
        if at < range.start {
            kept.resize(at, 0);
            kept.extend_from_slice(&content[at..range.start]);
        }
        keep.bytes(content, range.clone(), &mut kept);
        at = range.end;
    }
    if at < content.len() {
        kept.resize(at, 0);
        kept.extend_from_slice(&content[at..]);
    }
    kept
}

fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?.to_owned()),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}
