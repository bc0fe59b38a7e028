"""requirements.lock: what pyproject.toml asks for, pinned, with hashes."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tidy import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = [*PROJECT["dependencies"], *EXTRAS["otel"], *EXTRAS["postgres"], *EXTRAS["testing"], *EXTRAS["test"]]
ASKED.remove("hsmstore[otel,postgres,testing]")  # the test extra takes the others in


def _locked(lock: str) -> list[tuple[Requirement, int]]:
    """Return each requirement of a lock with the number of its hashes."""
    entries = lock.replace("\\\n", "").splitlines()
    return [(Requirement(entry.split("--hash")[0]), entry.count("--hash=sha256:")) for entry in entries]


LOCKED = _locked((ROOT / "requirements.lock").read_text(encoding="utf-8"))
SERVERS = _locked((ROOT / "deploy" / "requirements.lock").read_text(encoding="utf-8"))
RUNNERS = _locked((ROOT / ".ci" / "serve.lock").read_text(encoding="utf-8"))


def _unpinned(locked: list[tuple[Requirement, int]]) -> list[str]:
    return [
        str(requirement)
        for requirement, hashes in locked
        if not hashes or not re.fullmatch(r"==[^*,]+", str(requirement.specifier))
    ]


def test_every_requirement_is_pinned_and_hashed() -> None:
    """Each line names one version and the hashes of its files."""
    assert _unpinned(LOCKED) == []
    assert _unpinned(SERVERS) == []
    assert _unpinned(RUNNERS) == []
    assert (
        _unpinned(_locked((ROOT / "tests" / "testing" / "aiobotocore.lock").read_text(encoding="utf-8")))
        == []
    )


@pytest.mark.parametrize(
    ("part", "extras", "without"),
    [
        pytest.param(SERVERS, ["postgres"], {"pytest", "boto3", "mypy"}, id="deploy"),
        pytest.param(RUNNERS, ["postgres", "otel", "testing"], {"mypy", "ruff", "sphinx"}, id="make serve"),
    ],
)
def test_a_part_has_what_the_tests_have_met(
    part: list[tuple[Requirement, int]], extras: list[str], without: set[str]
) -> None:
    """The locks of deploy/ and .ci/ are the parts of the whole one that a server, and who tries it, need."""
    tried = {requirement.name: (requirement.specifier, hashes) for requirement, hashes in LOCKED}
    assert {
        requirement.name
        for requirement, hashes in part
        if tried.get(requirement.name) != (requirement.specifier, hashes)
    } == set()
    names = {canonicalize_name(requirement.name) for requirement, _ in part}
    asked = [*PROJECT["dependencies"], *(text for extra in extras for text in EXTRAS[extra])]
    assert {canonicalize_name(Requirement(text).name) for text in asked} - names == set()
    assert names.isdisjoint(without)


@pytest.mark.parametrize("lock", ["msgspec==0.20\n", "msgspec>=0.20 \\\n    --hash=sha256:00\n"])
def test_a_loose_requirement_is_noticed(lock: str) -> None:
    """A missing hash or a range is not a pin."""
    assert _unpinned(_locked(lock)) != []


@pytest.mark.parametrize("asked", ASKED)
def test_lock_satisfies_the_project(asked: str) -> None:
    """The lock has a version that pyproject.toml allows."""
    wanted = Requirement(asked)
    versions = [
        str(requirement.specifier).removeprefix("==")
        for requirement, _ in LOCKED
        if canonicalize_name(requirement.name) == canonicalize_name(wanted.name)
    ]
    assert any(wanted.specifier.contains(version) for version in versions)
