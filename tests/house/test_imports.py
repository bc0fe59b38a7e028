"""The walls between the rooms: import-linter's contracts can break, and what it cannot say is said here."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tidy import ROOT

OFFENCES = {
    "hsmstore/domain/limits.py": (
        "import hsmstore.service, transitions, pkcs11, sqlalchemy, falcon, httptools, typer, yaml,"
        " prometheus_client, structlog, opentelemetry, boto3, jinja2"
    ),
    "hsmstore/wire/__init__.py": "import hsmstore.storage",
}
"""Together they break every contract."""


def _imports(directory: str) -> Iterator[str]:
    """Yield the name of every module that the directory's files import."""
    for path in (ROOT / directory).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module


def _foreign(directory: str) -> set[str]:
    """Return the imported packages that are neither ours nor Python's."""
    return {name.split(".")[0] for name in _imports(directory)} - sys.stdlib_module_names - {"hsmstore"}


def test_contracts_can_break(tmp_path: Path) -> None:
    """Each contract in .importlinter notices an offence."""
    shutil.copy(ROOT / ".importlinter", tmp_path)
    shutil.copytree(ROOT / "hsmstore", tmp_path / "hsmstore")
    for file, offence in OFFENCES.items():
        with (tmp_path / file).open("a", encoding="utf-8") as text:
            text.write(f"\n{offence}\n")
    lint: list[str | Path] = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    result = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Contracts: 0 kept" in result.stdout, result.stdout + result.stderr


def test_domain_needs_only_python() -> None:
    """The domain imports the standard library, and `transitions` for its one machine."""
    assert _foreign("hsmstore/domain") == {"transitions"}


def test_imports_are_declared() -> None:
    """The package imports what pyproject.toml declares, and everything that it declares.

    What belongs to the extra `testing` comes on top; boto3 brings botocore. The extra `otel` is left out:
    opentelemetry is a package that many distributions share.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]["testing"]
    declared = {canonicalize_name(Requirement(text).name) for text in [*project["dependencies"], *extra]}
    distributions = packages_distributions()
    found = _foreign("hsmstore") - {"opentelemetry"}
    imported = {canonicalize_name(distributions.get(name, [name])[0]) for name in found}
    assert imported == declared | {"botocore"}


def test_setup_and_program_look_in_the_same_places() -> None:
    """The setup script reads the modules' paths from the profiles, and finds as many as the program."""
    script = (ROOT / ".ci" / "setup").read_text(encoding="utf-8")
    for profile in set(re.findall(r"has_module ([a-z0-9-]+)", script)):
        text = (ROOT / "softhsm" / f"{profile}.toml").read_text(encoding="utf-8")
        seen = re.findall(r'^ *"(/[^"]*)"', text, flags=re.MULTILINE)  # the script's own expression
        assert seen == tomllib.loads(text)["modules"]
