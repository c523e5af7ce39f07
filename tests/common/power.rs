//! A disk in memory that simulates power cuts.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may fail")]

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use voxpatch::disk::{Blob, Disk, FetchError, Held, Sink, Source, Span, Swap, Usage, Version};

/// Keeps every change of a name, in order, so that the disk can be restored as after a power cut at
/// any moment. The content of a file is durable when it is put, a name when its folder is synced.
/// Until then, each change of a name may or may not survive the cut, independently of the others; a
/// change in two folders survives as a whole or not at all, and certainly when both are synced.
#[derive(Debug, Default)]
pub struct PowerDisk {
    state: Mutex<State>,
    held: Arc<Mutex<HashSet<String>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Files and folders, whether or not they have a name. The root comes first.
    live: Vec<Node>,
    /// The durable state when this disk was made.
    base: Vec<Node>,
    log: Vec<Event>,
}

#[derive(Debug, Clone)]
enum Node {
    File(Arc<Vec<u8>>),
    Folder(BTreeMap<String, usize>),
}

#[derive(Debug)]
enum Event {
    /// From here on, these names in these folders refer to these nodes, or to nothing.
    Names(Vec<(usize, String, Option<usize>)>),
    /// A folder is synced.
    Synced(usize),
}

/// The state after a power cut.
#[derive(Debug, Clone)]
pub struct Image(Vec<Node>);

impl PowerDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::of(Image(vec![Node::Folder(BTreeMap::new())]))
    }

    /// The disk after the power is back.
    pub fn of(Image(nodes): Image) -> Self {
        let state = State { live: nodes.clone(), base: nodes, log: Vec::new() };
        Self { state: Mutex::new(state), held: Arc::default() }
    }

    /// The number of changes so far: a moment for a power cut.
    pub fn now(&self) -> usize {
        self.lock_state().log.len()
    }

    /// The disk as its users see it, with everything durable.
    pub fn live(&self) -> Image {
        Image(self.lock_state().live.clone())
    }

    /// The possible states after a power cut at a moment: none, all, each alone, all but one of the
    /// changes that were not durable, and some more choices.
    pub fn after_cut(&self, at: usize) -> Vec<Image> {
        let state = self.lock_state();
        let pending = state.pending(at);
        let mut choices = vec![vec![false; pending.len()], vec![true; pending.len()]];
        for n in 0..pending.len() {
            for alone in [true, false] {
                choices.push((0..pending.len()).map(|m| (m == n) == alone).collect());
            }
        }
        let mut seed = at as u64;
        for _ in 0..if pending.len() > 2 { 6 } else { 0 } {
            let choice = pending.iter().map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed >> 63 == 1
            });
            choices.push(choice.collect());
        }
        choices.iter().map(|chosen| state.image(at, &pending, chosen)).collect()
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    /// The changes of names before a moment that were not durable at it.
    fn pending(&self, at: usize) -> Vec<usize> {
        let log = &self.log[..at];
        let is_pending = |n: &usize| match &log[*n] {
            Event::Synced(_) => false,
            Event::Names(names) => !names.iter().all(|(folder, ..)| {
                log[*n..].iter().any(|event| matches!(event, Event::Synced(f) if f == folder))
            }),
        };
        (0..at).filter(is_pending).collect()
    }

    fn image(&self, at: usize, pending: &[usize], chosen: &[bool]) -> Image {
        let empty = |node: &Node| match node {
            Node::File(_) => node.clone(),
            Node::Folder(_) => Node::Folder(BTreeMap::new()),
        };
        let later = self.live[self.base.len()..].iter().map(empty);
        let mut nodes: Vec<Node> = self.base.iter().cloned().chain(later).collect();
        for (n, event) in self.log[..at].iter().enumerate() {
            let Event::Names(names) = event else { continue };
            if pending.iter().position(|p| *p == n).is_none_or(|p| chosen[p]) {
                apply(&mut nodes, names);
            }
        }
        Image(nodes)
    }

    fn change(&mut self, names: Vec<(usize, String, Option<usize>)>) {
        apply(&mut self.live, &names);
        self.log.push(Event::Names(names));
    }

    fn folder(&self, node: usize) -> io::Result<&BTreeMap<String, usize>> {
        match &self.live[node] {
            Node::Folder(names) => Ok(names),
            Node::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn find(&self, key: &str) -> io::Result<usize> {
        key.split('/').filter(|name| !name.is_empty()).try_fold(0, |node, name| {
            self.folder(node)?.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
        })
    }

    /// The folder of this key; created if missing, with its parents, durable or not.
    fn make(&mut self, key: &str, durable: bool) -> io::Result<(usize, bool)> {
        let (mut node, mut made) = (0, false);
        for name in key.split('/').filter(|name| !name.is_empty()) {
            if let Some(below) = self.folder(node)?.get(name) {
                node = *below;
                continue;
            }
            made = true;
            self.live.push(Node::Folder(BTreeMap::new()));
            let new = self.live.len() - 1;
            self.change(vec![(node, name.to_owned(), Some(new))]);
            if durable {
                self.log.push(Event::Synced(node));
            }
            node = new;
        }
        self.folder(node).map(|_| (node, made))
    }

    /// The folder of a key, and its name there.
    fn parent(&mut self, key: &str) -> io::Result<(usize, String)> {
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        Ok((self.make(folder, false)?.0, name.to_owned()))
    }

    /// Removes a name, after all that is below it, one name after the other.
    fn remove(&mut self, folder: usize, name: &str) {
        let node = self.folder(folder).unwrap()[name];
        if let Node::Folder(inside) = &self.live[node] {
            for name in inside.keys().cloned().collect::<Vec<_>>() {
                self.remove(node, &name);
            }
        }
        self.change(vec![(folder, name.to_owned(), None)]);
    }

    fn sync(&mut self, node: usize, below: bool) -> io::Result<()> {
        for inside in self.folder(node)?.values().copied().collect::<Vec<_>>() {
            if below && matches!(self.live[inside], Node::Folder(_)) {
                self.sync(inside, true)?;
            }
        }
        self.log.push(Event::Synced(node));
        Ok(())
    }
}

fn apply(nodes: &mut [Node], names: &[(usize, String, Option<usize>)]) {
    for (folder, name, node) in names {
        let Node::Folder(inside) = &mut nodes[*folder] else { panic!("names are in folders") };
        match node {
            Some(node) => inside.insert(name.clone(), *node),
            None => inside.remove(name),
        };
    }
}

impl Image {
    /// A number that states with the same names and contents share.
    pub fn digest(&self) -> u64 {
        let mut digest = DefaultHasher::new();
        let mut left = vec![(String::new(), 0)];
        while let Some((path, node)) = left.pop() {
            match &self.0[node] {
                Node::File(bytes) => (path, bytes).hash(&mut digest),
                Node::Folder(inside) => {
                    left.extend(inside.iter().map(|(name, n)| (format!("{path}/{name}"), *n)));
                    path.hash(&mut digest);
                }
            }
        }
        digest.finish()
    }
}

impl PowerDisk {
    fn sync(&self, key: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        match state.find(key) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            node => state.sync(node?, true)?,
        }
        let mut above = Some(key).filter(|key| !key.is_empty());
        while let Some(folder) = above {
            above = folder.rsplit_once('/').map(|(above, _)| above);
            if let Ok(node) = state.find(above.unwrap_or_default()) {
                state.sync(node, false)?;
            }
        }
        Ok(())
    }

    /// Marks nothing: any process may hold any folder.
    pub fn forget_held(&self) {
        self.held.lock().unwrap().clear();
    }

    /// The disk in the form that a dataset takes.
    pub fn handle(self: &Arc<Self>) -> Disk {
        Disk::new(Arc::clone(self))
    }
}

impl Source for PowerDisk {
    fn get(&self, key: &str) -> io::Result<(Vec<u8>, Version)> {
        let state = self.lock_state();
        match &state.live[state.find(key)?] {
            Node::File(bytes) => Ok((bytes.to_vec(), version(bytes))),
            Node::Folder(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn fetch(
        &self,
        spans: &[Span<'_>],
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> Result<(), FetchError> {
        for (span, Span { key, range }) in spans.iter().enumerate() {
            let range = range.start as usize..range.end as usize;
            let bytes = self.get(key).and_then(|(bytes, _)| {
                bytes.get(range).map(<[u8]>::to_vec).ok_or(ErrorKind::UnexpectedEof.into())
            });
            each(span, bytes.map_err(|source| FetchError { span, source })?);
        }
        Ok(())
    }

    fn length(&self, key: &str) -> io::Result<u64> {
        self.get(key).map(|(bytes, _)| bytes.len() as u64)
    }

    fn view(&self, key: &str) -> io::Result<Option<Blob>> {
        self.get(key).map(|(bytes, _)| Some(bytes.into()))
    }

    fn gap(&self) -> usize {
        0
    }

    fn list(&self, key: &str) -> io::Result<Vec<String>> {
        let state = self.lock_state();
        match state.find(key) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            node => Ok(state.folder(node?)?.keys().cloned().collect()),
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        PathBuf::from("disk.zarr").join(key)
    }
}

impl Sink for PowerDisk {
    fn put(&self, key: &str, parts: &[&[u8]]) -> io::Result<()> {
        let mut state = self.lock_state();
        let (folder, name) = state.parent(key)?;
        state.live.push(Node::File(Arc::new(parts.concat())));
        let new = state.live.len() - 1;
        state.change(vec![(folder, name, Some(new))]);
        Ok(())
    }

    fn flush(&self, folder: &str) -> io::Result<()> {
        self.sync(folder)
    }

    fn swap(&self, key: &str, expected: Option<&Version>, new: Option<&[u8]>) -> io::Result<Swap> {
        let mut state = self.lock_state();
        let there = match state.find(key) {
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            node => match &state.live[node?] {
                Node::File(bytes) => Some(version(bytes)),
                Node::Folder(_) => return Err(ErrorKind::IsADirectory.into()),
            },
        };
        if there.as_ref() != expected {
            return Ok(Swap::Lost);
        }
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
        let (folder, _) = state.make(folder, true)?;
        let new = new.map(|new| {
            state.live.push(Node::File(Arc::new(new.to_vec())));
            state.live.len() - 1
        });
        if there.is_some() || new.is_some() {
            state.change(vec![(folder, name.to_owned(), new)]);
            state.log.push(Event::Synced(folder));
        }
        Ok(Swap::Done)
    }

    fn delete(&self, key: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        if state.find(key).is_err() {
            return Ok(());
        }
        let (folder, name) = state.parent(key)?;
        state.remove(folder, &name);
        let mut key = key;
        while let Some((above, _)) = key.rsplit_once('/') {
            let node = state.find(above)?;
            if !state.folder(node)?.is_empty() {
                break;
            }
            let (folder, name) = state.parent(above)?;
            state.change(vec![(folder, name, None)]);
            key = above;
        }
        Ok(())
    }

    fn usage(&self, key: &str) -> io::Result<Option<Usage>> {
        let state = self.lock_state();
        let Ok(node) = state.find(key) else { return Ok(None) };
        let (mut bytes, mut left) = (0, vec![node]);
        while let Some(node) = left.pop() {
            match &state.live[node] {
                Node::File(content) => bytes += content.len() as u64,
                Node::Folder(inside) => left.extend(inside.values()),
            }
        }
        Ok(Some(Usage { bytes, ..Usage::default() }))
    }

    fn hold(&self, folder: &str) -> io::Result<Held> {
        let mut held = self.held.lock().unwrap();
        if !held.insert(folder.to_owned()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Held::new(Hold { held: Arc::clone(&self.held), folder: folder.to_owned() }))
    }
}

fn version(bytes: &[u8]) -> Version {
    let mut digest = DefaultHasher::new();
    bytes.hash(&mut digest);
    Version(format!("{:x}", digest.finish()))
}

struct Hold {
    held: Arc<Mutex<HashSet<String>>>,
    folder: String,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.lock().unwrap().remove(&self.folder);
    }
}
