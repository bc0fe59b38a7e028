"""Replicas in this process, over a real PostgreSQL, with a token that a process of its own serves."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import Postgres
from tests.replicas.worlds import Estate
from tests.served import ServedHsm, served


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHsm]:
    """Serve one token to all tests; each adopts it anew, and finds the password by resetting it."""
    with served(tmp_path_factory.mktemp("served")) as hsm:
        yield hsm


@pytest.fixture
def estate(tmp_path: Path, postgres: Postgres, token: ServedHsm) -> Iterator[Estate]:
    """Give an estate with a connected store, to which a test brings its replicas."""
    with ExitStack() as ending:
        yield Estate(tmp_path, postgres, token, ending)
