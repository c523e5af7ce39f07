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
} | {
    f"python-{codec}": Entry("voxpatch_python", "python", f"voxpatch {codec}, from Python")
    for codec in ("default", "packed:8", "packed:1")
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
} | {
    f"loader-{codec}": Entry(
        "voxpatch_python", "python", f"voxpatch {codec}, PatchLoader", by_patch=False
    )
    for codec in ("default", "packed:1")
} | {
    f"queue-{codec}-{workers}": Entry(
        "voxpatch_python",
        "python",
        f"TorchIO Queue, voxpatch {codec}, {workers} workers",
        by_patch=False,
    )
    for codec in ("default", "packed:1")
    for workers in (0, 2)
}


class Blender(NamedTuple):
    """One that blends the predictions of overlapping patches."""

    module: str
    family: str
    label: str
    mode: str  # of `blending`
    # What it keeps in memory, in float32 volumes of the output.
    volumes: float = 0
    argmax: bool = False
    rust: bool = False


AGGREGATORS = {
    f"numpy-{mode}": Blender("dense_numpy", "numpy", "numpy, dense", mode, volumes=2)
    for mode in ("crop", "average", "hann", "gaussian")
} | {
    f"torchio-{mode}": Blender(
        "torchio_aggregator", "torchio", f"TorchIO GridAggregator, {mode}", mode, volumes
    )
    for mode, volumes in [("crop", 1), ("average", 3), ("hann", 3)]
} | {
    "monai-constant": Blender(
        "monai_windows", "monai", "MONAI sliding_window_inference, constant", "average", volumes=2
    ),
    "monai-gaussian": Blender(
        "monai_windows", "monai", "MONAI sliding_window_inference, gaussian", "gaussian", volumes=2
    ),
    "monai-zarr": Blender("monai_merger", "monai", "MONAI ZarrAvgMerger", "average"),
    "patchly-average": Blender("patchly_chunks", "patchly", "Patchly, avg", "average"),
    "patchly-gaussian": Blender(
        "patchly_chunks", "patchly", "Patchly, gaussian", "gaussian of Patchly"
    ),
} | {
    f"voxpatch-{mode}{values}": Blender(
        "voxpatch_store",
        "voxpatch",
        f"voxpatch {mode}{label}",
        mode,
        argmax=bool(values),
        rust=True,
    )
    for mode in ("crop", "average", "hann", "gaussian")
    for values, label in [("", ""), ("-argmax", ", label map by argmax")]
}


def chosen(entries: dict[str, Entry], only: list[str]) -> dict[str, Entry]:
    """Those named or of a family named; all if none is."""
    return {
        name: entry
        for name, entry in entries.items()
        if not only or name in only or entry.family in only
    }
