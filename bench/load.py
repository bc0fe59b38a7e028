"""Load on a running server, and what it cost."""

import json
import shutil
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench import client
from bench.client import Request
from bench.processes import Family, monotonic
from bench.section import Figures, Terms

WARM_UP: Final = 1.0  # seconds
MANY: Final = 64  # connections

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

_IN_TURN: Final = """
local bodies, requests, last = {{ {bodies} }}, {{}}, 0
function init()
  for number, body in ipairs(bodies) do requests[number] = wrk.format(nil, nil, nil, body) end
end
function request()
  last = last % #requests + 1
  return requests[last]
end
"""


def warm_up(terms: Terms, port: int, lua: Path, connections: int = MANY) -> None:
    """Load for a while that nobody measures; a look does without."""
    if not terms.quick:
        wrk(port, lua, connections, WARM_UP)


def require_wrk() -> None:
    """Fail when the load generator is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")


def script(requests: Sequence[Request], path: Path) -> Path:
    """Write the script that makes wrk send each of `requests`, which differ in their bodies, in turn."""
    first = requests[0]
    headers = "\n".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(v)}" for name, v in first.headers.items()
    )
    text = _SCRIPT.format(body=json.dumps(first.body), headers=headers)
    if len(requests) > 1:
        text += _IN_TURN.format(bodies=", ".join(json.dumps(request.body) for request in requests))
    path.write_text(text)
    return path


def wrk(port: int, lua: Path, connections: int, seconds: float) -> dict[str, float]:
    """Run wrk for whole seconds; return `requests`, `seconds`, and `p50` and `p99` in µs.

    A refused or broken request fails: it would be a figure about something else.
    """
    told = tolerant_wrk(port, lua, connections, seconds)
    if told["refused"] or told["broken"] or not told["requests"]:
        raise RuntimeError(f"wrk met errors: {told}")
    return told


def tolerant_wrk(port: int, lua: Path, connections: int, seconds: float) -> dict[str, float]:
    """Run wrk; `refused` counts the answers that are none of 2xx or 3xx, `broken` the errors of sockets."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{whole(seconds)}s", "--timeout", "10s"]
    done = subprocess.run(
        [*command, "-s", str(lua), f"http://127.0.0.1:{port}/"], capture_output=True, check=True, text=True
    )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def whole(seconds: float) -> int:
    """Return how long wrk loads where so many seconds are asked for."""
    return max(1, round(seconds))


def over_http(family: Family | None, port: int, lua: Path, connections: int, seconds: float) -> Figures:
    """Load the server; without its processes there is no CPU time to tell."""
    before = family.cpu() if family else 0
    told = wrk(port, lua, connections, seconds)
    cpu = {"CPU per request, µs": (family.cpu() - before) / told["requests"] * 1e6} if family else {}
    return {
        "requests/s": told["requests"] / told["seconds"],
        **cpu,
        "latency p50, µs": told["p50"],
        "latency p99, µs": told["p99"],
    }


def named(figures: Figures, circumstance: str) -> Figures:
    """Return figures whose names tell in what circumstance they were taken."""
    return {f"{name}, {circumstance}": value for name, value in figures.items()}


def with_boto3(port: int, key_store_id: str | None, seconds: float) -> Figures:
    """Call through boto3, one call after the other: what a user feels."""
    kms = client.client(port)
    members = client.members(key_store_id)
    kms.generate_random(**members)
    times = sorted(timed(lambda: kms.generate_random(**members), seconds))
    return {
        "boto3 call, median, µs": statistics.median(times) * 1e6,
        "boto3 call, p99, µs": times[len(times) * 99 // 100] * 1e6,
    }


def timed(call: Any, seconds: float) -> Iterator[float]:
    """Call again and again, at least once; yield the seconds of each call."""
    end = monotonic() + seconds
    while True:
        start = monotonic()
        call()
        done = monotonic()
        yield done - start
        if done >= end:
            return
