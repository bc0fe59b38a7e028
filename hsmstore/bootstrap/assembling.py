"""A world of adapters, whoever made them."""

from typing import NamedTuple

from hsmstore.attestation.untrusting import NoAttestation
from hsmstore.domain.attestation import Attestation
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.ports import Certificates, Clock, Entropy, Hsm, Registry, Sealer
from hsmstore.domain.quotas import QuotaMode, Quotas, adjusted
from hsmstore.domain.trail import Trail
from hsmstore.service.faultplan import FaultPlan
from hsmstore.service.world import Replica, Terms, World
from hsmstore.settings.fields import Settings
from hsmstore.system.checkpoint import checkpoint
from hsmstore.system.clock import monotonic
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.ownership import place_of


class Adapters(NamedTuple):
    """What differs from world to world."""

    clock: Clock
    sealer: Sealer
    certificates: Certificates
    attestation: Attestation
    registry: Registry
    hsm: Hsm
    trail: Trail | None = None


def assembled(settings: Settings, adapters: Adapters, *, shared: bool) -> World:
    """Return a world, whose fault plan is still to be loaded; `shared` tells that others use its registry."""
    return World(
        clock=adapters.clock,
        sealer=adapters.sealer,
        certificates=adapters.certificates,
        attestation=adapters.attestation,
        registry=adapters.registry,
        hsm=adapters.hsm,
        trail=adapters.trail,
        entropy=SystemEntropy(),
        home=Scope(settings.account, settings.region),
        terms=Terms(
            profile=settings.profile,
            key_store_quota=settings.key_store_quota,
            quotas=open_quotas(settings),
            has_tls=settings.has_tls,
        ),
        faults=FaultPlan(adapters.registry, adapters.clock, holds=settings.threads - 1, shared=shared),
        replica=Replica(monotonic, shared=shared, seconds=settings.lease, place=place_of(settings.data_dir)),
        checkpoint=checkpoint(settings.crash_at),
    )


def open_attestation(settings: Settings, entropy: Entropy) -> Attestation:
    """Trust the configured roots; a world without one is spared the 30 ms that X.509 takes to load."""
    if not settings.attestation_root:
        return NoAttestation()
    from hsmstore.attestation.nitro import NitroAttestation  # noqa: PLC0415  # see above
    from hsmstore.attestation.roots import load_roots  # noqa: PLC0415

    return NitroAttestation(load_roots(settings.attestation_root), entropy, monotonic)


def open_quotas(settings: Settings) -> Quotas | None:
    """Return the request quotas, all of them unused."""
    return None if settings.quotas is QuotaMode.OFF else Quotas(adjusted(settings.quota_rate))
