"""Patches of many subjects for training, in place of TorchIO's queue."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torchio
from torch.utils.data import Dataset, get_worker_info

import voxpatch
from voxpatch._expect import expect
from voxpatch._stream import Patch
from voxpatch.errors import InvalidArgumentError
from voxpatch.torchio._subject import kind_of, names_of


class Queue(Dataset):
    """Patches of a store's subjects, each a TorchIO ``Subject``, as of ``torchio.Queue``.

    Threads of the engine read patches ahead; no subject is ever loaded as a whole. Give the queue to
    ``torchio.SubjectsLoader(queue, batch_size=...)`` with ``num_workers=0``. An epoch visits every
    subject once, and has ``len(queue)`` patches; a pass that ends early leaves the rest to the next
    one, as of TorchIO's queue. Patches follow from the seed and the epoch alone.

    Args:
        dataset: The store.
        max_length: Patches that are shuffled among each other. Unlike in TorchIO they are not held
            in memory.
        samples_per_volume: Patches of each subject in an epoch.
        sampler: TorchIO's ``UniformSampler`` or ``LabelSampler``, or one of voxpatch's samplers, the
            patch in the order ``x, y, z``.
        num_workers: Threads that read ahead.
        shuffle_patches: False for subject after subject.
        images: The images to take; by default those of the first subject.
        scaled: Intensities as real values in float32, as TorchIO reads files; otherwise as stored.
        transform: Applied to each patch.
        options: As of :class:`voxpatch.PatchStream`: ``seed``, ``subjects``, ``sample_by``,
            ``jitter``, ``rank`` and ``world``, ``ahead_bytes``, ...

    A patch has its images, ``location`` (int64, ``x, y, z`` of the first voxel and of the one behind
    the last), and ``name``. Not there: ``shuffle_subjects=False`` and ``subject_sampler``; ranks
    share an epoch by ``rank`` and ``world``.
    """

    def __init__(
        self,
        dataset: voxpatch.Dataset,
        max_length: int,
        samples_per_volume: int,
        sampler: Any,
        *,
        num_workers: int = 2,
        shuffle_patches: bool = True,
        images: str | Iterable[str] | None = None,
        scaled: bool = True,
        transform: Callable[[torchio.Subject], torchio.Subject] | None = None,
        **options: Any,
    ) -> None:
        expect(dataset, voxpatch.Dataset, "dataset", 'a store, such as voxpatch.open("scans.zarr")')
        if dataset.axes != "xyz":
            dataset = voxpatch.open(dataset.store, axes="xyz")
        if max_length < 1 or samples_per_volume < 1:
            raise InvalidArgumentError(
                f"max_length {max_length}, samples_per_volume {samples_per_volume}: give 1 or more"
            )
        first = dataset[next(iter(options.get("subjects") or dataset))]
        self._kinds = {name: kind_of(first[name]) for name in names_of(first, images)}
        sampler, options = _sampler_of(sampler, options, self._kinds)
        self.max_length = max_length
        self.samples_per_volume = samples_per_volume
        self.transform = transform
        self._stream = voxpatch.PatchStream(
            dataset,
            sampler,
            {
                name: {"scaled": scaled and kind is not torchio.LabelMap}
                for name, kind in self._kinds.items()
            },
            patches_per_visit=samples_per_volume,
            shuffle_window=max_length if shuffle_patches else 0,
            workers=num_workers,
            **options,
        )

    def __len__(self) -> int:
        """Patches of an epoch."""
        return len(self._stream)

    @property
    def iterations_per_epoch(self) -> int:
        """Patches of an epoch."""
        return len(self._stream)

    @property
    def epoch(self) -> int:
        """The epoch that is being given."""
        return self._stream.epoch

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch anew."""
        self._stream.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """How far the queue has come, to be saved with the weights of the model."""
        return self._stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where the state was saved, with any number of workers."""
        self._stream.load_state_dict(state)

    def __getitem__(self, index: int) -> torchio.Subject:
        """The next patch, whatever the index, as of TorchIO's queue."""
        if get_worker_info() is not None:
            raise InvalidArgumentError(
                "num_workers above 0: threads of the engine read ahead; give the loader num_workers=0 "
                "and the queue num_workers="
            )
        patch = next(self._stream, None)
        if patch is None:
            self._stream.next_epoch()
            patch = next(self._stream)
        return self._subject(patch)

    def _subject(self, patch: Patch) -> torchio.Subject:
        images = {}
        for name, kind in self._kinds.items():
            # TorchIO's images own contiguous tensors, with an axis of channels.
            tensor = torch.from_numpy(patch[name]).contiguous()
            tensor = tensor if tensor.ndim == 4 else tensor[None]
            images[name] = kind(tensor=tensor, affine=patch.affine)
        subject = torchio.Subject(name=patch.subject, **images)
        end = [start + length for start, length in zip(patch.start, patch.shape, strict=True)]
        subject[torchio.LOCATION] = torch.tensor([*patch.start, *end])
        subject.update_attributes()
        return subject if self.transform is None else self.transform(subject)


def _sampler_of(
    sampler: Any, options: dict[str, Any], kinds: dict[str, type]
) -> tuple[Any, dict[str, Any]]:
    """voxpatch's sampler of the same distribution, and the image that it looks at."""
    if not isinstance(sampler, torchio.data.PatchSampler):
        return sampler, options
    patch = tuple(int(length) for length in sampler.patch_size)
    if type(sampler) is torchio.UniformSampler:
        return voxpatch.UniformSampler(patch), options
    if type(sampler) is torchio.LabelSampler:
        # Without a name, TorchIO takes the first label map.
        maps = [name for name, kind in kinds.items() if kind is torchio.LabelMap]
        name = sampler.probability_map_name or next(iter(maps), None)
        options = {"sample_by": name, **options}
        weights = sampler.label_probabilities_dict
        by = "voxel" if weights is None else "class"
        return voxpatch.LabelSampler(patch, weights, by=by, border="mask"), options
    raise InvalidArgumentError(
        f"sampler {type(sampler).__name__}: give TorchIO's UniformSampler or LabelSampler, or one of "
        "voxpatch's samplers"
    )
