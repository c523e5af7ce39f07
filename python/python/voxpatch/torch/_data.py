"""Patches for ``torch.utils.data.DataLoader``."""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

import voxpatch
from voxpatch._expect import expect
from voxpatch._sample import made
from voxpatch._stream import Images, named
from voxpatch.errors import InvalidArgumentError, ReplacedError

# Subjects whose volumes a process keeps open.
OPEN_SUBJECTS = 256

# Keys of a batch beside the images.
KEYS = ("subject", "start", "affine")


class PatchDataset(Dataset):
    """Patches of many subjects, drawn by a sampler: a map-style dataset.

    Patch `i` of an epoch is draw `i` for the subject ``i // patches_per_subject``. Which voxels it
    has follows from seed, epoch and `i` alone, so batches are the same for any number of workers,
    and a loader that is resumed at an index goes on with the same patches.

    A ``DataLoader`` asks for a whole batch at once, which a worker reads into shared memory: nothing
    is copied on the way to the trainer. Give the loader ``collate_fn=voxpatch.torch.collate``.

    Args:
        dataset: The store.
        sampler: Where patches lie, such as ``voxpatch.UniformSampler((32, 64, 64))``.
        images: The images to read: a name, names, or ``{name: options}`` with options as of
            ``Volume.read`` (``pad``, ``dtype``, ``scaled``, ``normalise``, ``time``, ``channel``,
            ``frames``). All images of a subject have one shape and affine.
        subjects: Names of subjects; by default all.
        patches_per_subject: Draws of a subject in an epoch.
        sample_by: The image that the sampler looks at; by default the first of `images`.
        seed: The seed of all draws.
        jitter: Patches are moved by up to this many voxels along each axis, so that what was
            sampled for, a lesion for example, does not always stand in the middle. At most half a
            patch; a move takes no patch out of the volume.

    An item is a dictionary: for each image a tensor ``(c, *patch)``, and ``subject``, ``start``
    (int64, in the order of the store's axes), ``affine`` (float64, 4 x 4, of the patch).
    """

    def __init__(
        self,
        dataset: voxpatch.Dataset,
        sampler: Any,
        images: Images,
        *,
        subjects: Sequence[str] | None = None,
        patches_per_subject: int = 1,
        sample_by: str | None = None,
        seed: int = 0,
        jitter: int | Sequence[int] = 0,
    ) -> None:
        expect(dataset, voxpatch.Dataset, "dataset", 'a store, such as voxpatch.open("scans.zarr")')
        images = checked(images)
        if patches_per_subject < 1:
            raise InvalidArgumentError(f"patches_per_subject {patches_per_subject}: give 1 or more")
        self.dataset = dataset
        self.sampler = sampler
        self.images = {name: dict(options) for name, options in images.items()}
        self.subjects = list(dataset if subjects is None else subjects)
        self.patches_per_subject = patches_per_subject
        self.sample_by = next(iter(images)) if sample_by is None else sample_by
        self.seed = seed
        self.jitter = jitter
        made(sampler, dataset.axes, jitter)  # Refuses what makes no sense before anything is read.
        self.patch = tuple(sampler.patch)
        # Shared with workers, those that go on over epochs too.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._open: OrderedDict[str, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self.subjects) * self.patches_per_subject

    @property
    def epoch(self) -> int:
        """The epoch whose patches are given."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch: its patches are others. Workers that are running see it too."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> dict[str, Any]:
        batch = self.__getitems__([index])
        return {key: value[0] for key, value in batch.items()}

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """A batch in one call: tensors ``(n, c, *patch)``, a list of subjects."""
        indices = [range(len(self))[int(index)] for index in indices]
        batch: dict[str, Any] = {}
        starts, affines = np.empty((len(indices), 3), "int64"), np.empty((len(indices), 4, 4))
        names = [self.subjects[index // self.patches_per_subject] for index in indices]
        for n, (name, index) in enumerate(zip(names, indices, strict=True)):
            try:
                place = self._read(batch, n, len(indices), name, index)
            except ReplacedError:
                # Opened again, once: somebody has converted the subject anew.
                self._open.pop(name, None)
                place = self._read(batch, n, len(indices), name, index)
            starts[n], affines[n] = place
        batch["subject"] = names
        batch["start"] = torch.from_numpy(starts)
        batch["affine"] = torch.from_numpy(affines)
        return batch

    def _read(
        self, batch: dict[str, Any], n: int, count: int, name: str, index: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reads patch `n` of a batch into the tensors, which the first patch makes."""
        opened = self._subject(name)
        start = np.array(opened.regions.draw(index, seed=self.seed, epoch=self.epoch).start)
        for image, read in opened.images.items():
            if image not in batch:
                shape = (count, read.channels or 1, *self.patch)
                batch[image] = _tensor(shape, read.dtype)
            into = batch[image][n].numpy()
            if read.channels is None:
                into = into[0]
            read.volume.read(start, self.patch, out=into, **self.images[image])
        return start, _shifted(read.volume, start)

    def _subject(self, name: str) -> "_Opened":
        found = self._open.get(name)
        if found is None:
            found = self._open[name] = _Opened(self, name)
            if len(self._open) > OPEN_SUBJECTS:
                self._open.popitem(last=False)
        self._open.move_to_end(name)
        return found

    def __getstate__(self) -> dict[str, Any]:
        # Volumes are opened again in another process.
        return {**self.__dict__, "_open": OrderedDict()}


def checked(images: Images) -> dict[str, Mapping[str, Any]]:
    """The images by name, none of which is another key of a batch."""
    found = named(images)
    if not found or set(found) & set(KEYS):
        raise InvalidArgumentError(f"images {list(found)}: give names, none of them of {KEYS}")
    return found


class _Image(NamedTuple):
    """An open image: the channels of its patches, None for patches without such an axis."""

    volume: voxpatch.Volume
    channels: int | None
    dtype: np.dtype


class _Opened:
    """The open volumes of a subject, and where its patches lie."""

    def __init__(self, of: PatchDataset, name: str) -> None:
        subject = of.dataset[name]
        sampled = subject[of.sample_by]
        self.shape = sampled.spatial_shape
        self.images = {}
        for image, options in of.images.items():
            volume = sampled if image == of.sample_by else subject[image]
            same = np.allclose(volume.affine, sampled.affine, atol=1e-4)
            if volume.spatial_shape != self.shape or not same:
                raise InvalidArgumentError(
                    f"{volume.name} and {sampled.name} lie on different grids of voxels, so that "
                    "one patch cannot be read of both"
                )
            probe = volume.read((0, 0, 0), (1, 1, 1), **options)
            channels = probe.shape[0] if probe.ndim == 4 else None
            self.images[image] = _Image(volume, channels, probe.dtype)
        self.regions = made(of.sampler, sampled.axes, of.jitter).prepare(sampled)


def collate(batch: Any) -> dict[str, Any]:
    """The ``collate_fn`` for a :class:`PatchDataset`: a batch as it is, or items put together."""
    if isinstance(batch, Mapping):
        return dict(batch)
    together: dict[str, Any] = {}
    for key in batch[0]:
        values = [item[key] for item in batch]
        together[key] = torch.stack(values) if isinstance(values[0], torch.Tensor) else values
    return together


def _tensor(shape: tuple[int, ...], dtype: np.dtype) -> torch.Tensor:
    """A tensor, in a worker in memory that the trainer will share."""
    of = torch.from_numpy(np.empty(0, dtype)).dtype
    if get_worker_info() is None or not hasattr(torch.UntypedStorage, "_new_shared"):
        return torch.empty(shape, dtype=of)
    count = math.prod(shape)
    storage = torch.UntypedStorage._new_shared(max(count, 1) * dtype.itemsize)
    strides = torch.empty(shape, dtype=of, device="meta").stride()
    return torch.empty(0, dtype=of).set_(storage, 0, shape, strides)


def _shifted(volume: voxpatch.Volume, start: np.ndarray) -> np.ndarray:
    """The affine of a patch that begins at a voxel."""
    xyz = start if volume.axes == "xyz" else start[::-1]
    shifted = np.array(volume.affine)
    shifted[:3, 3] += shifted[:3, :3] @ xyz
    return shifted
