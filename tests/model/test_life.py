"""Lives at random on a real server, each step foretold by the model.

Three servers: one where connecting is a matter of an instant, one with AWS's durations, where a store stays
CONNECTING or DISCONNECTING for as long as a life lasts, and one that is ended in the middle of lives.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.estate import Site
from tests.model.life import InterruptedLife, Life, on
from tests.model.model import QUOTA
from tests.server import running

SHARE_OF_LIVES = 0.4  # of the profile's examples: a life is some thirty examples long
SHARE_OF_INTERRUPTED_LIVES = 0.12  # and a server takes longer to start than thirty requests to be answered


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Run a server of the profile that the test names."""
    with running(tmp_path / "data", "--profile", request.param, "--key-store-quota", str(QUOTA)) as server:
        site = Site(server)
        with site.connection:
            yield site
        assert "unexpected" not in server.log
        assert "Traceback" not in server.log


def lives(share: float) -> settings:
    """Return the settings of this run's profile for a share of its examples, thirty steps each."""
    return settings(max_examples=max(1, int(settings().max_examples * share)), stateful_step_count=30)


@pytest.mark.endurance
@pytest.mark.parametrize("site", ["instant"], indirect=True)
def test_life(site: Site) -> None:
    """Whatever is asked in whatever order, the server answers as the model says."""
    run_state_machine_as_test(on(site, Life), settings=lives(SHARE_OF_LIVES))


@pytest.mark.endurance
@pytest.mark.parametrize("site", ["aws"], indirect=True)
def test_slow_life(site: Site) -> None:
    """In the states that take their time, too."""
    run_state_machine_as_test(on(site, Life, slow=True), settings=lives(SHARE_OF_INTERRUPTED_LIVES))


@pytest.mark.endurance
@pytest.mark.parametrize("site", ["instant"], indirect=True)
def test_interrupted_life(site: Site) -> None:
    """After SIGTERM and after SIGKILL everything is as it was."""
    run_state_machine_as_test(on(site, InterruptedLife), settings=lives(SHARE_OF_INTERRUPTED_LIVES))
