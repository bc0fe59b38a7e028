"""The typist that all pages share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.typist import Typist


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a directory with a short name: a page may make sockets in it."""
    with tempfile.TemporaryDirectory(prefix="page-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def programs() -> Iterator[Path]:
    """Return a directory for PATH with an `hsmstore` that starts at once."""
    place = Path(tempfile.mkdtemp(prefix="pages-"))
    try:
        with Typist(place) as typist:
            yield typist.programs
    finally:
        shutil.rmtree(place)
