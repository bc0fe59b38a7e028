"""A server: it makes a world from settings, puts the applications in front of it, and ends both in order."""

import gc
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from hsmstore.bootstrap.assembling import open_quotas
from hsmstore.bootstrap.door import open_guard, open_tls, reload_tls, require_safe
from hsmstore.bootstrap.observing import observed, scraping, traced
from hsmstore.bootstrap.parts import (
    open_log,
    open_upstream,
    open_world,
    own_credential,
)
from hsmstore.bootstrap.threads import keeping
from hsmstore.console.app import add_console
from hsmstore.control.app import management_application
from hsmstore.control.health import Health
from hsmstore.domain.door import Door
from hsmstore.domain.policy.decision import IamMode
from hsmstore.domain.principal import AuthMode, Credential
from hsmstore.domain.tally import Tally
from hsmstore.service.iam.authorizing import Authorization
from hsmstore.service.world import World
from hsmstore.settings import BadSetting, Loaded
from hsmstore.settings.fields import RELOADED, Settings
from hsmstore.storage.notices import open_notices
from hsmstore.system.clock import real_time
from hsmstore.system.ownership import owned
from hsmstore.system.principals import FilePrincipals
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.auth import Identification
from hsmstore.wire.inside import Inside
from hsmstore.wire.metering import PROMPT
from hsmstore.wire.server import Server, require_free

if TYPE_CHECKING:
    from hsmstore.wire.tls import Tls

log = logging.getLogger(__name__)

LOOK: Final = 0.5  # seconds between two looks at the file of principals


def serve(loaded: Loaded, when_ready: Callable[[str, Credential | None], None]) -> None:
    """Serve until SIGTERM or SIGINT; at SIGHUP read the settings again.

    `when_ready` is called once, in a thread of its own, with the URL, and where calls must be signed with a
    credential for the server's own.

    Raises:
        BadSetting: it would let in more than it was told to.
        EnvironmentUnfit: the machine cannot run it as it stands.

    """
    settings = loaded.settings
    open_log(settings)
    require_safe(settings)
    require_free(settings.host, settings.port)
    own = own_credential(settings)
    principals = FilePrincipals(settings.principals, *filter(None, [own]))
    if settings.auth is AuthMode.VERIFY and settings.principals is None:
        log.warning("--auth verify without --principals: nobody is known, and every call is refused")
    if settings.iam is not IamMode.OFF and (settings.principals is None or settings.auth is AuthMode.OFF):
        log.warning("--iam %s without --principals, or with --auth off: nobody is known", settings.iam)
    tally = Tally(PROMPT)
    with (
        traced(settings) as spans,
        owned(settings.data_dir),
        open_world(settings, serving=True, tally=tally, spans=spans) as world,
    ):
        tls = open_tls(settings)
        health = Health(world)
        upstream = open_upstream(settings)
        identification = Identification(world.home, settings.auth, principals, real_time)
        guard = open_guard(settings)
        management = management_application(world, health, guard, scraping(world, tally, lambda: server))
        add_console(management, world, Inside(world), guard)
        authorization = None if settings.iam is IamMode.OFF else Authorization(world, settings.iam)
        application = KmsApplication(
            world, management, upstream, identification, authorization, door=Door(settings.allow_host)
        )
        server = Server(
            observed(application, tally, spans),
            settings.host,
            settings.port,
            settings.threads,
            real_time=real_time,
            tls=None if tls is None else tls.context,
            when_listening=partial(_announce, settings, health, own, when_ready),
            before_stop=partial(_begin_to_drain, world, health),
            at_hangup=partial(_reload, world, loaded, tls),
        )
        server.most = settings.connections
        watch = Watch(principals)
        watch.start()
        try:
            gc.freeze()  # what is loaded by now stays: a collection that looks at all of it takes 50 ms
            with keeping(world, open_notices(settings.registry_url)):
                server.run()
        finally:
            watch.stop()
            if upstream is not None:
                upstream.close()


class Watch(threading.Thread):
    """Looks once in a while whether the file of principals is another; a thread of its own never waits."""

    def __init__(self, principals: FilePrincipals) -> None:
        """Take the principals."""
        super().__init__(name="watch", daemon=True)
        self._principals = principals
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._stopping.wait(LOOK):
            try:
                self._principals.look()
            except Exception:
                log.exception("the principals could not be looked at")

    def stop(self) -> None:
        """End after the look under way."""
        self._stopping.set()
        self.join()


def _reload(world: World, loaded: Loaded, tls: "Tls | None") -> None:
    """Let what may change while the server runs be as the settings say by now."""
    try:
        settings = loaded.again().settings
    except BadSetting as error:
        log.warning("the settings stay as they are: %s", error)
        return
    world.terms.profile = settings.profile
    world.terms.key_store_quota = settings.key_store_quota
    world.terms.quotas = open_quotas(settings)
    logging.getLogger().setLevel(settings.log_level.upper())
    log.warning("the settings were read again")
    reload_tls(tls)
    for name in settings.__struct_fields__:
        if name not in RELOADED and getattr(settings, name) != getattr(loaded.settings, name):
            log.warning("%s takes effect at the next start", name)


def _begin_to_drain(world: World, health: Health) -> None:
    """Say so to whoever still asks, and let the calls go that a fault holds up."""
    health.status = "draining"
    world.faults.end()


def _announce(
    settings: Settings,
    health: Health,
    own: Credential | None,
    when_ready: Callable[[str, Credential | None], None],
) -> None:
    """Say that the port accepts."""
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound
    host = wildcard.get(settings.host, settings.host)
    health.status = "ok"
    shown = f"[{host}]" if ":" in host else host
    when_ready(f"{'https' if settings.has_tls else 'http'}://{shown}:{settings.port}", own)
