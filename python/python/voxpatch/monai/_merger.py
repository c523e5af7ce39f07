"""Patches of MONAI's ``PatchInferer``, averaged and stored."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.inferers import Merger as MonaiMerger

import voxpatch
from voxpatch._expect import expect
from voxpatch.errors import IncompleteError, InvalidArgumentError
from voxpatch.monai._window import Window


class Merger(MonaiMerger):
    """Averages patches as MONAI's ``AvgMerger`` does, and stores the result instead of holding it::

        inferer = PatchInferer(splitter, merger_cls=Merger, volume=ct, out="case01/scores")
        scores = inferer(LazyTensor(ct)[None], net)

    Patches come in ascending order of their first spatial axis, as those of MONAI's splitters and of
    :class:`GridSplitter` do. Planes that no later patch reaches are stored; memory holds the sums of
    as many planes as a patch is long, in float32: it does not grow with the number of planes, but with
    their size and the channels. :func:`voxpatch.monai.sliding_window_inference` holds less. What leaves
    the volume, the padding of a splitter, is cut off.

    Args:
        merged_shape, cropped_shape, device: As ``PatchInferer`` gives them. The batch is a single
            one; the cropped shape is that of `volume`; `device` is not looked at.
        volume: The volume that is predicted from, in the order of axes of the patches.
        out: The name of the volume of scores, or an :class:`voxpatch.Output`. For a network with
            several outputs an iterator of these, ``iter(["case01/first", "case01/second"])``: each
            output of the network takes the next one.
        fill: The value of voxels that no patch covers; by default there must be none.
        threads: Number of threads that store; by default one for each processor.
        options: As of :class:`voxpatch.Aggregator`: ``dataset``, ``overwrite``, ``non_finite``, ...
            What an earlier run has left unfinished is begun anew unless ``unfinished`` is given.

    Raises:
        InvalidArgumentError: There are several images in a batch, the merged volume has another shape
            than `volume`, or a patch comes after its planes were stored.
        IncompleteError: No patch covers some voxel, and there is no `fill`.
    """

    def __init__(
        self,
        merged_shape: Sequence[int],
        cropped_shape: Sequence[int] | None = None,
        device: Any = None,
        *,
        volume: voxpatch.Volume,
        out: str | voxpatch.Output | Iterator[str | voxpatch.Output],
        fill: float | None = None,
        threads: int | None = None,
        **options: Any,
    ) -> None:
        expect(volume, voxpatch.Volume, "volume", 'a volume of a store, such as store["case01/ct"]')
        super().__init__(merged_shape, cropped_shape, device)
        if self.merged_shape[0] != 1:
            raise InvalidArgumentError(
                f"a batch of {self.merged_shape[0]} images: give one image to a call of the inferer"
            )
        if self.cropped_shape[2:] != volume.spatial_shape:
            raise InvalidArgumentError(
                f"the merged volume is {self.cropped_shape[2:]} and {volume.name} is "
                f"{volume.spatial_shape}: the network's output must be as large as its input, "
                "match_spatial_shape True, and the store opened with the axes of the patches"
            )
        self.volume = volume
        self.output = _output(out)
        self._fill, self._threads = fill, threads
        self._options = {"unfinished": "restart", **options}
        # Made when the channels are known.
        self._begun: _Begun | None = None
        self._merged: voxpatch.Volume | None = None

    def aggregate(self, values: torch.Tensor, location: Sequence[int]) -> None:
        """Adds a patch ``(1, c, *spatial)`` that begins at a voxel, which may lie before 0."""
        if self.is_finalized:
            raise InvalidArgumentError(f"{self.output.name} is finalized: make another Merger")
        if len(values) != 1:
            raise InvalidArgumentError(f"{len(values)} patches at one location: give one")
        try:
            self._add(values, location)
        except BaseException:
            # So that the name is free for another run.
            self.close()
            raise

    def _add(self, values: torch.Tensor, location: Sequence[int]) -> None:
        patch = values.detach().to("cpu", torch.float32).numpy()[0]
        start = [int(at) for at in location]
        if self._begun is None:
            self._begun = self._begin(len(patch))
        window = self._begun.window
        first = max(start[0], 0)
        if first < window.first:
            raise InvalidArgumentError(
                f"a patch at {tuple(start)} after planes up to {window.first} were stored: give "
                "patches in ascending order of the first axis"
            )
        self._store(self._begun, min(first, self.volume.spatial_shape[0]))
        window.add(patch, start)

    def finalize(self) -> voxpatch.Volume:
        """Publishes the scores and gives their volume."""
        if self._merged is None:
            if self._begun is None:
                raise IncompleteError(f"{self.output.name}: there was no patch")
            try:
                self._store(self._begun, self.volume.spatial_shape[0])
                self._begun.aggregator.finish(threads=self._threads, progress=False)
            except BaseException:
                self.close()
                raise
            self.is_finalized = True
            store = self._options.get("dataset") or voxpatch.open(self.volume.store)
            merged = voxpatch.open(store.store, axes=self.volume.axes)
            self._merged = merged[self.output.name]
        return self._merged

    def close(self) -> None:
        """Lets go of scores that are not finalized, so that another merger can make the volume. After
        an exception of the network, the merger is closed when the traceback is gone."""
        if self._begun is not None:
            self._begun.aggregator.close()

    def _begin(self, channels: int) -> "_Begun":
        shape = self.volume.spatial_shape
        # Planes are stored, but patches will be read: chunks are those of the scan.
        chunk = self.output.chunk or self.volume.chunks
        output = replace(self.output, channels=channels, chunk=chunk)
        planes = voxpatch.GridSampler((1, *shape[1:]))
        options = {**self._options, "blend": "average"}
        aggregator = voxpatch.Aggregator(self.volume, planes, output, **options)
        return _Begun(Window(channels, shape), aggregator)

    def _store(self, begun: "_Begun", stop: int) -> None:
        """Stores the planes before `stop`."""
        first = begun.window.first
        if stop == first:
            return
        averages, uncovered = begun.window.take(stop)
        if uncovered.any():
            if self._fill is None:
                raise IncompleteError(
                    f"no patch covers {uncovered.sum()} voxels of the planes {first} to {stop}: give "
                    "the splitter a pad_mode, or the merger a fill"
                )
            averages[:, uncovered] = self._fill
        planes = np.moveaxis(averages, 1, 0)[:, :, None]
        begun.aggregator.add_many(range(first, stop), planes, threads=self._threads)


class _Begun(NamedTuple):
    """Sums of planes, and where they are stored."""

    window: Window
    aggregator: voxpatch.Aggregator


def _output(out: Any) -> voxpatch.Output:
    if isinstance(out, Iterator):
        out = next(out, None)
        if out is None:
            raise InvalidArgumentError("out: the network has more outputs than names were given")
    if not isinstance(out, str | voxpatch.Output):
        raise InvalidArgumentError(f"out {out!r}: give a name, an Output, or an iterator of these")
    return voxpatch.Output(out) if isinstance(out, str) else out
