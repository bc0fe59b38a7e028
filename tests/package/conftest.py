"""The distributions and an installation of the wheel, made once for all tests that look at them."""

import pytest

from tests.package.shipped import Distributions, Installation, build, check_out, install


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Return what a clean checkout builds."""
    room = tmp_path_factory.mktemp("built")
    return build(check_out(room / "tree"), room / "dist")


@pytest.fixture(scope="session")
def installation(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Return a virtual environment with the wheel."""
    return install(built.wheel, tmp_path_factory.mktemp("installed") / "venv")
