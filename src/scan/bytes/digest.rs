//! Digests of files as stored on disk, compressed or not.

use std::path::Path;

use super::stream;
use crate::{Error, Result};

/// BLAKE3 of files, in hexadecimal: for one file, of its bytes; for several, of the concatenated
/// digests of each.
pub(in crate::scan) fn of_files(files: &[&Path]) -> Result<String> {
    let each: Vec<_> = files.iter().map(|file| of_file(file)).collect::<Result<_>>()?;
    Ok(match &each[..] {
        [one] => one.to_hex().to_string(),
        several => {
            let mut all = blake3::Hasher::new();
            for digest in several {
                all.update(digest.as_bytes());
            }
            all.finalize().to_hex().to_string()
        }
    })
}

fn of_file(path: &Path) -> Result<blake3::Hash> {
    let (file, _) = stream::regular(path)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(Error::io("read", path))?;
    Ok(hasher.finalize())
}
