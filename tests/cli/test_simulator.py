"""The Python client's examples, run against a real server."""

import doctest

import hsmstore.simulator
from hsmstore.simulator import Simulator
from tests.server import Server


def test_examples(server: Server) -> None:
    """The examples in the module's docstring are true."""
    simulator = Simulator(server.endpoint)
    result = doctest.testmod(
        hsmstore.simulator,
        extraglobs={"simulator": simulator},
        optionflags=doctest.ELLIPSIS,
    )
    assert result.attempted > 15
    assert result.failed == 0
