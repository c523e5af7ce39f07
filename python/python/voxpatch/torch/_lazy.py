"""A tensor that lies on disk.

A subclass of ``torch.Tensor`` without storage. Functions of torch come to ``__torch_function__`` and,
if they were called from within torch, to ``__torch_dispatch__``. Slicing is answered by a read of the
store, padding by a shifted view, questions about shape and type by what is known. Everything else
gets a dense tensor with all voxels in place of the lazy one.
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map

from voxpatch._expect import expect
from voxpatch._voxpatch import Volume
from voxpatch.errors import VoxpatchError

# The modes of torch.nn.functional.pad, in numpy's words.
MODES = {"replicate": "edge", "reflect": "reflect", "circular": "wrap"}

# Types that torch computes with little of: returned as the next wider one.
WIDER = {"uint16": "int32", "uint32": "int64", "uint64": "int64"}

_allowed = contextvars.ContextVar("voxpatch_materialise", default=True)


class MaterialisedError(VoxpatchError, RuntimeError):
    """An operation would have read a whole volume, where that was forbidden."""


@contextlib.contextmanager
def materialising(allowed: bool) -> Iterator[None]:
    """Allows or forbids operations that read whole volumes, for the length of a ``with``.

    Where they are forbidden, :class:`MaterialisedError` names the operation.
    """
    token = _allowed.set(allowed)
    try:
        yield
    finally:
        _allowed.reset(token)


class LazyTensor(torch.Tensor):
    """The tensor of a volume, ``(c, *spatial)``, whose voxels stay on disk until they are sliced.

    Spatial axes are in the order of the volume's ``axes``: open the store with ``axes="xyz"`` for
    TorchIO and MONAI, and with ``"zyx"`` for nnU-Net.

    Slices and whole numbers, an ellipsis and None give an ordinary tensor of the sliced voxels;
    ``torch.nn.functional.pad`` of spatial axes and a new first axis (``lazy[None]``,
    ``unsqueeze(0)``) give a lazy tensor again. Everything else reads the whole volume and gives an
    ordinary tensor, with the same result as for a dense one, unless that is forbidden
    (:func:`materialising`).

    It pickles as the path of the volume, and is opened again where it is unpickled. ``deepcopy`` and
    ``clone`` of it give the same handle: nothing can be written to it.

    Args:
        volume: The volume.
        dtype, scaled, normalise: As of ``Volume.read``. Without them voxels keep their type, except
            that unsigned ones of 16 bits and more become the next wider signed type.
        time: The time point, of a volume that has several.
    """

    _volume: Volume
    _options: dict[str, Any]
    _pads: tuple[tuple[int, int], ...]
    _mode: Any
    _lead: int

    @staticmethod
    def __new__(
        cls,
        volume: Volume,
        *,
        dtype: Any = None,
        scaled: bool = False,
        normalise: Any = None,
        time: int | None = None,
    ) -> "LazyTensor":
        expect(volume, Volume, "volume", 'a volume of a store, such as store["case01/ct"]')
        if not (scaled or normalise is not None or dtype is not None):
            dtype = WIDER.get(volume.dtype.name)
        if isinstance(dtype, torch.dtype):
            dtype = str(dtype).removeprefix("torch.")
        options = {"dtype": dtype, "scaled": scaled, "normalise": normalise, "time": time}
        # Also a look whether the arguments make sense.
        probe = volume.read((0, 0, 0), (1, 1, 1), **options)
        shape = (volume.channels, *volume.spatial_shape)
        return cls._wrap(volume, options, ((0, 0),) * 3, None, 0, shape, _torch_dtype(probe.dtype))

    @classmethod
    def _wrap(cls, volume, options, pads, mode, lead, shape, dtype) -> "LazyTensor":
        lazy = torch.Tensor._make_wrapper_subclass(cls, shape, dtype=dtype, device="cpu")
        lazy._volume, lazy._options = volume, options
        lazy._pads, lazy._mode, lazy._lead = pads, mode, lead
        return lazy

    @property
    def volume(self) -> Volume:
        """The volume whose voxels these are."""
        return self._volume

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """All voxels."""
        return _dense(self, "numpy").numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        shape = tuple(_plain(self, torch.Tensor.size, (), {}))
        return f"LazyTensor({self._volume!r}, shape={shape}, dtype={_dtype(self)})"

    def __deepcopy__(self, memo: dict[int, Any]) -> "LazyTensor":
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        shape = tuple(_plain(self, torch.Tensor.size, (), {}))
        parts = (self._volume, self._options, self._pads, self._mode, self._lead, shape, _dtype(self))
        return _again, parts

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        lazy = args[0] if args and isinstance(args[0], cls) else None
        if isinstance(kwargs.get("out"), cls) or (lazy is not None and _writes(name)):
            raise TypeError(f"{name}: a volume on disk is not written to; take a dense copy, lazy + 0")
        if lazy is not None:
            if func is torch.Tensor.__getitem__:
                return _get(lazy, args[1])
            if name in ("__get__", *_KNOWN) and _is_known(func):
                return _plain(lazy, func, args[1:], kwargs)
            if name in _SAME and not args[1:] and not kwargs:
                return lazy
            if name == "to" and _stays(lazy, args[1:], kwargs):
                return lazy
            if name == "unsqueeze" and (args[1:] or tuple(kwargs.values())) == (0,):
                return _led(lazy)
            if name == "pad":
                padded = _padded(lazy, *args[1:], **kwargs)
                if padded is not None:
                    return padded
        dense = tree_map(lambda a: _dense(a, name) if isinstance(a, cls) else a, (args, kwargs))
        return func(*dense[0], **dense[1])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        name = str(func)
        if name.startswith(("aten.detach", "aten.alias")):
            return args[0]
        if name.startswith("aten.constant_pad_nd"):
            value = args[2] if len(args) > 2 else 0
            padded = _padded(args[0], args[1], "constant", value)
            if padded is not None:
                return padded
        dense = tree_map(
            lambda a: _dense(a, name) if isinstance(a, cls) else a, (args, kwargs or {})
        )
        return func(*dense[0], **dense[1])


# Questions that are answered without voxels.
_KNOWN = {
    "size", "dim", "ndimension", "numel", "nelement", "element_size", "__len__", "is_floating_point",
    "is_complex", "type", "stride", "is_contiguous", "get_device", "is_signed", "is_inference",
}  # fmt: skip
_ATTRIBUTES = {
    "shape", "ndim", "dtype", "device", "layout", "requires_grad", "is_cuda", "names", "is_sparse",
    "is_quantized", "is_meta", "is_leaf", "grad_fn", "grad", "is_mps", "itemsize", "nbytes",
    "is_nested", "is_xpu", "is_cpu", "_is_view",
}  # fmt: skip
# Operations that change nothing of a tensor in memory of the CPU that nobody can write to.
_SAME = {"contiguous", "detach", "cpu", "clone", "requires_grad_", "alias"}


def _writes(name: str) -> bool:
    """Whether a method writes to its tensor. `+=` does not: it gives a dense tensor."""
    in_place = name.endswith("_") and not name.endswith("__") and name not in _SAME
    return in_place or name in ("__setitem__", "__set__")


def _is_known(func: Any) -> bool:
    """Whether a function is one of the methods, or the getter of one of the attributes."""
    if func.__name__ != "__get__":
        return True
    return getattr(getattr(func, "__self__", None), "__name__", None) in _ATTRIBUTES


def _again(volume, options, pads, mode, lead, shape, dtype) -> LazyTensor:
    return LazyTensor._wrap(volume, options, pads, mode, lead, shape, dtype)


def _plain(lazy: LazyTensor, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    with torch._C.DisableTorchFunctionSubclass():
        return func(lazy, *args, **kwargs)


def _dtype(lazy: LazyTensor) -> torch.dtype:
    return _plain(lazy, torch.Tensor.dtype.__get__, (), {})


def _shape(lazy: LazyTensor) -> tuple[int, ...]:
    return tuple(_plain(lazy, torch.Tensor.size, (), {}))


def _torch_dtype(dtype: np.dtype) -> torch.dtype:
    return torch.from_numpy(np.empty(0, dtype)).dtype


def _stays(lazy: LazyTensor, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether `to` would give a tensor of the same type, on the CPU."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.dtype):
            if value != _dtype(lazy):
                return False
        elif isinstance(value, str | torch.device):
            if torch.device(value).type != "cpu":
                return False
        elif isinstance(value, torch.Tensor):
            if value.dtype != _dtype(lazy) or value.device.type != "cpu":
                return False
        elif value is not None and not isinstance(value, bool | torch.memory_format):
            return False
    return True


def _led(lazy: LazyTensor) -> LazyTensor:
    """The tensor with a new first axis of length 1."""
    parts = (lazy._volume, lazy._options, lazy._pads, lazy._mode, lazy._lead + 1)
    return LazyTensor._wrap(*parts, (1, *_shape(lazy)), _dtype(lazy))


def _padded(
    lazy: LazyTensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> LazyTensor | None:
    """The tensor with its spatial axes padded, or None if only a dense tensor can be padded so."""
    by = [int(n) for n in pad]
    by += [0] * (6 - len(by))
    # A volume has one border: two modes of padding behind one another are no padding of it.
    how = (0 if value is None else value) if mode == "constant" else MODES.get(mode)
    if len(by) > 6 or min(by) < 0 or how is None or lazy._mode not in (None, how):
        return None
    if lazy._mode is not None and mode in ("reflect", "circular"):
        return None
    spatial = _shape(lazy)[-3:]
    # The last axis comes first in `pad`.
    pads = tuple((by[4 - 2 * axis], by[5 - 2 * axis]) for axis in range(3))
    if mode in ("reflect", "circular"):
        short = 0 if mode == "circular" else 1
        if any(max(p) > n - short for p, n in zip(pads, spatial, strict=True)):
            return None  # torch refuses this.
    shape = tuple(n + before + after for n, (before, after) in zip(spatial, pads, strict=True))
    pads = tuple((a + c, b + d) for (a, b), (c, d) in zip(lazy._pads, pads, strict=True))
    parts = (lazy._volume, lazy._options, pads, how, lazy._lead)
    return LazyTensor._wrap(*parts, (*_shape(lazy)[:-3], *shape), _dtype(lazy))


def _read(lazy: LazyTensor, start: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    """The voxels of a region of the spatial axes, with all channels: ``(c, *shape)``."""
    volume, dtype = lazy._volume, _dtype(lazy)
    out = torch.empty((volume.channels, *shape), dtype=dtype)
    first = [s - before for s, (before, _) in zip(start, lazy._pads, strict=True)]
    if out.numel():
        array = out.numpy()
        into = array if volume.channels > 1 else array[0]
        volume.read(first, shape, pad=lazy._mode, out=into, **lazy._options)
    return out


def _dense(lazy: LazyTensor, operation: str) -> torch.Tensor:
    """All voxels."""
    if not _allowed.get():
        raise MaterialisedError(
            f"{operation} would read all of {lazy._volume.name}: only slices, padding and questions "
            "about shape and type are answered without"
        )
    shape = _shape(lazy)
    return _read(lazy, (0, 0, 0), shape[-3:]).reshape(shape)


def _get(lazy: LazyTensor, index: Any) -> torch.Tensor:
    items = list(index) if isinstance(index, tuple) else [index]
    if not all(_is_basic(item) for item in items):
        return _dense(lazy, "indexing by a mask or numbers")[index]
    shape = _shape(lazy)
    if all(item is None or _is_all(item) for item in items) and all(
        item is None for item in items[: items.count(None)]
    ):
        for _ in range(items.count(None)):
            lazy = _led(lazy)
        return lazy
    # For each axis of the lazy tensor the item that indexes it, in order.
    given = [item for item in items if item is not None]
    if given.count(Ellipsis) > 1 or len(given) - given.count(Ellipsis) > len(shape):
        raise IndexError(f"{index} does not index a tensor of {len(shape)} axes")
    if Ellipsis in given:
        at = given.index(Ellipsis)
        given[at : at + 1] = [slice(None)] * (len(shape) - len(given) + 1)
    given += [slice(None)] * (len(shape) - len(given))
    if all(_is_all(item) for item in given[-3:]):
        return _dense(lazy, "indexing without spatial axes")[index]
    # The region that holds all chosen voxels, and the same index within it.
    start: list[int] = []
    size: list[int] = []
    within: list[Any] = []
    for item, length in zip(given[-3:], shape[-3:], strict=True):
        if isinstance(item, slice):
            first, stop, step = item.indices(length)
            if step < 0:
                raise ValueError("step must be greater than zero")
            count = len(range(first, stop, step))
            start.append(first)
            size.append((count - 1) * step + 1 if count else 0)
            within.append(slice(None, None, step))
        else:
            number = int(item)
            if not -length <= number < length:
                raise IndexError(f"index {number} is out of bounds for an axis of length {length}")
            start.append(number % length)
            size.append(1)
            within.append(0)
    dense = _read(lazy, start, size)
    dense = dense.reshape(*shape[: lazy._lead], *dense.shape)
    # Axes that None makes are put where they were asked for.
    rest = iter([*given[:-3], *within])
    index = []
    for item in items:
        if item is None:
            index.append(None)
        elif item is Ellipsis:
            count = len(shape) - sum(i is not None and i is not Ellipsis for i in items)
            index += [next(rest) for _ in range(count)]
        else:
            index.append(next(rest))
    result = dense[(*index, *rest)]
    # A copy where the region holds more than was chosen, so that nothing else is kept.
    return result if result.numel() == dense.numel() else result.clone()


def _is_basic(item: Any) -> bool:
    if item is None or item is Ellipsis:
        return True
    if isinstance(item, slice):
        parts = (item.start, item.stop, item.step)
        return all(part is None or hasattr(part, "__index__") for part in parts)
    if isinstance(item, torch.Tensor | np.ndarray):
        return item.ndim == 0 and not str(item.dtype).endswith("bool") and hasattr(item, "__index__")
    return hasattr(item, "__index__") and not isinstance(item, bool)


def _is_all(item: Any) -> bool:
    return item is Ellipsis or (isinstance(item, slice) and item == slice(None))
