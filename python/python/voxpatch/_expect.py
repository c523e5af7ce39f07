"""Arguments of the wrong kind are refused by name, with what to give instead."""

from typing import Any


def expect(value: Any, kind: type | tuple[type, ...], name: str, remedy: str) -> None:
    """Refuses a value that is not of a kind.

    Raises:
        TypeError: It is of another.
    """
    if not isinstance(value, kind):
        found = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
        raise TypeError(f"{name}: {found} is not what is taken here: give {remedy}")
