"""The machine that the figures are of."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

_CPUINFO: Final = Path("/proc/cpuinfo")


def load_average() -> str:
    """Return the load average of one, five and fifteen minutes."""
    return ", ".join(f"{load:.2f}" for load in os.getloadavg())


def now() -> str:
    """Return date and time."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"  # noqa: TID251  # of the run


def description() -> dict[str, str]:
    """Return what a reader needs to compare with a machine of their own."""
    models = [
        line.partition(":")[2].strip() for line in _CPUINFO.read_text().splitlines() if "model name" in line
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "CPU": f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores usable",
        "memory": f"{memory:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "packages": ", ".join(
            f"{name} {version(name)}" for name in ("hsmstore", "httptools", "moto", "boto3")
        ),
    }
