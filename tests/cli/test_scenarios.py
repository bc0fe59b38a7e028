"""Scenarios: the shipped ones come true, and what is wrong with a file is told with its place."""

import json
from pathlib import Path

import pytest

from hsmstore.cli.exits import ExitCode
from hsmstore.cli.scenario.script import EXPECTATIONS, MEMBERS
from hsmstore.cli.scenario.verbs import VERBS
from tests.cli.conftest import CommandLine

pytestmark = pytest.mark.sqlite  # what a scenario does is the same on any registry

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "examples" / "scenarios").glob("*.yaml"))
PAGE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")

HEAD = """\
clusters:
  east: {kmsuser-password: kmsPassword1}
stores:
  payments: {cluster: east, password: kmsPassword1}
steps:
"""


@pytest.mark.parametrize("file", SHIPPED, ids=[file.stem for file in SHIPPED])
def test_shipped(client: CommandLine, file: Path) -> None:
    """Every shipped scenario comes true, and leaves the simulator as it was."""
    lists = (("store", "list"), ("cluster", "list"), ("cluster", "backups"), ("fault", "list"))
    before = [client(*command).out for command in lists], client("clock", "show", "--json").json["Rate"]
    played = client("scenario", "run", str(file))
    assert played.code == 0, played.err
    assert played.out.endswith(": all of it came true\n")
    after = [client(*command).out for command in lists], client("clock", "show", "--json").json["Rate"]
    assert after == before


def test_dry_run(hsmstore: CommandLine) -> None:
    """A dry run lists the steps and what is expected of them, and asks no simulator."""
    command = ("scenario", "run", str(ROOT / "examples/scenarios/locked-out.yaml"), "--dry-run")
    steps = hsmstore(*command, "--json").json["Steps"]
    assert steps[0] == {"Line": 7, "Step": "cluster create east --kmsuser-password …", "Expected": ""}
    assert [step["Expected"] for step in steps].count("FAILED, INVALID_CREDENTIALS") == 5
    assert hsmstore(*command).out.splitlines()[0].split() == ["LINE", "STEP", "EXPECTED"]


def test_on_its_own(hsmstore: CommandLine, tmp_path: Path) -> None:
    """Without an endpoint it plays on a simulator of its own; with --keep that can be served again."""
    (tmp_path / "story.yaml").write_text(f"{HEAD}  - store connect: payments\n")
    first = hsmstore("scenario", "run", "story.yaml", "--json", TMPDIR=str(tmp_path))
    assert first.json["CameTrue"] is True
    assert list(tmp_path.glob("hsmstore-*")) == []
    kept = hsmstore("scenario", "run", "story.yaml", "--keep", TMPDIR=str(tmp_path))
    [home] = tmp_path.glob("hsmstore-scenario-*")
    assert kept.err.endswith(f"hsmstore serve --profile instant --data-dir {home}/data\n")
    assert (home / "data" / "registry.sqlite3").is_file()


def test_keep_on_a_given_server(client: CommandLine, tmp_path: Path) -> None:
    """With --keep what was made stays."""
    (tmp_path / "story.yaml").write_text(f"{HEAD}  - store connect: payments\n")
    steps = client("scenario", "run", "story.yaml", "--keep", "--json").json["Steps"]
    assert client("random", steps[1]["Outcome"]).code == 0


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            ["cluster network cut: east", "store connect: payments"],
            "7: store connect payments: expected CONNECTED, but it is FAILED (NETWORK_ERRORS)",
        ),
        (
            ["store connect: payments\n    expect: {error: NETWORK_ERRORS}"],
            "6: store connect payments: expected FAILED, NETWORK_ERRORS, but it is CONNECTED",
        ),
        (
            ["cluster network cut: east", "store connect: payments\n    expect: {error: USER_NOT_FOUND}"],
            "7: store connect payments: expected FAILED, USER_NOT_FOUND, but it is FAILED (NETWORK_ERRORS)",
        ),
        (
            ["store connect: payments", "random: payments\n    expect: {exception: ThrottlingException}"],
            "7: random payments: expected refused: ThrottlingException, but nothing refused it: 32 bytes",
        ),
        (
            ["random: payments"],
            "6: random payments: refused: CustomKeyStoreInvalidStateException: Custom key store",
        ),
        (
            ["cluster hsm stop: east\n    hsm: 3"],
            "6: cluster hsm stop east --hsm 3: cluster east has 2 Hsms, and no 3.",
        ),
    ],
)
def test_what_does_not_come_true(client: CommandLine, tmp_path: Path, steps: list[str], said: str) -> None:
    """The first step that does not come true ends the play with 1, its place, and what was seen instead."""
    (tmp_path / "story.yaml").write_text(HEAD + "".join(f"  - {step}\n" for step in steps))
    code, out, err = client("scenario", "run", "story.yaml", "--json")
    assert code == ExitCode.REFUSED
    assert err.splitlines()[-1].startswith(f"hsmstore: story.yaml:{said}")
    document = json.loads(out)
    assert document["CameTrue"] is False
    assert [step["CameTrue"] for step in document["Steps"]].count(False) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: the file is empty"),
        ("steps: [", "1:9: expected the node content, but found '<stream end>'"),
        ("\x00", "1:1: this is not YAML: unacceptable character #x0000"),
        ("[" * 1500, "1:1: this is not YAML: maximum recursion depth exceeded"),
        ("just text", "1:1: here should be `key: value`"),
        ("scenario: x", "1:1: it has no steps"),
        ("step: []\nsteps: []", "1:1: 'step' is not known here; did you mean 'steps'?"),
        ("steps: {}", "1:8: here should be a list, each item behind a dash"),
        ("steps: []\nsteps: []", "2:1: 'steps' stands here twice"),
        ("steps: []\nprofile: fast", "2:10: 'fast' is not known here; there are aws, instant, lifelike"),
        ("steps: []\n? [a]\n: b", "2:3: this is no key"),
    ],
)
def test_a_file_that_is_none(client: CommandLine, tmp_path: Path, text: str, said: str) -> None:
    """What is no scenario at all is told with file, line and column."""
    (tmp_path / "story.yaml").write_text(text)
    code, out, err = client("scenario", "run", "story.yaml")
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.startswith(f"hsmstore: story.yaml:{said}")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("store conect: payments", "6:5: 'store conect' is not known here; did you mean 'store connect'?"),
        ("store connect: paymnts", "6:20: no key store is named 'paymnts'; did you mean 'payments'?"),
        ("store connect:", "6:19: here should be a word or a number"),
        ("random: payments\n    byts: 3", "7:5: 'byts' is not known here; did you mean 'bytes'?"),
        ("random: payments\n    bytes: 2000", "7:12: '2000' is not a number from 1 to 1024"),
        ("random: payments\n    bytes: .nan", "7:12: '.nan' is not a number from 1 to 1024"),
        ("random: payments\n    bytes: 1.5", "7:12: 1.5 is not a whole number"),
        ("cluster hsm stop: east", "6:5: 'hsm' is missing: which of its HSMs, by number"),
        ("clock advance: soon", "6:20: 'soon' is not a duration such as 90s, 20m, 1h30m or 7d"),
        ("clock freeze: now", "6:19: no value goes with this step"),
        ("cluster restore: b\n    as: w", "6:22: no backup is named 'b'; there are none"),
        ("store update: payments\n    password: short", "7:15: a password has 7 to 32 characters"),
        (
            "store connect: payments\n    expect: {state: FAILD}",
            "7:21: 'FAILD' is not known here; did you mean 'FAILED'?",
        ),
        (
            "store connect: payments\n    expect: {error: NETWORK_ERROR}",
            "7:21: 'NETWORK_ERROR' is not known here; did you mean 'NETWORK_ERRORS'?",
        ),
        (
            "random: payments\n    expect: {exception: ThrottledException}",
            "7:25: 'ThrottledException' is not known here; did you mean 'ThrottlingException'?",
        ),
        (
            "cluster network cut: east\n    expect: {state: FAILED}",
            "7:21: only a step about a key store can expect this; see `store show`",
        ),
        (
            "fault add: draw\n    effect: exception",
            "6:5: 'error' is missing, which the effect exception needs",
        ),
        (
            "fault add: draw\n    effect: hang\n    duration: 3s",
            "8:15: 'duration' does not go with the effect hang",
        ),
        (
            "fault add: connect\n    effect: connection-error\n    error: ThrottlingException",
            "8:12: 'ThrottlingException' is not known here; there are CLUSTER_NOT_FOUND, ",
        ),
        ("repeat: 2", "6:5: steps are missing, which are to be repeated"),
        ("repeat: 0\n    steps: []", "6:13: '0' is not a number from 1 to 1000"),
    ],
)
def test_mistakes(client: CommandLine, tmp_path: Path, step: str, said: str) -> None:
    """A mistake is told with file, line and column, and a suggestion, before anything happens."""
    (tmp_path / "story.yaml").write_text(f"{HEAD}  - {step}\n")
    code, out, err = client("scenario", "run", "story.yaml")
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.startswith(f"hsmstore: story.yaml:{said}")


def test_all_mistakes_at_once(client: CommandLine, tmp_path: Path) -> None:
    """Every mistake has its line."""
    (tmp_path / "story.yaml").write_text(
        f"{HEAD}  - stor connect: x\n  - random: y\n  - release:\n    z: 1\n"
    )
    err = client("scenario", "run", "story.yaml").err
    assert [line.split()[1] for line in err.splitlines()] == [
        "story.yaml:6:5:",
        "story.yaml:7:13:",
        "story.yaml:9:5:",
    ]
    assert client("scenario", "run", "none.yaml").code == ExitCode.USAGE


def test_documented_steps() -> None:
    """The page has every step with its options, and every member of a file and of an expectation."""
    for name, verb in VERBS.items():
        options = ", ".join(
            f"`{option}`{'' if about.required else '?'}" for option, about in verb.options.items()
        )
        typed = f"{name}: {verb.subject}".rstrip()
        assert f"| `{typed}` | {options} | {verb.help} |\n" in PAGE
    for member, about in (MEMBERS | EXPECTATIONS).items():
        assert f"| `{member}` | {about} |\n" in PAGE
