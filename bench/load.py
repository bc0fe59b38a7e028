"""Load on a running server, and what it cost."""

import json
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench import client
from bench.client import Request
from bench.processes import Program, monotonic

CONNECTIONS: Final = (1, 64)
WARM_UP: Final = 0.5  # seconds

Figures = dict[str, float]
"""By the name of the row in the table."""

# wrk calls `done` with counts, and with latencies in microseconds.
_SCRIPT: Final = """
wrk.method = "POST"
wrk.body = {body}
{headers}
function done(summary, latency)
  local e = summary.errors
  print(string.format('{{"requests": %d, "seconds": %f, "p50": %d, "p99": %d, "refused": %d, "broken": %d}}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write + e.timeout))
end
"""


def require_wrk() -> None:
    """Fail when the load generator is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")


def script(request: Request, directory: Path) -> Path:
    """Write the script that makes wrk send `request`."""
    headers = (f"wrk.headers[{json.dumps(name)}] = {json.dumps(v)}" for name, v in request.headers.items())
    path = directory / "request.lua"
    path.write_text(_SCRIPT.format(body=json.dumps(request.body), headers="\n".join(headers)))
    return path


def over_http(program: Program, port: int, lua: Path, seconds: float) -> Figures:
    """Load the server with each number of keep-alive connections in turn."""
    figures: Figures = {}
    _wrk(port, lua, max(CONNECTIONS), WARM_UP)
    for connections in CONNECTIONS:
        before = program.cpu()
        told = _wrk(port, lua, connections, seconds)
        cpu = program.cpu() - before
        figures |= {
            f"requests/s, {_so_many(connections)}": told["requests"] / told["seconds"],
            f"CPU per request, µs, {_so_many(connections)}": cpu / told["requests"] * 1e6,
            f"latency p50, µs, {_so_many(connections)}": told["p50"],
            f"latency p99, µs, {_so_many(connections)}": told["p99"],
        }
    return figures | {"RSS, MB": program.rss()}


def with_boto3(port: int, key_store_id: str | None, seconds: float) -> Figures:
    """Call through boto3, one call after the other: what a user feels."""
    kms = client.client(port)
    members = client.members(key_store_id)
    kms.generate_random(**members)
    times = sorted(_timed_calls(lambda: kms.generate_random(**members), seconds))
    return {
        "boto3 call, median, µs": statistics.median(times) * 1e6,
        "boto3 call, p99, µs": times[len(times) * 99 // 100] * 1e6,
    }


def _timed_calls(call: Any, seconds: float) -> Iterator[float]:
    end = monotonic() + seconds
    while (start := monotonic()) < end:
        call()
        yield monotonic() - start


def _so_many(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"


def _wrk(port: int, lua: Path, connections: int, seconds: float) -> dict[str, float]:
    """Run wrk; a refused request would be a figure about something else."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    done = subprocess.run(
        [*command, "-s", str(lua), f"http://127.0.0.1:{port}/"], capture_output=True, check=True, text=True
    )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if told["refused"] or told["broken"] or not told["requests"]:
        raise RuntimeError(f"wrk met errors:\n{done.stdout}")
    return told
