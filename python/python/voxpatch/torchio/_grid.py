"""Patches that cover a volume, and the volume of what is predicted from them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torchio

import voxpatch
from voxpatch._expect import expect
from voxpatch.errors import InvalidArgumentError
from voxpatch.torch import LazyTensor
from voxpatch.torchio._subject import in_xyz, names_of, subject

# TorchIO's modes of padding that look no further than an image's border, in torch's words.
MODES = {"edge": "replicate", "reflect": "reflect"}


class GridSampler(torchio.GridSampler):
    """TorchIO's class of this name over a subject of a store: patches alone are read.

    Places, locations and voxels are TorchIO's, but label maps are padded with 0. Borders are padded as patches are read, where TorchIO
    makes a padded copy of the subject.

    Args:
        of: The subject, ``dataset["case01"]``.
        patch_size, patch_overlap: As of TorchIO, in the order ``x, y, z``.
        padding_mode: None, a number (label maps get 0), ``"edge"`` or ``"reflect"``.
        images: The images to take; by default all. The first gives its grid to predictions.
        scaled: As of :func:`voxpatch.torchio.subject`.
    """

    def __init__(
        self,
        of: voxpatch.Subject,
        patch_size: int | Sequence[int],
        patch_overlap: int | Sequence[int] = (0, 0, 0),
        padding_mode: str | float | None = None,
        *,
        images: str | Iterable[str] | None = None,
        scaled: bool = True,
    ) -> None:
        expect(of, voxpatch.Subject, "of", 'a subject of a store, such as store["case01"]')
        names = names_of(of, images)
        if not (padding_mode is None or padding_mode in MODES or _is_number(padding_mode)):
            raise InvalidArgumentError(
                f"padding_mode {padding_mode!r}: give a number, or one of {', '.join(MODES)}"
            )
        # The volume that predictions are made for.
        self.volume = in_xyz(of[names[0]])
        super().__init__(subject(of, names, scaled=scaled), patch_size, patch_overlap, padding_mode)

    def __call__(
        self, subject: torchio.Subject | None = None, num_patches: int | None = None
    ) -> Iterator[torchio.Subject]:
        """All patches. TorchIO's class pads a padded subject once more here; this one does not."""
        if subject is not None or num_patches is not None:
            raise InvalidArgumentError("a grid is of its own subject, and has all of its patches")
        return (self[number] for number in range(len(self)))

    def _pad(self, subject: torchio.Subject) -> torchio.Subject:
        if self.padding_mode is None:
            return subject
        border = [int(length) for length in self.patch_overlap // 2]
        sides = [length for length in reversed(border) for _ in range(2)]
        padded = {}
        for name, image in subject.get_images_dict(intensity_only=False).items():
            if self.padding_mode in MODES:
                given: dict[str, Any] = {"mode": MODES[self.padding_mode]}
            else:
                is_label = isinstance(image, torchio.LabelMap)
                given = {"value": 0 if is_label else self.padding_mode}
            tensor = torch.nn.functional.pad(image.data, sides, **given)
            affine = np.array(image.affine)
            affine[:3, 3] -= affine[:3, :3] @ border
            padded[name] = type(image)(tensor=tensor, affine=affine)
        return torchio.Subject(name=subject["name"], **padded)


class GridAggregator:
    """Predictions of the patches of a :class:`GridSampler`, blended and stored chunk by chunk.

    As TorchIO's class of this name, but neither the sums nor the result are ever in memory as a
    whole. The volume appears in the store when :meth:`get_output_tensor` or :meth:`finish` is called.

    Args:
        sampler: The sampler of the patches.
        out: The name of the volume to make, ``"case01/scores"``, or a :class:`voxpatch.Output`, to
            store classes (``"argmax"``) or probabilities.
        overlap_mode: ``"crop"``, ``"average"`` or ``"hann"``; or another blend of voxpatch.
        downsampling_factor: The patch's length divided by the prediction's. Overlaps are divided
            too, where TorchIO 1 forgets to.
        options: As of :class:`voxpatch.Aggregator`: ``overwrite``, ``unfinished``, ``budget``, ...

    The values of overlaps are TorchIO's. Predictions are taken as float32, summed in 64 bits, and
    stored as `out` says, by default in float32. A patch that is given twice is an
    error, where TorchIO counts it twice.
    """

    def __init__(
        self,
        sampler: GridSampler,
        out: str | voxpatch.Output,
        overlap_mode: str = "crop",
        downsampling_factor: int = 1,
        **options: Any,
    ) -> None:
        self._volume = sampler.volume
        self._border = sampler.patch_overlap // 2 * (sampler.padding_mode is not None)
        self._grid = voxpatch.GridSampler(
            [int(length) for length in sampler.patch_size],
            [int(length) for length in sampler.patch_overlap],
            pad_borders=sampler.padding_mode is not None,
        )
        given = {"values": "float32"} if isinstance(out, str) else vars(out)
        name = out if isinstance(out, str) else out.name
        self._output = {**given, "name": name, "factor": downsampling_factor}
        self._options = {"blend": overlap_mode, **options}
        starts = self._grid.starts(self._volume)
        self._numbers = {tuple(start): number for number, start in enumerate(starts.tolist())}
        self._aggregator: voxpatch.Aggregator | None = None
        self._is_finished = False

    def add_batch(self, batch_tensor: torch.Tensor, locations: torch.Tensor) -> None:
        """Adds predictions.

        Args:
            batch_tensor: ``(n, classes, *patch)``.
            locations: ``batch[torchio.LOCATION]``, ``(n, 6)``.
        """
        starts = np.asarray(locations.cpu())[:, :3] - self._border
        numbers = []
        for start, location in zip(starts.tolist(), locations.tolist(), strict=True):
            if tuple(start) not in self._numbers:
                raise InvalidArgumentError(
                    f"location {location}: no patch of the sampler lies there"
                )
            numbers.append(self._numbers[tuple(start)])
        predictions = batch_tensor.detach().cpu().float().numpy()
        if self._aggregator is None:
            output = voxpatch.Output(**{**self._output, "channels": predictions.shape[1]})
            self._aggregator = voxpatch.Aggregator(
                self._volume, self._grid, output, **self._options
            )
        self._aggregator.add_many(numbers, predictions)

    def finish(self, **options: Any) -> voxpatch.Volume:
        """Publishes the volume, and gives it.

        Raises:
            IncompleteError: Predictions of patches are missing, and can still be added.
        """
        if self._aggregator is None:
            raise InvalidArgumentError("no predictions: add those of every patch first")
        if not self._is_finished:
            self._aggregator.finish(**options)
            self._is_finished = True
        return voxpatch.open(self._volume.store, axes="xyz")[self._output["name"]]

    def get_output_tensor(self) -> LazyTensor:
        """Publishes the volume, and gives it as a tensor ``(classes, x, y, z)`` that stays on disk.

        Raises:
            IncompleteError: Predictions of patches are missing, and can still be added.
        """
        volume = self.finish()
        return LazyTensor(volume, scaled=volume.kind != "label")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
