"""`hsmstore hsm serve`: what it prints can be pasted."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.served import served


def test_what_it_prints_can_be_pasted(client: CommandLine, tmp_path: Path) -> None:
    """The printed commands register the token with a server, which then draws from it."""
    command = [sys.executable, "-m", "hsmstore", "hsm", "serve", "--data-dir", str(tmp_path / "a directory")]
    command += ["--socket", str(tmp_path / "100% a;socket")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = ""
        try:
            while "Ctrl-C" not in printed:
                line = process.stdout.readline()
                assert line, printed
                printed += line
            make_cluster, make_store = _commands(printed)
            cluster = client(*make_cluster, "--json").json
            assert cluster["Token"]["Address"].startswith("unix:path=")
            placed = [cluster["CloudHsmClusterId"] if word == "CLUSTER" else word for word in make_store]
            store = client(*placed, "--json").json["CustomKeyStoreId"]
            assert client("store", "connect", store).code == 0
            assert len(client("random", store, "--bytes", "16").out.strip()) == 32
            shown = client("cluster", "show", cluster["CloudHsmClusterId"]).out
            assert cluster["Token"]["Address"] in shown
        finally:
            process.terminate()
    assert process.returncode == 0


def _commands(printed: str) -> list[list[str]]:
    lines = printed.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("hsmstore ")]


def test_the_same_command_line_again(tmp_path: Path) -> None:
    """A password file is for a new token, and does not keep a start from taking it up again."""
    (tmp_path / "password").write_text("firstPassword1\n")
    options = ("--kmsuser-password-file", str(tmp_path / "password"))
    serials = []
    for _ in range(2):
        with served(tmp_path / "data", *options) as hsm:
            serials.append(hsm.said["SerialNumber"])
            assert hsm.said["KmsuserPasswordFile"] is None
    assert serials[0] == serials[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--token", "../up"], "--token: '../up' is not 1 to 32 letters"),
        (["--kmsuser-password-file", "short"], "kmsuser's password has 7 to 32 characters"),
        (["--socket", "x" * 200], "choose a short path with --socket"),
    ],
)
def test_a_bad_option(hsmstore: CommandLine, tmp_path: Path, arguments: list[str], said: str) -> None:
    """What cannot be served ends with a line that says why."""
    (tmp_path / "short").write_text("abc")
    outcome = hsmstore("hsm", "serve", "--data-dir", str(tmp_path / "data"), *arguments)
    assert outcome.code in {2, 4}
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
