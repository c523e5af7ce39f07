//! What every disk promises, and whatever disk comes later: the same suite over each.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::power::PowerDisk;
use voxpatch::disk::{Disk, FetchError, LocalDisk, Sink, Source as _, Span, Swap, Version};
use voxpatch::{ConvertOptions, Dataset, Error, Region};

/// Reads what was put, as a whole, in stretches, and in view.
fn what_is_put_is_read(disk: &dyn Sink) {
    disk.put("a/b/one", &[b"on", b"", b"e"]).unwrap();
    disk.put("a/b/one", &[b"two"]).unwrap();
    disk.put("a/empty", &[]).unwrap();
    let many = vec![&b"xyz"[..]; 5000];
    disk.put("a/many", &many).unwrap();
    let many = many.concat();
    disk.put_streamed("a/streamed", &mut |out| many.chunks(77).try_for_each(|c| out.write_all(c)))
        .unwrap();
    assert_eq!(disk.get("a/b/one").unwrap().0, b"two");
    assert_eq!(disk.get("a/empty").unwrap().0, b"");
    assert_eq!(disk.get("a/streamed").unwrap().0, many);
    let length = |key| disk.length(key).unwrap();
    assert_eq!([length("a/b/one"), length("a/empty"), length("a/many")], [3, 0, 15_000]);
    if let Some(view) = disk.view("a/many").unwrap() {
        assert_eq!(&view[..], many);
    }
    assert_eq!(disk.list("a").unwrap(), ["b", "empty", "many", "streamed"]);
    assert_eq!(disk.list("").unwrap(), ["a"]);
    assert!(disk.list("c").unwrap().is_empty());
    let span = |key, range| Span { key, range };
    let spans = [
        span("a/many", 0..1),
        span("a/b/one", 1..3),
        span("a/many", 14_990..15_000),
        span("a/many", 3..9),
    ];
    let mut found = vec![None; spans.len()];
    disk.fetch(&spans, &mut |n, bytes| assert!(found[n].replace(bytes).is_none())).unwrap();
    let expected = [&many[..1], b"wo", &many[14_990..], &many[3..9]];
    assert_eq!(found, expected.map(|bytes| Some(bytes.to_vec())));
}

/// What is not there is told as that, and which of several.
fn what_is_missing_is_told(disk: &dyn Sink) {
    disk.put("a/b", &[b"bytes"]).unwrap();
    let absent = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory);
    for key in ["c", "a/c", "a/b/c"] {
        assert!(absent(disk.get(key).unwrap_err().kind()), "{key}");
        assert!(absent(disk.length(key).unwrap_err().kind()), "{key}");
        assert!(disk.view(key).map_or_else(|e| absent(e.kind()), |view| view.is_none()), "{key}");
        assert_eq!(disk.stamp(key).unwrap(), None);
        assert_eq!(disk.usage(key).unwrap(), None);
        disk.delete(key).unwrap();
    }
    let spans = |key, range| [Span { key: "a/b", range: 0..5 }, Span { key, range }];
    let failed = |spans: [Span<'_>; 2]| disk.fetch(&spans, &mut |_, _| ()).unwrap_err();
    let FetchError { span, source } = failed(spans("a/c", 0..1));
    assert!(span == 1 && absent(source.kind()), "{source}");
    for range in [4..6, 5..6, 7..9] {
        let FetchError { span, source } = failed(spans("a/b", range));
        assert_eq!((span, source.kind()), (1, ErrorKind::UnexpectedEof));
    }
}

/// An object is there as a whole or not at all, also where its content fails.
fn what_fails_leaves_what_was_there(disk: &dyn Sink) {
    disk.put("a/b", &[b"old"]).unwrap();
    let failed = disk.put_streamed("a/b", &mut |out| {
        out.write_all(&vec![7; 3 << 20])?;
        Err(ErrorKind::StorageFull.into())
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.get("a/b").unwrap().0, b"old");
    assert_eq!(disk.list("a").unwrap(), ["b"]);
}

/// Deleting takes all that is below, and folders that nothing is in.
fn what_is_deleted_is_gone(disk: &dyn Sink) {
    for key in ["a/b/c/d", "a/b/c/e/f", "a/g"] {
        disk.put(key, &[b"bytes"]).unwrap();
    }
    assert_eq!(disk.usage("a").unwrap().map(|usage| usage.bytes > 0), Some(true));
    disk.delete("a/b/c").unwrap();
    assert_eq!(disk.list("a").unwrap(), ["g"]);
    disk.delete("a/g").unwrap();
    assert!(disk.list("").unwrap().is_empty());
    disk.flush("a/b").unwrap();
    disk.flush("").unwrap();
}

/// A document is created, replaced and removed by who knows its version, and by nobody else.
fn a_swap_is_by_version(disk: &dyn Sink) {
    let version = || disk.get("a/doc").unwrap().1;
    let swap =
        |expected: Option<&Version>, new: Option<&[u8]>| disk.swap("a/doc", expected, new).unwrap();
    assert_eq!(swap(None, Some(b"1")), Swap::Done);
    assert_eq!(swap(None, Some(b"0")), Swap::Lost);
    let first = version();
    assert_eq!(swap(Some(&first), Some(b"2")), Swap::Done);
    assert_eq!(disk.get("a/doc").unwrap().0, b"2");
    for new in [Some(&b"3"[..]), None] {
        assert_eq!(swap(Some(&first), new), Swap::Lost);
    }
    assert_eq!(disk.get("a/doc").unwrap().0, b"2");
    let second = version();
    assert_ne!(first, second);
    assert_eq!(swap(Some(&second), None), Swap::Done);
    assert_eq!(disk.get("a/doc").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(swap(Some(&second), Some(b"4")), Swap::Lost);
    assert_eq!(disk.get("a/doc").unwrap_err().kind(), ErrorKind::NotFound);
}

/// Of many who swap the same version, one wins, each knows, and who reads finds one of them.
fn a_race_has_one_winner(disk: &dyn Sink) {
    for round in 0..20 {
        let key = format!("race/{round}/doc");
        let mut there = None;
        for step in 0..3_u8 {
            let (winners, expected) = (AtomicUsize::new(0), there.clone());
            std::thread::scope(|scope| {
                for n in 0..8_u8 {
                    let (winners, expected, key) = (&winners, expected.as_ref(), &key);
                    scope.spawn(move || {
                        let new = [step, n];
                        if disk.swap(key, expected, Some(&new)).unwrap() == Swap::Done {
                            winners.fetch_add(1 + usize::from(n), SeqCst);
                        }
                    });
                }
            });
            let (bytes, version) = disk.get(&key).unwrap();
            assert_eq!(bytes[0], step);
            // One, and the one that is there.
            assert_eq!(winners.into_inner(), 1 + usize::from(bytes[1]));
            there = Some(version);
        }
        assert_eq!(disk.list(&format!("race/{round}")).unwrap(), ["doc"]);
    }
}

/// A counter that many raise loses no step.
fn no_step_of_a_counter_is_lost(disk: &dyn Sink) {
    assert_eq!(disk.swap("count", None, Some(&[0, 0])).unwrap(), Swap::Done);
    std::thread::scope(|scope| {
        for n in 0..6 {
            scope.spawn(move || {
                for _ in 0..15 {
                    loop {
                        let (bytes, version) = disk.get("count").unwrap();
                        // The second byte makes each content another.
                        let next = [bytes[0] + 1, n];
                        if disk.swap("count", Some(&version), Some(&next)).unwrap() == Swap::Done {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(disk.get("count").unwrap().0[0], 90);
}

/// A stamp changes with the document, and with nothing else.
fn a_stamp_tells_documents_apart(disk: &dyn Sink) {
    disk.put("a/doc", &[b"1"]).unwrap();
    let Some(first) = disk.stamp("a/doc").unwrap() else { return };
    disk.put("a/other", &[b"1"]).unwrap();
    assert_eq!(disk.stamp("a/doc").unwrap(), Some(first));
    disk.put("a/doc", &[b"2"]).unwrap();
    assert_ne!(disk.stamp("a/doc").unwrap(), Some(first));
}

fn conforms(disk: impl Fn() -> Arc<dyn Sink>) {
    for promise in [
        what_is_put_is_read,
        what_is_missing_is_told,
        what_fails_leaves_what_was_there,
        what_is_deleted_is_gone,
        a_swap_is_by_version,
        a_race_has_one_winner,
        no_step_of_a_counter_is_lost,
        a_stamp_tells_documents_apart,
    ] {
        promise(&*disk());
    }
}

/// A local disk in a folder of its own, which stays for as long as the tests run.
fn local(folder: &tempfile::TempDir) -> LocalDisk {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    LocalDisk::new(folder.path().join(COUNT.fetch_add(1, SeqCst).to_string()).join("root"))
}

#[test]
fn a_local_disk_conforms_whether_files_are_mapped_or_read() {
    let folder = tempfile::tempdir().unwrap();
    for maps in [true, false] {
        conforms(|| Arc::new(local(&folder).mapping(maps)));
    }
}

#[test]
fn a_local_disk_conforms_where_locks_say_nothing() {
    let folder = tempfile::tempdir().unwrap();
    conforms(|| Arc::new(local(&folder).mapping(false).shared()));
}

#[test]
fn the_disk_that_forgets_conforms() {
    conforms(|| Arc::new(PowerDisk::new()));
}

#[test]
fn a_folder_is_held_by_one_and_released_by_dropping() {
    let folder = tempfile::tempdir().unwrap();
    let disk = local(&folder);
    let held = disk.hold("a/lock").unwrap();
    assert_eq!(disk.hold("a/lock").unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(held);
    drop(disk.hold("a/lock").unwrap());
    // With the folder that was made for it; the root was there by then.
    assert_eq!(disk.list("a").unwrap(), [""; 0]);
}

#[test]
fn many_who_hold_at_once_are_told_of_each_other_and_of_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let disk = local(&folder);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..200 {
                    match disk.hold(["deep/er/lock", "deep"][n % 2]) {
                        Ok(held) => drop(held),
                        Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock, "{e}"),
                    }
                }
            });
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_cannot_be_made_is_an_error() {
    let disk = LocalDisk::new("/proc/voxpatch");
    assert!(disk.hold("a").is_err());
    assert!(disk.put("a/b", &[b"1"]).is_err());
    assert!(disk.swap("a/b", None, Some(b"1")).is_err());
}

#[test]
fn what_a_killed_writer_left_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let disk = local(&folder);
    disk.put("a/doc", &[b"1"]).unwrap();
    // A claim, and a file in the making that leads elsewhere.
    let other = folder.path().join("other");
    std::fs::write(&other, b"of somebody else").unwrap();
    std::fs::write(disk.path("a/.swap-doc"), b"").unwrap();
    std::os::unix::fs::symlink(&other, disk.path("a/.put-0123456789abcdef")).unwrap();
    let (_, version) = disk.get("a/doc").unwrap();
    assert_eq!(disk.swap("a/doc", Some(&version), Some(b"2")).unwrap(), Swap::Done);
    disk.put("a/more", &[b"new"]).unwrap();
    assert_eq!(std::fs::read(&other).unwrap(), b"of somebody else");
    assert_eq!(disk.list("a").unwrap(), [".put-0123456789abcdef", "doc", "more"]);
}

#[test]
fn a_disk_for_reading_only_is_read_and_refuses_what_writes() {
    let folder = tempfile::tempdir().unwrap();
    let scan = voxels::<i16>([1, 1, 4, 5, 6], 1);
    let options = ConvertOptions::default().overwrite(true);
    let writable = Dataset::create(folder.path()).unwrap();
    store(DenseScan::new(&scan), &writable, "a/b", &options).unwrap();
    let disk = Disk::read_only(Arc::new(LocalDisk::new(folder.path())));
    assert!(disk.sink().is_err());

    let dataset = Dataset::open_on(disk).unwrap();
    let read = || {
        let volume = dataset.volume("a/b").unwrap();
        volume.read::<i16>(Region::new([0; 3], volume.shape())).unwrap()
    };
    let before = read();
    assert!(before.iter().eq(scan.iter()));
    let converted = store(DenseScan::new(&scan), &dataset, "a/b", &options).map(drop);
    let removed = dataset.remove(&"a/b".parse().unwrap()).map(drop);
    for refused in [converted, removed] {
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{refused:?}");
    }
    assert_eq!(read(), before);
}
