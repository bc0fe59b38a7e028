"""What a test does not use, it need not wait for."""

import json
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from hsmstore.bootstrap.embedded import embedded
from hsmstore.bootstrap.late import Lateness
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.wire.http import Request, Response, Work

LIST: Final = Request(
    b"POST",
    b"/",
    {
        b"host": b"localhost",
        b"content-type": b"application/x-amz-json-1.1",
        b"x-amz-target": b"TrentService.DescribeCustomKeyStores",
    },
    b"{}",
)

UNUSED = {"alembic", "asn1crypto", "cryptography", "falcon", "jinja2", "pkcs11", "sqlalchemy", "structlog"}

PROGRAM = """
import json, sys
from hsmstore.testing import simulator

with simulator() as sim:
    kms = sim.client()
    drawn = [kms.generate_random(NumberOfBytes=32)["Plaintext"]]
    loaded = sorted(name for name in sys.modules if "." not in name)
    drawn.append(kms.generate_random(NumberOfBytes=32, CustomKeyStoreId=sim.store)["Plaintext"])
    health = sim.manage("GET", "health")
    pages = [name for name in sys.modules if name.startswith(("hsmstore.console", "jinja2"))]
told = {"loaded": loaded, "lengths": list(map(len, drawn)), "health": health["status"], "pages": pages}
print(json.dumps(told))
"""


def test_what_the_first_call_loads() -> None:
    """A call without a key store loads no database and no PKCS#11; one with it finds both, and no page."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert not UNUSED & set(told["loaded"])
    assert (told["lengths"], told["health"], told["pages"]) == ([32, 32], "ok", [])


def test_it_is_made_once() -> None:
    """Threads that need it at the same time get the same one, although making it takes a while."""
    made: list[list[int]] = []

    def make(_: ExitStack) -> list[int]:
        threading.Event().wait(0.05)  # long enough for all of them to ask
        made.append([1, 2])
        return made[-1]

    with Lateness() as parts:
        adapter = parts.late(make)
        assert made == []
        threads = [threading.Thread(target=lambda: adapter.append(3)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert made == [[1, 2, *[3] * 8]]


def test_it_is_tried_again() -> None:
    """What could not be made is refused each time, until it can."""
    answers: list[list[int]] = []
    with Lateness() as parts:
        adapter = parts.late(lambda _: answers[0])
        for _ in range(2):
            with pytest.raises(IndexError):
                adapter.copy()
        answers.append([7])
        assert adapter.copy() == [7]


def test_the_end() -> None:
    """The end closes what is being made just then, and nothing is made after it."""
    begun, closed = threading.Event(), list[str]()

    def make(until: ExitStack) -> list[int]:
        begun.set()
        threading.Event().wait(0.05)  # the end comes meanwhile
        until.callback(closed.append, "closed")
        return []

    with Lateness() as parts:
        adapter, other = parts.late(make), parts.late(make)
        thread = threading.Thread(target=lambda: adapter.append(1))
        thread.start()
        begun.wait()
    thread.join()
    with pytest.raises(EnvironmentUnfit, match="has ended"):
        other.copy()
    assert closed == ["closed"]


def test_a_straggler_makes_no_registry(tmp_path: Path) -> None:
    """A call that is served after the simulator's end is refused as AWS does, and leaves nothing behind."""
    with embedded(tmp_path, {}) as simulator:
        work = simulator.application.begin(LIST)
    assert _refused(work) == "KMSInternalException"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", [True, False])
def test_no_room_for_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, first: bool
) -> None:
    """Where no registry can be written, the process's first or another, the log says so in one line."""
    monkeypatch.setattr("hsmstore.bootstrap.embedded._first", [] if first else [b"nothing is in it"])
    gone = tmp_path / "gone"
    with embedded(gone, {}) as simulator:
        assert _refused(simulator.application.begin(LIST)) == "KMSInternalException"
    (record,) = caplog.records
    assert str(gone) in record.getMessage()
    assert record.exc_info is None


def _refused(begun: Response | Work) -> str:
    """Return the code with which a call is refused that has to wait for something."""
    assert isinstance(begun, Work)
    response = begun.run()
    assert response is not None
    refusal: dict[str, str] = json.loads(response.body)
    return refusal["__type"]
