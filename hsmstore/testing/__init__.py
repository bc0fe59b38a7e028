"""A simulator for tests: in the test's own process, with a registry and tokens that go when the test ends.

    >>> from hsmstore.testing import simulator
    >>> with simulator() as sim:
    ...     kms = sim.client()
    ...     answer = kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=sim.store)
    >>> len(answer["Plaintext"])
    32

`sim.store` is the id of a key store that is connected, on `sim.cluster`. What happens to them in life is done
to them here:

    >>> with simulator() as sim:
    ...     kms, store = sim.client(), sim.store
    ...     _ = sim.cluster.cut_network()
    ...     kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=store)
    Traceback (most recent call last):
    botocore.errorfactory.KMSInternalException: An error occurred (KMSInternalException) when calling ...

In pytest the same is the fixture `hsmstore`, with `kms_client`, `key_store` and `hsmstore_endpoint` beside
it; docs/testing.md has recipes.

Nothing is loaded before it is used: this package is imported at the start of every run of pytest.
"""

import gc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsmstore.testing.decorating import simulated
    from hsmstore.testing.simulation import Simulation, simulator

__all__ = ["Simulation", "simulated", "simulator"]


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    collecting = gc.isenabled()
    gc.disable()  # loading makes next to no garbage, and looking for it takes a tenth of the time
    try:
        from hsmstore.testing import decorating, simulation  # noqa: PLC0415  # see above
    finally:
        if collecting:
            gc.enable()
    return getattr(decorating if name == "simulated" else simulation, name)
