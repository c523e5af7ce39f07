"""Streams of patches of many subjects, read ahead by threads of the engine."""

import atexit
import json
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxpatch import _voxpatch
from voxpatch._dataset import Dataset
from voxpatch._expect import expect
from voxpatch._sample import made

Images = str | Sequence[str] | Mapping[str, Mapping[str, Any]]

WORDS = ("pad", "dtype", "scaled", "normalise", "time", "channel", "frames")


@dataclass(frozen=True, eq=False)
class Patch:
    """One place of one subject.

    Attributes:
        images: For each image an array ``([c,] *patch)``.
        subject: The name of the subject.
        start: The first voxel in the volume, in the order of its axes.
        shape: The shape of the patch.
        padding: Voxels before and after the volume along each axis, which were made up.
        spacing: Millimetres between voxels.
        affine: The matrix that takes the patch's voxel ``(x, y, z, 1)`` to RAS+ millimetres.
        choice: How the place was chosen; see ``Sample.choice``.
        position: The number of the patch in the epoch, over all ranks.
    """

    images: dict[str, np.ndarray]
    subject: str
    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    padding: tuple[tuple[int, int], ...]
    spacing: tuple[float, float, float]
    affine: np.ndarray
    choice: Any
    position: int

    def __getitem__(self, image: str) -> np.ndarray:
        return self.images[image]


@dataclass(frozen=True, eq=False)
class Batch:
    """Several patches in one array for each image: ``(n, [c,] *patch)``.

    Attributes:
        images: The arrays.
        subjects: The subject of each patch.
        starts: The first voxel of each patch, int64, ``(n, 3)``.
        affines: The affine of each patch, ``(n, 4, 4)``.
        choices: How each place was chosen.
        positions: The numbers of the patches in the epoch.
    """

    images: dict[str, np.ndarray]
    subjects: list[str]
    starts: np.ndarray
    affines: np.ndarray
    choices: list[Any]
    positions: list[int]

    def __getitem__(self, image: str) -> np.ndarray:
        return self.images[image]

    def __len__(self) -> int:
        return len(self.subjects)


class PatchStream:
    """The patches of an epoch in shuffled order: an iterator that ends with the epoch.

    Every subject is visited once in an epoch; `patches_per_visit` patches are drawn from it, or each
    place of a grid. Threads of the engine read ahead, outside of the interpreter. Content and order
    follow from seed and epoch alone, for any number of `workers`.

    Args:
        dataset: The store.
        sampler: Where patches lie: one of voxpatch's samplers, or an object with `patch` and
            ``draw(shape, index, seed, epoch)``, which returns a start.
        images: The images: a name, names, or ``{name: options}`` with options as of ``Volume.read``.
        subjects: Names of subjects; by default all.
        sample_by: The image that the sampler looks at; by default the first. Samplers by label need
            that of a label map.
        jitter: Patches are moved by up to this many voxels along each axis, so that what was
            sampled for, a lesion for example, does not always stand in the middle. At most half a
            patch; a move takes no patch out of the volume.
        seed: What order and draws follow from, together with the epoch.
        epoch: The epoch to begin with.
        patches_per_visit: Patches of each subject in an epoch.
        shuffle_window: Patches that are shuffled among each other; 0 for subject after subject.
        workers: Threads that read ahead; with 0 the caller's thread reads.
        ahead_bytes: Bytes of voxels that may be read ahead.
        open_subjects: Subjects kept open.
        rank: Which of the processes that share an epoch this is, from 0.
        world: How many processes share an epoch.
        remainder: ``"drop"`` or ``"repeat"``: what becomes of the last patches, if they are fewer
            than the processes.
        on_error: ``"raise"``, or ``"skip"``: patches of subjects that cannot be read are left out and
            counted in :attr:`skipped`.

    Raises:
        NotFoundError: A subject lacks an image.
        SubjectError: A subject cannot be read; its ``__cause__`` is the exception of a sampler in
            Python.
    """

    def __init__(
        self,
        dataset: Dataset,
        sampler: Any,
        images: Images,
        *,
        subjects: Sequence[str] | None = None,
        sample_by: str | None = None,
        jitter: int | Sequence[int] = 0,
        seed: int = 0,
        epoch: int = 0,
        patches_per_visit: int = 8,
        shuffle_window: int = 256,
        workers: int = 1,
        ahead_bytes: int = 64 << 20,
        open_subjects: int = 64,
        rank: int = 0,
        world: int = 1,
        remainder: str = "drop",
        on_error: str = "raise",
    ) -> None:
        expect(dataset, Dataset, "dataset", 'a store, such as voxpatch.open("scans.zarr")')
        numbers = {
            "patches_per_visit": patches_per_visit,
            "shuffle_window": shuffle_window,
            "seed": seed,
            "epoch": epoch,
            "rank": rank,
            "world": world,
            "remainder": remainder,
            "workers": workers,
            "ahead_bytes": ahead_bytes,
            "open_subjects": open_subjects,
            "on_error": on_error,
        }
        names = list(dataset if subjects is None else subjects)
        self._stream = _voxpatch.PatchStream(
            dataset._handle,
            names,
            made(sampler, dataset.axes, jitter),
            [_request(name, options) for name, options in named(images).items()],
            sample_by,
            numbers,
        )
        _started.add(self)

    def __iter__(self) -> "PatchStream":
        return self

    def __next__(self) -> Patch:
        found = self._stream.next()
        if found is None:
            raise StopIteration
        images, origin = found
        return Patch(images, **origin)

    def __len__(self) -> int:
        """Patches of an epoch that are this process's."""
        return self._stream.patches_per_epoch

    @property
    def epoch(self) -> int:
        """The epoch that is being given."""
        return self._stream.epoch

    @property
    def remaining(self) -> int:
        """Patches of the epoch that are still to come."""
        return self._stream.remaining

    def next_epoch(self) -> None:
        """Begins the next epoch."""
        self.set_epoch(self.epoch + 1)

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch anew."""
        self._stream.set_epoch(epoch)

    @property
    def skipped(self) -> list[dict[str, Any]]:
        """What ``on_error="skip"`` has left out: subject, error, and number of patches."""
        return [
            {"subject": subject, "error": error, "patches": patches}
            for subject, error, patches in self._stream.skipped()
        ]

    def batches(self, size: int, *, drop_last: bool = False) -> Iterator[Batch]:
        """The rest of the epoch in batches; the last may be smaller, or is left out.

        Each of the `workers` reads a batch, patch after patch, straight into its arrays. Their
        memory goes back to the stream when the arrays are gone, for batches to come.
        """
        while (found := self._stream.next_batch(size, drop_last)) is not None:
            images, origins = found
            yield Batch(
                images,
                [origin["subject"] for origin in origins],
                np.array([origin["start"] for origin in origins], "int64"),
                np.stack([origin["affine"] for origin in origins]),
                [origin["choice"] for origin in origins],
                [origin["position"] for origin in origins],
            )

    def state_dict(self) -> dict[str, Any]:
        """How far the stream has come, to be saved with the weights of the model.

        It is the same for all ranks that have taken as many patches.
        """
        return self._stream.state()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state, also one of a stream with another number of workers or ranks.

        Raises:
            InvalidArgumentError: The state is of other subjects, images, labels or samplers.
        """
        self._stream.resume(json.dumps(dict(state)))


# Threads that call a sampler in Python must have ended before the interpreter does.
_started: "weakref.WeakSet[PatchStream]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for stream in list(_started):
        stream._stream.close()


def named(images: Images) -> dict[str, Mapping[str, Any]]:
    if isinstance(images, str):
        return {images: {}}
    if isinstance(images, Mapping):
        for name, options in images.items():
            expect(options, Mapping, f"image {name}", 'options, such as {"scaled": True}')
        return dict(images)
    return {name: {} for name in images}


def _request(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(options) - set(WORDS)
    if unknown:
        raise TypeError(f"image {name}: {', '.join(sorted(unknown))} is none of {', '.join(WORDS)}")
    return {"name": name, **dict.fromkeys(WORDS), "scaled": False, **options}
