"""Sliding windows from a store to a store."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

import voxpatch


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
    if isinstance(sigma_scale, Sequence):
        raise voxpatch.errors.InvalidArgumentError(
            f"sigma_scale {sigma_scale}: give one number, for all axes"
        )
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
        if isinstance(scores, dict):
            raise TypeError("predictor: give a tensor or a tuple of them, not a dict")
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
