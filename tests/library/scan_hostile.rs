//! Whatever is done to a file's bytes, reading it ends in voxels or an error, and what a header
//! claims never makes the reader ask for more memory than the file could fill.

use crate::common::nifti::{Nifti, gzipped, types};
use proptest::prelude::*;

/// DEFLATE cannot do better.
const MOST_INFLATION: usize = 1100;
/// Virtual memory that the whole process may come to: far below any size that a wild header
/// claims, far above what threads and their stacks take.
const MOST_VIRTUAL: usize = 2 << 30;

#[derive(Debug, Clone)]
enum Damage {
    Replace(prop::sample::Index, u8),
    /// Four bytes: sizes, offsets and floats at once.
    Overwrite(prop::sample::Index, [u8; 4]),
    Truncate(prop::sample::Index),
    Append(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    // Half of the changes fall into the header, which is most of what can go wrong.
    let extreme = prop_oneof![
        Just([0xff; 4]),
        Just([0; 4]),
        Just([0xff, 0x7f, 0xff, 0x7f]),
        Just([0, 0, 0x80, 0x7f]),
        any::<[u8; 4]>()
    ];
    prop_oneof![
        8 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(i, b)| Damage::Replace(i, b)),
        8 => (any::<prop::sample::Index>(), extreme).prop_map(|(i, b)| Damage::Overwrite(i, b)),
        1 => any::<prop::sample::Index>().prop_map(Damage::Truncate),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Damage::Append),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    let length = bytes.len();
    match damage {
        Damage::Append(more) => bytes.extend(more),
        _ if length == 0 => {}
        Damage::Replace(at, byte) => bytes[at.index(length)] = *byte,
        Damage::Overwrite(at, four) => {
            let at = at.index(length);
            let end = length.min(at + 4);
            bytes[at..end].copy_from_slice(&four[..end - at]);
        }
        Damage::Truncate(at) => bytes.truncate(at.index(length)),
    }
}

/// Reads all that is there, plane by plane. Errors are fine.
fn exhaust(path: &std::path::Path, file_bytes: usize) {
    let Ok(mut scan) = voxpatch::scan::open(path) else { return };
    let header = scan.header().clone();
    let claimed = header.frames() * header.shape[0] * header.plane_bytes();
    assert!(claimed <= file_bytes * MOST_INFLATION, "{header:?} of a file of {file_bytes}");
    assert!(header.affine.is_usable());
    assert!(header.spacing.mm().iter().all(|mm| *mm > 0.0 && mm.is_finite()));
    assert!(header.scaling.is_none_or(|s| s.slope.is_finite() && s.intercept.is_finite()));
    serde_json::to_string(&header.fields).expect("plain numbers");
    let mut plane = vec![0; header.plane_bytes()];
    for n in 0..header.frames() {
        let frame = scan.frame(n);
        assert!(frame.time < header.times && frame.channel < header.channels);
        for _ in 0..header.shape[0] {
            if scan.read_planes(&mut plane).is_err() {
                let _ = scan.finish();
                return;
            }
        }
    }
    let _ = scan.finish();
}

fn virtual_peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmPeak:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? << 10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn damaged_files_never_panic_nor_exhaust_memory(
        version in 1u8..=2,
        big: bool,
        single: bool,
        gzip: bool,
        damage_inside: bool,
        dtype in prop::sample::select(types().collect::<Vec<_>>()),
        sizes in prop::collection::vec(1usize..4, 1..=5),
        transforms in (0i16..3, 0i16..3),
        damages in prop::collection::vec(damage(), 1..6),
        half in any::<bool>(),
    ) {
        let mut nifti = Nifti::new(version, big, single, dtype, &sizes);
        (nifti.sform_code, nifti.qform_code) = transforms;
        let folder = tempfile::tempdir().expect("folder");
        let mut header = nifti.header();
        let mut image = nifti.bytes();
        // Damage before compression reaches the parser, damage after it the inflater.
        let target = |header: &mut Vec<u8>, image: &mut Vec<u8>| {
            let target = if single || half { image } else { header };
            for damage in &damages {
                apply(target, damage);
            }
        };
        if !gzip || damage_inside {
            target(&mut header, &mut image);
        }
        if gzip {
            (header, image) = (gzipped(&header), gzipped(&image));
            if !damage_inside {
                target(&mut header, &mut image);
            }
        }
        let path = folder.path().join(if single { "scan.nii" } else { "scan.img" });
        std::fs::write(&path, &image).expect("write");
        if !single {
            std::fs::write(folder.path().join("scan.hdr"), &header).expect("write");
        }
        exhaust(&path, header.len().max(image.len()));
        if let Some(peak) = virtual_peak() {
            prop_assert!(peak < MOST_VIRTUAL, "{peak} bytes");
        }
    }
}
