//! Detection of network file systems, to which other machines write, too.

use std::path::Path;

/// Whether a path, or its closest existing parent, is on a network file system: another machine may
/// remove a mapped file, which ends the process by a signal, and locks may hold on this machine
/// only.
#[cfg(target_os = "linux")]
pub(super) fn is_shared(path: &Path) -> bool {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|folder| rustix::fs::statfs(folder).ok());
    // The numbers have 32 bits, in a field that is signed on some machines.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    there.is_some_and(|system| KINDS.contains(&(system.f_type as u32)))
}

/// Other systems have no such number: the user chooses `?mode=read`.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_shared(_: &Path) -> bool {
    false
}

/// The numbers of `statfs(2)`, from its manual and the headers of the file systems.
#[cfg(target_os = "linux")]
const KINDS: [u32; 16] = [
    0x0000_6969, // NFS
    0x0000_517b, // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x6573_5546, // FUSE: sshfs, SeaweedFS, mountpoint-s3, gcsfuse
    0x0bd0_0bd0, // Lustre
    0x4750_4653, // GPFS
    0x1983_0326, // BeeGFS
    0x00c3_6400, // Ceph
    0x0102_1997, // 9P
    0x5346_414f, // AFS
    0x6b41_4653, // AFS of the kernel
    0x7461_636f, // OCFS2
    0x0116_1970, // GFS2
    0xaad7_aaea, // PanFS
    0x7375_7245, // Coda
];

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_yet_lies_where_its_folder_does() {
        let folder = tempfile::tempdir().unwrap();
        let is_here = is_shared(folder.path());
        assert_eq!(is_shared(&folder.path().join("a/b/c")), is_here);
        assert!(!is_shared(Path::new("/proc/none")));
    }
}
