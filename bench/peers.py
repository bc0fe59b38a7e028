"""The hot path: hsmstore, its HTTP server with a constant answer, moto_server, and any other endpoint."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from bench import client, constant, load
from bench.processes import Family, listening_on
from bench.section import Bar, Figures, Rounds, Section, Terms, ratio, value
from bench.servers import BIN, connected_key_store, constant_command, serve_command, serving

HSMSTORE: Final = "hsmstore"
CONSTANT: Final = "constant"
MOTO: Final = "moto_server"

CPU: Final = "CPU per request, µs, 64 connections"
RATE: Final = "requests/s, 64 connections"
RATE_OF_ONE: Final = "requests/s, 1 connection"
FIRST_START: Final = "start to first answer, first, s"
START: Final = "start to first answer, second, s"

_EXPLANATION: Final = """\
GenerateRandom of 32 bytes over HTTP on loopback, the request as boto3 signs it, sent by wrk (one thread)
over keep-alive connections.

- *hsmstore* draws them from a connected key store: one `C_GenerateRandom` of SoftHSM2 each. "No store":
  the same request without `CustomKeyStoreId`, which the system's generator serves.
- *constant* is the limit: the same HTTP server, whose application gives one answer of the same size and
  headers.
- *moto_server* is the peer; it has no HSM, and neither have other endpoints (`--endpoint NAME=URL`).

They run in turn in each round; ratios are taken within a round. CPU time counts all processes of a
server. "Start to first answer" is from the start of the process to the first GenerateRandom answered with
200: at the first start on an empty data directory, at the second from a key store that was connected
before. RSS is told after that answer and after all loads."""

BARS: Final = (
    Bar(
        "requests/s, 64 connections, of the constant handler's",
        ratio(HSMSTORE, CONSTANT, RATE),
        0.6,
        floor=0.5,
        why="a quarter of what a draw takes beyond a constant answer is the trail, a fifth PKCS#11",
    ),
    Bar("requests/s, 1 connection, of the constant handler's", ratio(HSMSTORE, CONSTANT, RATE_OF_ONE), 0.5),
    Bar("CPU per request, µs, 64 connections; the aim is 33", value(HSMSTORE, CPU), most=45, floor=80),
    Bar("requests/s, 64 connections, times moto_server's", ratio(HSMSTORE, MOTO, RATE), 50, floor=20),
    Bar(
        "requests/s, 1 connection, times moto_server's",
        ratio(HSMSTORE, MOTO, RATE_OF_ONE),
        20,
        why="server and client take turns in sleeping, and waking an idle processor takes longest",
    ),
    Bar(FIRST_START, value(HSMSTORE, FIRST_START), most=1.5),
    Bar(START, value(HSMSTORE, START), most=0.7, floor=1.0),
    Bar(
        "RSS after load with one store connected, MB; each further one takes about 1",
        value(HSMSTORE, "RSS after load, MB"),
        most=100,
        floor=150,
    ),
)


def sections() -> list[Section]:
    """Return the hot path."""
    return [Section("hot-path", "The hot path", _EXPLANATION, measure, lasts, BARS)]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes."""
    return terms.rounds * len(_subjects(terms)) * (4.5 + 4 * load.whole(terms.seconds))


def measure(terms: Terms) -> Rounds:
    """Measure everybody, one after the other, round after round."""
    for number in range(terms.rounds):
        place = terms.directory / str(number)
        place.mkdir()
        figures = {}
        for name, subject in _subjects(terms).items():
            terms.say(name)
            figures[name] = subject(place)
        yield figures


def _subjects(terms: Terms) -> Mapping[str, Callable[[Path], Figures]]:
    own = {HSMSTORE: _hsmstore, CONSTANT: _constant, MOTO: _moto}
    subjects = {name: partial(subject, terms) for name, subject in own.items() if name not in terms.without}
    return subjects | {name: partial(_endpoint, terms, port) for name, port in terms.endpoints.items()}


def _hsmstore(terms: Terms, place: Path) -> Figures:
    figures: Figures = {}
    command, log = serve_command(place / "data", terms.threads), place / "hsmstore.log"
    with serving(command, log) as server:
        figures[FIRST_START] = server.seconds
        key_store_id = connected_key_store(server.port)
    with serving(command, log, key_store_id) as (port, program, seconds):
        figures[START] = seconds
        idle = program.rss()
        request = client.generate_random(port, key_store_id)
        answer = client.send(port, request)
        constant.write(answer.headers, answer.body, place / "answer.json")
        figures |= _loads(terms, program, port, load.script([request], place / "request.lua"))
        plain = load.script([client.generate_random(port, None)], place / "plain.lua")
        told = load.over_http(program, port, plain, load.MANY, terms.seconds)
        figures |= load.named(told, "64 connections, no store")
        figures |= load.with_boto3(port, key_store_id, terms.seconds)
        return figures | {"RSS idle, MB": idle, "RSS after load, MB": program.rss()}


def _constant(terms: Terms, place: Path) -> Figures:
    """Load with the request that hsmstore was sent, and answer what it answered."""
    command = constant_command(place / "answer.json", terms.threads)
    with serving(command, place / "constant.log") as (port, program, seconds):
        return _of_a_peer(terms, program, port, place / "request.lua", seconds)


def _moto(terms: Terms, place: Path) -> Figures:
    """Load with draws from no key store: moto has no HSM, and takes no notice of CustomKeyStoreId."""
    command = [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p"]
    with serving(lambda port: [*command, str(port)], place / "moto.log") as (port, program, seconds):
        lua = load.script([client.generate_random(port, None)], place / "moto.lua")
        return _of_a_peer(terms, program, port, lua, seconds)


def _endpoint(terms: Terms, port: int, place: Path) -> Figures:
    """Load what somebody else has started, as it stands."""
    lua = load.script([client.generate_random(port, None)], place / "endpoint.lua")
    return _of_a_peer(terms, listening_on(port), port, lua)


def _of_a_peer(
    terms: Terms, family: Family | None, port: int, lua: Path, seconds: float | None = None
) -> Figures:
    figures: Figures = {} if seconds is None else {FIRST_START: seconds}
    idle = {"RSS idle, MB": family.rss()} if family else {}
    figures |= _loads(terms, family, port, lua) | load.with_boto3(port, None, terms.seconds)
    return figures | idle | ({"RSS after load, MB": family.rss()} if family else {})


def _loads(terms: Terms, family: Family | None, port: int, lua: Path) -> Figures:
    """Load with one connection and with many."""
    load.warm_up(terms, port, lua)
    one = load.over_http(family, port, lua, 1, terms.seconds)
    many = load.over_http(family, port, lua, load.MANY, terms.seconds)
    return load.named(one, "1 connection") | load.named(many, "64 connections")
