"""voxpatch beside MONAI: inference that holds neither the volume nor the scores, and a reader.

MONAI's own inferers take a :class:`voxpatch.torch.LazyTensor` in place of an image and read windows,
but hold the scores of all voxels; :func:`sliding_window_inference` stores them.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import voxpatch
from voxpatch.errors import MissingExtraError

try:
    import torch
    from monai.data import ImageReader
    from monai.utils import MetaKeys, SpaceKeys
except ImportError as error:
    raise MissingExtraError("monai") from error


def sliding_window_inference(
    inputs: voxpatch.Volume,
    roi_size: int | Sequence[int],
    sw_batch_size: int,
    predictor: Callable[..., Any],
    overlap: float | Sequence[float] = 0.25,
    mode: str = "constant",
    sigma_scale: float = 0.125,
    padding_mode: str = "constant",
    cval: float = 0.0,
    sw_device: Any = None,
    *args: Any,
    out: str | voxpatch.Output | Sequence[voxpatch.Output],
    scaled: bool = True,
    normalise: Any = None,
    threads: int | None = None,
    progress: Any = None,
    options: dict[str, Any] | None = None,
    **kwargs: Any,
) -> voxpatch.Volume:
    """MONAI's function of this name, from a store to a store.

    Windows, weights and results are MONAI's; neither the volume nor the scores are ever in memory as
    a whole.

    Args:
        inputs: The volume. `roi_size` is in the order of its axes.
        roi_size, sw_batch_size, predictor, overlap, mode, sigma_scale, padding_mode, cval,
            sw_device, args, kwargs: As of MONAI's function. The predictor gets float32 tensors
            ``(n, c, *roi_size)`` on `sw_device`, without gradients.
        out: The name of the scores' volume; or an :class:`voxpatch.Output`, or several, to store
            classes (``"argmax"``) or probabilities.
        scaled: Real values; otherwise as stored. Not looked at with `normalise`.
        normalise: As of ``Volume.read``.
        threads, progress: As of :func:`voxpatch.predict`.
        options: Further options of :func:`voxpatch.predict`: ``overwrite``, ``unfinished``, ...

    Returns:
        The volume of the (first) output.
    """
    blends = {"constant": "average", "gaussian": f"gaussian:{sigma_scale}"}
    if str(mode) not in blends:
        raise voxpatch.errors.InvalidArgumentError(f"mode {mode}: give constant or gaussian")
    pads = {"constant": cval, "replicate": "edge", "reflect": "reflect", "circular": "wrap"}
    if str(padding_mode) not in pads:
        raise voxpatch.errors.InvalidArgumentError(f"padding_mode {padding_mode}: none of {[*pads]}")
    sampler = voxpatch.GridSampler(roi_size, _fraction(overlap), pad_small_volumes=True)

    def model(patches: np.ndarray) -> Any:
        with torch.no_grad():
            scores = predictor(torch.from_numpy(patches).to(sw_device), *args, **kwargs)
        if isinstance(scores, tuple | list):
            return [head.detach().cpu().numpy() for head in scores]
        return scores.detach().cpu().numpy()

    outputs = [voxpatch.Output(out)] if isinstance(out, str) else out
    voxpatch.predict(
        inputs,
        model,
        outputs,
        sampler,
        batch_size=sw_batch_size,
        blend=blends[str(mode)],
        pad=pads[str(padding_mode)],
        scaled=scaled and normalise is None,
        normalise=normalise,
        threads=threads,
        progress=progress,
        **(options or {}),
    )
    first = outputs if isinstance(outputs, voxpatch.Output) else outputs[0]
    return voxpatch.open(inputs.store, axes=inputs.axes)[first.name]


def _fraction(overlap: float | Sequence[float]) -> Any:
    return float(overlap) if isinstance(overlap, int | float) else tuple(map(float, overlap))


class VoxpatchReader(ImageReader):
    """Reads whole volumes for ``LoadImage(reader=VoxpatchReader())`` and ``LoadImaged``.

    A path is that of a volume, ``scans.zarr/case01/ct``. Arrays are in MONAI's order ``x, y, z``,
    several channels on a last axis; values are real ones, as MONAI reads them from NIfTI files.
    """

    def verify_suffix(self, filename: Sequence[os.PathLike | str] | os.PathLike | str) -> bool:
        """Whether all paths are those of volumes."""
        return all(_find(path) is not None for path in _paths(filename))

    def read(self, data: Any, **kwargs: Any) -> Any:
        """Opens the volumes, which reads no voxels."""
        volumes = []
        for path in _paths(data):
            volume = _find(path)
            if volume is None:
                raise voxpatch.errors.NotFoundError(f"volume not found: {path}")
            volumes.append(volume)
        return volumes if len(volumes) > 1 else volumes[0]

    def get_data(self, img: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """The voxels and their metadata; several volumes are stacked on a first axis."""
        volumes = img if isinstance(img, list) else [img]
        arrays = [_array(volume) for volume in volumes]
        meta = _meta(volumes[0])
        if len(arrays) == 1:
            return arrays[0], meta
        meta[MetaKeys.ORIGINAL_CHANNEL_DIM] = 0
        return np.stack(arrays), meta


def _paths(data: Any) -> list[Any]:
    return [data] if isinstance(data, str | os.PathLike) else list(data)


def _find(path: Any) -> voxpatch.Volume | None:
    """The volume of a path, or None if there is no store."""
    try:
        above, image = os.path.split(os.path.abspath(path))
        store, subject = os.path.split(above)
        return voxpatch.open(store, axes="xyz")[f"{subject}/{image}"]
    except (voxpatch.errors.NotFoundError, voxpatch.errors.NotVoxpatchError):
        return None
    except voxpatch.errors.InvalidArgumentError:
        return None


def _array(volume: voxpatch.Volume) -> np.ndarray:
    is_scaled = volume.kind != "label"
    array = volume.read((0, 0, 0), volume.spatial_shape, scaled=is_scaled)
    return np.moveaxis(array, 0, -1) if array.ndim == 4 else array


def _meta(volume: voxpatch.Volume) -> dict[str, Any]:
    return {
        MetaKeys.AFFINE: volume.affine,
        MetaKeys.ORIGINAL_AFFINE: volume.affine,
        MetaKeys.SPACE: SpaceKeys.RAS,
        MetaKeys.SPATIAL_SHAPE: np.array(volume.spatial_shape),
        MetaKeys.ORIGINAL_CHANNEL_DIM: -1 if volume.channels > 1 else float("nan"),
        "filename_or_obj": f"{volume.store}/{volume.name}",
    }
