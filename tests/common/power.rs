//! A disk in memory that knows what a power cut leaves of it.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use voxpatch::{Blob, Disk};

/// Keeps every change of a name, in order, so that the disk can be had as it is after a power cut
/// at any moment. A file's content is durable when it is written, as [`Disk::write`] promises; a
/// name is when its folder was synced. Until then a change of names may be there after the cut or
/// not, each apart from the others; one that touches two folders is there as a whole or not at
/// all, and for sure when both were synced.
#[derive(Debug, Default)]
pub struct PowerDisk {
    state: Mutex<State>,
    locks: Arc<Locks>,
}

#[derive(Debug, Default)]
struct Locks {
    held: Mutex<HashSet<usize>>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Files and folders, whether or not they have a name. The root comes first.
    live: Vec<Node>,
    /// What was durable when this disk was made.
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
    /// These names of these folders mean these nodes from here on, or nothing.
    Names(Vec<(usize, String, Option<usize>)>),
    /// A folder is synced.
    Synced(usize),
}

/// What a power cut leaves.
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
        Self { state: Mutex::new(state), locks: Arc::default() }
    }

    /// How much was done so far: a moment to cut the power at.
    pub fn now(&self) -> usize {
        self.lock_state().log.len()
    }

    /// The disk as its users see it, and all of it durable.
    pub fn live(&self) -> Image {
        Image(self.lock_state().live.clone())
    }

    /// What a power cut at a moment may leave: with none, all, each alone, all but each of the
    /// changes that were not durable, and with some more choices.
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

    /// The folder of this key; made if it is missing, and what is missing above it, durable or not.
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

    /// The folder that a key is in, and its name there.
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
    /// A number that images of the same names and contents share.
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

impl Disk for PowerDisk {
    fn read(&self, key: &str) -> io::Result<Blob> {
        let state = self.lock_state();
        match &state.live[state.find(key)?] {
            Node::File(bytes) => Ok(bytes.to_vec().into()),
            Node::Folder(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn write(&self, key: &str, parts: &[&[u8]]) -> io::Result<()> {
        let mut state = self.lock_state();
        let (folder, name) = state.parent(key)?;
        state.live.push(Node::File(Arc::new(parts.concat())));
        let new = state.live.len() - 1;
        state.change(vec![(folder, name, Some(new))]);
        Ok(())
    }

    fn list(&self, key: &str) -> io::Result<Vec<String>> {
        let state = self.lock_state();
        match state.find(key) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            node => Ok(state.folder(node?)?.keys().cloned().collect()),
        }
    }

    fn sync(&self, key: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        let node = state.find(key)?;
        state.sync(node, true)
    }

    fn sync_names(&self, key: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        let node = state.find(key)?;
        state.sync(node, false)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        let node = state.find(from)?;
        let there = state.find(to).and_then(|node| state.folder(node));
        if there.is_ok_and(|inside| !inside.is_empty()) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        let ((a, from), (b, to)) = (state.parent(from)?, state.parent(to)?);
        state.change(vec![(a, from, None), (b, to, Some(node))]);
        Ok(())
    }

    fn exchange(&self, a: &str, b: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        let (first, second) = (state.find(a)?, state.find(b)?);
        let ((in_a, a), (in_b, b)) = (state.parent(a)?, state.parent(b)?);
        state.change(vec![(in_a, a, Some(second)), (in_b, b, Some(first))]);
        Ok(())
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        match state.find(key) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            node => node?,
        };
        let (folder, name) = state.parent(key)?;
        state.remove(folder, &name);
        Ok(())
    }

    fn remove_empty(&self, key: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        let node = state.find(key)?;
        if key.is_empty() || !state.folder(node)?.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        let (folder, name) = state.parent(key)?;
        state.change(vec![(folder, name, None)]);
        Ok(())
    }

    fn make(&self, key: &str) -> io::Result<bool> {
        self.lock_state().make(key, true).map(|(_, made)| made)
    }

    fn lock(&self, key: &str, wait: bool) -> io::Result<Box<dyn Send + Sync>> {
        let (node, _) = self.lock_state().make(key, true)?;
        let mut held = self.locks.held.lock().unwrap();
        while !held.insert(node) {
            if !wait {
                return Err(ErrorKind::WouldBlock.into());
            }
            held = self.locks.released.wait(held).unwrap();
        }
        Ok(Box::new(Held { locks: Arc::clone(&self.locks), node }))
    }

    fn path(&self, key: &str) -> PathBuf {
        PathBuf::from("disk.zarr").join(key)
    }
}

struct Held {
    locks: Arc<Locks>,
    node: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.locks.held.lock().unwrap().remove(&self.node);
        self.locks.released.notify_all();
    }
}
