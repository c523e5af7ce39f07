"""Predictions of overlapping patches, blended and stored chunk by chunk."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np

from voxpatch import _voxpatch
from voxpatch._dataset import Dataset, open
from voxpatch._expect import expect
from voxpatch._progress import Progress, shown
from voxpatch._sample import GridSampler, Shape
from voxpatch._voxpatch import Volume
from voxpatch.errors import InvalidArgumentError, VoxpatchError


@dataclass(frozen=True)
class Output:
    """A volume to be made of predictions.

    Args:
        name: Its name, ``SUBJECT/IMAGE``.
        values: What is stored: ``"float32"``, ``"float16"``; ``"uint8"`` or ``"uint16"`` for
            probabilities, ``"uint8:SCALE"`` for multiples of a scale; ``"argmax"`` for a label map
            of the greatest channel; ``"threshold"`` or ``"threshold:0.5"`` for 1 where a channel is
            at least that much.
        channels: Channels of the prediction; :func:`predict` asks the model.
        head: Which of a model's several predictions this is made of, from 0.
        factor: The patch's length divided by the prediction's, for a network with a stride.
        codec, chunk, shard: As of :func:`voxpatch.convert`.
    """

    name: str
    values: str = "float32"
    channels: int | None = None
    head: int = 0
    factor: Shape = 1
    codec: str | None = None
    chunk: Shape | None = None
    shard: Shape | None = None


class Aggregator:
    """Makes volumes of the predictions of a grid's patches, which may come in any order.

    A shard is written when the last patch that touches it has come; memory does not grow with the
    scan. Outputs appear when they are complete, all voxels in one step each. The bytes are the same
    for any order and any number of threads. What was begun and not finished can be resumed.

    Used as a context manager, it finishes at the end of the ``with``; an exception leaves it to be
    resumed.

    Args:
        volume: The volume that is predicted from.
        sampler: The grid.
        outputs: An :class:`Output`, or several.
        dataset: The store of the outputs; by default that of the volume.
        blend: ``"gaussian"`` or ``"gaussian:0.125"`` (deviation over patch length), ``"average"``,
            ``"hann"``, ``"nnunet"`` (nnU-Net's Gaussian), or ``"crop"``: half an overlap is cut off
            each patch.
        overwrite: True replaces predictions, ``"anything"`` other volumes too; they stay until the
            new ones are complete.
        unfinished: What becomes of an aggregation of the same outputs that was begun before:
            ``"refuse"``, ``"resume"``, ``"restart"``, or ``"resume_in_doubt"``.
        non_finite: ``"error"``, ``"keep"``, or a number in the place of NaN and infinite values.
        budget: Bytes that may be held; the rest waits in a scratch file.
        scratch: The folder of the scratch file.
        checkpoint: Seconds between two savings of what is held, by :meth:`checkpoint_if_due`.
        made_by: The model, in your words: an aggregation is resumed only with the same.
        part: ``(n, of)``: makes one part of the work; :func:`finalise` publishes when all are made.
    """

    def __init__(
        self,
        volume: Volume,
        sampler: GridSampler,
        outputs: Output | Sequence[Output],
        *,
        dataset: Dataset | None = None,
        blend: str = "gaussian",
        overwrite: bool | str = False,
        unfinished: str = "refuse",
        non_finite: str | float = "error",
        budget: int | None = None,
        scratch: str | os.PathLike[str] | None = None,
        checkpoint: float | None = 60.0,
        made_by: str = "",
        part: tuple[int, int] | None = None,
    ) -> None:
        outputs = _checked(volume, sampler, outputs)
        for output in outputs:
            if output.channels is None:
                raise TypeError(f"output {output.name}: channels are not given")
        words = {
            "blend": blend,
            "overwrite": overwrite,
            "unfinished": unfinished,
            "non_finite": non_finite,
            "budget": budget,
            "scratch": scratch,
            "checkpoint": checkpoint,
            "made_by": made_by,
            "part": part,
        }
        dataset = open(volume.store) if dataset is None else dataset
        self._sampler = sampler
        self._aggregator = _voxpatch.Aggregator(
            dataset._handle,
            volume,
            sampler._made(volume.axes),
            [vars(output) for output in outputs],
            words,
        )
        self._finished = False

    def __len__(self) -> int:
        """Patches of the grid."""
        return self._aggregator.patches()

    @property
    def remaining(self) -> np.ndarray:
        """Numbers of the patches whose predictions are still to come, in the best order."""
        return self._aggregator.remaining()

    def starts(self, numbers: Sequence[int] | np.ndarray) -> np.ndarray:
        """The first voxel of each of these patches, int64, ``(n, 3)``."""
        return self._aggregator.starts(np.atleast_1d(numbers).tolist())

    def add(self, number: int, prediction: Any) -> None:
        """Adds the prediction of one patch: an array or tensor ``(c, *spatial)``, or one for each
        head."""
        self.add_many([number], [_array(head)[None] for head in _heads(prediction)])

    def add_many(
        self, numbers: Sequence[int] | np.ndarray, predictions: Any, *, threads: int | None = None
    ) -> None:
        """Adds the predictions of several patches: an array or tensor ``(n, c, *spatial)``, or one
        for each head. If one of them is refused, none is added. Ctrl-C is seen when all are."""
        arrays = [_array(head) for head in _heads(predictions)]
        for array in arrays:
            if array.ndim != 5:
                raise TypeError(
                    f"predictions have the axes n, c and three spatial ones, not {array.shape}"
                )
        self._aggregator.add(np.atleast_1d(numbers).tolist(), arrays, threads)

    def check_complete(self) -> None:
        """Raises :class:`voxpatch.errors.IncompleteError` if predictions are missing."""
        self._aggregator.check_complete()

    def checkpoint(self) -> bool:
        """Saves what is held, so that a process that is killed loses nothing."""
        return self._aggregator.checkpoint(False)

    def checkpoint_if_due(self) -> bool:
        """Saves what is held if `checkpoint` seconds have passed."""
        return self._aggregator.checkpoint(True)

    def fill_missing(self, value: float, *, threads: int | None = None) -> int:
        """Finishes without the predictions that are missing, and gives their number. Voxels that no
        patch has covered become `value`. After Ctrl-C the aggregation has to be resumed."""
        return self._aggregator.fill_missing(value, threads)

    def memory(self) -> dict[str, int]:
        """Bytes held, at most held, and in the scratch file."""
        return self._aggregator.memory()

    def finish(
        self, *, threads: int | None = None, progress: bool | Progress | None = None
    ) -> dict[str, Any]:
        """Publishes the outputs.

        Raises:
            IncompleteError: Predictions are missing, and can still be added.
        """
        with shown(progress, "publish") as callback:
            report = self._aggregator.finish(threads, callback)
        self._finished = True
        return report

    def close(self) -> None:
        """Lets go of an aggregation that is not finished, so that it can be resumed."""
        self._aggregator.close()

    def _leave(self, exception: BaseException) -> None:
        """Saves what is held and lets go, whatever else goes wrong: the exception counts."""
        try:
            self.checkpoint()
        except (VoxpatchError, RuntimeError) as error:
            exception.add_note(f"what was held of the predictions could not be saved: {error}")
        self.close()

    def __enter__(self) -> "Aggregator":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if value is not None:
            if not self._finished:
                self._leave(value)
        elif not self._finished:
            self.finish()


def predict(
    volume: Volume,
    model: Callable[[np.ndarray], Any],
    outputs: Output | Sequence[Output],
    sampler: GridSampler,
    *,
    batch_size: int = 1,
    pad: Any = None,
    dtype: Any = None,
    scaled: bool = False,
    normalise: Any = None,
    time: int | None = None,
    channel: int | None = None,
    frames: str | None = None,
    threads: int | None = None,
    progress: bool | Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Predicts a whole volume patch by patch, in memory that does not grow with it.

    Args:
        volume: The volume to predict from.
        model: A function of an array ``(n, c, *patch)``, float32 unless `dtype` is given, that
            returns an array or tensor ``(n, classes, *patch)``, or one for each of its heads. Without
            ``Output.channels`` the first patch is given by itself, to learn them.
        outputs: An :class:`Output`, or several.
        sampler: The grid of patches.
        batch_size: Patches in a call of the model.
        pad, dtype, scaled, normalise, time, channel, frames: As of ``Volume.read``. Without any of the
            values', voxels are converted to float32. A grid with ``pad_borders`` needs a ``pad``.
        threads: Number of threads; by default one for each processor.
        progress: As of :func:`voxpatch.convert`, in patches.
        options: As of :class:`Aggregator`.

    Returns:
        The report of the outputs.

    An exception of the model, or Ctrl-C, comes out as it is and leaves what was predicted:
    ``unfinished="resume"`` goes on from there.
    """
    if not scaled and normalise is None and dtype is None:
        dtype = "float32"
    reading = {
        "pad": pad, "dtype": dtype, "scaled": scaled, "normalise": normalise, "time": time,
        "channel": channel, "frames": frames, "threads": threads,
    }  # fmt: skip
    outputs = _checked(volume, sampler, outputs)

    def predicted(starts: np.ndarray) -> Any:
        patches = volume.read_many(starts, sampler.patch, **reading)
        return model(patches if patches.ndim == 5 else patches[:, None])

    first = None
    if any(output.channels is None for output in outputs):
        first = _heads(predicted(sampler.starts(volume)[:1]))
        outputs = [_with_channels(output, first) for output in outputs]
    aggregator = Aggregator(volume, sampler, outputs, **options)
    with shown(progress, "predict") as callback:
        try:
            if first is not None and 0 in aggregator.remaining:
                aggregator.add_many([0], first)
            remaining = aggregator.remaining
            for n in range(0, len(remaining), batch_size):
                numbers = remaining[n : n + batch_size]
                aggregator.add_many(numbers, predicted(aggregator.starts(numbers)), threads=threads)
                aggregator.checkpoint_if_due()
                if callback:
                    callback(min(n + batch_size, len(remaining)), len(remaining))
        except BaseException as exception:
            aggregator._leave(exception)
            raise
    if options.get("part") is not None:
        aggregator.check_complete()
        aggregator.close()
        return {"part": list(options["part"])}
    return aggregator.finish(threads=threads, progress=False)


def finalise(
    dataset: Dataset,
    name: str,
    *,
    overwrite: bool | str = False,
    threads: int | None = None,
    progress: bool | Progress | None = None,
) -> dict[str, Any]:
    """Publishes the outputs of an aggregation that was made in parts.

    Args:
        dataset: The store.
        name: The first output.
        overwrite: As of :class:`Aggregator`.
        threads: Number of threads.
        progress: As of :func:`voxpatch.convert`.
    """
    with shown(progress, "publish") as callback:
        return _voxpatch._finalise(dataset._handle, name, overwrite, threads, callback)


def _checked(volume: Any, sampler: Any, outputs: Any) -> list[Output]:
    """The outputs, if these are a volume, a grid and outputs."""
    expect(volume, Volume, "volume", 'a volume of a store, such as store["case01/ct"]')
    expect(sampler, GridSampler, "sampler", "a GridSampler: predictions are made on a grid")
    expect(outputs, (Output, Sequence), "outputs", 'voxpatch.Output("case01/scores"), or several')
    outputs = [outputs] if isinstance(outputs, str | Output) else list(outputs)
    for output in outputs:
        expect(output, Output, "outputs", 'voxpatch.Output("case01/scores"), or several')
    return outputs


def _heads(predictions: Any) -> list[Any]:
    """The prediction of each head of a model."""
    return list(predictions) if isinstance(predictions, tuple | list) else [predictions]


def _with_channels(output: Output, heads: Sequence[Any]) -> Output:
    """The output with the channels that its head has, unless they are given."""
    if not 0 <= output.head < len(heads):
        raise InvalidArgumentError(
            f"output {output.name}: head {output.head}: the model has {len(heads)}, counted from 0"
        )
    return replace(output, channels=output.channels or heads[output.head].shape[1])


def _array(prediction: Any) -> np.ndarray:
    array = np.asarray(prediction)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"predictions are real numbers, not {array.dtype}")
    return array.astype("float32", copy=False)
