"""Write a bill of materials of a server: `make sbom`, into dist/, as CycloneDX 1.6 in JSON.

deploy/requirements.lock says what belongs to a server on this system, and in which version. cyclonedx-py
describes what is installed, with licences and who needs what; the tools of the tests are taken out of that.
No address is kept: where a package comes from is for who installs it to say. The same lock gives the same
bytes.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hsmstore import __version__

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "deploy" / "requirements.lock"
OUTCOME: Final = ROOT / "dist" / f"hsmstore-{__version__}.cdx.json"


class NotInstalled(Exception):
    """What is installed here is not what the lock says."""


def wanted(lock: str) -> dict[str, str]:
    """Return the version of every package in a lock that belongs to this system, by canonical name."""
    requirements = (Requirement(entry.split("--hash")[0]) for entry in lock.replace("\\\n", "").splitlines())
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate()
    }


def installed() -> dict[str, Any]:
    """Return the bill of everything that is installed beside this Python."""
    tool = [sys.executable, "-m", "cyclonedx_py", "environment", sys.executable]
    tool += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--no-validate"]
    tool += ["--spec-version", "1.6", "--output-format", "JSON"]
    said = subprocess.run(tool, check=True, capture_output=True).stdout  # noqa: S603  # the tool of the lock
    bill: dict[str, Any] = json.loads(said)
    return bill


def of_a_server(bill: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """Return the part of a bill that is about hsmstore and these packages.

    Raises:
        NotInstalled: one of them is missing, or there in another version.

    """
    kept = [part for part in bill["components"] if canonicalize_name(part["name"]) in versions]
    found = {canonicalize_name(part["name"]): part["version"] for part in kept}
    if found != versions:
        raise NotInstalled(f"{dict(sorted(versions.items() ^ found.items()))}; type: make setup-tools")
    root = bill["metadata"]["component"] | {
        "version": __version__,
        "purl": f"pkg:pypi/hsmstore@{__version__}",
    }
    names = {root["bom-ref"], *(part["bom-ref"] for part in kept)}
    server = {
        **bill,
        "metadata": {**bill["metadata"], "component": root},
        "components": kept,
        "dependencies": list(_among(names, bill["dependencies"])),
    }
    return {name: _without_addresses(value) for name, value in server.items()}


def _among(names: set[str], dependencies: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in dependencies:
        if node["ref"] in names:
            needs = [name for name in node.get("dependsOn", ()) if name in names]
            yield {"ref": node["ref"]} | ({"dependsOn": needs} if needs else {})


def _without_addresses(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_addresses(below) for k, below in value.items() if k != "externalReferences"}
    if isinstance(value, list):
        return [_without_addresses(below) for below in value]
    return value


def main() -> None:
    """Write it where the first argument says, or into dist/."""
    to = Path(sys.argv[1]) if sys.argv[1:] else OUTCOME
    server = of_a_server(installed(), wanted(LOCK.read_text(encoding="utf-8")))
    to.parent.mkdir(exist_ok=True)
    to.write_text(json.dumps(server, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
