"""What the shell offers: commands, values, and the ids that the simulator has."""

import os
import pty
import select
import subprocess
from pathlib import Path

import pytest

from hsmstore.settings.environment import ENDPOINT_VARIABLE
from tests.cli.conftest import CommandLine
from tests.cli.endpoint import answering
from tests.server import Server

READY = b"\x1b[?2004h"
"""What a shell says to a terminal when it is ready for a line: what is pasted shall come in brackets."""


def offered(hsmstore: CommandLine, typed: str, **environment: str) -> list[str]:
    """Return what bash is offered behind what has been typed."""
    line = {"_HSMSTORE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    outcome = hsmstore(**line, **environment)
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out.split()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("typed", "expected"),
    [("hsmstore st", "store"), ("hsmstore store cr", "create"), ("hsmstore serve --profile li", "lifelike")],
)
def test_commands_and_values(hsmstore: CommandLine, typed: str, expected: str) -> None:
    """Commands, and the values of a setting, need no simulator."""
    assert offered(hsmstore, typed) == [expected]


def test_ids(hsmstore: CommandLine, server: Server) -> None:
    """Each kind of id is found in the simulator; parts of a cluster, in the one that has been typed."""
    store = server.new_store("completion")
    kms = server.kms()
    [found] = kms.describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    cluster = found["CloudHsmClusterId"]
    described = server.manage("GET", f"/clusters/{cluster}")[1]
    backup = server.manage("POST", f"/clusters/{cluster}/backups")[1]["BackupId"]
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    key = kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)["KeyMetadata"]["KeyId"]
    held = {"Point": "disconnect", "Effect": "hang", "CustomKeyStoreId": store}
    fault = server.manage("POST", "/faults", held)[1]["FaultId"]
    here = {ENDPOINT_VARIABLE: server.endpoint}
    try:
        assert store in offered(hsmstore, "hsmstore store connect ", **here)
        assert offered(hsmstore, f"hsmstore store explain {store[:-1]}", **here) == [store]
        assert store in offered(hsmstore, "hsmstore fault add connect hang --store ", **here)
        assert cluster in offered(hsmstore, "hsmstore cluster show ", **here)
        assert offered(hsmstore, f"hsmstore cluster hsm stop {cluster} ", **here) == [
            hsm["HsmId"] for hsm in described["Hsms"]
        ]
        assert offered(hsmstore, f"hsmstore cluster subnet delete {cluster} ", **here) == [
            subnet["SubnetId"] for subnet in described["Subnets"]
        ]
        assert offered(hsmstore, f"hsmstore cluster key delete {cluster} ", **here) == [key]
        assert backup in offered(hsmstore, "hsmstore cluster delete-backup ", **here)
        assert fault in offered(hsmstore, "hsmstore fault remove ", **here)
    finally:
        server.manage("DELETE", "/faults")


@pytest.mark.sqlite
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "nowhere"])
def test_without_a_simulator_nothing_is_offered(hsmstore: CommandLine, endpoint: str) -> None:
    """A shell that asks in vain is not told why."""
    assert offered(hsmstore, f"hsmstore --endpoint {endpoint} store connect ") == []


@pytest.mark.sqlite
@pytest.mark.parametrize("answer", [{"KeyStores": [{}]}, {}, b"?"])
def test_a_stranger_offers_nothing(hsmstore: CommandLine, answer: dict[str, object] | bytes) -> None:
    """Nor is it told what a server has said that is none of ours; the line has said where to ask."""
    with answering(200, answer) as endpoint:
        assert offered(hsmstore, f"hsmstore --endpoint {endpoint.url} store connect ") == []
        assert endpoint.asked


@pytest.mark.parametrize(("shell", "tabs"), [("bash", "\t"), ("zsh", "\t\t"), ("fish", "\t")])
def test_tab(shell: str, tabs: str, hsmstore: CommandLine, server: Server, tmp_path: Path) -> None:
    """Who types `hsmstore --install-completion` in a shell can press Tab in the next one.

    The name of a store is shown, of whose id the last characters have not been typed. zsh's first Tab only
    loads what typer has installed.
    """
    name = f"tab-in-{shell}"
    store = server.new_store(name)
    environment = {**hsmstore.environment, ENDPOINT_VARIABLE: server.endpoint, "TERM": "xterm"}
    (tmp_path / ".zshrc").touch()  # zsh greets who has none with questions
    install = [shell, "-c", "hsmstore --install-completion; true"]
    subprocess.run(install, env=environment, cwd=tmp_path, check=True, capture_output=True)
    ours, its = pty.openpty()
    interactive = ["setsid", "--ctty", shell, "-i"]
    process = subprocess.Popen(interactive, env=environment, cwd=tmp_path, stdin=its, stdout=its, stderr=its)
    try:
        read_until(ours, READY)
        os.write(ours, f"hsmstore store show {store[:-4]}{tabs}\r".encode())
        read_until(ours, name.encode())
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(its)


def read_until(terminal: int, awaited: bytes) -> None:
    """Read what comes to a terminal."""
    said = b""
    while awaited not in said:
        assert select.select([terminal], [], [], 60)[0], said
        said += os.read(terminal, 65536)
