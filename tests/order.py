"""The order in which a run takes its files: what lasts longest first.

Each file runs in one of a few processes. If a long one were begun last, the others would be waiting for it.
"""

from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent

LONGEST: Final = (
    "replicas/test_processes.py",
    "console/test_browser.py",
    "console/test_looks.py",
    "crash/test_checkpoints.py",
    "crash/test_kills.py",
    "model/test_life.py",
    "load/test_gate.py",
    "package/test_older_data.py",
    "package/test_installed.py",
    "cli/test_endings.py",
    "cli/test_commands.py",
    "model_checking/test_gate.py",
    "wire/test_faults.py",
    "load/test_restart.py",
    "load/test_database.py",
    "storage/test_postgresql.py",
    "clients/test_encryption_sdk.py",
    "clients/test_aws_cli.py",
    "cli/test_doctor.py",
    "cli/test_first_start.py",
    "cli/test_help.py",
    "cli/test_scenarios.py",
    "testing/test_simulation.py",
    "bench/test_bench.py",
    "cli/test_attest.py",
    "wire/test_connecting.py",
    "wire/test_connected.py",
    "wire/test_causes.py",
    "wire/test_upstream.py",
    "wire/test_remote_hsm.py",
    "wire/test_trail.py",
    "wire/test_management.py",
    "wire/test_legality.py",
    "model/test_keys.py",
)
"""By the processor's time that they take, roughly. The order of all others makes no difference."""


def place(item: pytest.Item) -> int:
    """Return where the file of a test stands in the order."""
    return _PLACES.get(item.path, len(LONGEST))


_PLACES: Final = {HERE / name: number for number, name in enumerate(LONGEST)}
