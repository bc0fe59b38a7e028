"""A simulator for the length of a function, or of each test of a class: for whoever likes decorators."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from inspect import Parameter
from typing import Any, Final, Protocol, TypeVar, Unpack, overload

from hsmstore.testing.simulation import Options, Simulation, simulator

Class = TypeVar("Class", bound=type)
Self = TypeVar("Self")
Result = TypeVar("Result")
Running = Callable[[tuple[Any, ...]], AbstractContextManager[Simulation]]

PREFIX: Final = "test"
"""What the name of a method begins with that runs as a test, for unittest and pytest."""

_OF_CASE: Final = "_hsmstore_simulation"


class Decorator(Protocol):
    """What decorates a test, or the tests of a class."""

    @overload
    def __call__(self, test: Class, /) -> Class: ...
    @overload
    def __call__(self, test: Callable[..., Result], /) -> Callable[..., Result]: ...


@overload
def simulated(test: Class, /) -> Class: ...
@overload
def simulated(test: Callable[[Self, Simulation], Result], /) -> Callable[[Self], Result]: ...
@overload
def simulated(test: Callable[[Simulation], Result], /) -> Callable[[], Result]: ...
@overload
def simulated(test: Callable[..., Result], /) -> Callable[..., Result]: ...
@overload
def simulated(**options: Unpack[Options]) -> Decorator: ...
def simulated(test: Any = None, /, **options: Unpack[Options]) -> Any:
    """Run a test, as its last argument, with a simulator; `boto3.client("kms")` reaches it from anywhere.

        >>> import boto3
        >>> @simulated
        ... def test(sim):
        ...     sim.fail_next_connect("USER_LOCKED_OUT")
        ...     kms = boto3.client("kms")
        ...     return len(kms.generate_random(NumberOfBytes=32)["Plaintext"])
        >>> test()
        32

    The test may be a function, a method, or a coroutine function; other arguments, pytest's fixtures and
    parameters among them, stand before the simulator. One that takes no argument is handed none.

    Of a class each method is decorated whose name begins with `test`. A TestCase has its simulator from
    before `setUp` until after its clean-ups. What has a simulator of its own keeps it.

    `options` are those of `simulator`, which also tells what is raised.

    Raises:
        TypeError: it is no test, such as a class without one, or a generator, which ends after its simulator.

    """
    if test is None:
        return functools.partial(_decorated, options)
    return _decorated(options, test)


def _decorated(options: Options, test: Any) -> Any:
    if isinstance(test, type):
        return _decorated_class(options, test)
    if not callable(test):
        raise TypeError(f"@simulated decorates a test, and {test!r} is none")
    return _handing(test, lambda _: _running(options))


def _decorated_class(options: Options, tests: type) -> type:
    """Decorate the methods in place, what is inherited included."""
    import unittest  # noqa: PLC0415  # who has such a class has loaded it

    def running(arguments: tuple[Any, ...]) -> AbstractContextManager[Simulation]:
        of_case = getattr(arguments[0], _OF_CASE, None) if arguments else None
        return nullcontext(of_case) if of_case else _running(options)

    names = [name for name in dir(tests) if name.startswith(PREFIX)]
    methods = {name: inspect.getattr_static(tests, name) for name in names}
    for name, method in methods.items():
        if isinstance(method, staticmethod | classmethod):
            setattr(tests, name, type(method)(_handing(method.__func__, running)))
        elif inspect.isfunction(method):
            setattr(tests, name, _handing(method, running))
    if issubclass(tests, unittest.TestCase):
        tests.setUp = _entering(tests.setUp, options)  # type: ignore[assignment]  # a method of every case
    elif not methods:
        raise TypeError(f"@simulated decorates methods {PREFIX}*, and {tests.__qualname__} has none")
    return tests


def _entering(set_up: Callable[[Any], object], options: Options) -> Callable[[Any], None]:
    """Return a `setUp` that enters a simulator first, unless a subclass has; the last clean-up leaves it."""

    @functools.wraps(set_up)
    def entering(case: Any) -> None:
        if not hasattr(case, _OF_CASE):
            setattr(case, _OF_CASE, case.enterContext(_running(options)))
        set_up(case)

    return entering


def _handing(test: Callable[..., Any], running: Running) -> Callable[..., Any]:
    """Return a test that is called without the simulator, from one that is called with it."""
    if inspect.isgeneratorfunction(test) or inspect.isasyncgenfunction(test):
        raise TypeError(f"@simulated ends before the generator {test.__qualname__} begins: enter simulator()")
    signature = inspect.signature(test)
    place = _place(signature)

    def handed(arguments: tuple[Any, ...], more: dict[str, Any], sim: Simulation) -> Any:
        if place is None:
            return test(*arguments, **more)
        if place.kind in {Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL}:
            return test(*arguments, sim, **more)
        return test(*arguments, **more, **{place.name: sim})

    async def waiting(*arguments: Any, **more: Any) -> Any:
        with running(arguments) as sim:
            return await handed(arguments, more, sim)

    def run(*arguments: Any, **more: Any) -> Any:
        with running(arguments) as sim:
            return handed(arguments, more, sim)

    wrapper = functools.wraps(test)(waiting if inspect.iscoroutinefunction(test) else run)
    rest = [parameter for parameter in signature.parameters.values() if parameter is not place]
    wrapper.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]  # what pytest reads
    return wrapper


def _place(signature: inspect.Signature) -> Parameter | None:
    """Return where the simulator goes: to the last argument that must be given, unless that is `self`."""
    for parameter in reversed([*signature.parameters.values()]):
        if parameter.default is Parameter.empty and parameter.kind is not Parameter.VAR_KEYWORD:
            return None if parameter.name in {"self", "cls"} else parameter
    return None


@contextmanager
def _running(options: Options) -> Iterator[Simulation]:
    with simulator(**options) as sim, sim.as_default() if find_spec("boto3") else nullcontext():
        yield sim
