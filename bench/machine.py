"""The machine that the figures are of, and the revision."""

import os
import platform
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.record import UNKNOWN

ROOT: Final = Path(__file__).parents[1]
MEASURED: Final = ("hsmstore", "bench/*.py", "softhsm", "migrations", "requirements.lock")

_CPUINFO: Final = Path("/proc/cpuinfo")
_PACKAGES: Final = ("hsmstore", "httptools", "python-pkcs11", "SQLAlchemy", "psycopg", "moto", "boto3")
_SYSTEM: Final = ("softhsm2", "p11-kit", "postgresql-[0-9]*", "wrk")  # by Debian's names


def load_average() -> str:
    """Return the load average of one, five and fifteen minutes."""
    return ", ".join(f"{load:.2f}" for load in os.getloadavg())


def now() -> str:
    """Return date and time."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"  # noqa: TID251  # of the run


def revision() -> str:
    """Return the commit that is checked out, and whether what is measured differs from it."""
    commit = _told(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"])
    changed = _told(["git", "-C", str(ROOT), "status", "--porcelain", "--", *MEASURED])
    return f"{commit or UNKNOWN}{' with changes' if changed else ''}"


def description() -> dict[str, str]:
    """Return what a reader needs to compare with a machine of their own."""
    models = [
        line.partition(":")[2].strip() for line in _CPUINFO.read_text().splitlines() if "model name" in line
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    installed = _told(["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *_SYSTEM])
    return {
        "CPU": f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores usable",
        "memory": f"{memory:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, {ssl.OPENSSL_VERSION}",
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "the system's": ", ".join(line for line in installed.splitlines() if line.split()[1:]) or UNKNOWN,
    }


def _told(command: Sequence[str]) -> str:
    """Return what a program prints, if there is such a program."""
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
