"""What could carry the hot path: the same constant answer from other HTTP servers.

They are no dependencies of hsmstore, so this is measured only when it is named, by an interpreter that has
them: `pip install granian uvicorn uvloop`.
"""

import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bench import client, constant, load
from bench.carried import CARRIERS
from bench.section import Rounds, Section, Terms
from bench.servers import serving

WANTED: Final = ("granian", "uvicorn", "uvloop")
COLUMNS: Final = {
    "asyncio": "asyncio, httptools (this)",
    "uvloop": "uvloop, httptools",
    "uvicorn": "uvicorn (ASGI, uvloop)",
    "granian-wsgi-1": "Granian, WSGI, 1 thread",
    "granian-wsgi-4": "Granian, WSGI, 4 threads",
    "granian-rsgi": "Granian, RSGI",
}
HEADERS: Final = (
    ("X-Amzn-Requestid", "00000000-0000-4000-8000-000000000000"),
    ("Content-Type", "application/x-amz-json-1.1"),
    ("Cache-Control", "no-cache, no-store, must-revalidate, private"),
    ("Expires", "0"),
    ("Pragma", "no-cache"),
)
BODY: Final = b'{"Plaintext":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}'

_EXPLANATION: Final = """\
One constant answer, of the size and with the headers of a draw's, to the request as boto3 signs it, over 64
connections: what each server takes before hsmstore has done anything."""


def sections() -> list[Section]:
    """Return the carriers."""
    return [Section("carriers", "What could carry it", _EXPLANATION, measure, lasts, by_default=False)]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes."""
    return terms.rounds * len(CARRIERS) * (2 + load.WARM_UP + load.whole(terms.seconds))


def measure(terms: Terms) -> Rounds:
    """Measure all in turn."""
    missing = [name for name in WANTED if find_spec(name) is None]
    if missing:
        raise RuntimeError(f"missing: {', '.join(missing)}; pip install {' '.join(WANTED)}")
    file = terms.directory / "answer.json"
    constant.write(HEADERS, BODY, file)
    for _ in range(terms.rounds):
        figures = {}
        for carrier in CARRIERS:
            terms.say(COLUMNS[carrier])
            command = partial(_command, carrier, file)
            with serving(command, terms.directory / f"{carrier}.log") as (port, program, _):
                lua = load.script([client.generate_random(port, None)], terms.directory / "request.lua")
                load.wrk(port, lua, load.MANY, load.WARM_UP)
                told = load.over_http(program, port, lua, load.MANY, terms.seconds)
            figures[COLUMNS[carrier]] = told
        yield figures


def _command(carrier: str, file: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "bench.carried", carrier, str(file), str(port)]
