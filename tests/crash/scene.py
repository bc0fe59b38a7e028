"""A server to be killed, and how it is looked at from outside: its answers, its files, `doctor`."""

import base64
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from hsmstore.hsm.directory import BACKUP, ClusterDirectory
from hsmstore.storage.migrations import SchemaState, current_state
from hsmstore.system.clock import monotonic
from tests.registries import REGISTRIES
from tests.server import Server

UNFIT: Final = 4
TRANSIENT: Final = frozenset({"CONNECTING", "DISCONNECTING"})
SETTLED_WITHIN: Final = 5.0  # seconds, on a machine that does other things too
LOOK_AGAIN: Final = 0.01
LENGTH: Final = 32


class Findings(NamedTuple):
    """What `hsmstore doctor --json` has to complain of, and with which exit code."""

    code: int
    complaints: list[dict[str, Any]]
    data_dir: Path

    @property
    def subjects(self) -> list[str]:
        """What the complaints are about."""
        return [complaint["subject"] for complaint in self.complaints]

    def mend(self) -> None:
        """Do as doctor says; here that is to remove something, or to let doctor do it all."""
        if "hsmstore doctor --fix" in {complaint["mend"] for complaint in self.complaints}:
            assert doctor(self.data_dir, "--fix").complaints == []
            return
        for complaint in self.complaints:
            assert complaint["mend"].startswith("rm -r /"), complaint
            subprocess.run(complaint["mend"].split(" ", 2), check=True)


def doctor(data_dir: Path, *options: str) -> Findings:
    """Ask doctor about a data directory that nobody uses."""
    command = [sys.executable, "-m", "hsmstore", "doctor", "--json", "--data-dir", str(data_dir)]
    command += [*REGISTRIES.options(data_dir), *options]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.stderr == b"", done.stderr
    complaints = [found for found in json.loads(done.stdout)["Findings"] if not found["ok"]]
    assert done.returncode == (UNFIT if complaints else 0)
    assert all(complaint["mend"] for complaint in complaints)
    return Findings(done.returncode, complaints, data_dir)


def require_sound_registry(data_dir: Path) -> None:
    """See that the registry of a running server has the current schema and that SQLite finds it whole."""
    url = REGISTRIES.url(data_dir)
    assert current_state(url) is SchemaState.CURRENT
    if REGISTRIES.postgres is not None:
        return
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def emptied_tokens(data_dir: Path) -> list[str]:
    """Return the clusters whose token.object a kill has cut short: the next login puts the copy back."""
    homes = (path.parent for path in (data_dir / "hsm").glob(f"*/{BACKUP}"))
    return [home.name for home in homes if ClusterDirectory(home).is_cut_short]


def pause(seconds: float) -> None:
    """Let the server get on."""
    threading.Event().wait(seconds)


class Mortal(Server):
    """A server that dies."""

    def bury(self) -> None:
        """Kill it if it was ever started; it may be dead already."""
        if self._process is not None:
            self.kill()

    def require_killed(self) -> None:
        """See that it dies, by SIGKILL and by nothing else."""
        assert self.wait() == -signal.SIGKILL, self.log

    def entries(self) -> list[dict[str, Any]]:
        """Return what Describe says of all stores."""
        answer = self.call("DescribeCustomKeyStores", {})
        assert answer.status == 200, answer
        entries: list[dict[str, Any]] = json.loads(answer.body)["CustomKeyStores"]
        return entries

    def entry(self, key_store_id: str) -> dict[str, Any]:
        """Return what Describe says of the store, once it is settled."""
        deadline = monotonic() + SETTLED_WITHIN
        while True:
            answer = self.call("DescribeCustomKeyStores", {"CustomKeyStoreId": key_store_id})
            assert answer.status == 200, answer
            entry: dict[str, Any] = json.loads(answer.body)["CustomKeyStores"][0]
            if entry["ConnectionState"] not in TRANSIENT:
                return entry
            assert monotonic() < deadline, f"{entry} is stuck"
            pause(LOOK_AGAIN)

    def state(self, key_store_id: str) -> str:
        """Return the store's state, once it is settled."""
        return str(self.entry(key_store_id)["ConnectionState"])

    def ask(self, operation: str, key_store_id: str, **members: Any) -> Any:
        """Send a request about the store, which must be granted; return the answer's JSON."""
        answer = self.call(operation, {"CustomKeyStoreId": key_store_id, **members})
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def draw(self, key_store_id: str) -> bytes:
        """Draw from the store, which must give bytes."""
        octets = base64.b64decode(self.ask("GenerateRandom", key_store_id, NumberOfBytes=LENGTH)["Plaintext"])
        assert len(octets) == LENGTH
        return octets

    def create_key(self, key_store_id: str) -> str:
        """Make a key in the store; return its id."""
        made = self.ask("CreateKey", key_store_id, Origin="AWS_CLOUDHSM")
        return str(made["KeyMetadata"]["KeyId"])

    def refusal(self, operation: str, key_store_id: str, **members: Any) -> str:
        """Send a request about the store, which must be refused; return the code."""
        answer = self.call(operation, {"CustomKeyStoreId": key_store_id, **members})
        assert answer.status == 400, answer
        return str(json.loads(answer.body)["__type"])

    def connect(self, key_store_id: str) -> None:
        """Connect the store and see that it works."""
        self.ask("ConnectCustomKeyStore", key_store_id)
        assert self.state(key_store_id) == "CONNECTED", self.entry(key_store_id)
        assert self.draw(key_store_id) != self.draw(key_store_id)

    def disconnect(self, key_store_id: str) -> None:
        """Disconnect the store and see that it gives nothing."""
        self.ask("DisconnectCustomKeyStore", key_store_id)
        code = self.refusal("GenerateRandom", key_store_id, NumberOfBytes=LENGTH)
        assert code == "CustomKeyStoreInvalidStateException"
        assert self.state(key_store_id) == "DISCONNECTED"


@contextmanager
def mortal(data_dir: Path, *options: str) -> Iterator[Mortal]:
    """Give a server that is not yet started, and kill it at the end."""
    server = Mortal(data_dir, *options)
    try:
        yield server
    finally:
        server.bury()


def copied(template: Path, to: Path) -> Path:
    """Copy a data directory that nobody uses, and its registry; return the copy's path."""
    REGISTRIES.copy(template, to)
    return Path(shutil.copytree(template, to))


def only(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the one item."""
    (item,) = items
    return item
