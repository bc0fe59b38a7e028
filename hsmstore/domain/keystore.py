"""The custom key store: what the registry holds of it, and how its row changes."""

from dataclasses import dataclass, replace
from enum import StrEnum

from hsmstore.domain.connection import ALLOWED, Action, ConnectionState, Event, next_state
from hsmstore.domain.errors import CustomKeyStoreInvalidStateException
from hsmstore.domain.identifiers import Scope


class KeyStoreType(StrEnum):
    """`CustomKeyStoreType` of the service model."""

    AWS_CLOUDHSM = "AWS_CLOUDHSM"
    EXTERNAL_KEY_STORE = "EXTERNAL_KEY_STORE"


class XksConnectivity(StrEnum):
    """`XksProxyConnectivityType` of the service model."""

    PUBLIC_ENDPOINT = "PUBLIC_ENDPOINT"
    VPC_ENDPOINT_SERVICE = "VPC_ENDPOINT_SERVICE"


class ConnectionErrorCode(StrEnum):
    """`ConnectionErrorCodeType` of the service model: why a store is FAILED."""

    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    CLUSTER_NOT_FOUND = "CLUSTER_NOT_FOUND"
    NETWORK_ERRORS = "NETWORK_ERRORS"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    INSUFFICIENT_CLOUDHSM_HSMS = "INSUFFICIENT_CLOUDHSM_HSMS"
    USER_LOCKED_OUT = "USER_LOCKED_OUT"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    USER_LOGGED_IN = "USER_LOGGED_IN"
    SUBNET_NOT_FOUND = "SUBNET_NOT_FOUND"
    INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET = "INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET"
    XKS_PROXY_ACCESS_DENIED = "XKS_PROXY_ACCESS_DENIED"
    XKS_PROXY_NOT_REACHABLE = "XKS_PROXY_NOT_REACHABLE"
    XKS_VPC_ENDPOINT_SERVICE_NOT_FOUND = "XKS_VPC_ENDPOINT_SERVICE_NOT_FOUND"
    XKS_PROXY_INVALID_RESPONSE = "XKS_PROXY_INVALID_RESPONSE"
    XKS_PROXY_INVALID_CONFIGURATION = "XKS_PROXY_INVALID_CONFIGURATION"
    XKS_VPC_ENDPOINT_SERVICE_INVALID_CONFIGURATION = "XKS_VPC_ENDPOINT_SERVICE_INVALID_CONFIGURATION"
    XKS_PROXY_TIMED_OUT = "XKS_PROXY_TIMED_OUT"
    XKS_PROXY_INVALID_TLS_CONFIGURATION = "XKS_PROXY_INVALID_TLS_CONFIGURATION"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudHsmBacking:
    """What makes a store a CloudHSM key store.

    `password` is what KMS believes to be kmsuser's password, sealed. `pending_password` is the one that
    a rotation is about to set, written ahead: after a crash between C_SetPIN and the commit, one of the
    two is right.
    """

    cluster_id: str
    trust_anchor_certificate: str
    password: bytes
    pending_password: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class XksBacking:
    """What makes a store an external key store. `secret_access_key` is sealed."""

    connectivity: XksConnectivity
    uri_endpoint: str
    uri_path: str
    access_key_id: str
    secret_access_key: bytes
    vpc_endpoint_service_name: str | None = None
    vpc_endpoint_service_owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStore:
    """A custom key store.

    Times are seconds since the epoch. `due_at` is when the phase CONNECTING or DISCONNECTING is over,
    and None in every other state; `error_code` is set in FAILED and nowhere else. `version` counts the
    row's changes: the registry replaces a row only where state and version are still what was read.
    """

    id: str
    scope: Scope
    name: str
    created_at: float
    backing: CloudHsmBacking | XksBacking
    state: ConnectionState = ConnectionState.DISCONNECTED
    state_since: float
    due_at: float | None = None
    error_code: ConnectionErrorCode | None = None
    version: int = 1

    @property
    def type(self) -> KeyStoreType:
        """The store's CustomKeyStoreType, which its backing decides."""
        if isinstance(self.backing, CloudHsmBacking):
            return KeyStoreType.AWS_CLOUDHSM
        return KeyStoreType.EXTERNAL_KEY_STORE

    def require(self, action: Action) -> None:
        """Refuse `action` where the state forbids it.

        Raises:
            CustomKeyStoreInvalidStateException: it does; the text is ours.

        """
        allowed = ALLOWED[action]
        if self.state not in allowed:
            states = " or ".join(sorted(allowed))
            raise CustomKeyStoreInvalidStateException(
                f"Custom key store {self.id} is {self.state}; {action.value} needs it to be {states}."
            )

    def after(
        self,
        event: Event,
        now: float,
        *,
        due_at: float | None = None,
        error_code: ConnectionErrorCode | None = None,
    ) -> "KeyStore":
        """Return the store as `event` leaves it.

        Raises:
            CustomKeyStoreInvalidStateException: the state machine refuses the event.

        """
        state = next_state(self.state, event)
        if state is None:
            raise CustomKeyStoreInvalidStateException(
                f"Custom key store {self.id} is {self.state}, which refuses the event {event.value}."
            )
        return replace(self, state=state, state_since=now, due_at=due_at, error_code=error_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStoreEvent:
    """One thing that happened to a store: what, when, and where it led. `detail` is for people."""

    key_store_id: str
    at: float
    event: str
    state: ConnectionState
    error_code: ConnectionErrorCode | None = None
    detail: str = ""
