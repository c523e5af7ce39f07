//! The system calls that make files and names last: all of them are made here, so that tests can
//! tell which were.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes what was written to a file last. A failure is final: the system drops the bytes and says so
/// once, so that trying again would succeed without them.
pub(crate) fn contents(file: &File) -> io::Result<()> {
    #[cfg(test)]
    tests::record(file)?;
    file.sync_all()
}

/// Makes the names directly inside a folder last; the empty path is the current folder.
pub(crate) fn names(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    contents(&File::open(folder)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    thread_local! {
        static SYNCED: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn record(file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        SYNCED.with_borrow_mut(|synced| synced.push((metadata.dev(), metadata.ino())));
        Ok(())
    }

    /// Whether this thread has synced what has this path now, since this was last asked of anything.
    pub(crate) fn were_synced<const N: usize>(paths: [&Path; N]) -> [bool; N] {
        let synced = SYNCED.take();
        paths.map(|path| {
            let metadata = std::fs::metadata(path).expect("a file or folder");
            synced.contains(&(metadata.dev(), metadata.ino()))
        })
    }
}
