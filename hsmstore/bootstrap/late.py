"""Adapters that are made when they are first asked for something, and loaded no sooner."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self, TypeVar, cast

from hsmstore.domain.errors import EnvironmentUnfit

T = TypeVar("T")


class _Late:
    """Stands for what `find` returns."""

    def __init__(self, find: Callable[[], object]) -> None:
        self._find = find

    def __getattr__(self, name: str) -> Any:
        """Look up what is not here there, and remember it: adapters keep their methods."""
        found = getattr(self._find(), name)
        setattr(self, name, found)
        return found


class Lateness:
    """A context at whose end the adapters that were made in it are closed, and after which none is made."""

    def __init__(self) -> None:
        """Begin with none."""
        self._making = threading.RLock()
        self._until = ExitStack()
        self._has_ended = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was made, when what is being made is ready."""
        with self._making:
            self._has_ended = True
        self._until.close()

    def late(self, make: Callable[[ExitStack], T]) -> T:
        """Return what stands for the adapter that `make` makes: once, in the thread that first needs it.

        `make` takes the stack that closes the adapter. It may raise then what it would have raised now, and
        is asked again. After the end EnvironmentUnfit is raised instead, to calls that came too late.
        """
        made: list[T] = []

        def find() -> T:
            with self._making:
                if not made:
                    if self._has_ended:
                        raise EnvironmentUnfit("the simulator has ended", "make every call before its end")
                    made.append(make(self._until))
            return made[0]

        return cast("T", _Late(find))
