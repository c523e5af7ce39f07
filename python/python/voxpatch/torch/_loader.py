"""Patches and batches of tensors that threads of the engine read ahead."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

import voxpatch
from voxpatch._stream import Batch, Images, Patch, PatchStream
from voxpatch.errors import InvalidArgumentError
from voxpatch.torch._data import checked

T = TypeVar("T")


class _Passes:
    """A stream of patches, each pass over which is the next epoch."""

    def __init__(
        self, dataset: voxpatch.Dataset, sampler: Any, images: Images, options: dict[str, Any]
    ) -> None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
            options = {"rank": rank, "world": world, **options}
        self.sampler = _Epochs(self)
        self._stream = PatchStream(dataset, sampler, checked(images), **options)
        # The epoch that the next pass begins; None: it goes on with a loaded state.
        self._next: int | None = self._stream.epoch
        self._passes = 0

    def _pass(self, given: Callable[[PatchStream], Iterator[T]]) -> Iterator[T]:
        """What a stream gives in the next pass."""
        if self._next is not None:
            self._stream.set_epoch(self._next)
        self._next = self._stream.epoch + 1
        self._passes += 1
        this = self._passes
        for item in given(self._stream):
            yield item
            if self._passes != this:
                raise RuntimeError("another pass over this loader has begun: make a loader for each")

    @property
    def epoch(self) -> int:
        """The epoch of the present pass, or of the last one."""
        return self._stream.epoch

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this epoch; of an epoch whose state was loaded, the rest."""
        if self._next is not None or epoch != self._stream.epoch:
            self._next = epoch

    def state_dict(self) -> dict[str, Any]:
        """How far the present pass has come, counting what was given."""
        return self._stream.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The next pass goes on where the state was saved, with any number of workers and ranks."""
        self._stream.load_state_dict(state)
        self._next = None


class PatchLoader(_Passes):
    """Batches of patches for a training loop, in place of a ``DataLoader`` with worker processes.

    Threads of the engine read ahead in this process, outside of the interpreter, straight into the
    tensors: no voxel is copied, and none passes between processes. Each pass over the loader is the
    next epoch. Under ``torch.distributed`` the ranks share an epoch.

    Args:
        dataset: The store.
        sampler: Where patches lie.
        images: The images: a name, names, or ``{name: options}`` with options as of ``Volume.read``.
        batch_size: Patches of a batch.
        drop_last: Leaves out a last batch that is smaller.
        pin_memory: Batches lie in pinned memory; by default where CUDA is available.
        workers: Threads that read ahead.
        options: As of :class:`voxpatch.PatchStream`. ``rank`` and ``world`` are by default those of
            ``torch.distributed``.

    A batch is a dictionary: for each image a tensor ``(n, c, *patch)``, and ``subject`` (a list),
    ``start`` (int64, ``(n, 3)``), ``affine`` (float64, ``(n, 4, 4)``). The memory of a batch is that
    of a later one when its tensors are gone.
    """

    def __init__(
        self,
        dataset: voxpatch.Dataset,
        sampler: Any,
        images: Images,
        batch_size: int,
        *,
        drop_last: bool = False,
        pin_memory: bool | None = None,
        workers: int = 2,
        **options: Any,
    ) -> None:
        if batch_size < 1:
            raise InvalidArgumentError(f"batch_size {batch_size}: give 1 or more")
        super().__init__(dataset, sampler, images, {"workers": workers, **options})
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory

    def __len__(self) -> int:
        """Batches of an epoch."""
        whole, rest = divmod(len(self._stream), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        def batches(stream: PatchStream) -> Iterator[Batch]:
            return stream.batches(self.batch_size, drop_last=self.drop_last)

        return map(self._made, self._pass(batches))

    def _made(self, batch: Batch) -> dict[str, Any]:
        tensors = {name: _tensor(array, 5) for name, array in batch.images.items()}
        tensors["start"] = torch.from_numpy(batch.starts)
        tensors["affine"] = torch.from_numpy(batch.affines)
        if self.pin_memory:
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return {**tensors, "subject": batch.subjects}


class PatchIterable(_Passes, IterableDataset):
    """The same patches one by one, for programs that put them together themselves.

    A ``DataLoader`` over it has ``num_workers=0``: threads of the engine read ahead. Worker
    processes would each give all patches, and are refused.

    Args:
        dataset: The store.
        sampler: Where patches lie.
        images: As of :class:`PatchLoader`.
        workers: Threads that read ahead.
        options: As of :class:`voxpatch.PatchStream`.

    A patch is a dictionary: for each image a tensor ``(c, *patch)``, and ``subject``, ``start``
    (int64), ``affine`` (float64, 4 x 4).
    """

    def __init__(
        self,
        dataset: voxpatch.Dataset,
        sampler: Any,
        images: Images,
        *,
        workers: int = 2,
        **options: Any,
    ) -> None:
        super().__init__(dataset, sampler, images, {"workers": workers, **options})

    def __len__(self) -> int:
        """Patches of an epoch."""
        return len(self._stream)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if get_worker_info() is not None:
            raise InvalidArgumentError(
                "num_workers above 0: threads of the engine read ahead; give num_workers=0 and "
                "PatchIterable(..., workers=), or use a PatchDataset"
            )
        return map(self._made, self._pass(iter))

    def _made(self, patch: Patch) -> dict[str, Any]:
        return {
            **{name: _tensor(array, 4) for name, array in patch.images.items()},
            "subject": patch.subject,
            "start": torch.from_numpy(np.array(patch.start, "int64")),
            "affine": torch.from_numpy(patch.affine),
        }


def _tensor(array: np.ndarray, axes: int) -> torch.Tensor:
    """The array as a tensor with this many axes: an image of one frame gets an axis of channels."""
    tensor = torch.from_numpy(array)
    return tensor if tensor.ndim == axes else tensor.unsqueeze(axes - 4)


class _Epochs:
    """What Lightning looks for: ``loader.sampler.set_epoch``."""

    def __init__(self, loader: _Passes) -> None:
        self._loader = loader

    def set_epoch(self, epoch: int) -> None:
        self._loader.set_epoch(epoch)
