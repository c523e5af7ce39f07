"""Every rival by name: the module that has it, its family for `--only`, and what it is.

Modules are imported by workers alone, so that a library that is missing or crashes ends no more
than its own measurement.
"""

from typing import NamedTuple


class Entry(NamedTuple):
    module: str
    family: str
    label: str
    # Whether the layout depends on the patch: one store for each patch shape, or one for all.
    by_patch: bool = True
    # Whether it reads with the Rust program instead of the module.
    rust: bool = False


RIVALS = {
    "numpy": Entry("memmap", "numpy", "numpy memmap, uncompressed", by_patch=False),
    "medrs": Entry("medrs_nifti", "medrs", "medrs, uncompressed .nii", by_patch=False),
    "mlarray": Entry("ml_array", "mlarray", "MLArray"),
    "blosc2-lz4hc": Entry("blosc", "blosc2", "blosc2 LZ4HC 5 (nnU-Net 2.8)"),
    "blosc2-zstd": Entry("blosc", "blosc2", "blosc2 ZSTD 8"),
    "medh5-training": Entry("med_h5", "medh5", "medh5 training"),
    "medh5-balanced": Entry("med_h5", "medh5", "medh5 balanced"),
    "h5py": Entry("hdf5", "h5py", "h5py blosc-zstd 3"),
    "tensorstore": Entry("tensor_store", "tensorstore", "tensorstore"),
    "tensorstore-cache": Entry("tensor_store", "tensorstore", "tensorstore, small cache"),
    "zarrs": Entry("zarr_arrays", "zarrs", "zarrs-python"),
    "zarr": Entry("zarr_arrays", "zarr", "zarr-python"),
} | {
    f"voxpatch-{codec}": Entry("voxpatch_store", "voxpatch", f"voxpatch {codec}", rust=True)
    for codec in ("default", "blosc-zstd:5", "packed:8", "packed:1", "auto")
}

TRAINERS = {
    f"{library}-{kind}-{workers}": Entry(
        module, library, f"{label}, {kind}, {workers} workers", by_patch=False
    )
    for library, module, label, kinds in [
        ("torchio", "torchio_queue", "TorchIO Queue", ["nii", "nii.gz"]),
        ("monai", "monai_datasets", "MONAI Dataset", ["nii", "nii.gz"]),
        ("monai", "monai_datasets", "MONAI CacheDataset", ["cached"]),
    ]
    for kind in kinds
    for workers in (0, 2)
} | {
    f"voxpatch-{codec}": Entry("voxpatch_store", "voxpatch", f"voxpatch {codec}", rust=True)
    for codec in ("default", "packed:1")
}


def chosen(entries: dict[str, Entry], only: list[str]) -> dict[str, Entry]:
    """Those named or of a family named; all if none is."""
    return {
        name: entry
        for name, entry in entries.items()
        if not only or name in only or entry.family in only
    }
