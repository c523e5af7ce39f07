"""voxpatch beside nnU-Net: preprocessed cases in a store, read patch by patch.

Importing this module registers :class:`VoxpatchDataset` with nnU-Net, which then takes it for every
folder of preprocessed cases that :func:`convert` has made. Import the module in a trainer of yours
(environment variable ``nnUNet_extTrainer``), or in a script that starts the training.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxpatch.errors import MissingExtraError

try:
    from batchgenerators.utilities.file_and_folder_operations import load_pickle, write_pickle
    from nnunetv2.training.dataloading import nnunet_dataset
except ImportError as error:
    raise MissingExtraError("nnunet") from error

import numpy as np

import voxpatch

# The store beside the cases, and the ending of the file by which nnU-Net knows each of them.
STORE = "voxpatch.zarr"
ENDING = "voxpatch"


class Channels:
    """A volume as nnU-Net slices it: always with a channel axis before ``z, y, x``."""

    def __init__(self, volume: voxpatch.Volume) -> None:
        self.volume = volume
        self.shape = (volume.channels, *volume.spatial_shape)
        self.ndim = 4
        self.dtype = volume.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        if self.volume.channels > 1:
            return self.volume[index]
        if not isinstance(index, tuple):
            index = (index,)
        if Ellipsis in index:
            at = index.index(Ellipsis)
            index = (*index[:at], *[slice(None)] * (5 - len(index)), *index[at + 1 :])
        index = (*index, *[slice(None)] * (4 - len(index)))
        # An axis of length 1, indexed by numpy's rules.
        return self.volume[index[1:]][None][index[0]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


class VoxpatchDataset(nnunet_dataset.nnUNetBaseDataset):
    """Preprocessed cases in a voxpatch store, for nnU-Net's loader.

    ``load_case`` opens the volumes and reads nothing; the loader slices patches out of them.
    """

    def load_case(self, identifier: str) -> tuple[Any, Any, Any, dict[str, Any]]:
        folder = Path(self.source_folder)
        subject = voxpatch.open(folder / STORE)[identifier]
        previous = None
        if self.folder_with_segs_from_previous_stage is not None:
            store = Path(self.folder_with_segs_from_previous_stage) / STORE
            previous = voxpatch.open(store)[f"{identifier}/seg"]
        properties = load_pickle(str(folder / f"{identifier}.pkl"))
        return Channels(subject["data"]), Channels(subject["seg"]), previous, properties

    @staticmethod
    def save_case(
        data: np.ndarray,
        seg: np.ndarray,
        properties: dict[str, Any],
        output_filename_truncated: str,
        **options: Any,
    ) -> None:
        """Converts a case. `options` are those of :func:`voxpatch.convert`."""
        target = Path(output_filename_truncated)
        VoxpatchDataset.save_seg(seg, output_filename_truncated, **options)
        _store(data, target, "data", "intensity", options)
        write_pickle(properties, f"{target}.pkl")
        Path(f"{target}.{ENDING}").write_text("A case of the store beside this file.\n")

    @staticmethod
    def save_seg(seg: np.ndarray, output_filename_truncated: str, **options: Any) -> None:
        """Converts a segmentation ``(z, y, x)`` or ``(1, z, y, x)``, such as that of the stage before
        in a cascade: the loader reads patches of it."""
        _store(seg, Path(output_filename_truncated), "seg", "label", options)

    @staticmethod
    def get_identifiers(folder: str) -> list[str]:
        """All cases of a folder."""
        names = sorted(os.listdir(folder))
        return [name[: -len(ENDING) - 1] for name in names if name.endswith(f".{ENDING}")]


def _store(array: Any, target: Path, image: str, kind: str, options: dict[str, Any]) -> None:
    # A single channel makes a volume without such an axis.
    array = np.asarray(array[:])
    array = array[0] if array.ndim == 4 and array.shape[0] == 1 else array
    name, store = f"{target.name}/{image}", target.parent / STORE
    options = {"overwrite": True, "progress": False, **options}
    voxpatch.convert(array, store, name, kind=kind, **options)


def convert(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    patch: Sequence[int] | None = None,
    codec: str | None = None,
    threads: int | None = None,
) -> list[str]:
    """Converts a folder of preprocessed cases, one configuration of one dataset, for nnU-Net.

    Args:
        folder: The folder, such as ``nnUNet_preprocessed/Dataset001/nnUNetPlans_3d_fullres``.
        out: A new folder, to be put in the place of the old one.
        patch: The shape of the patches that the configuration trains on, ``z, y, x``.
        codec: The codec of chunks.
        threads: Number of threads; by default one for each processor.

    Returns:
        The cases. Those that `out` has already are converted again.
    """
    cases, target = _cases(folder), Path(out)
    target.mkdir(parents=True, exist_ok=True)
    options = {"patch": patch, "codec": codec, "threads": threads}
    for case in cases.identifiers:
        data, seg, _, properties = cases.load_case(case)
        VoxpatchDataset.save_case(data, seg, properties, str(target / case), **options)
    return list(cases.identifiers)


def restore(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[str]:
    """Converts a folder that :func:`convert` has made back into nnU-Net's own format, blosc2.

    Returns:
        The cases.
    """
    cases, target = _cases(folder), Path(out)
    target.mkdir(parents=True, exist_ok=True)
    blosc2 = nnunet_dataset.nnUNetDatasetBlosc2
    for case in cases.identifiers:
        data, seg, _, properties = cases.load_case(case)
        blocks, chunks = nnunet_dataset.comp_blosc2_params(data.shape, data.volume.chunks)
        arrays = (np.asarray(data), np.asarray(seg))
        blosc2.save_case(*arrays, properties, str(target / case), chunks=chunks, blocks=blocks)
    return list(cases.identifiers)


def _cases(folder: str | os.PathLike[str]) -> Any:
    return nnunet_dataset.infer_dataset_class(os.fspath(folder))(os.fspath(folder))


nnunet_dataset.file_ending_dataset_mapping[ENDING] = VoxpatchDataset
