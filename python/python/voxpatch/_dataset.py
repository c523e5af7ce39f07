"""Stores as mappings: a dataset of subjects, a subject of volumes."""

import html
import os
from collections.abc import Iterator, Mapping
from typing import Any

from voxpatch import _voxpatch
from voxpatch._progress import Progress, shown
from voxpatch._voxpatch import Volume
from voxpatch.errors import NotFoundError, NotVoxpatchError


class Dataset(Mapping[str, "Subject"]):
    """A store of volumes: a mapping from names of subjects to :class:`Subject`.

    ``dataset["case01"]`` is a subject, ``dataset["case01/ct"]`` a volume. Nothing is held of the
    store: each call looks at it anew. Made by :func:`voxpatch.open` and :func:`voxpatch.create`.
    """

    def __init__(self, handle: _voxpatch.Dataset) -> None:
        self._handle = handle

    @property
    def store(self) -> str:
        """The path of the store, absolute."""
        return os.fspath(self._handle.store)

    @property
    def axes(self) -> str:
        """``"zyx"`` or ``"xyz"``: the order of the spatial axes."""
        return self._handle.axes

    def __getitem__(self, name: str) -> Any:
        """A subject, or the volume of a name with a slash."""
        if not isinstance(name, str):
            raise TypeError(f"subjects and volumes have names, not {type(name).__name__}")
        if "/" in name:
            return self._handle.volume(name)
        if name not in self._handle.subjects():
            error = NotFoundError(f"subject not found: {self.store}/{name}")
            error.path = f"{self.store}/{name}"
            raise error
        return Subject(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._handle.subjects())

    def __len__(self) -> int:
        return len(self._handle.subjects())

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        subject, _, image = name.partition("/")
        if image:
            return subject in self._handle.subjects() and image in self._handle.images(subject)
        return name in self._handle.subjects()

    def volumes(self) -> list[str]:
        """The names of all volumes, ``SUBJECT/IMAGE``, sorted."""
        subjects = self._handle.subjects()
        return [f"{name}/{image}" for name in subjects for image in self._handle.images(name)]

    def remove(self, name: str) -> None:
        """Removes a volume and its files."""
        self._handle.remove(name)

    def sweep(self, older_than: float = 86400.0, *, dry_run: bool = False) -> dict[str, Any]:
        """Removes what no volume needs: files of killed conversions and of replaced volumes.

        Args:
            older_than: Seconds; what was written to since is left alone.
            dry_run: Only report.

        Returns:
            ``{"removed": [...], "kept": [...]}`` with path, bytes and age of each.
        """
        return self._handle.sweep(older_than, dry_run)

    def unfinished(self) -> list[list[str]]:
        """The outputs of each aggregation that was begun and not finished."""
        return self._handle.unfinished()

    def discard_unfinished(self, name: str) -> bool:
        """Discards the unfinished aggregation of an output; False if there is none."""
        return self._handle.discard_unfinished(name)

    def build_index(
        self,
        name: str,
        *,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> dict[str, Any]:
        """Builds the index by which a label map or a map of weights is sampled.

        Conversions build it; this is for volumes of earlier versions and for damaged indices.
        """
        with shown(progress, "index") as callback:
            return self._handle.build_index(name, threads, callback)

    def verify(
        self,
        name: str | None = None,
        *,
        threads: int | None = None,
        progress: bool | Progress | None = None,
    ) -> dict[str, Any]:
        """Compares every byte of one volume, or of all, with its checksums.

        Returns:
            The report of ``voxpatch verify --json``: each volume with the damage that was found.
        """
        with shown(progress, "verify") as callback:
            return self._handle.verify(name, threads, callback)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.store, self.axes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dataset):
            return NotImplemented
        return (self.store, self.axes) == (other.store, other.axes)

    def __hash__(self) -> int:
        return hash((self.store, self.axes))

    def __repr__(self) -> str:
        return f"<voxpatch.Dataset {self.store}: {len(self)} subjects>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{', '.join(self._handle.images(name))}</td></tr>"
            for name in self._handle.subjects()
        )
        caption = html.escape(self.store)
        head = "<tr><th>subject</th><th>images</th></tr>"
        return f"<table><caption>{caption}</caption>{head}{rows}</table>"


class Subject(Mapping[str, Volume]):
    """The volumes of a subject: a mapping from names of images to :class:`Volume`."""

    def __init__(self, dataset: Dataset, name: str) -> None:
        self.dataset = dataset
        self.name = name

    def __getitem__(self, image: str) -> Volume:
        return self.dataset._handle.volume(f"{self.name}/{image}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.dataset._handle.images(self.name))

    def __len__(self) -> int:
        return len(self.dataset._handle.images(self.name))

    def __contains__(self, image: object) -> bool:
        return image in self.dataset._handle.images(self.name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Subject):
            return NotImplemented
        return (self.dataset, self.name) == (other.dataset, other.name)

    def __hash__(self) -> int:
        return hash((self.dataset, self.name))

    def __repr__(self) -> str:
        return f"<voxpatch.Subject {self.name}: {', '.join(self)}>"


def open(store: str | os.PathLike[str], axes: str = "zyx") -> Dataset:
    """Opens a store.

    Args:
        store: Its path. A path that ends in ``?mode=read`` has files read at positions instead of
            being mapped into memory.
        axes: The order in which starts, shapes, spacings and arrays are given and returned:
            ``"zyx"``, or ``"xyz"``, in which arrays are the same memory with its axes reversed.

    Raises:
        NotFoundError: There is nothing at the path.
        NotVoxpatchError: There is something else.
    """
    return Dataset(_voxpatch.Dataset(store, axes, False))


def volume_at(path: str | os.PathLike[str], axes: str = "zyx") -> Volume:
    """The volume of a path, ``scans.zarr/case01/ct``.

    Raises:
        NotFoundError: There is none.
    """
    above, image = os.path.split(os.path.abspath(path))
    store, subject = os.path.split(above)
    try:
        return open(store, axes)[f"{subject}/{image}"]
    except NotVoxpatchError as error:
        raise NotFoundError(f"volume not found: {path}") from error


def create(store: str | os.PathLike[str], axes: str = "zyx") -> Dataset:
    """Opens a store, or makes an empty one if there is none. See :func:`open`."""
    return Dataset(_voxpatch.Dataset(store, axes, True))
