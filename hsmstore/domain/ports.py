"""What the services need of the world. The adapters stand behind these; `bootstrap` puts them there."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from hsmstore.domain.clock import ClockSetting
from hsmstore.domain.cluster import Backup, Cluster, TokenReference
from hsmstore.domain.faults import Fault
from hsmstore.domain.findings import Finding
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keyports import KeyUnit
from hsmstore.domain.keystore import ConnectionErrorCode, KeyStore
from hsmstore.domain.lease import UNENDING, Lease, LeaseRegistry, LeaseUnit
from hsmstore.domain.lists import ListUnit
from hsmstore.domain.proxies import ProxyUnit
from hsmstore.domain.tally import TallyUnit
from hsmstore.domain.tokenkeys import TokenKeys
from hsmstore.domain.trail import TrailUnit


class Clock(Protocol):
    """What time it is. The simulation's time may be set; the real time may not."""

    def now(self) -> float:
        """Return the simulation's time, in seconds since the epoch. It never goes back."""

    def real(self) -> float:
        """Return the real time, in seconds since the epoch; while the process lives it never goes back."""

    @property
    def setting(self) -> ClockSetting:
        """How the clock is set."""

    def set(self, setting: ClockSetting) -> None:
        """Run as `setting` says from now on."""


class Entropy(Protocol):
    """The system's random numbers."""

    def random_bytes(self, length: int) -> bytes:
        """Return `length` bytes from the operating system's CSPRNG."""

    def public_bits(self, count: int) -> int:
        """Return `count` random bits for a name that is no secret, quicker than from the system."""


class Sealer(Protocol):
    """Encryption of the secrets that the registry holds."""

    def seal(self, plaintext: bytes, identity: str) -> bytes:
        """Return `plaintext` encrypted and bound to `identity`, the row and column that it belongs to."""

    def unseal(self, sealed: bytes, identity: str) -> bytes:
        """Return what was sealed for `identity`.

        Raises:
            SealBroken: it was altered, sealed for another identity, or under another master key.

        """


class SealBroken(Exception):
    """A sealed value that this master key did not seal for this identity."""


class Certificates(Protocol):
    """Trust-anchor certificates of clusters (X.509, PEM)."""

    def new_trust_anchor(self, cluster_id: str, now: float) -> str:
        """Return a fresh self-signed certificate for the cluster, PEM."""

    def same(self, one: str, other: str) -> bool:
        """Tell whether two PEM texts hold the same certificate, compared as DER."""


class HsmUnavailable(Exception):
    """The token did not do what was asked. `reason` is for the log, in PKCS#11's words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HsmTimedOut(HsmUnavailable):
    """The HSM did not answer in time, and may still do what was asked."""


class ConnectFailed(Exception):
    """A connect that did not come about, and the ConnectionErrorCode that says why.

    `silent` tells that the HSM did not answer in time, rather than what it answered.
    """

    def __init__(self, code: ConnectionErrorCode, reason: str, *, silent: bool = False) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.silent = silent


class ConnectionClosed(Exception):
    """The connection was closed before the call came to its turn; nothing was done."""


class HsmConnection(TokenKeys, Protocol):
    """A logged-in session of kmsuser on one cluster's token, and its keys. Safe to share between threads."""

    @property
    def mechanisms(self) -> frozenset[str]:
        """What the token offered when the session began, by PKCS#11's names, such as `CKM_AES_GCM`."""

    def draw(self, length: int) -> bytes:
        """Return `length` (1 to 1024) bytes of one C_GenerateRandom.

        Raises:
            ConnectionClosed: `close` came first, or the lease has lapsed.
            HsmUnavailable: the token is gone or its module failed.

        """

    def draw_promptly(self, length: int) -> bytes | None:
        """Return what `draw` returns if it waits for nobody, else None.

        Raises:
            ConnectionClosed, HsmUnavailable: as `draw`.

        """

    def set_password(self, old: str, new: str) -> None:
        """Change kmsuser's password with C_SetPIN.

        Raises:
            ConnectionClosed: as `draw`.
            HsmUnavailable: either password may be in force now; the caller keeps both.

        """

    def close(self) -> None:
        """Wait for the call under way, then finalize. No byte is drawn after it returns. Idempotent."""


class Hsm(Protocol):
    """The HSMs: one token for each cluster."""

    def makes_tokens(self, profile: str | None) -> bool:
        """Tell whether `profile`, or the server's own, makes tokens; one that does not adopts them.

        Raises:
            EnvironmentUnfit: there is no such profile.

        """

    def create_token(
        self,
        cluster_id: str,
        crypto_officer_pin: str,
        kmsuser_password: str | None,
        *,
        profile: str | None = None,
        module: str | None = None,
    ) -> TokenReference:
        """Make the cluster's token in a directory of its own. Without a password it has no kmsuser.

        Raises:
            HsmUnavailable: the module refused.
            EnvironmentUnfit: no module, no space, no permission.

        """

    def adopt_token(
        self,
        label: str | None,
        *,
        profile: str | None = None,
        module: str | None = None,
        address: str | None = None,
    ) -> TokenReference:
        """Find an existing token by its label; without one there must be one token only.

        `address` is where a networked module finds it; None leaves that to the environment.

        Raises:
            HsmUnavailable: the token is not there.
            EnvironmentUnfit: no such profile, or no module.

        """

    def delete_token(self, cluster: Cluster) -> None:
        """Remove the token that `create_token` made; an adopted one is left alone. Idempotent.

        Raises:
            EnvironmentUnfit: no permission.

        """

    def reset_password(self, cluster: Cluster, crypto_officer_pin: str, password: str) -> None:
        """Set kmsuser's password as the crypto officer (C_InitPIN).

        Raises:
            HsmUnavailable: the token is not there, the PIN is wrong, or kmsuser is logged in.
            EnvironmentUnfit: no module, no space, no permission.

        """

    def connect(self, cluster: Cluster, password: str, lease: Lease = UNENDING) -> HsmConnection:
        """Find the token, log in as kmsuser, draw a self-test. No byte is drawn after the lease's end.

        Raises:
            ConnectFailed: with the ConnectionErrorCode that the condition means.

        """

    def log_in_elsewhere(self, cluster: Cluster) -> None:
        """Log kmsuser in from another process, which stays until `log_out_elsewhere`. Idempotent.

        Raises:
            HsmUnavailable: kmsuser is logged in already, by KMS or by somebody else.

        """

    def log_out_elsewhere(self, cluster_id: str) -> None:
        """End what `log_in_elsewhere` began. Idempotent."""

    def back_up(self, cluster: Cluster, backup_id: str) -> None:
        """Copy the cluster's token.

        Raises:
            HsmUnavailable: there is no token of ours to copy.
            EnvironmentUnfit: no space, no permission.

        """

    def restore(self, backup_id: str, cluster_id: str) -> None:
        """Make the token of a new cluster from a backup's copy; label and serial are the original's.

        Raises:
            HsmUnavailable: the copy is not there.
            EnvironmentUnfit: no space, no permission.

        """

    def delete_backup(self, backup_id: str) -> None:
        """Remove a backup's copy. Idempotent."""

    def close(self) -> None:
        """End the sessions that `log_in_elsewhere` began, as the process ends."""

    def inspect(
        self, clusters: Collection[Cluster] | None, backups: Collection[Backup] = (), *, fix: bool = False
    ) -> list[Finding]:
        """Look at the module and at all directories, for doctor; None: nobody knows the clusters.

        With `fix` what can be mended without losing anything is mended.
        """


class Unit(ListUnit, KeyUnit, TrailUnit, LeaseUnit, TallyUnit, ProxyUnit, Protocol):
    """One transaction on the registry: a consistent view, and one commit at its end."""

    def key_store(self, scope: Scope, key_store_id: str) -> KeyStore | None:
        """Return the store of this id."""

    def key_store_named(self, scope: Scope, name: str) -> KeyStore | None:
        """Return the store of this name."""

    def key_store_of_cluster(self, cluster_id: str) -> KeyStore | None:
        """Return the store that the cluster backs."""

    def due_key_stores(self, now: float) -> list[KeyStore]:
        """Return every store, of any scope, whose phase is over at `now`."""

    def next_due(self) -> float | None:
        """Return when, of all that is to happen to stores and keys of any scope, the first is due."""

    def latest_change(self) -> float | None:
        """Return when a store last changed its state, of any scope."""

    def connected_key_stores(self) -> list[KeyStore]:
        """Return every CONNECTED store, of any scope."""

    def stranded_key_stores(self) -> list[KeyStore]:
        """Return every store whose cluster is gone, of any scope."""

    def add_key_store(self, store: KeyStore) -> None:
        """Insert a row.

        Raises:
            Conflict: the id or the name is there already.

        """

    def replace_key_store(self, before: KeyStore, after: KeyStore) -> KeyStore:
        """Write `after` over `before` and return it with its new version.

        Raises:
            Conflict: state or version are no longer `before`'s.

        """

    def remove_key_store(self, store: KeyStore) -> None:
        """Delete the row.

        Raises:
            Conflict: state or version are no longer the store's.

        """

    def cluster(self, cluster_id: str) -> Cluster | None:
        """Return the cluster, whatever its scope."""

    def clusters(self, scope: Scope | None = None) -> list[Cluster]:
        """Return clusters in order of (created_at, id)."""

    def add_cluster(self, cluster: Cluster) -> None:
        """Insert a row.

        Raises:
            Conflict: the id is there already.

        """

    def replace_cluster(self, before: Cluster, after: Cluster) -> Cluster:
        """Write `after` over `before` and return it with its new version.

        Raises:
            Conflict: the version is no longer `before`'s.

        """

    def remove_cluster(self, cluster: Cluster) -> None:
        """Delete the row.

        Raises:
            Conflict: the version is no longer the cluster's.

        """

    def backups(self) -> list[Backup]:
        """Return backups in order of (created_at, id)."""

    def backup(self, backup_id: str) -> Backup | None:
        """Return the backup of this id."""

    def add_backup(self, backup: Backup) -> None:
        """Insert a row.

        Raises:
            Conflict: the id is there already.

        """

    def remove_backup(self, backup_id: str) -> None:
        """Delete the row.

        Raises:
            Conflict: there is no such row any more.

        """

    def faults(self) -> list[Fault]:
        """Return the fault plan, in order."""

    def replace_faults(self, plan: Sequence[Fault]) -> None:
        """Write the whole plan anew."""

    def clock(self) -> ClockSetting | None:
        """Return how the clock was last set; None where it never was."""

    def set_clock(self, setting: ClockSetting) -> None:
        """Write how the clock is set."""


class Registry(LeaseRegistry, Protocol):
    """The persisted truth."""

    def writes(self) -> int:
        """Return how many units that may write have ended here: a look at as many has seen their changes."""

    def reading(self) -> AbstractContextManager[Unit]:
        """Open a unit that only reads."""

    def writing(self) -> AbstractContextManager[Unit]:
        """Open a unit that may write. It waits for the writer before it; an exception rolls it back.

        Every key store, cluster, fault plan and clock that it changes gives a Notice when it commits.

        Raises:
            Conflict: at the end, where the database could not order it among the others.

        """
