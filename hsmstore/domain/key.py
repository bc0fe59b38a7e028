"""The KMS key in a custom key store: what the registry holds of it, and what its state allows.

Rules (KMS Developer Guide, "Key states of AWS KMS keys"; the key's material is in the store's cluster):

- A key is Enabled or Disabled as its owner last said, or PendingDeletion until `deletion_at`.
- While its store is not CONNECTED an Enabled or Disabled key is Unavailable. What its owner says meanwhile
  is remembered, and holds once the store is connected again.
- PendingDeletion never shows as Unavailable.
- What happens to the material on the token never changes the state.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import DisabledException, KMSInvalidStateException
from hsmstore.domain.identifiers import Scope, key_arn
from hsmstore.domain.keystore import CloudHsmBacking, KeyStore


class KeyState(StrEnum):
    """`KeyState` of the service model; these are the ones that a key in a key store can be in."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"
    UNAVAILABLE = "Unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsKey:
    """A symmetric key whose material is in the cluster of its store.

    `store` is the store as it stood when the key was read; it is no part of the key's row. Times are seconds
    since the epoch; `deletion_at` is set while the key is pending deletion. `version` counts the row's
    changes.
    """

    id: str
    scope: Scope
    store: KeyStore = field(compare=False)
    created_at: float
    description: str = ""
    policy: str
    enabled: bool = True
    deletion_at: float | None = None
    version: int = 1

    @property
    def arn(self) -> str:
        """The key's ARN, which is also the label of its material on the token."""
        return key_arn(self.scope, self.id)

    @property
    def material_id(self) -> bytes:
        """CKA_ID of the key's material: its id, 16 bytes."""
        return UUID(self.id).bytes

    @property
    def cluster_id(self) -> str:
        """The cluster that the store has behind it now; a new one has the old one's keys."""
        backing = self.store.backing
        assert isinstance(backing, CloudHsmBacking)  # noqa: S101  # no other kind of store has keys here
        return backing.cluster_id

    @property
    def state(self) -> KeyState:
        """The key's state, by its row and its store's."""
        return self.state_for(self.store)

    def state_for(self, store: KeyStore) -> KeyState:
        """Return the key's state when its store stands as `store` does."""
        if self.deletion_at is not None:
            return KeyState.PENDING_DELETION
        if store.state is not ConnectionState.CONNECTED:
            return KeyState.UNAVAILABLE
        return KeyState.ENABLED if self.enabled else KeyState.DISABLED

    def require_usable(self) -> None:
        """Refuse cryptography with a key that is not Enabled; the texts are recorded or documented.

        Raises:
            DisabledException: it is Disabled.
            KMSInvalidStateException: it is pending deletion, or its store is not connected.

        """
        self.require_changeable()
        if self.state is KeyState.UNAVAILABLE:
            raise KMSInvalidStateException(f"{self.arn} is unavailable.")
        if not self.enabled:
            raise DisabledException(f"{self.arn} is disabled.")

    def require_grantable(self) -> None:
        """Refuse a new grant on a key that is Disabled or pending deletion; an Unavailable one takes it.

        Raises:
            DisabledException: it is Disabled.
            KMSInvalidStateException: it is pending deletion.

        """
        self.require_changeable()
        if self.state is KeyState.DISABLED:
            raise DisabledException(f"{self.arn} is disabled.")

    def require_changeable(self) -> None:
        """Refuse to change a key that is pending deletion.

        Raises:
            KMSInvalidStateException: it is.

        """
        if self.deletion_at is not None:
            raise KMSInvalidStateException(f"{self.arn} is pending deletion.")

    def require_pending_deletion(self) -> None:
        """Refuse to cancel a deletion that has not been scheduled.

        Raises:
            KMSInvalidStateException: it has not.

        """
        if self.deletion_at is None:
            raise KMSInvalidStateException(f"{self.arn} is not pending deletion.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name for a key, such as `alias/payroll`, unique in its scope."""

    scope: Scope
    name: str
    key_id: str
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A tag of a key."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a principal may do with a key. A principal is an ARN, or the name of an AWS service.

    The constraints hold of the encryption context; `source_arn` of the resource that a service acts for.
    """

    id: str
    scope: Scope
    key_id: str
    created_at: float
    name: str | None = None
    grantee_principal: str | None = None
    grantee_service: str | None = None
    retiring_principal: str | None = None
    retiring_service: str | None = None
    operations: tuple[str, ...]
    context_subset: dict[str, str] | None = None
    context_equals: dict[str, str] | None = None
    source_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """Key material that may be on a cluster's token without a key in the registry.

    It is written down before material is made and when a key is deleted, and crossed out when the key's row
    has been written or the material is gone. What stays is an orphan. `unfinished`: no key ever had it.
    """

    key_id: str
    scope: Scope
    key_store_id: str
    cluster_id: str
    at: float
    unfinished: bool

    @property
    def arn(self) -> str:
        """The label of the material on the token."""
        return key_arn(self.scope, self.key_id)

    @property
    def material_id(self) -> bytes:
        """CKA_ID of the material."""
        return UUID(self.key_id).bytes
