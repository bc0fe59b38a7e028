"""Where the ports meet their adapters: the only room that names concrete classes.

`serving` is loaded when something of it is asked for: a simulator inside another program needs little of it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsmstore.bootstrap.serving import (
        add_principal,
        examine,
        list_principals,
        new_token,
        open_world,
        registry_state,
        serve,
        serve_token,
        upgrade_registry,
    )

__all__ = [
    "add_principal",
    "examine",
    "list_principals",
    "new_token",
    "open_world",
    "registry_state",
    "serve",
    "serve_token",
    "upgrade_registry",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hsmstore.bootstrap import serving  # noqa: PLC0415  # see above

    return getattr(serving, name)
