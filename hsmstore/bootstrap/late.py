"""Adapters that are made when they are first asked for something, and loaded no sooner."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class _Late:
    """Stands for what `make` returns."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._making = threading.RLock()
        self._made: list[object] = []

    def __getattr__(self, name: str) -> Any:
        """Look up what is not here there, and remember it: adapters keep their methods."""
        with self._making:
            if not self._made:
                self._made.append(self._make())
        found = getattr(self._made[0], name)
        setattr(self, name, found)
        return found


def late(make: Callable[[], T]) -> T:
    """Return what stands for the adapter that `make` makes: once, in the thread that first needs it.

    `make` may raise then what it would have raised now, and is asked again.
    """
    return cast("T", _Late(make))
