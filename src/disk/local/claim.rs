//! The right to replace one document, held by one writer at a time.
//!
//! A claim is a hidden file: of all writers that create a file exclusively one succeeds, on local
//! disks and on network file systems alike. Locks only tell early that a writer is dead: a writer on
//! a local disk locks its claim, and the system releases the lock when the process ends. A claim
//! without a lock is marked, and is taken away when it has stood for [`PATIENCE`]; its writer gives up
//! after [`HOLDS`], long before that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::hold::is_still;
use crate::disk::sink::IN_THE_MAKING;
use crate::process::Maker;
use crate::unique;

/// How long a writer waits for a claim. A claim is held while a small file is read and another is
/// renamed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a writer relies on a claim that it created.
const HOLDS: Duration = Duration::from_secs(8);

/// How long an unmarked claim is left alone, so that its writer can lock or mark it.
const SETTLED: Duration = Duration::from_millis(200);

/// The content of a claim whose writer holds no lock: other machines cannot see one.
const MARK: &[u8] = b"shared";

pub(super) struct Claim {
    path: PathBuf,
    since: Instant,
    /// The file that is locked, or was created.
    file: File,
    maker: Maker,
}

impl Claim {
    /// Waits until no other writer holds the claim on `path`.
    pub(super) fn take(path: &Path, is_shared: bool) -> io::Result<Self> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let mut hidden = std::ffi::OsString::from(".swap-");
        hidden.push(name);
        let path = path.with_file_name(hidden);
        let begun = Instant::now();
        // The claim of another writer, and since when this one has seen it.
        let mut other: Option<([u64; 2], Instant)> = None;
        while begun.elapsed() < 3 * PATIENCE {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    if let Some(claim) = Self::of(file, &path, is_shared)? {
                        return Ok(claim);
                    }
                    continue;
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
            let there = match fs::metadata(&path) {
                Ok(there) => [there.dev(), there.ino()],
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            match other {
                Some((seen, since)) if seen == there => {
                    if since.elapsed() > PATIENCE {
                        take_away(&path, there)?;
                    } else if !is_shared && since.elapsed() > SETTLED {
                        remove_if_dead(&path)?;
                    }
                }
                _ => other = Some((there, Instant::now())),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(ErrorKind::ResourceBusy.into())
    }

    /// The claim on a file that this writer has just created; `None` if another writer took the file
    /// for that of a dead one.
    fn of(mut file: File, path: &Path, is_shared: bool) -> io::Result<Option<Self>> {
        let has_lock = !is_shared
            && match file.try_lock() {
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                // Without locks, a dead writer is only told by the time that has passed.
                locked => locked.is_ok(),
            };
        if !has_lock && let Err(error) = file.write_all(MARK) {
            // Otherwise the next writer would wait as for a dead one.
            if is_still(&file, path)? {
                fs::remove_file(path)?;
            }
            return Err(error);
        }
        let is_own = is_still(&file, path)?;
        let (path, since, maker) = (path.to_owned(), Instant::now(), Maker::new());
        Ok(is_own.then_some(Self { path, since, file, maker }))
    }

    /// Fails if another writer may have taken the claim.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.since.elapsed() < HOLDS && is_still(&self.file, &self.path)? {
            Ok(())
        } else {
            Err(ErrorKind::ResourceBusy.into())
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.maker.is_here() && is_still(&self.file, &self.path).unwrap_or(false) {
            // Removed while locked: a waiting writer then finds no file, and creates another.
            let _ = fs::remove_file(&self.path);
            let _ = self.file.unlock();
        }
    }
}

/// Removes the claim of a writer of this machine that was killed: it has no mark, and the system has
/// released its lock.
fn remove_if_dead(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    if file.metadata()?.len() == 0 && file.try_lock().is_ok() && is_still(&file, path)? {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Removes the claim of a vanished writer, but no claim that replaced it meanwhile.
fn take_away(path: &Path, claim: [u64; 2]) -> io::Result<()> {
    let aside = path.with_file_name(format!("{IN_THE_MAKING}{}", unique::id()));
    match fs::rename(path, &aside) {
        // Another writer removed it.
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    let moved = fs::metadata(&aside)?;
    if [moved.dev(), moved.ino()] != claim {
        // The claim of a live writer: put back, unless a third writer has made one meanwhile.
        let _ = fs::hard_link(&aside, path);
    }
    fs::remove_file(&aside)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use super::*;

    #[test]
    fn a_claim_is_held_by_one_at_a_time_and_leaves_nothing() {
        for is_shared in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("document");
            let inside = std::sync::atomic::AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            let claim = Claim::take(&path, is_shared).unwrap();
                            claim.check().unwrap();
                            assert_eq!(inside.fetch_add(1, SeqCst), 0);
                            std::thread::yield_now();
                            inside.fetch_sub(1, SeqCst);
                        }
                    });
                }
            });
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_claim_that_cannot_be_marked_is_an_error_and_stands_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claim");
        fs::write(&path, b"").unwrap();
        // Opened for reading, so that writing fails.
        assert!(Claim::of(File::open(&path).unwrap(), &path, true).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn the_claim_of_a_writer_that_has_gone_is_taken_away_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claim");
        let id = |path: &Path| {
            let there = fs::metadata(path).unwrap();
            [there.dev(), there.ino()]
        };
        fs::write(&path, b"").unwrap();
        let gone = id(&path);
        // Kept open, so that its number is not used again.
        let _open = File::open(&path).unwrap();
        take_away(&path, gone).unwrap();
        assert!(!path.exists());
        fs::write(&path, b"").unwrap();
        let alive = id(&path);
        take_away(&path, gone).unwrap();
        assert_eq!(id(&path), alive);
        take_away(&path, alive).unwrap();
        take_away(&path, alive).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
