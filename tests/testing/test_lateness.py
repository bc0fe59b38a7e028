"""What a test does not use, it need not wait for."""

import json
import subprocess
import sys
import threading

import pytest

from hsmstore.bootstrap.late import late

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
    """Threads that need it at the same time get the same one."""
    made: list[list[int]] = []

    def make() -> list[int]:
        made.append([1, 2])
        return made[-1]

    adapter = late(make)
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
    adapter = late(lambda: answers[0])
    for _ in range(2):
        with pytest.raises(IndexError):
            adapter.copy()
    answers.append([7])
    assert adapter.copy() == [7]
