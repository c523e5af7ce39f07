"""The grid of a sampler as a splitter of MONAI's ``PatchInferer``."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from monai.inferers import Splitter

import voxpatch
from voxpatch._expect import expect


class GridSplitter(Splitter):
    """Reads the patches of a :class:`voxpatch.GridSampler` one by one, for ``PatchInferer``::

        splitter = GridSplitter(voxpatch.GridSampler((32, 96, 96), 0.25), scaled=True)
        inferer = PatchInferer(splitter, merger_cls=Merger, volume=ct, out="case01/scores")
        scores = inferer(ct, net)

    Called with a volume, it gives pairs of a tensor ``(1, c, *patch)`` and the place of its first
    voxel, in lexicographic order and the order of the volume's axes.

    Args:
        sampler: The grid. With ``pad_borders`` and for volumes smaller than the patch give a ``pad``.
        options: As of ``Volume.read``: ``pad``, ``scaled``, ``normalise``, ... Without any of the
            values', voxels are converted to float32.
    """

    def __init__(self, sampler: voxpatch.GridSampler, **options: Any) -> None:
        expect(sampler, voxpatch.GridSampler, "sampler", "voxpatch.GridSampler(patch, overlap)")
        super().__init__(sampler.patch)
        self.sampler = sampler
        values = ("scaled", "normalise", "dtype")
        self.options = options if any(options.get(v) for v in values) else {**options, "dtype": "float32"}

    def get_input_shape(self, inputs: voxpatch.Volume) -> tuple[int, ...]:
        """The three lengths of the volume."""
        return inputs.spatial_shape

    def get_padded_shape(self, inputs: voxpatch.Volume) -> tuple[int, ...]:
        """The same: patches that leave the volume are cut off when they are merged."""
        return inputs.spatial_shape

    def __call__(self, inputs: voxpatch.Volume) -> Iterator[tuple[torch.Tensor, tuple[int, ...]]]:
        """The patches and their places."""
        expect(inputs, voxpatch.Volume, "inputs", 'the volume itself, such as store["case01/ct"]')
        starts = self.sampler.starts(inputs)
        # Ascending from the first axis on, whatever the order of the volume's axes.
        for start in starts[np.lexsort(starts.T[::-1])]:
            patch = torch.from_numpy(inputs.read(start, self.sampler.patch, **self.options))
            patch = patch if patch.ndim == 4 else patch[None]
            yield patch[None], tuple(start.tolist())
