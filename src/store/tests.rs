//! Our own decoders and zarrs must give the same voxels of a volume, through every chain that is
//! written.

use std::sync::Arc;

use proptest::prelude::*;
use zarrs::array::{Array, ArraySubset};
use zarrs::storage::store::MemoryStore;

use super::{Dataset, Volume, VolumeName};
use crate::disk::{Disk, LocalDisk};
use crate::layout::{ChunkLayout, Codec};
use crate::statistics::StatisticsAccumulator;
use crate::store::{ArrayShape, Attributes, SourceInfo, VERSION, VoxelDigest};
use crate::{Affine, Dtype, Frame, Kind, Region, Spacing};

fn attributes(layout: ChunkLayout, dtype: Dtype, kind: Kind) -> Attributes {
    let spacing = Spacing::new([1.0; 3]).unwrap();
    Attributes {
        version: VERSION,
        kind,
        affine: Affine::from_spacing(spacing),
        spacing,
        time_step: None,
        scaling: None,
        original_dtype: None,
        predicted_from: None,
        layout,
        workload: crate::layout::Workload::default_for(spacing),
        statistics: StatisticsAccumulator::new(dtype, kind).finish(),
        space: None,
        source: SourceInfo { format: "test".into(), fields: serde_json::Map::new(), digest: None },
        labels: Vec::new(),
        options_digest: None,
        findings: Vec::new(),
    }
}

/// Writes the volume `a/b` of one frame of intensities, `z, y, x`.
pub(crate) fn write(
    disk: &LocalDisk,
    layout: ChunkLayout,
    dtype: Dtype,
    volume: [usize; 3],
    voxels: &[u8],
) {
    write_as(Kind::Intensity, disk, layout, dtype, volume, voxels);
}

/// The same of any kind, without an index.
pub(super) fn write_as(
    kind: Kind,
    disk: &LocalDisk,
    layout: ChunkLayout,
    dtype: Dtype,
    volume: [usize; 3],
    voxels: &[u8],
) {
    let dataset = Dataset::create_on(Disk::new(Arc::new(disk.clone()))).unwrap();
    let shape = ArrayShape { dtype, times: 1, channels: 1, shape: volume };
    let mut writer = dataset.write_volume(&name(), shape, layout, false).unwrap();
    let plane = volume[1] * volume[2] * dtype.size();
    for (layer, planes) in voxels.chunks(plane * layout.chunk[0]).enumerate() {
        writer.write_layer(Frame::default(), layer, planes, &|_| true).unwrap();
    }
    let mut digest = VoxelDigest::new(dtype, 1, 1, volume);
    digest.add(Frame::default(), voxels, dtype);
    writer.commit(&attributes(layout, dtype, kind), digest.finish(), None).unwrap();
}

fn name() -> VolumeName {
    VolumeName::new("a", "b").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn own_decoders_and_zarrs_agree(
        codec in prop::sample::select(vec![
            "blosc", "blosc-lz4:1", "blosc-zstd:2", "blosc:0", "zstd:1", "gzip:1", "none",
            "packed:0", "packed:1", "packed:3",
        ]),
        wide in any::<bool>(),
        volume in prop::array::uniform3(1_usize..20),
        chunk in prop::array::uniform3(1_usize..20),
        times in prop::array::uniform3(1_usize..3),
        noise in 0_u32..8,
    ) {
        let shard = std::array::from_fn(|a| chunk[a] * times[a].min(volume[a].div_ceil(chunk[a])));
        let layout = ChunkLayout::new(chunk, shard, codec.parse::<Codec>().unwrap()).unwrap();
        let count: usize = volume.iter().product();
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i16::try_from((state >> 24) & ((1 << noise) - 1)).unwrap()
        };
        let voxels: Vec<i16> = (0..count).map(|_| random()).collect();
        let folder = tempfile::tempdir().unwrap();
        let disk = LocalDisk::new(folder.path());
        let shared = Disk::new(Arc::new(disk.clone()));
        let region = Region::whole(volume);
        let all = ArraySubset::new_with_shape(volume.map(|n| n as u64).to_vec());
        if wide && !codec.starts_with("packed") {
            let voxels: Vec<f64> = voxels.iter().map(|v| f64::from(*v)).collect();
            write(&disk, layout, Dtype::Float64, volume, bytemuck::cast_slice(&voxels));
            let own = Volume::open(&shared, &name()).unwrap();
            let found = own.read::<f64>(region).unwrap();
            prop_assert_eq!(found.as_slice().unwrap(), &voxels[..]);
            let array = by_zarrs(folder.path(), &own);
            prop_assert_eq!(array.retrieve_array_subset::<Vec<f64>>(&all).unwrap(), voxels);
            return Ok(());
        }
        write(&disk, layout, Dtype::Int16, volume, bytemuck::cast_slice(&voxels));
        let own = Volume::open(&shared, &name()).unwrap();
        let array = by_zarrs(folder.path(), &own);
        let found = own.read::<i16>(region).unwrap();
        prop_assert_eq!(found.as_slice().unwrap(), &voxels[..]);
        prop_assert_eq!(array.retrieve_array_subset::<Vec<i16>>(&all).unwrap(), voxels);
        let half = volume.map(|n| n.div_ceil(2));
        let found = own.read::<i16>(Region::new([0; 3], half)).unwrap();
        let half = ArraySubset::new_with_shape(half.map(|n| n as u64).to_vec());
        let theirs = array.retrieve_array_subset::<Vec<i16>>(&half).unwrap();
        prop_assert_eq!(found.as_slice().unwrap(), &theirs[..]);
    }
}

/// The array of a volume in a copy of its store, as a program opens it that knows zarrs alone.
fn by_zarrs(folder: &std::path::Path, own: &Volume) -> Array<MemoryStore> {
    let store = MemoryStore::new();
    copy(folder, "", &store);
    let path = format!("/{}", own.stored.generation.key("0"));
    Array::open(Arc::new(store), &path).unwrap()
}

fn copy(folder: &std::path::Path, prefix: &str, store: &MemoryStore) {
    use zarrs::storage::{StoreKey, WritableStorageTraits as _};
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let key = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            copy(&entry.path(), &format!("{key}/"), store);
        } else {
            let bytes = std::fs::read(entry.path()).unwrap();
            store.set(&StoreKey::new(key).unwrap(), bytes.into()).unwrap();
        }
    }
}
