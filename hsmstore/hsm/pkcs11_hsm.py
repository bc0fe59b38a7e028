"""The HSMs of every cluster: tokens made and found, kmsuser logged in."""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Final, TypeVar
from urllib.parse import quote

import pkcs11

from hsmstore.domain.cluster import Backup, Cluster, TokenReference
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.findings import Finding
from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.domain.lease import UNENDING, Lease
from hsmstore.domain.ports import ConnectFailed, HsmConnection, HsmTimedOut, HsmUnavailable
from hsmstore.domain.tracing import Calling
from hsmstore.hsm.ckr import error_code, name_of, words
from hsmstore.hsm.deadline import Worker, call_once, open_with_deadline
from hsmstore.hsm.directory import ADOPTED, ClusterDirectory
from hsmstore.hsm.elsewhere import SessionsElsewhere
from hsmstore.hsm.inspection import inspect_directories, inspect_module
from hsmstore.hsm.line import Line
from hsmstore.hsm.module import MODULES, Module, lent_module, reference
from hsmstore.hsm.profile import Profile, load_profile
from hsmstore.hsm.route import Route, still_wanted, token_files
from hsmstore.hsm.session import Looks, Session, Term, log_in, self_test
from hsmstore.hsm.traced import TracedSession
from hsmstore.settings.environment import environment

Result = TypeVar("Result")

DEADLINE: Final = 5.0  # seconds that a networked module has for each call


class Pkcs11Hsm:
    """The Hsm port over PKCS#11 modules. Loads none before it is needed: the process may still fork."""

    def __init__(
        self,
        directory: Path,
        monotonic: Callable[[], float],
        *,
        profile: str = "softhsm2",
        module: str | None = None,
        deadline: float = DEADLINE,
        shared: bool = False,
        failed: Callable[[str], None] = lambda _: None,
        calling: Calling | None = None,
    ) -> None:
        """Keep the clusters' directories in `directory`, which is made when the first token is.

        `profile` is for the tokens made here, and `module` overrides its path. `monotonic` tells seconds
        that only grow. `deadline` is for each call to a networked module, in seconds. With `shared` other
        replicas make tokens for the same clusters, in directories of their own. `failed` is told the name of
        each CKR that a call ends in, but for those that `inspect` looks for. With `calling` calls are traced.
        """
        self._directory = directory
        self._modules = directory / MODULES
        self._monotonic = monotonic
        self._profile = profile
        self._module = module
        self._deadline = deadline
        self._shared = shared
        self._failed = failed
        self._calling = calling
        self._span: Calling = calling or nullcontext
        self._silent_until: dict[str, float] = {}
        self._looks = Looks()
        self._elsewhere = SessionsElsewhere()

    def makes_tokens(self, profile: str | None) -> bool:
        """Tell whether `profile`, or the one given at the start, makes tokens; else it adopts them.

        Raises:
            EnvironmentUnfit: there is no such profile.

        """
        return load_profile(profile or self._profile).creates_tokens

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
        chosen, source = self._choose(profile, module)
        if not chosen.creates_tokens:
            raise EnvironmentUnfit(f"Profile {chosen.name} makes no tokens", "adopt one, or use softhsm2")
        home = self._home(cluster_id)
        if home.path.exists():
            raise HsmUnavailable(f"{cluster_id} has a token already")
        with self._administration("create the token"), home.under_construction() as building:
            building.write_configuration()
            with self._started(chosen, source, building, self._line(chosen, None)) as started:
                token = started.init_token(cluster_id, crypto_officer_pin)
                if kmsuser_password is not None:
                    token.open(rw=True, so_pin=crypto_officer_pin).init_pin(kmsuser_password)
            building.back_up()
            building.write_configuration(home.path)
        return reference(chosen, source, token)

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
            HsmUnavailable: the module or the token is not there.
            EnvironmentUnfit: no such profile, or no module.

        """
        chosen, source = self._choose(profile, module)
        if chosen.creates_tokens:
            raise EnvironmentUnfit(
                f"Profile {chosen.name} has only tokens of its own", "use softhsm2-existing"
            )

        if address is not None and chosen.address_variable is None:
            raise EnvironmentUnfit(f"Profile {chosen.name} takes no address", "leave it out, or use p11-kit")

        line = self._line(chosen, address)

        def find() -> pkcs11.Token:
            with self._started(chosen, source, None, line) as started:
                return started.find_token(label)

        with self._administration("find the token"):
            return reference(chosen, source, self._timed(chosen, line, find), address)

    def delete_token(self, cluster: Cluster) -> None:
        """Remove the token that `create_token` made; an adopted one is left alone. Idempotent.

        Raises:
            EnvironmentUnfit: no permission.

        """
        with self._administration("delete the token"):
            self._home(cluster.id).remove()

    def reset_password(self, cluster: Cluster, crypto_officer_pin: str, password: str) -> None:
        """Set kmsuser's password as the crypto officer (C_InitPIN).

        Raises:
            HsmUnavailable: the token is not there, the PIN is wrong, or kmsuser is logged in.
            EnvironmentUnfit: no module, no space, no permission.

        """
        with self._administration("reset the password"):
            route = self._route(cluster)
            if route is None:
                raise HsmUnavailable(f"reset the password: {cluster.id} has no token")
            lock = route.home.lock_kmsuser()
            if lock is None:
                raise HsmUnavailable("reset the password: kmsuser is logged in")
            with lock:
                self._timed(
                    route.profile, route.line, lambda: self._reset(route, crypto_officer_pin, password, lock)
                )

    def connect(self, cluster: Cluster, password: str, lease: Lease = UNENDING) -> HsmConnection:
        """Find the token, log in as kmsuser, draw a self-test.

        Raises:
            ConnectFailed: with the ConnectionErrorCode that the condition means.

        """
        try:
            term = Term(lease, self._monotonic, self._failed, self._looks)
            return self._connect(cluster, password, term)
        except ConnectFailed as error:
            if isinstance(error.__cause__, pkcs11.PKCS11Error):
                self._failed(name_of(error.__cause__))
            raise
        except pkcs11.PKCS11Error as error:
            self._failed(name_of(error))
            raise ConnectFailed(error_code(error), words(error)) from error
        except HsmTimedOut as error:
            raise ConnectFailed(ConnectionErrorCode.NETWORK_ERRORS, error.reason, silent=True) from error
        except (EnvironmentUnfit, OSError) as error:
            raise ConnectFailed(ConnectionErrorCode.INTERNAL_ERROR, str(error)) from error

    def log_in_elsewhere(self, cluster: Cluster) -> None:
        """Log kmsuser in from another process, which stays until `log_out_elsewhere`. Idempotent.

        Raises:
            HsmUnavailable: kmsuser is logged in already, by KMS or by somebody else.

        """
        route = self._route(cluster)
        if route is None:
            raise HsmUnavailable(f"{cluster.id} has no token")
        self._elsewhere.log_in(cluster.id, route.home.kmsuser_lock)

    def log_out_elsewhere(self, cluster_id: str) -> None:
        """End what `log_in_elsewhere` began. Idempotent."""
        self._elsewhere.log_out(cluster_id)

    def close(self) -> None:
        """End the sessions that `log_in_elsewhere` began."""
        self._elsewhere.close()

    def back_up(self, cluster: Cluster, backup_id: str) -> None:
        """Copy the cluster's token.

        Raises:
            HsmUnavailable: there is no token of ours to copy.
            EnvironmentUnfit: no space, no permission.

        """
        route = self._route(cluster)
        if route is None or not route.profile.creates_tokens:
            raise HsmUnavailable(f"{cluster.id} has no token that was made here")
        with self._administration("copy the token"), token_files(route):
            route.home.copy_to(self._home(backup_id))

    def restore(self, backup_id: str, cluster_id: str) -> None:
        """Make the token of a new cluster from a backup's copy; label and serial are the original's.

        Raises:
            HsmUnavailable: the copy is not there.
            EnvironmentUnfit: no space, no permission.

        """
        copy = self._home(backup_id)
        if copy.token_object() is None:
            raise HsmUnavailable(f"{backup_id} holds no token")
        with self._administration("restore the token"):
            copy.copy_to(self._home(cluster_id))

    def delete_backup(self, backup_id: str) -> None:
        """Remove a backup's copy. Idempotent."""
        with self._administration("delete the backup"):
            self._home(backup_id).remove()

    def inspect(
        self, clusters: Collection[Cluster] | None, backups: Collection[Backup] = (), *, fix: bool = False
    ) -> list[Finding]:
        """Return what there is to say about the module and about the directories, whosever they are.

        With `fix` what can be mended without losing anything is mended.
        """
        findings = inspect_module(self._profile, self._module, self._modules)
        return findings + inspect_directories(self._directory, clusters, backups, fix=fix)

    def _connect(self, cluster: Cluster, password: str, term: Term) -> HsmConnection:
        route = self._route(cluster)
        if route is None:
            raise self._not_here(cluster)
        lock = route.home.lock_kmsuser()
        if lock is None:  # asked before C_Login, which answers so even to a wrong PIN
            raise ConnectFailed(
                ConnectionErrorCode.USER_LOGGED_IN, f"{route.home.path}: kmsuser is logged in"
            )
        try:
            if not route.profile.networked:
                return self._open(route, password, lock, term)
            return self._open_with_deadline(route, lambda: self._open(route, password, lock, term), lock)
        except BaseException:
            lock.close()
            raise

    def _open_with_deadline(
        self, route: Route, open_session: Callable[[], Session], lock: IO[bytes]
    ) -> HsmConnection:
        """Open a session of a networked module, unless its HSM has just been silent for a whole deadline.

        Each attempt on a silent HSM holds a thread of the server's for so long: the others need it more.
        """
        name, now = str(route.home.path), self._monotonic()
        if now < self._silent_until.get(name, now):
            raise HsmTimedOut(f"no answer in the last attempt, less than {self._deadline} s ago")
        try:
            worker = Worker(self._deadline, route.line)
            opened = open_with_deadline(open_session, worker, lock, self._monotonic)
        except HsmTimedOut:
            self._silent_until[name] = self._monotonic() + self._deadline
            raise
        self._silent_until.pop(name, None)
        return opened

    def _open(self, route: Route, password: str, lock: IO[bytes], term: Term) -> Session:
        """Log in and hand over what is held: the lock and the started module."""
        with ExitStack() as held:
            held.enter_context(lock)
            with token_files(route):
                module = held.enter_context(
                    self._started(route.profile, route.source(), route.home, route.line)
                )
                with module.lock:
                    token = module.find_token(route.token.label, route.token.serial)
                    still_wanted(lock)
                    with self._span("C_Login"):
                        session = log_in(token, password)
                    self_test(session)
                if route.profile.creates_tokens:
                    route.home.back_up()  # after a kill in C_SetPIN the copy may be a password behind
            home = route.home if route.profile.creates_tokens else None
            if self._calling is None:
                return Session(session, module, home, term, held)
            return TracedSession(self._calling, session, module, home, term, held)

    def _not_here(self, cluster: Cluster) -> ConnectFailed:
        """Say of a cluster that the registry knows why its token cannot be found in any directory here."""
        home = self._home(cluster.id).path
        if self._shared:  # the token is well, and out of reach
            return ConnectFailed(
                ConnectionErrorCode.NETWORK_ERRORS,
                f"the token is not in {home}: it lies with the replica that made it, and no other reaches it",
            )
        return ConnectFailed(ConnectionErrorCode.CLUSTER_NOT_FOUND, f"the directory {home} is gone")

    def _reset(self, route: Route, crypto_officer_pin: str, password: str, lock: IO[bytes]) -> None:
        with token_files(route):
            with self._started(route.profile, route.source(), route.home, route.line) as module:
                token = module.find_token(route.token.label, route.token.serial)
                still_wanted(lock)
                token.open(rw=True, so_pin=crypto_officer_pin).init_pin(password)
            if route.profile.creates_tokens:
                route.home.back_up()

    @contextmanager
    def _started(
        self, profile: Profile, source: Path, home: ClusterDirectory | None, line: Line
    ) -> Iterator[Module]:
        """Lend a module between its C_Initialize and its C_Finalize."""
        environment = profile.variables(None if home is None else home.configuration)
        with lent_module(profile, source, self._modules, line.address) as module:
            try:
                with line.opened(), self._span("C_Initialize"):
                    module.initialize(environment, alone=not profile.networked)
                yield module
            finally:
                line.close()

    @contextmanager
    def _administration(self, doing: str) -> Iterator[None]:
        """Say what did not work and in whose words.

        Raises:
            HsmUnavailable: the module refused.
            EnvironmentUnfit: the file system did.

        """
        try:
            yield
        except pkcs11.PKCS11Error as error:
            self._failed(name_of(error))
            raise HsmUnavailable(f"{doing}: {words(error)}") from error
        except OSError as error:
            raise EnvironmentUnfit(
                f"Cannot {doing}: {error}", "check space and permissions of the data directory"
            ) from error

    def _timed(self, profile: Profile, line: Line, function: Callable[[], Result]) -> Result:
        return call_once(function, self._deadline, line) if profile.networked else function()

    def _line(self, profile: Profile, address: str | None) -> Line:
        if address is None and profile.address_variable is not None:
            address = environment().get(profile.address_variable)
        return Line(address, self._deadline)

    def _choose(self, profile: str | None, module: str | None) -> tuple[Profile, Path]:
        """Return a profile and the path of its module; what was given at the start is the default."""
        chosen = load_profile(profile or self._profile)
        override = self._module if chosen.name == self._profile else None
        return chosen, chosen.locate(module or override)

    def _home(self, cluster_id: str) -> ClusterDirectory:
        return ClusterDirectory(self._directory / cluster_id)

    def _route(self, cluster: Cluster) -> Route | None:
        """Return the way to the cluster's token; None where its directory or the token itself is unknown."""
        if cluster.token is None:
            return None
        profile, home = load_profile(cluster.token.profile), self._home(cluster.id)
        if not profile.creates_tokens:  # the lock is the token's, whichever cluster adopted it
            home = self._home(ADOPTED + quote(cluster.token.serial, safe=""))
            home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        override = self._module if profile.name == self._profile else None
        line = self._line(profile, cluster.token.address)
        return Route(cluster.token, profile, home, override, line) if home.path.is_dir() else None
