"""A simulator inside another program: an application over a world of its own; nothing runs by itself.

It is made to be made by the hundred. So what costs time and is no part of the simulation is made once in a
process: the empty registry, whose bytes are copied, and the key pair of the clusters' certificates.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from hsmstore.bootstrap.observing import scraping
from hsmstore.bootstrap.parts import open_attestation, world_of
from hsmstore.control.app import management_application
from hsmstore.control.health import Health
from hsmstore.domain.door import ANY, Door, Guard
from hsmstore.domain.policy.decision import IamMode
from hsmstore.domain.tally import Tally
from hsmstore.service.iam.authorizing import Authorization
from hsmstore.service.world import World
from hsmstore.settings import load
from hsmstore.settings.environment import environment
from hsmstore.settings.fields import FIELDS, Settings
from hsmstore.storage.migrations import upgrade
from hsmstore.system.certificates import X509Certificates, new_rsa_key
from hsmstore.system.clock import real_time, stopwatch
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.principals import FilePrincipals
from hsmstore.system.sealing import MASTER_KEY_SIZE, AesGcmSealer
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.auth import Identification
from hsmstore.wire.http import Application
from hsmstore.wire.metering import PROMPT, MeteredApplication

_REGISTRY: Final = "registry.sqlite3"
_MODULE: Final = ("pkcs11_profile", "pkcs11_module")
_OWN: Final = {"trail": "false", "demo": "false", "threads": "1"}
TOKEN_BYTES: Final = 32
_making: Final = threading.Lock()


class Embedded(NamedTuple):
    """A simulator without a server: the application for calls in process, and the one to be served.

    In process a request may be for any host, since it is the client's own that it is not sent to.
    """

    world: World
    application: Application
    served: Application


@contextmanager
def embedded(directory: Path, options: Mapping[str, object]) -> Iterator[Embedded]:
    """Make a simulator in an empty directory, which holds all that it keeps. Its end is the context's.

    `options` are settings by their fields' names. The environment has no say, but for the PKCS#11 module.

    Raises:
        BadSetting: an option is not allowed.
        EnvironmentUnfit: the machine cannot run it as it stands.

    """
    settings = _settings(directory, options)
    entropy = SystemEntropy()
    attestation = open_attestation(settings, entropy)
    sealer = AesGcmSealer(entropy.random_bytes(MASTER_KEY_SIZE), entropy)
    (directory / _REGISTRY).write_bytes(_made_once())
    tally = Tally(PROMPT)
    with world_of(settings, attestation, sealer, X509Certificates(_key), tally=tally) as world:
        health = Health(world)
        health.status = "ok"
        principals = FilePrincipals(settings.principals)
        identification = Identification(world.home, settings.auth, principals, real_time)
        guard = Guard(entropy.random_bytes(TOKEN_BYTES).hex(), trusts_local=True)
        management = management_application(world, health, guard, scraping(world, tally, _NoSockets))
        authorization = None if settings.iam is IamMode.OFF else Authorization(world, settings.iam)

        def application(door: Door) -> Application:
            behind = KmsApplication(world, management, None, identification, authorization, door=door)
            return MeteredApplication(behind, tally, stopwatch)

        try:
            yield Embedded(world, application(Door([ANY])), application(Door()))
        finally:
            world.faults.end()


class _NoSockets:
    """What there is to tell of a server that is none."""

    def waiting(self) -> dict[str, int]:
        return {}

    def connected(self) -> int:
        return 0


def _settings(directory: Path, options: Mapping[str, object]) -> Settings:
    variables = {FIELDS[name].variable for name in _MODULE}
    module = {name: value for name, value in environment().items() if name in variables}
    given = {name: value for name, value in options.items() if value is not None}
    return load({**given, **_OWN, "data_dir": str(directory)}, module).settings


def _made_once() -> bytes:
    """Return a registry of this version in which nothing is, as the bytes of its file."""
    with _making:
        return _empty_registry()


@cache
def _empty_registry() -> bytes:
    with TemporaryDirectory(prefix="hsmstore-") as directory:
        file = Path(directory) / _REGISTRY
        upgrade(f"sqlite:///{file}")
        return file.read_bytes()


_key: Final = cache(partial(new_rsa_key))
