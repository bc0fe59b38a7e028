"""`@simulated` on functions, methods and classes, under unittest and under pytest."""

import asyncio
import doctest
import inspect
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import boto3
import pytest

import hsmstore.testing.decorating
from hsmstore.testing import Simulation, simulated


def account() -> Any:
    """Return which account the code under test is in."""
    return boto3.client("sts").get_caller_identity()["Account"]


class Methods(unittest.TestCase):
    """A test case that pytest runs as well as unittest."""

    @simulated
    def test_method(self, sim: Simulation) -> None:
        """A method gets the simulator, and boto3 reaches it."""
        answer = boto3.client("kms").describe_custom_key_stores(CustomKeyStoreId=sim.store)
        assert len(answer["CustomKeyStores"]) == 1

    @simulated(account="444455556666")
    def test_options(self, sim: Simulation) -> None:
        """Options go to the simulator."""
        assert account() == "444455556666"
        assert sim.key_stores() == []

    @simulated(account="444455556666")
    def test_unasked(self) -> None:
        """A method that takes nothing is handed nothing, and simulated all the same."""
        assert account() == "444455556666"


class Waiting(unittest.IsolatedAsyncioTestCase):
    """A test case of coroutines."""

    @simulated
    async def test_coroutine(self, sim: Simulation) -> None:
        """The simulator lives until the coroutine has ended."""
        await asyncio.sleep(0)
        assert len(sim.random(3)) == 3


# Classes.


@simulated(account="111100001111")
class Case(unittest.TestCase):
    """A whole test case: each test has a simulator, which `setUp` and clean-ups reach."""

    def setUp(self) -> None:
        """Make what the tests use, as code for AWS does."""
        self.kms = boto3.client("kms")
        self.addCleanup(self.kms.generate_random, NumberOfBytes=1)

    def tearDown(self) -> None:
        """Still reach it."""
        assert account() == "111100001111"

    def test_handed(self, sim: Simulation) -> None:
        """A test that asks for the simulator has the one that `setUp` had."""
        assert self.kms.describe_custom_key_stores()["CustomKeyStores"] == []
        assert self.kms.generate_random(NumberOfBytes=8, CustomKeyStoreId=sim.store)

    def test_unasked(self) -> None:
        """One that does not is simulated all the same, in a simulator of its own."""
        assert self.kms.describe_custom_key_stores()["CustomKeyStores"] == []

    @simulated(account="111100002222")
    def test_own(self) -> None:
        """A method with options of its own keeps them."""
        assert account() == "111100002222"

    @staticmethod
    def test_static(sim: Simulation) -> None:
        """A method need not belong to an instance."""
        assert len(sim.random(1)) == 1

    @classmethod
    def test_of_class(cls, sim: Simulation) -> None:
        """Nor is a method of the class left out."""
        assert len(sim.random(1)) == 1


@simulated(account="111100003333")
class Inheriting(Case):
    """A subclass with other options, which are those of the tests that it inherits, too."""

    def tearDown(self) -> None:
        """Reach this class's simulator."""
        assert account() == "111100003333"

    def test_unasked(self) -> None:
        """What it has instead."""
        assert account() == "111100003333"

    def test_more(self, sim: Simulation) -> None:
        """What it has besides."""
        assert sim.kms("DescribeCustomKeyStores")["CustomKeyStores"] == []
        assert account() == "111100003333"


@simulated
class WaitingCase(unittest.IsolatedAsyncioTestCase):
    """A decorated class of coroutines."""

    async def asyncSetUp(self) -> None:
        """Reach the simulator."""
        self.before = account()

    async def test_coroutine(self, sim: Simulation) -> None:
        """So does the test."""
        await asyncio.sleep(0)
        assert len(sim.random(3, sim.store)) == 3
        assert self.before == account()


def test_no_test_is_lost() -> None:
    """A decorated class is the class, and unittest finds in it what it found before."""
    loaded = unittest.defaultTestLoader.loadTestsFromTestCase(Case)
    assert loaded.countTestCases() == 5
    assert isinstance(next(iter(loaded)), Case)
    result = unittest.TestResult()
    loaded.run(result)
    assert (result.testsRun, result.failures, result.errors) == (5, [], [])


def test_set_up_that_is_replaced() -> None:
    """A subclass that forgets the `setUp` of a decorated class has a simulator in its tests all the same."""

    class Forgetting(Case):
        def setUp(self) -> None:
            self.kms = boto3.client("kms", "us-east-1")

        def tearDown(self) -> None:
            pass

        def test_unasked(self) -> None:
            assert account() == "111100001111"

    result = unittest.TestResult()
    Forgetting("test_static").run(result)
    assert (result.testsRun, result.failures, result.errors) == (1, [], [])


@simulated(account="111100004444")
class TestOfPytest:
    """A class of pytest's."""

    def test_handed(self, tmp_path: Path, sim: Simulation) -> None:
        """The simulator stands behind the fixtures."""
        assert tmp_path.is_dir()
        assert len(sim.random(2, sim.store)) == 2

    def test_unasked(self) -> None:
        """Who takes nothing is simulated."""
        assert account() == "111100004444"

    @pytest.mark.parametrize("size", [1, 2])
    def test_parameters(self, size: int, sim: Simulation) -> None:
        """So do they behind parameters."""
        assert len(sim.random(size)) == size


# Beside pytest's fixtures and parameters.


@pytest.fixture
def size() -> int:
    """Give a number of bytes."""
    return 7


@simulated
def test_fixtures(size: int, tmp_path: Path, sim: Simulation) -> None:
    """Fixtures come by keyword, and the simulator does not stand in their way."""
    assert tmp_path.is_dir()
    assert len(sim.random(size)) == 7


@pytest.mark.parametrize("code", ["USER_LOCKED_OUT", "INVALID_CREDENTIALS"])
@simulated(profile="aws")
def test_parameters(code: str, sim: Simulation) -> None:
    """Each parameter has a simulator of its own."""
    sim.disconnect(sim.store)
    sim.clock.advance(minutes=20)
    sim.fail_next_connect(code, sim.store)
    sim.connect(sim.store)
    sim.clock.advance(minutes=20)
    assert sim.key_store(sim.store)["ConnectionErrorCode"] == code


@simulated(account="111100005555")
def test_nothing_taken() -> None:
    """A function that takes no argument is simulated."""
    assert account() == "111100005555"


@pytest.mark.parametrize("size", [1])
@simulated
def test_keyword_only(size: int, *, sim: Simulation) -> None:
    """The simulator may be handed over by keyword only."""
    assert len(sim.random(size)) == size


# Called.


def positional(sim: Simulation, /) -> int:
    """Take the simulator by position only."""
    return len(sim.random(1))


def defaulted(sim: Simulation, size: int = 1, **more: Any) -> int:
    """Take what need not be given behind it."""
    return len(sim.random(size, **more))


def any_number(*arguments: Simulation) -> int:
    """Say nothing of what is taken, as a decorator without `functools.wraps` does."""
    (sim,) = arguments
    return len(sim.random(1))


@pytest.mark.parametrize("test", [positional, defaulted, any_number])
def test_kinds_of_arguments(test: Any) -> None:
    """The simulator is the last argument that must be given, whether it has a name or not."""
    assert simulated(test)() == 1


def test_signature() -> None:
    """What is left for others to give is what the test takes, without the simulator."""

    @simulated
    def test(first: int, sim: Simulation, *, last: str = "") -> None:
        """Be documented."""

    assert list(inspect.signature(test).parameters) == ["first", "last"]
    assert (test.__name__, test.__doc__) == ("test", "Be documented.")


def test_types() -> None:
    """A type checker knows what is left, and that a class is the class."""
    assert_type(simulated(positional)(), int)
    assert_type(simulated(profile="aws")(positional)(), int)
    assert_type(simulated(Methods), type[Methods])
    assert_type(simulated(profile="aws")(Methods), type[Methods])


class NoTests:
    """A class in which nothing is a test."""


def generator(sim: Simulation) -> Iterator[Simulation]:
    """Go on after the simulator has ended."""
    yield sim


@pytest.mark.parametrize(
    ("decorated", "why"),
    [
        (NoTests, "methods test\\*, and NoTests has none"),
        (generator, "enter simulator\\(\\)"),
        ("aws", "'aws' is none"),
    ],
)
def test_what_makes_no_sense(decorated: Any, why: str) -> None:
    """What is no test is refused where it is decorated, with and without options."""
    for decorator in (simulated, simulated(profile="aws")):
        with pytest.raises(TypeError, match=why):
            decorator(decorated)


def test_examples() -> None:
    """The example in the docstring is true."""
    result = doctest.testmod(hsmstore.testing.decorating)
    assert (result.attempted, result.failed) == (3, 0)
