"""Patches as MONAI's dictionaries, for its ``DataLoader``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monai.data import decollate_batch, list_data_collate
from monai.transforms import Compose

import voxpatch
import voxpatch.torch
from voxpatch._stream import Images
from voxpatch.monai._meta import with_meta

Transform = Callable[[Any], Any] | Sequence[Callable[[Any], Any]]


class PatchDataset(voxpatch.torch.PatchDataset):
    """Patches of many subjects as dictionaries of ``MetaTensor``: a map-style dataset.

    The affine of an image takes voxels of the patch, in the order of the store's axes, to RAS+
    millimetres, as after ``LoadImaged`` and ``SpatialCropd``. Give the loader
    ``collate_fn=voxpatch.monai.collate``; without a transform a batch is made in one piece.

    Args:
        dataset, sampler, images, options: As of :class:`voxpatch.torch.PatchDataset`.
        transform: A transform of dictionaries or several, applied to each patch.

    An item is a dictionary: for each image a MetaTensor ``(c, *patch)``, and ``subject`` and
    ``start`` (int64, in the order of the store's axes).
    """

    def __init__(
        self,
        dataset: voxpatch.Dataset,
        sampler: Any,
        images: Images,
        *,
        transform: Transform | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dataset, sampler, images, **options)
        self.transform = composed(transform)

    def __getitem__(self, index: int) -> Any:
        (item,) = decollate_batch(self._batch([index]))
        return item if self.transform is None else self.transform(item)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """A batch in one call; a list of items if there is a transform."""
        batch = self._batch(indices)
        return batch if self.transform is None else transformed(batch, self.transform)

    def _batch(self, indices: Sequence[int]) -> dict[str, Any]:
        batch = super().__getitems__(indices)
        return with_meta(batch, self.images, self.dataset.store, self.dataset.axes)


def collate(batch: Any) -> Any:
    """The ``collate_fn`` for a :class:`PatchDataset`: a batch as it is, or items put together by
    MONAI's ``list_data_collate``."""
    return dict(batch) if isinstance(batch, Mapping) else list_data_collate(batch)


def composed(transform: Transform | None) -> Compose | None:
    return transform if transform is None or isinstance(transform, Compose) else Compose(transform)


def transformed(batch: dict[str, Any], transform: Compose) -> list[Any]:
    """The patches of a batch one by one, each transformed."""
    return [transform(item) for item in decollate_batch(batch)]
