"""What a Recipient costs, step by step, and what many of them do to others."""

import base64
import json
import statistics
import time  # noqa: TID251 - documents must be valid by the machine's clock
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench import client, load
from bench.processes import monotonic, sleep
from bench.section import Figures, Round, Rounds, Section, Terms
from bench.servers import connected_key_store, serve_command, serving
from hsmstore.attestation.broken import broken
from hsmstore.attestation.brokenkeys import modulus, spki
from hsmstore.attestation.chain import verify_chain
from hsmstore.attestation.document import open_sign1, read_payload
from hsmstore.attestation.envelope import recipient_key, seal
from hsmstore.attestation.minting import Claims, Module, new_root
from hsmstore.attestation.nitro import NitroAttestation
from hsmstore.attestation.pki import ROOT_FILE, Authority, save_root
from hsmstore.attestation.verifying import check_signature, verify
from hsmstore.system.entropy import SystemEntropy

KEY: Final = spki(modulus(2048))
PLAIN: Final = 8  # connections that draw in the clear
FLOOD: Final = 32  # connections of the others

_DOCUMENTS: Final = """\
The steps of an answer to a request with a Recipient, each by itself, in one process; and the making of a
document."""

_RECIPIENTS: Final = f"""\
{PLAIN} connections draw 32 bytes in the clear beside {FLOOD} that send a Recipient, or plain draws."""


def steps(root: Authority, seconds: float) -> Iterator[tuple[str, float]]:
    """Yield each step of an answer and its milliseconds."""
    now = time.time()
    module, roots = Module(root, now), frozenset([root.der])
    document = module.attest(Claims(public_key=KEY), now)
    signed = open_sign1(document)
    fields = read_payload(signed.payload)
    chain = verify_chain(fields.certificate, fields.cabundle, roots, now)
    port = NitroAttestation(roots, SystemEntropy(), monotonic)
    timed: dict[str, Callable[[], object]] = {
        "COSE": lambda: open_sign1(document),
        "fields": lambda: read_payload(signed.payload),
        "chain of five": lambda: verify_chain(fields.certificate, fields.cabundle, roots, now),
        "signature": lambda: check_signature(signed, chain.leaf_key),
        "public key": lambda: recipient_key(KEY),
        "verified, chain unknown": lambda: verify(document, roots, now),
        "verified, chain known": lambda: port.verify(document, now),
        "sealed, 32 bytes": lambda: port.seal(KEY, bytes(32)),
        "sealed, 4,096 bytes": lambda: seal(KEY, bytes(4096), bytes(32), bytes(16)),
        "minted": lambda: module.attest(Claims(public_key=KEY), now),
    }
    for name, call in timed.items():
        yield name, _milliseconds(call, seconds)


def _milliseconds(call: Callable[[], object], seconds: float) -> float:
    """Return the median of a call."""
    times, end = [], monotonic() + seconds
    while monotonic() < end:
        start = monotonic()
        call()
        times.append(monotonic() - start)
    return statistics.median(times) * 1e3


class Scene(NamedTuple):
    """A server that trusts a test root, and a connected key store."""

    port: int
    store: str
    directory: Path

    def load(self, name: str, request: client.Request, connections: int, seconds: float) -> Figures:
        """Send a request over so many connections."""
        lua = load.script([request], self.directory / f"{name}.lua")
        told = load.tolerant_wrk(self.port, lua, connections, seconds)
        return {
            "draws/s": (told["requests"] - told["refused"]) / told["seconds"],
            "refused/s": told["refused"] / told["seconds"],
            "latency p50, ms": told["p50"] / 1e3,
            "latency p99, ms": told["p99"] / 1e3,
        }

    def plain(self) -> client.Request:
        """Return the request of a draw in the clear."""
        return client.generate_random(self.port, self.store)

    def sealed(self, document: bytes) -> client.Request:
        """Return the request of a draw for a recipient."""
        plain = self.plain()
        body = json.loads(plain.body)
        body["Recipient"] = {
            "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
            "AttestationDocument": base64.b64encode(document).decode(),
        }
        return client.Request(plain.headers, json.dumps(body))


@contextmanager
def trusting(root: Authority, terms: Terms) -> Iterator[Scene]:
    """Serve for as long as the context lasts."""
    place = terms.directory
    save_root(place / "pki", root)
    options = ["--attestation-root", str(place / "pki" / ROOT_FILE)]
    command = serve_command(place / "data", terms.threads, *options)
    with serving(command, place / "server.log") as server:
        yield Scene(server.port, connected_key_store(server.port), place)


def side_by_side(scene: Scene, root: Authority, terms: Terms) -> Round:
    """Return what plain draws get, alone and beside each flood, and what the flood gets."""
    now = time.time()
    good = Module(root, now).attest(Claims(public_key=KEY), now)
    floods = {
        "plain draws": scene.plain(),
        "rubbish": scene.sealed(bytes(5000)),
        "one enclave's document": scene.sealed(good),
        "a chain that fails at its end": scene.sealed(broken("leaf as issuer", root, KEY, now)),
    }
    figures = {"alone": scene.load("plain", scene.plain(), PLAIN, terms.seconds)}
    with ThreadPoolExecutor(1) as other:
        for name, request in floods.items():
            terms.say(f"beside {name}")
            flood = other.submit(scene.load, "flood", request, FLOOD, terms.seconds + 1)
            sleep(0.3)
            told = scene.load("plain", scene.plain(), PLAIN, terms.seconds)
            theirs = flood.result()
            told |= {"the others: served/s": theirs["draws/s"], "the others: refused/s": theirs["refused/s"]}
            figures[f"beside {name}"] = told
    return figures


def sections() -> list[Section]:
    """Return the steps and the crowd."""
    return [
        Section("documents", "Attestation documents", _DOCUMENTS, measure_steps, steps_last),
        Section("recipients", "Draws beside recipients", _RECIPIENTS, measure_crowd, crowd_lasts),
    ]


def steps_last(terms: Terms) -> float:
    """Tell about how many seconds the steps take."""
    return 1 + terms.rounds * 10 * terms.seconds / 8


def measure_steps(terms: Terms) -> Rounds:
    """Measure each step."""
    root = new_root()
    for _ in range(terms.rounds):
        terms.say("steps")
        yield {"ms": dict(steps(root, terms.seconds / 8))}


def crowd_lasts(terms: Terms) -> float:
    """Tell about how many seconds the crowd takes."""
    return 3 + terms.rounds * (5 * load.whole(terms.seconds) + 6)


def measure_crowd(terms: Terms) -> Rounds:
    """Set a server up, then measure in turn."""
    root = new_root()
    with trusting(root, terms) as scene:
        for _ in range(terms.rounds):
            terms.say("alone")
            yield side_by_side(scene, root, terms)
