"""`python -m bench.attestation`: what a Recipient costs, step by step, and what many of them do to others."""

import argparse
import base64
import json
import statistics
import subprocess
import tempfile
import time  # noqa: TID251 - documents must be valid by the machine's clock
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench import client, load, subjects
from bench.processes import Program, free_port, monotonic, running, sleep
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
WITHIN: Final = 60.0  # seconds


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


class Told(NamedTuple):
    """What wrk tells of a load."""

    answered: float  # a second, with 200
    refused: float  # a second
    p50: float  # milliseconds
    p99: float


class Scene(NamedTuple):
    """A server that trusts a test root, and a connected key store."""

    port: int
    store: str
    directory: Path

    def load(self, name: str, request: client.Request, connections: int, seconds: float) -> Told:
        """Send a request over so many connections."""
        place = self.directory / name
        place.mkdir(exist_ok=True)
        lua = load.script(request, place)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
        command += ["-s", str(lua), f"http://127.0.0.1:{self.port}/"]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        told = json.loads(done.stdout.splitlines()[-1])
        good = told["requests"] - told["refused"]
        return Told(
            good / told["seconds"], told["refused"] / told["seconds"], told["p50"] / 1e3, told["p99"] / 1e3
        )

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
def serving(root: Authority, threads: int) -> Iterator[Scene]:
    """Serve for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="hsmstore-bench-") as directory:
        place, port = Path(directory), free_port()
        save_root(place / "pki", root)
        terms = subjects.Terms(1, threads, place)
        command = subjects.serve_command(port, terms)
        with running(
            [*command, "--attestation-root", str(place / "pki" / ROOT_FILE)], place / "log"
        ) as program:
            _wait(port, program)
            yield Scene(port, subjects.connected_key_store(port), place)


def _wait(port: int, program: Program) -> None:
    request, end = client.generate_random(port, None), monotonic() + WITHIN
    while not subjects.answers(port, request):
        program.require_alive()
        if monotonic() > end:
            raise RuntimeError("the server does not answer")
        sleep(0.01)


def side_by_side(scene: Scene, root: Authority, seconds: float) -> Iterator[tuple[str, Told, Told | None]]:
    """Yield what plain draws get, alone and beside each flood, and what the flood gets."""
    now = time.time()
    good = Module(root, now).attest(Claims(public_key=KEY), now)
    floods = {
        "plain draws": scene.plain(),
        "rubbish": scene.sealed(bytes(5000)),
        "one enclave's document": scene.sealed(good),
        "a chain that fails at its end": scene.sealed(broken("leaf as issuer", root, KEY, now)),
    }
    yield "nothing", scene.load("plain", scene.plain(), PLAIN, seconds), None
    yield "recipients, alone", scene.load("alone", floods["one enclave's document"], 1, seconds), None
    with ThreadPoolExecutor(1) as other:
        for name, request in floods.items():
            flood = other.submit(scene.load, "flood", request, FLOOD, seconds + 1)
            sleep(0.3)
            told = scene.load("plain", scene.plain(), PLAIN, seconds)
            yield name, told, flood.result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.attestation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="length of each load (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of the server (%(default)s)")
    arguments = parser.parse_args()
    load.require_wrk()
    root = new_root()
    print("| Step | ms | per second |\n| --- | --- | --- |")
    for name, milliseconds in steps(root, arguments.seconds / 4):
        print(f"| {name} | {milliseconds:.3f} | {1e3 / milliseconds:,.0f} |")
    print(f"\n{PLAIN} connections draw 32 bytes in the clear beside {FLOOD} of another kind:\n")
    print("| Beside | draws/s | p50, ms | p99, ms | the others: served/s | refused/s |")
    print("| --- | --- | --- | --- | --- | --- |")
    with serving(root, arguments.threads) as scene:
        for name, told, flood in side_by_side(scene, root, arguments.seconds):
            others = f"{flood.answered:,.0f} | {flood.refused:,.0f}" if flood else "|"
            print(f"| {name} | {told.answered:,.0f} | {told.p50:.1f} | {told.p99:.1f} | {others} |")


if __name__ == "__main__":
    main()
