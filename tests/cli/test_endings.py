"""Every exit code, and the one line that goes with it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from hsmstore.cli import app
from hsmstore.cli.exits import MEANINGS, ExitCode, ending_of
from tests.cli.conftest import CommandLine
from tests.cli.endpoint import answering

pytestmark = pytest.mark.sqlite  # no registry is met

CONNECTING: dict[str, object] = {
    "CustomKeyStores": [
        {
            "CustomKeyStoreId": "cks-1",
            "CustomKeyStoreName": "slow",
            "CustomKeyStoreType": "AWS_CLOUDHSM",
            "ConnectionState": "CONNECTING",
            "CreationDate": 1.5e9,
        }
    ]
}


def test_every_code_has_a_meaning() -> None:
    """Each exit code is documented."""
    assert list(MEANINGS) == list(ExitCode)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], []], ids=["version", "help", "none"])
def test_done(hsmstore: CommandLine, arguments: list[str]) -> None:
    """What is done ends with 0."""
    assert hsmstore(*arguments).code == ExitCode.DONE


def test_refused(client: CommandLine) -> None:
    """A refusal ends with 1 and the AWS error's code and text; standard output stays empty, --json or not."""
    for arguments in (["store", "show", "cks-none"], ["store", "show", "cks-none", "--json"]):
        code, out, err = client(*arguments)
        assert (code, out) == (ExitCode.REFUSED, "")
        assert err.startswith("hsmstore: CustomKeyStoreNotFoundException: ")
        assert err.count("\n") == 1


def test_refusal_is_one_line(hsmstore: CommandLine) -> None:
    """A text of several lines is put on one."""
    with answering(400, {"__type": "SomeException", "message": "a\n\tb"}) as endpoint:
        outcome = hsmstore("--endpoint", endpoint.url, "random")
    assert outcome == (ExitCode.REFUSED, "", "hsmstore: SomeException: a b\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["stor"], "No such command 'stor'. Did you mean 'store', 'doctor'? (see: hsmstore --help)"),
        (["store"], "Missing command. (see: hsmstore store --help)"),
        (["store", "show"], "Missing argument 'STORE'. (see: hsmstore store show --help)"),
        (
            ["store", "show", "a", "b"],
            "Got unexpected extra argument(s) (b) (see: hsmstore store show --help)",
        ),
        (["random", "--loud"], "No such option: --loud (see: hsmstore random --help)"),
        (["--endpoint", "x", "random"], "--endpoint: 'x' is not a URL such as http://127.0.0.1:4599"),
        (["--endpoint", "", "random"], "--endpoint: '' is not a URL such as http://127.0.0.1:4599"),
        (["--account", "123", "random"], "--account: '123' is not a string of twelve digits"),
        (["--region", "EU", "random"], "--region: 'EU' is not a Region such as us-east-1"),
        (["serve", "--data-dir", ""], "--data-dir: '' is not a path"),
        (
            ["--region", "eu-west-1", "serve"],
            "--region before `serve` tells a client where to go; put serve's own options after it",
        ),
        (
            ["random", "--json", "--format", "raw"],
            "--format: --json has its own, base64 in Plaintext; give one of the two",
        ),
        (
            ["store", "create", "x"],
            "--cluster or the --xks options: a key store has a cluster or an external proxy",
        ),
        (
            ["store", "update", "x"],
            "nothing to change: give at least one option of `hsmstore store update --help`",
        ),
        (
            ["cluster", "kmsuser", "create", "x"],
            "--password: it is missing; give --password, --password-file or --password-stdin",
        ),
        (
            ["cluster", "create", "--kmsuser-password", "x", "--kmsuser-password-stdin"],
            "--kmsuser-password: give it once, as text, as a file or on standard input",
        ),
        (
            ["cluster", "create", "--kmsuser-password-file", "none.txt"],
            "--kmsuser-password-file: cannot read none.txt: No such file or directory",
        ),
    ],
)
def test_usage(hsmstore: CommandLine, arguments: list[str], text: str) -> None:
    """Wrong usage ends with 2 and one line, before anything is sent."""
    assert hsmstore(*arguments) == (ExitCode.USAGE, "", f"hsmstore: {text}\n")


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("HSMSTORE_ENDPOINT", "x", "a URL such as http://127.0.0.1:4599"),
        ("AWS_REGION", "x", "a Region such as us-east-1"),
        ("AWS_DEFAULT_REGION", "x\ny", "a Region such as us-east-1"),
    ],
)
def test_bad_variable(hsmstore: CommandLine, variable: str, value: str, allowed: str) -> None:
    """A variable that cannot be used is named; an empty one counts as unset."""
    outcome = hsmstore("random", **{variable: value})
    assert outcome == (ExitCode.USAGE, "", f"hsmstore: {variable}: {value!r} is not {allowed}\n")
    assert hsmstore("serve", "--print-settings", **{variable: ""}).code == ExitCode.DONE


def test_file_that_is_no_text(hsmstore: CommandLine, tmp_path: Path) -> None:
    """A password file must be text."""
    (tmp_path / "password").write_bytes(b"\xff")
    outcome = hsmstore("cluster", "create", "--kmsuser-password-file", "password")
    assert outcome == (ExitCode.USAGE, "", "hsmstore: --kmsuser-password-file: password is not UTF-8 text\n")


@pytest.mark.parametrize("arguments", [["random"], ["store", "list"], ["cluster", "list"], ["demo"]])
def test_unreachable(hsmstore: CommandLine, arguments: list[str]) -> None:
    """Where nobody listens a client ends with 3; the line has the URL and how to start a simulator."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        code, out, err = hsmstore(*arguments, HSMSTORE_ENDPOINT=url)
    assert (code, out) == (ExitCode.UNREACHABLE, "")
    reason = f"cannot reach the simulator at {url} (Connection refused)"
    assert err.splitlines()[-1] == f"hsmstore: {reason}; to start one here: hsmstore serve"


def test_unfit(hsmstore: CommandLine, tmp_path: Path) -> None:
    """An environment that cannot hold a simulator ends with 4 and one line."""
    (tmp_path / "file").touch()
    code, out, err = hsmstore("serve", "--no-demo", "--data-dir", "file")
    assert (code, out) == (ExitCode.UNFIT, "")
    assert err.startswith("hsmstore: ")
    assert err.count("\n") == 1


def test_no_room_for_the_output(client: CommandLine) -> None:
    """Output that finds no room ends with 4 and one line, whoever has written it."""
    for arguments in (["random"], ["--help"]):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "hsmstore", *arguments]
            done = subprocess.run(
                command, env=client.environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        text = "the system refused: No space left on device"
        assert (done.returncode, done.stderr) == (ExitCode.UNFIT, f"hsmstore: {text}\n")


def test_ids_of_any_bytes(client: CommandLine) -> None:
    """An id that no server would give is refused like any other unknown one."""
    for arguments in (["cluster", "show", "\udcff/../x"], ["store", "show", "\udcff"]):
        assert client(*arguments).code == ExitCode.REFUSED


def test_unsettled(hsmstore: CommandLine) -> None:
    """A wait that lasts too long ends with 1."""
    with answering(200, CONNECTING) as endpoint:
        code, out, err = hsmstore("--endpoint", endpoint.url, "store", "connect", "cks-1", "--timeout", "0.2")
    assert (code, out) == (ExitCode.REFUSED, "")
    assert err.splitlines() == [
        "hsmstore: cks-1 CONNECTING",
        "hsmstore: cks-1 is still not settled after 0.2 seconds; it goes on by itself",
    ]


def test_defect(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody expected ends with 70 and one line; HSMSTORE_DEBUG adds the traceback."""

    def broken(**_: object) -> int:
        raise KeyError("surprise")

    monkeypatch.setattr(app, "app", broken)
    monkeypatch.delenv("HSMSTORE_DEBUG", raising=False)
    line = (
        "hsmstore: this is a defect of hsmstore: KeyError: 'surprise'; "
        "please report it with the traceback that HSMSTORE_DEBUG=1 shows\n"
    )
    assert app.main() == ExitCode.DEFECT
    assert capsys.readouterr().err == line
    monkeypatch.setenv("HSMSTORE_DEBUG", "1")
    assert app.main() == ExitCode.DEFECT
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback ")
    assert shown.endswith(line)


def test_silent_endings() -> None:
    """An abort at a prompt says nothing more."""
    assert ending_of(typer.Abort()) == (ExitCode.INTERRUPTED, "")


def test_interrupted(hsmstore: CommandLine) -> None:
    """Ctrl-C while waiting ends with 130, and without a traceback."""
    with answering(200, CONNECTING) as endpoint:
        command = [sys.executable, "-m", "hsmstore", "--endpoint", endpoint.url, "store", "connect", "cks-1"]
        with subprocess.Popen(
            command, env=hsmstore.environment, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            first = process.stderr.readline()
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
    assert (process.returncode, first + rest) == (ExitCode.INTERRUPTED, "hsmstore: cks-1 CONNECTING\n")


@pytest.mark.parametrize("arguments", [["--help"], ["random", "--help"], ["--version"], ["random"]])
def test_reader_gone(client: CommandLine, arguments: list[str]) -> None:
    """When nobody reads the output, nothing is said about it."""
    command = [sys.executable, "-m", "hsmstore", *arguments]
    with subprocess.Popen(
        command, env=client.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert said == ""
    assert process.returncode in {ExitCode.READER_GONE, ExitCode.REFUSED}
