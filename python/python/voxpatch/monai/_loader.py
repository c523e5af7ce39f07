"""Batches of MONAI's dictionaries that threads of the engine read ahead."""

from typing import Any

import voxpatch
import voxpatch.torch
from voxpatch._stream import Batch, Images
from voxpatch.monai._data import Transform, collate, composed, transformed
from voxpatch.monai._meta import with_meta


class PatchLoader(voxpatch.torch.PatchLoader):
    """Batches of ``MetaTensor`` for a training loop, as MONAI's ``DataLoader`` gives them.

    Affines are those of :class:`voxpatch.monai.PatchDataset`; ``decollate_batch`` takes a batch apart.

    Args:
        dataset, sampler, images, batch_size, options: As of :class:`voxpatch.torch.PatchLoader`.
        transform: A transform of dictionaries or several, applied to each patch in the thread that
            takes the batch; batches that it makes do not lie in pinned memory. Transforms of whole
            batches are cheaper after the loader.

    A batch is a dictionary: for each image a MetaTensor ``(n, c, *patch)``, and ``subject`` (a list)
    and ``start`` (int64, ``(n, 3)``).
    """

    def __init__(
        self,
        dataset: voxpatch.Dataset,
        sampler: Any,
        images: Images,
        batch_size: int,
        *,
        transform: Transform | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dataset, sampler, images, batch_size, **options)
        self.transform = composed(transform)
        self._place = (dataset.store, dataset.axes)

    def _made(self, batch: Batch) -> dict[str, Any]:
        made = with_meta(super()._made(batch), batch.images, *self._place)
        return made if self.transform is None else collate(transformed(made, self.transform))
