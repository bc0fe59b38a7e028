"""Where the ports meet their adapters: the only file that names concrete classes.

It makes a world from settings, puts the applications in front of it, and ends both in order.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from hsmstore.attestation.untrusting import NoAttestation
from hsmstore.control.app import Health, management_application
from hsmstore.domain.attestation import Attestation
from hsmstore.domain.causes import CAUSES
from hsmstore.domain.cluster import Backup, Cluster, ServedToken
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.findings import Finding
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.key import Remains
from hsmstore.domain.keystore import ConnectionErrorCode, KeyStore
from hsmstore.domain.ports import Entropy, HsmUnavailable, Unit
from hsmstore.hsm.directory import ClusterDirectory
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from hsmstore.hsm.remoting import TokenServer, serving
from hsmstore.service import lifecycle
from hsmstore.service.faultplan import FaultPlan
from hsmstore.service.keys.material import sweep
from hsmstore.service.settling import settle
from hsmstore.service.world import Terms, World
from hsmstore.settings import RELOADED, BadSetting, Loaded, Settings
from hsmstore.storage.migrations import SchemaState, current_state, upgrade
from hsmstore.storage.registry import SqlRegistry
from hsmstore.system.certificates import X509Certificates
from hsmstore.system.checkpoint import checkpoint
from hsmstore.system.clock import SystemClock, monotonic, real_time
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.ownership import owned
from hsmstore.system.sealing import AesGcmSealer, open_master_key
from hsmstore.system.secretfile import kept_secret
from hsmstore.wire.app import KmsApplication
from hsmstore.wire.server import Server, require_free

log = logging.getLogger(__name__)

TICK: Final = 0.1  # seconds between two looks at what is due
TICK_AFTER_FAILURE: Final = 1.0  # seconds until what failed is tried again

SERVED: Final = "hsm-serve"  # in the data directory: tokens behind p11-kit remoting, each with its owner
SOCKET: Final = "p11-kit.socket"
CRYPTO_OFFICER_PIN: Final = "crypto-officer.pin"
KMSUSER_PASSWORD: Final = "kmsuser.password"  # noqa: S105  # a file name


def serve(loaded: Loaded, when_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; at SIGHUP read the settings again.

    `when_ready` is called once, in a thread of its own, with the URL.

    Raises:
        EnvironmentUnfit: the machine cannot run it as it stands.

    """
    settings = loaded.settings
    _log_to_stderr(settings.log_level)
    require_free(settings.host, settings.port)
    with owned(settings.data_dir), open_world(settings) as world:
        health = Health(world)
        application = KmsApplication(world, management_application(world, health))
        server = Server(
            application,
            settings.host,
            settings.port,
            settings.threads,
            real_time=real_time,
            when_listening=partial(_announce, settings, health, when_ready),
            before_stop=world.faults.end,
            at_hangup=partial(_reload, world, loaded),
        )
        ticker = Ticker(world)
        lifecycle.resume_elsewhere(world)
        ticker.start()
        try:
            server.run()
        finally:
            health.status = "draining"
            ticker.stop()


@contextmanager
def open_world(settings: Settings) -> Iterator[World]:
    """Make a world: migrate the registry, open the master key; close everything at the end.

    Raises:
        EnvironmentUnfit: registry, master key or an attestation root cannot be used.

    """
    entropy = SystemEntropy()
    attestation = _attestation(settings, entropy)
    sealer = _open_sealer(settings)
    upgrade(settings.registry_url)
    registry = SqlRegistry(settings.registry_url)
    clock = _clock(registry)
    world = World(
        clock=clock,
        entropy=entropy,
        sealer=sealer,
        certificates=X509Certificates(),
        attestation=attestation,
        registry=registry,
        hsm=_hsm(settings),
        home=Scope(settings.account, settings.region),
        terms=Terms(profile=settings.profile, key_store_quota=settings.key_store_quota),
        faults=FaultPlan(registry, clock, holds=settings.threads - 1),
        checkpoint=checkpoint(settings.crash_at),
    )
    try:
        yield world
    finally:
        world.gate.shut_all()
        world.hsm.close()
        registry.close()


def serve_token(
    settings: Settings,
    label: str,
    socket_path: Path | None,
    kmsuser_password: str | None,
    when_ready: Callable[[ServedToken], None],
) -> None:
    """Put the token `label` behind p11-kit remoting until SIGTERM or SIGINT; make it where there is none.

    Without `kmsuser_password` one is made up, and kept in a file.

    Raises:
        EnvironmentUnfit: the machine cannot serve it as it stands, or another process owns the token.

    """
    _log_to_stderr(settings.log_level)
    endings = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)  # before any thread: they inherit it
    directory = settings.data_dir.absolute() / SERVED / label
    path = socket_path or directory / SOCKET
    for parent in (settings.data_dir, directory.parent):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with owned(directory):
        made = _make_token(directory, label, kmsuser_password, settings)
        server = TokenServer(ClusterDirectory(directory / label), module=_module(settings))
        with serving(server, path.absolute()):
            when_ready(
                ServedToken(
                    token=server.token,
                    address=f"unix:path={path.absolute()}",
                    directory=directory,
                    crypto_officer_pin=directory / CRYPTO_OFFICER_PIN,
                    kmsuser_password=made if made.exists() else None,
                )
            )
            signal.sigwait(endings)


def _make_token(directory: Path, label: str, password: str | None, settings: Settings) -> Path:
    """Make the token where there is none; return where a password that was made up is kept.

    Both secrets are on the disk before the token is made: a kill in between loses neither.
    """
    kept = directory / KMSUSER_PASSWORD
    if (directory / label).exists():
        if password is not None:
            raise EnvironmentUnfit(
                f"the token {label} is there already, and kmsuser has a password",
                "leave the password out, or change it through the cluster",
            )
        return kept
    entropy = SystemEntropy()
    pin = kept_secret(directory / CRYPTO_OFFICER_PIN, entropy)
    hsm = Pkcs11Hsm(directory, monotonic)
    try:
        hsm.create_token(label, pin, password or kept_secret(kept, entropy), module=_module(settings))
    except HsmUnavailable as error:
        raise EnvironmentUnfit(error.reason, "see `hsmstore doctor`") from error
    return kept


class Ticker(threading.Thread):
    """Settles what is due when nobody looks; at first it logs in again wherever a row says CONNECTED."""

    def __init__(self, world: World) -> None:
        """Take the world to keep moving."""
        super().__init__(name="ticker", daemon=True)
        self._world = world
        self._stopping = threading.Event()

    def run(self) -> None:
        """Tick until told to stop; a tick that fails is logged and the next one tries again."""
        self._guarded(lifecycle.resume)
        went = True
        while not self._stopping.wait(TICK if went else TICK_AFTER_FAILURE):
            went = self._guarded(settle) is True

    def stop(self) -> None:
        """End after the tick under way."""
        self._stopping.set()
        self.join()

    def _guarded(self, step: Callable[[World], bool | None]) -> bool | None:
        try:
            return step(self._world)
        except EnvironmentUnfit as error:
            log.warning("the ticker could not %s: %s", step.__name__, error)
        except Exception:
            log.exception("the ticker could not %s", step.__name__)
        return None


def upgrade_registry(settings: Settings) -> None:
    """Bring the registry's schema to this version.

    Raises:
        EnvironmentUnfit: the registry cannot be used, or a server is using it.

    """
    with owned(settings.data_dir):
        _open_sealer(settings)
        upgrade(settings.registry_url)


def registry_state(settings: Settings) -> SchemaState:
    """Return how the registry's schema stands.

    Raises:
        EnvironmentUnfit: the registry cannot be used.

    """
    return current_state(settings.registry_url)


def examine(settings: Settings, *, fix: bool = False) -> list[Finding]:
    """Look at everything that a server needs, and say what is wrong with it.

    With `fix`, and where no server is using it, what can be mended without losing anything is mended.
    """
    room = _examine_data_dir(settings)
    if not (fix and room.ok and settings.data_dir.exists()):
        return [room, *_examine_inside(settings)]
    with owned(settings.data_dir):
        return [room, *_examine_inside(settings, fix=True)]


def _examine_inside(settings: Settings, *, fix: bool = False) -> list[Finding]:
    registry, clusters, backups, inside = _examine_registry(settings, fix=fix)
    return [registry, *inside, *_hsm(settings).inspect(clusters, backups, fix=fix)]


def _examine_data_dir(settings: Settings) -> Finding:
    subject = f"data directory {settings.data_dir}"
    if not settings.data_dir.exists():
        return Finding(subject=subject, detail="not there yet; the first start makes it")
    try:
        with owned(settings.data_dir):
            _open_sealer(settings)
    except EnvironmentUnfit as error:
        return Finding(subject=subject, detail=error.reason, mend=error.mend)
    return Finding(subject=subject, detail="usable, and no server is using it")


class _Registered(NamedTuple):
    """What there is to say of the registry; its clusters are None where it cannot be read."""

    finding: Finding
    clusters: list[Cluster] | None = None
    backups: Sequence[Backup] = ()
    inside: Sequence[Finding] = ()


def _examine_registry(settings: Settings, *, fix: bool) -> _Registered:
    """Look at the registry, and return what it holds."""
    subject, migrated = "registry", ""
    if settings.database_url is None and not settings.data_dir.exists():
        return _Registered(Finding(subject=subject, detail="not there yet; the first start makes it"))
    try:
        state = current_state(settings.registry_url)
        if state is not SchemaState.CURRENT and not fix:
            detail = f"{state.name.lower()}; the next start migrates it"
            return _Registered(Finding(subject=subject, detail=detail))
        if state is not SchemaState.CURRENT:
            upgrade(settings.registry_url)
            migrated = f"{state.name.lower()}: migrated; "
        if fix:
            with open_world(settings) as world:
                sweep(world)
        with closing(SqlRegistry(settings.registry_url)) as registry, registry.reading() as unit:
            clusters, backups, stranded = unit.clusters(), unit.backups(), unit.stranded_key_stores()
            orphans = [
                _orphan(unit, remains) for remains in unit.remains() if unit.cluster(remains.cluster_id)
            ]
    except EnvironmentUnfit as error:
        return _Registered(Finding(subject=subject, detail=error.reason, mend=error.mend))
    finding = Finding(subject=subject, detail=f"{migrated}current; {len(clusters)} clusters")
    return _Registered(finding, clusters, backups, [*(_stranded(store) for store in stranded), *orphans])


def _stranded(store: KeyStore) -> Finding:
    """Say of a key store whose cluster has been deleted what AWS's documentation says."""
    cause = CAUSES[ConnectionErrorCode.CLUSTER_NOT_FOUND]
    steps = (step.partition("  #")[0].format(store=store.id, cluster="CLUSTER") for step in cause.mend)
    return Finding(
        subject=store.id,
        detail=f"key store {store.name}: {cause.meaning}",
        mend=f"{'; '.join(f'hsmstore {step}' for step in steps)}; or delete the key store",
    )


def _orphan(unit: Unit, remains: Remains) -> Finding:
    """Say of key material that no key has how it came about, and how to be rid of it."""
    store = unit.key_store(remains.scope, remains.key_store_id)
    mend = "hsmstore doctor --fix"
    if store is None:
        mend = f"hsmstore cluster delete {remains.cluster_id}, if nothing else in it is needed"
    elif store.state is not ConnectionState.CONNECTED:
        mend = f"hsmstore store connect {store.id}; then stop the server, and hsmstore doctor --fix"
    came_about = (
        "its key was never finished"
        if remains.unfinished
        else "its key was deleted, out of the cluster's reach"
    )
    return Finding(
        subject=remains.arn,
        detail=f"key material may be left on {remains.cluster_id}: {came_about}",
        mend=mend,
    )


def _open_sealer(settings: Settings) -> AesGcmSealer:
    """Open the master key before the registry exists: afterwards a missing key is a lost key."""
    entropy = SystemEntropy()
    fresh = current_state(settings.registry_url) is SchemaState.EMPTY
    key = open_master_key(settings.data_dir / "master.key", entropy, may_create=fresh)
    return AesGcmSealer(key, entropy)


def _attestation(settings: Settings, entropy: Entropy) -> Attestation:
    """Trust the configured roots; a server without one is spared the 30 ms that X.509 takes to load."""
    if not settings.attestation_root:
        return NoAttestation()
    from hsmstore.attestation.nitro import NitroAttestation  # noqa: PLC0415  # see above
    from hsmstore.attestation.roots import load_roots  # noqa: PLC0415

    return NitroAttestation(load_roots(settings.attestation_root), entropy, monotonic)


def _clock(registry: SqlRegistry) -> SystemClock:
    """Run on from where the registry stands, even where the machine's clock has been set back since."""
    with registry.reading() as unit:
        return SystemClock(unit.clock(), not_before=unit.latest_change() or 0.0)


def _hsm(settings: Settings) -> Pkcs11Hsm:
    return Pkcs11Hsm(
        settings.data_dir / "hsm",
        monotonic,
        profile=settings.pkcs11_profile,
        module=_module(settings),
    )


def _module(settings: Settings) -> str | None:
    return None if settings.pkcs11_module is None else str(settings.pkcs11_module)


def _log_to_stderr(level: str) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
    )


def _reload(world: World, loaded: Loaded) -> None:
    """Let what may change while the server runs be as the settings say by now."""
    try:
        settings = loaded.again().settings
    except BadSetting as error:
        log.warning("the settings stay as they are: %s", error)
        return
    world.terms.profile = settings.profile
    world.terms.key_store_quota = settings.key_store_quota
    logging.getLogger().setLevel(settings.log_level.upper())
    log.warning("the settings were read again")
    for name in settings.__struct_fields__:
        if name not in RELOADED and getattr(settings, name) != getattr(loaded.settings, name):
            log.warning("%s takes effect at the next start", name)


def _announce(settings: Settings, health: Health, when_ready: Callable[[str], None]) -> None:
    """Say that the port accepts."""
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared with, not bound
    host = wildcard.get(settings.host, settings.host)
    health.status = "ok"
    shown = f"[{host}]" if ":" in host else host
    when_ready(f"http://{shown}:{settings.port}")
