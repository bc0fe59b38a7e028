"""A simulator inside another program: an application over a world of its own; nothing runs by itself.

It is made to be made by the hundred. So what costs time and is no part of the simulation is made once in a
process: a registry in which nothing is, whose bytes are copied, and the key pair of the clusters'
certificates.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hsmstore.bootstrap.assembling import Adapters, assembled, open_attestation
from hsmstore.bootstrap.late import Lateness
from hsmstore.bootstrap.observing import observed, scraping
from hsmstore.domain.door import ANY, Door, Guard
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.policy.decision import IamMode
from hsmstore.domain.ports import Entropy
from hsmstore.domain.tally import Tally
from hsmstore.hsm.profile import load_profile
from hsmstore.service.iam.authorizing import Authorization
from hsmstore.service.world import World
from hsmstore.settings import load
from hsmstore.settings.environment import environment
from hsmstore.settings.fields import FIELDS, Settings
from hsmstore.system.certificates import X509Certificates, new_rsa_key
from hsmstore.system.clock import SystemClock, real_time
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.principals import FilePrincipals
from hsmstore.wire.app import MANAGEMENT_PREFIX, KmsApplication
from hsmstore.wire.auth import Identification
from hsmstore.wire.http import Application
from hsmstore.wire.metering import PROMPT
from hsmstore.wire.wsgi import Environ, StartResponse, WsgiApplication

if TYPE_CHECKING:
    from hsmstore.control.app import ManagementApplication
    from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
    from hsmstore.storage.registry import SqlRegistry
    from hsmstore.system.sealing import AesGcmSealer

_REGISTRY: Final = "registry.sqlite3"
_MODULE: Final = ("pkcs11_profile", "pkcs11_module")
_OWN: Final = {"trail": "false", "demo": "false", "threads": "1"}
TOKEN_BYTES: Final = 32
_making: Final = threading.Lock()
_first: Final[list[bytes]] = []
"""The bytes of the process's first registry, while nothing was in it."""


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
    _require_module(settings.pkcs11_profile, settings.pkcs11_module)
    entropy = SystemEntropy()
    tally = Tally(PROMPT)
    with Lateness() as parts:
        adapters = Adapters(
            clock=SystemClock(),
            sealer=parts.late(lambda _: _sealer(entropy)),
            certificates=X509Certificates(_key),
            attestation=open_attestation(settings, entropy),
            registry=parts.late(partial(_registry, settings)),
            hsm=parts.late(partial(_hsm, settings, tally)),
        )
        world = assembled(settings, adapters, shared=False)
        identification = Identification(
            world.home, settings.auth, FilePrincipals(settings.principals), real_time
        )
        management = _management(world, tally, entropy)
        authorization = None if settings.iam is IamMode.OFF else Authorization(world, settings.iam)

        def application(door: Door) -> Application:
            behind = KmsApplication(world, management, None, identification, authorization, door=door)
            return observed(behind, tally, None)

        try:
            yield Embedded(world, application(Door([ANY])), application(Door()))
        finally:
            world.faults.end()
            world.gate.shut_all()


@cache
def _require_module(profile: str, module: Path | None) -> None:
    """Find the PKCS#11 module's file before a call asks for it, which could only be refused."""
    load_profile(profile).locate(None if module is None else str(module))


# What not every test needs is loaded by the one that does: a database, PKCS#11, a server's libraries, pages.


def _registry(settings: Settings, until: ExitStack) -> "SqlRegistry":
    from hsmstore.storage.registry import SqlRegistry  # noqa: PLC0415  # see above

    _begin_registry(settings.data_dir / _REGISTRY, settings.registry_url)
    registry = SqlRegistry(settings.registry_url)
    until.callback(registry.close)
    return registry


def _begin_registry(file: Path, url: str) -> None:
    """Put a registry of this version there in which nothing is.

    Raises:
        EnvironmentUnfit: it cannot be written.

    """
    from hsmstore.storage.migrations import upgrade  # noqa: PLC0415  # see above

    try:
        with _making:
            if _first:
                file.write_bytes(_first[0])
            else:
                upgrade(url)
                _first.append(file.read_bytes())
    except OSError as error:
        raise EnvironmentUnfit(
            f"no registry can be made in {file.parent}: {error.strerror}",
            "give this user the directory, and room on its disk",
        ) from error


def _hsm(settings: Settings, tally: Tally, until: ExitStack) -> "Pkcs11Hsm":
    from hsmstore.bootstrap.parts import open_hsm  # noqa: PLC0415  # see above

    hsm = open_hsm(settings, tally)
    until.callback(hsm.close)
    return hsm


def _sealer(entropy: Entropy) -> "AesGcmSealer":
    from hsmstore.system.sealing import MASTER_KEY_SIZE, AesGcmSealer  # noqa: PLC0415  # see above

    return AesGcmSealer(entropy.random_bytes(MASTER_KEY_SIZE), entropy)


def _management(world: World, tally: Tally, entropy: Entropy) -> WsgiApplication:
    """Return the management API; the console joins it when somebody asks for a page."""
    guard = Guard(entropy.random_bytes(TOKEN_BYTES).hex(), trusts_local=True)

    @cache
    def application() -> "ManagementApplication":
        from hsmstore.control.app import management_application  # noqa: PLC0415  # see above
        from hsmstore.control.health import Health  # noqa: PLC0415  # see above

        health = Health(world)
        health.status = "ok"
        return management_application(world, health, guard, scraping(world, tally, _NoSockets))

    @cache
    def join_console() -> None:
        from hsmstore.console.app import add_console  # noqa: PLC0415  # see above
        from hsmstore.wire.inside import Inside  # noqa: PLC0415  # see above

        add_console(application(), world, Inside(world), guard)

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        below = environ["PATH_INFO"].removeprefix(MANAGEMENT_PREFIX.decode())
        if below in {"", "/"} or below.startswith("/console"):
            join_console()
        return application()(environ, start_response)

    return answer


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


_key: Final = cache(partial(new_rsa_key))
