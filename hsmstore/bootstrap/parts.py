"""The adapters and the world that they make, from settings."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from hsmstore.bootstrap.assembling import Adapters, assembled, open_attestation
from hsmstore.domain.errors import Conflict, EnvironmentUnfit
from hsmstore.domain.ports import SealBroken
from hsmstore.domain.principal import (
    AuthMode,
    Caller,
    Credential,
    Principal,
    PrincipalType,
    new_access_key_id,
    new_secret_access_key,
)
from hsmstore.domain.tally import Tally
from hsmstore.domain.tracing import Spans
from hsmstore.domain.upstream import Upstream
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from hsmstore.logs.handler import log_to_stderr
from hsmstore.service.replica import give_back
from hsmstore.service.world import World
from hsmstore.settings.environment import environment
from hsmstore.settings.fields import Settings
from hsmstore.storage.migrations import SchemaState, current_state, upgrade
from hsmstore.storage.notices import is_shared
from hsmstore.storage.registry import SqlRegistry
from hsmstore.system.certificates import X509Certificates
from hsmstore.system.clock import SystemClock, monotonic
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.sealing import AesGcmSealer, open_master_key
from hsmstore.trail.files import Retention
from hsmstore.trail.writer import FileTrail, open_trail

_KEY_CHECK: Final = "registry/master-key"


@contextmanager
def open_world(
    settings: Settings, *, serving: bool = False, tally: Tally | None = None, spans: Spans | None = None
) -> Iterator[World]:
    """Make a world: migrate the registry, open the master key; close everything at the end.

    Only one that is `serving` keeps the trail. Errors of HSMs are counted in `tally`, and with
    `spans` what is asked of them is traced.

    Raises:
        EnvironmentUnfit: registry, master key or an attestation root cannot be used.

    """
    entropy = SystemEntropy()
    attestation = open_attestation(settings, entropy)
    sealer = open_sealer(settings)
    upgrade(settings.registry_url)
    with closing(SqlRegistry(settings.registry_url)) as registry, ExitStack() as until:
        shared = is_shared(settings.registry_url)
        if shared:
            require_same_key(registry, sealer, key_file(settings))
        clock, trail = open_clock(registry), None
        if serving and settings.trail:
            trail = _open_trail(settings, registry, clock, entropy)
            until.callback(trail.close)
        hsm = open_hsm(settings, tally, spans)
        until.callback(hsm.close)
        adapters = Adapters(
            clock=clock,
            sealer=sealer,
            certificates=X509Certificates(),
            attestation=attestation,
            registry=registry,
            hsm=hsm,
            trail=trail,
        )
        world = assembled(settings, adapters, shared=shared)
        until.callback(give_back, world)
        world.faults.reload()
        yield world


def open_sealer(settings: Settings) -> AesGcmSealer:
    """Open the master key before the registry exists: afterwards a missing key is a lost key."""
    entropy = SystemEntropy()
    fresh = current_state(settings.registry_url) is SchemaState.EMPTY
    key = open_master_key(key_file(settings), entropy, may_create=fresh)
    return AesGcmSealer(key, entropy)


def key_file(settings: Settings) -> Path:
    """Return the file of the master key, whether it was set or not."""
    return settings.master_key or settings.data_dir / "master.key"


def require_same_key(registry: SqlRegistry, sealer: AesGcmSealer, file: Path) -> None:
    """Refuse a master key that is not the other replicas'. The first of them leaves what to try it on.

    Raises:
        EnvironmentUnfit: `file` holds another key than theirs.

    """
    with suppress(Conflict), registry.writing() as unit:  # Conflict: somebody else left it
        if unit.leases.key_check() is None:
            unit.leases.set_key_check(sealer.seal(b"", _KEY_CHECK))
    with registry.reading() as unit:
        sealed = unit.leases.key_check()
    try:
        sealer.unseal(sealed or b"", _KEY_CHECK)
    except SealBroken:
        raise EnvironmentUnfit(
            f"the registry's secrets are sealed with another key than {file}",
            "copy the master key of the other replicas, and name the copy with --master-key",
        ) from None


def _open_trail(
    settings: Settings, registry: SqlRegistry, clock: SystemClock, entropy: SystemEntropy
) -> FileTrail:
    keep = Retention(settings.trail_keep, settings.trail_size * 1024 * 1024)
    return open_trail(settings.data_dir / "trail", registry, clock, entropy, keep)


def open_clock(registry: SqlRegistry) -> SystemClock:
    """Run on from where the registry stands, even where the machine's clock has been set back since."""
    with registry.reading() as unit:
        return SystemClock(unit.clock(), not_before=unit.latest_change() or 0.0)


def open_hsm(settings: Settings, tally: Tally | None = None, spans: Spans | None = None) -> Pkcs11Hsm:
    """Make the HSM room; nothing is loaded yet."""
    counting = tally or Tally(())
    return Pkcs11Hsm(
        settings.data_dir / "hsm",
        monotonic,
        profile=settings.pkcs11_profile,
        module=module_of(settings),
        shared=is_shared(settings.registry_url),
        failed=counting.hsm_error,
        calling=None if spans is None else spans.calling,
    )


def open_upstream(settings: Settings) -> Upstream | None:
    """Return the way to the other emulator, if there is one; nothing is connected yet."""
    if settings.upstream is None:
        return None
    from hsmstore.upstream.client import HttpUpstream  # noqa: PLC0415  # only such a server needs HTTP's client

    return HttpUpstream(settings.upstream)


def own_credential(settings: Settings) -> Credential | None:
    """Return what the server itself signs with where calls must be signed: made up, kept nowhere."""
    if settings.auth is not AuthMode.VERIFY:
        return None
    random_bytes = SystemEntropy().random_bytes
    access_key_id = new_access_key_id(random_bytes)
    root = Principal(name="root", type=PrincipalType.ROOT, account=settings.account)
    return Credential(
        access_key_id=access_key_id,
        secret_access_key=new_secret_access_key(random_bytes),
        caller=Caller(access_key_id=access_key_id, principal=root),
    )


def module_of(settings: Settings) -> str | None:
    """Return the path of the module that is to be loaded instead of the profile's."""
    return None if settings.pkcs11_module is None else str(settings.pkcs11_module)


def open_log(settings: Settings) -> None:
    """Write the log to standard error, in colours for a person at a terminal who has not declined them."""
    colors = sys.stderr.isatty() and not environment().get("NO_COLOR")
    log_to_stderr(settings.log_level, settings.log_format, colors=colors)
