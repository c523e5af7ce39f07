//! The system calls that make files and names durable, all in one place, so that tests can tell
//! which were made.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the content of a file durable. A failure is final: the system drops the bytes and reports
/// the error once, so that a second call would succeed without them.
pub(crate) fn contents(file: &File) -> io::Result<()> {
    #[cfg(test)]
    tests::record(file)?;
    file.sync_all()
}

/// Makes the names directly inside a folder durable; the empty path is the current folder.
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

    /// Whether this thread has synced the files at these paths since the last call.
    pub(crate) fn were_synced<const N: usize>(paths: [&Path; N]) -> [bool; N] {
        let synced = SYNCED.take();
        paths.map(|path| {
            let metadata = std::fs::metadata(path).expect("a file or folder");
            synced.contains(&(metadata.dev(), metadata.ino()))
        })
    }
}
