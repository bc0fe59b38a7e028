"""Entities to store: one plain store and cluster, and strategies for every form they can take."""

from hypothesis import strategies as st

from hsmstore.domain.cluster import Cluster, ClusterState, HsmState, HsmUnit, Subnet, TokenReference
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import (
    CloudHsmBacking,
    ConnectionErrorCode,
    KeyStore,
    XksBacking,
    XksConnectivity,
)

SCOPE = Scope("123456789012", "us-east-1")
ELSEWHERE = (Scope("123456789012", "eu-west-1"), Scope("210987654321", "us-east-1"))
PHASES = frozenset({ConnectionState.CONNECTING, ConnectionState.DISCONNECTING})


class Undone(Exception):
    """Raised to roll a unit back."""


def store(number: int = 1, *, scope: Scope = SCOPE, created_at: float = 1.0) -> KeyStore:
    """Return the `number`th disconnected CloudHSM key store."""
    return KeyStore(
        id=f"cks-{number:017x}",
        scope=scope,
        name=f"store {number}",
        created_at=created_at,
        state_since=created_at,
        backing=CloudHsmBacking(
            cluster_id=f"cluster-{number}", trust_anchor_certificate="PEM", password=b"sealed"
        ),
    )


def cluster(number: int = 1, *, scope: Scope = SCOPE, created_at: float = 1.0) -> Cluster:
    """Return the `number`th active cluster, with two HSMs."""
    return Cluster(
        id=f"cluster-{number}",
        scope=scope,
        state=ClusterState.ACTIVE,
        created_at=created_at,
        trust_anchor_certificate="PEM",
        hsms=(
            HsmUnit(id=f"hsm-{number}b", availability_zone="us-east-1a", has_kmsuser=True),
            HsmUnit(id=f"hsm-{number}a", availability_zone="us-east-1b", has_kmsuser=True),
        ),
        subnets=(Subnet(id=f"subnet-{number}", availability_zone="us-east-1a", free_addresses=251),),
        token=None,
        crypto_officer_pin=None,
    )


# PostgreSQL keeps no NUL in a text, so it is written as an escape there; UTF-8 knows no lone surrogate.
_texts = st.text(st.sampled_from("\0\x1a0=") | st.characters(exclude_categories=["Cs"]), max_size=40)
_times = st.floats(min_value=0, max_value=1e12, allow_nan=False)
_sealed = st.binary(min_size=1, max_size=60)
_versions = st.integers(1, 2**31 - 2)  # and one to count up
_scopes = st.sampled_from((SCOPE, *ELSEWHERE))

_cloudhsm_backings = st.builds(
    CloudHsmBacking,
    cluster_id=_texts,
    trust_anchor_certificate=_texts,
    password=_sealed,
    pending_password=st.none() | _sealed,
)
_xks_backings = st.builds(
    XksBacking,
    connectivity=st.sampled_from(XksConnectivity),
    uri_endpoint=_texts,
    uri_path=_texts,
    access_key_id=_texts,
    secret_access_key=_sealed,
    vpc_endpoint_service_name=st.none() | _texts,
    vpc_endpoint_service_owner=st.none() | _texts,
)


@st.composite
def key_stores(draw: st.DrawFn) -> KeyStore:
    """Draw a store of any form that its invariants allow."""
    state = draw(st.sampled_from(ConnectionState))
    failed = state is ConnectionState.FAILED
    return KeyStore(
        id=draw(_texts),
        scope=draw(_scopes),
        name=draw(_texts),
        created_at=draw(_times),
        backing=draw(_cloudhsm_backings | _xks_backings),
        state=state,
        state_since=draw(_times),
        due_at=draw(_times) if state in PHASES else None,
        error_code=draw(st.sampled_from(ConnectionErrorCode)) if failed else None,
        version=draw(_versions),
    )


_tokens = st.builds(
    TokenReference, profile=_texts, module=_texts, label=_texts, serial=_texts, address=st.none() | _texts
)
_hsms = st.lists(
    st.builds(
        HsmUnit,
        id=_texts,
        availability_zone=_texts,
        state=st.sampled_from(HsmState),
        has_kmsuser=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda hsm: hsm.id,
)
_subnets = st.lists(
    st.builds(
        Subnet,
        id=_texts,
        availability_zone=_texts,
        free_addresses=st.integers(0, 251),
        exists=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda subnet: subnet.id,
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Draw a cluster of any form."""
    return Cluster(
        id=draw(_texts),
        scope=draw(_scopes),
        state=draw(st.sampled_from(ClusterState)),
        created_at=draw(_times),
        trust_anchor_certificate=draw(_texts),
        hsms=tuple(draw(_hsms)),
        subnets=tuple(draw(_subnets)),
        token=draw(st.none() | _tokens),
        crypto_officer_pin=draw(st.none() | _sealed),
        network_reachable=draw(st.booleans()),
        failed_logins=draw(st.integers(0, 6)),
        kmsuser_elsewhere=draw(st.booleans()),
        version=draw(_versions),
    )
