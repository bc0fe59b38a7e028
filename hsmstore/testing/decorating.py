"""A simulator for the length of a function: for unittest, and whoever likes decorators."""

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Any, TypeVar, Unpack, overload

from hsmstore.testing.simulation import Options, Simulation, simulator

Self = TypeVar("Self")
Result = TypeVar("Result")


@overload
def simulated(test: Callable[[Self, Simulation], Result], /) -> Callable[[Self], Result]: ...
@overload
def simulated(test: Callable[[Simulation], Result], /) -> Callable[[], Result]: ...
@overload
def simulated(**options: Unpack[Options]) -> Callable[[Callable[..., Result]], Callable[..., Result]]: ...
def simulated(test: Callable[..., Any] | None = None, /, **options: Unpack[Options]) -> Any:
    """Run a test, as its last argument, with a simulator; `boto3.client("kms")` reaches it from anywhere.

        >>> import boto3
        >>> @simulated
        ... def test(sim):
        ...     sim.fail_next_connect("USER_LOCKED_OUT")
        ...     kms = boto3.client("kms")
        ...     return len(kms.generate_random(NumberOfBytes=32)["Plaintext"])
        >>> test()
        32

    The test may be a function, a method, or a coroutine function. `options` are those of `simulator`.
    """
    if test is None:
        return functools.partial(_decorated, options)
    return _decorated(options, test)


def _decorated(options: Options, test: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(test):

        async def waiting(*arguments: Any) -> Any:
            with simulator(**options) as sim, _everywhere(sim):
                return await test(*arguments, sim)

        return _named_as(test, waiting)

    def run(*arguments: Any) -> Any:
        with simulator(**options) as sim, _everywhere(sim):
            return test(*arguments, sim)

    return _named_as(test, run)


def _named_as(test: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """Give the wrapper the test's name, and not its signature: a runner would look for a fixture `sim`."""
    functools.update_wrapper(wrapper, test)
    del wrapper.__wrapped__  # type: ignore[attr-defined]  # update_wrapper has set it
    return wrapper


def _everywhere(sim: Simulation) -> AbstractContextManager[None]:
    return sim.as_default() if find_spec("boto3") else nullcontext()
