//! What is kept beside the voxels: the coordinates, the source and its digest, names of labels,
//! and the same of stores of earlier versions.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::nifti::Nifti;
use voxpatch::LabelName;
use voxpatch::layout::{Access, Codec, PlanOptions, Workload};
use voxpatch::{
    ConvertOptions, Dataset, Dtype, Error, ExportOptions, FourthAxis, Kind, Pool, Space, convert,
    export, is_converted, scan,
};

/// Volumes of versions 1 and 2 that were converted from NIfTI, and which coordinates they lead to. Beside
/// the store lies the file that the same voxpatch exported of each.
const OF_NIFTI: [(&str, Option<Space>); 10] = [
    ("scanner", Some(Space::Scanner)),
    ("aligned", Some(Space::Aligned)),
    ("talairach", Some(Space::Talairach)),
    ("mni", Some(Space::Mni)),
    ("template", Some(Space::Template)),
    ("meaningless", None),
    ("untold", None),
    ("times", Some(Space::Scanner)),
    ("channels", Some(Space::Aligned)),
    ("labels", Some(Space::Scanner)),
];

fn frozen(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen").join(name)
}

#[test]
fn attributes_of_the_old_form_and_of_the_new_are_exported_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (old, pool) = (Dataset::open(frozen("nifti.zarr")).unwrap(), Pool::new(1).unwrap());
    assert_eq!(old.volumes().unwrap().len(), OF_NIFTI.len());
    let new = Dataset::create(folder.path().join("new.zarr")).unwrap();
    for (image, space) in OF_NIFTI {
        let name = format!("nifti/{image}").parse().unwrap();
        let expected = frozen("nifti").join(format!("{image}.nii"));
        // Exported by the old form, a file is as the source was, where a store keeps of it.
        let fourth_axis = (image == "channels").then_some(FourthAxis::Channels);
        let options = ConvertOptions::default().fourth_axis(fourth_axis);
        let source = scan::open(&expected).unwrap();
        convert(source, &new, &name, &options, &pool, &|_| true).unwrap();
        for (dataset, is_old, form) in [(&old, true, "old"), (&new, false, "new")] {
            let volume = dataset.open_volume(&name).unwrap();
            let attributes = volume.attributes();
            assert_eq!((attributes.version < 3, attributes.space), (is_old, space), "{image}");
            assert_eq!(attributes.source.format, "nifti-1");
            assert!(attributes.source.fields.contains_key("sform_code"));
            let out = folder.path().join(format!("{form}-{image}.nii"));
            export(&volume, &out, &ExportOptions::default(), &pool, &|_| true).unwrap();
            let same = fs::read(&out).unwrap() == fs::read(&expected).unwrap();
            assert!(same, "{image} of the {form} form");
        }
    }
}

#[test]
fn attributes_keep_names_of_labels_that_were_given_and_of_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let labels = voxels::<u8>([1, 1, 4, 5, 6], 1).mapv(|v| v % 3);
    let named = |value, name: &str| LabelName::new(value, name, Some([255, 0, 7])).unwrap();
    let names = vec![named(2, "left lung (upper)"), named(0, "background")];
    let with = |labels: &[LabelName], kind| {
        ConvertOptions::default().labels(labels.to_vec()).kind(Some(kind))
    };
    store(DenseScan::new(&labels), &dataset, "a/named", &with(&names, Kind::Label)).unwrap();
    let volume = dataset.volume("a/named").unwrap();
    assert_eq!(volume.attributes().labels, names);
    store(DenseScan::new(&labels), &dataset, "a/plain", &with(&[], Kind::Label)).unwrap();
    assert_eq!(dataset.volume("a/plain").unwrap().attributes().labels, []);
    let twice = [named(1, "a"), named(1, "b")];
    for (names, kind) in
        [(&names[..], Kind::Intensity), (&names, Kind::Weights), (&twice, Kind::Label)]
    {
        let error =
            store(DenseScan::new(&labels), &dataset, "a/c", &with(names, kind)).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        assert!(dataset.volume("a/c").is_err());
    }
}

#[test]
fn digests_of_sources_are_those_of_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let single = Nifti::small().write(folder.path(), true);
    let pair = Nifti::new(1, false, false, Dtype::Int16, &[5, 4, 3]).write(folder.path(), false);
    let hash = |path: &Path| blake3::hash(&fs::read(path).unwrap());
    let found = |path: &Path| scan::find(&[path.into()]).unwrap()[0].digest().unwrap();
    assert_eq!(found(&single), hash(&single).to_hex().to_string());
    let halves = [&pair, &pair.with_extension("img")].map(|path| *hash(path).as_bytes());
    assert_eq!(found(&pair), blake3::hash(&halves.concat()).to_hex().to_string());
    assert_eq!(found(&pair.with_extension("img")), found(&pair));
    let gone = scan::find(&[folder.path().join("gone.nii")]).unwrap();
    assert!(matches!(gone[0].digest(), Err(Error::NotFound { .. })));
}

#[test]
fn a_conversion_is_known_again_by_its_source_and_by_every_option_that_decides_it() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let labels = voxels::<u8>([1, 1, 4, 5, 6], 1);
    let source_digest = Some("of the file".to_owned());
    let base =
        ConvertOptions::default().source_digest(source_digest.clone()).kind(Some(Kind::Label));
    let name = "a/b".parse().unwrap();
    assert!(!is_converted(&dataset, &name, &base).unwrap());
    store(DenseScan::new(&labels), &dataset, "a/b", &base).unwrap();
    assert!(is_converted(&dataset, &name, &base).unwrap());
    let again = base.clone().overwrite(true);
    assert!(is_converted(&dataset, &name, &again).unwrap(), "how it is replaced decides nothing");

    let patches = vec!["8x8x8".parse().unwrap()];
    let workload = Some(Workload::new(patches, Access::Random).unwrap());
    let plan = |change: &dyn Fn(&mut PlanOptions)| {
        let mut options = base.clone();
        change(&mut options.plan);
        options
    };
    let mut others = vec![
        base.clone().source_digest(None),
        base.clone().source_digest(Some("of another".to_owned())),
        base.clone().workload(workload),
        base.clone().codecs(Codec::CANDIDATES.to_vec()),
        base.clone().kind(None),
        base.clone().fourth_axis(Some(FourthAxis::Time)),
        base.clone().narrow(true),
        base.clone().labels(vec![LabelName::new(1, "a", None).unwrap()]),
        plan(&|plan| plan.codec = "zstd:3".parse().unwrap()),
        plan(&|plan| plan.chunk = Some([2, 2, 2])),
        plan(&|plan| plan.shard = Some([2, 2, 2])),
    ];
    for (n, other) in others.iter().enumerate() {
        assert!(!is_converted(&dataset, &name, other).unwrap(), "option {n}");
    }
    others.drain(..2);
    others.push(base);
    let mut digests: Vec<_> = others.iter().map(ConvertOptions::digest).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), others.len(), "no two of them are alike");
    // Volumes that were stored without a digest are not known again.
    let frozen = Dataset::open(frozen("nifti.zarr")).unwrap();
    let options = ConvertOptions::default().source_digest(source_digest);
    assert!(!is_converted(&frozen, &"nifti/mni".parse().unwrap(), &options).unwrap());
}
