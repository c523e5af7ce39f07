//! Data files that a header names, confined to the header's folder: a header from elsewhere must
//! not make a program read its user's other files.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// The data file with the name `named` in a header, which must lie in the header's folder or below.
///
/// Absolute paths, names with `..`, and links that leave the folder are refused: the folder and the
/// file are compared after the system has resolved them. For implementations of
/// [`crate::scan::Scan`] whose header and voxels are separate files.
///
/// # Errors
/// [`Error::UnsupportedScan`] for a name that leaves the folder, [`Error::NotFound`] if there is no
/// file of that name, [`Error::Io`].
pub fn data_file(header: &Path, named: &str) -> Result<PathBuf> {
    let refused = |reason: &str| Error::UnsupportedScan {
        path: header.into(),
        reason: format!(
            "its data file {named:?} {reason}; put the data file beside the header, and name it \
             without a folder"
        ),
    };
    let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if named.contains('\0') || Path::new(named).file_name().unwrap_or_default() == OsStr::new("") {
        return Err(refused("is not the name of a file"));
    }
    // A path of another system may have backslashes and a drive letter.
    if named.contains('\\') || !Path::new(named).components().all(is_inside) {
        return Err(refused("may lie outside of the header's folder"));
    }
    let folder = header.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let file = folder.join(named);
    let resolved = file.canonicalize().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound { what: "data file", path: file.clone() },
        _ => Error::io("open", &file)(e),
    })?;
    let folder = folder.canonicalize().map_err(Error::io("open", folder))?;
    if resolved.starts_with(&folder) {
        Ok(file)
    } else {
        Err(refused("is a link to outside of the header's folder"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder `inside` with a header and data files, and data beside the folder.
    fn folders() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("inside/deep")).expect("a folder");
        for name in ["outside.raw", "inside/a.raw", "inside/deep/b.raw", "inside/x.mhd"] {
            std::fs::write(at(name), name).expect("a file");
        }
        let header = at("inside/x.mhd");
        (folder, header)
    }

    #[test]
    fn files_in_the_folder_of_the_header_and_below_are_found() {
        let (_folder, header) = folders();
        for (named, content) in [
            ("a.raw", "inside/a.raw"),
            ("./a.raw", "inside/a.raw"),
            ("deep/b.raw", "inside/deep/b.raw"),
        ] {
            let found = data_file(&header, named).expect("inside");
            assert_eq!(std::fs::read_to_string(found).expect("readable"), content);
        }
        let missing = data_file(&header, "c.raw");
        assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    }

    #[test]
    fn names_that_leave_the_folder_are_refused_whether_a_file_is_there_or_not() {
        let (folder, header) = folders();
        let absolute = folder.path().join("inside/a.raw");
        let absolute = absolute.to_str().expect("a readable path");
        let named = ["../outside.raw", "deep/../../outside.raw", "deep/../a.raw", "../nothing"];
        for named in named.into_iter().chain([absolute, "/dev/zero", "C:\\a.raw", "..\\a.raw"]) {
            let error = data_file(&header, named).expect_err("outside").to_string();
            assert!(error.contains("x.mhd") && error.contains("outside"), "{error}");
        }
        for named in ["", "/", "..", "a\0.raw"] {
            let refused = data_file(&header, named);
            assert!(matches!(refused, Err(Error::UnsupportedScan { .. })), "{refused:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn links_may_stay_in_the_folder_but_not_leave_it() {
        use std::os::unix::fs::symlink;
        let (folder, header) = folders();
        let inside = folder.path().join("inside");
        symlink("a.raw", inside.join("stays.raw")).expect("a link");
        symlink("../outside.raw", inside.join("leaves.raw")).expect("a link");
        symlink(folder.path(), inside.join("up")).expect("a link");
        // A link to the folder itself is no way out of it.
        symlink(&inside, folder.path().join("link")).expect("a link");
        assert!(data_file(&header, "stays.raw").is_ok());
        assert!(data_file(&folder.path().join("link/x.mhd"), "a.raw").is_ok());
        for named in ["leaves.raw", "up/outside.raw"] {
            let error = data_file(&header, named).expect_err("outside").to_string();
            assert!(error.contains("link to outside"), "{error}");
        }
    }
}
