"""A token behind p11-kit remoting: what `p11-kit server` does, by one process that owns the token.

`p11-kit server` forks a process for each client, and SoftHSM2's token cannot be shared between processes:
of three clients logging in, one login in nine failed, and a password was lost within five changes. So the
same function of libp11-kit that each of those processes runs is run here, in a thread for each client, over a
byte copy of the module for each, so that clients log in for themselves; and the copies take turns at the
token's files. A draw takes neither a turn nor the interpreter's lock: libp11-kit and the module serve it.
"""

import ctypes
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

import pkcs11

from hsmstore.domain.cluster import TokenReference
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.hsm.ckr import words
from hsmstore.hsm.directory import ClusterDirectory
from hsmstore.hsm.guarded import Guarded
from hsmstore.hsm.module import MODULES, Module, in_environment, lent_module, reference
from hsmstore.hsm.profile import Profile, load_profile

log = logging.getLogger(__name__)

LIBRARIES: Final = ("libp11-kit.so.0", "libp11-kit.0.dylib", "/opt/homebrew/lib/libp11-kit.0.dylib")
CONNECTIONS_MAX: Final = 1000  # each has a thread and 0.8 MiB of a module's copy
GRACE: Final = 5.0  # seconds that calls under way have at the end
PAUSE: Final = 0.1  # seconds until the next look, where the system refuses a connection


class TokenServer:
    """Serves the token of one directory on a Unix socket, to any number of clients."""

    def __init__(self, home: ClusterDirectory, *, module: str | None = None) -> None:
        """Take up the token in `home`, mended where a kill has cut it short.

        Raises:
            EnvironmentUnfit: no module, no libp11-kit, or no token that could be used.

        """
        self._profile: Final = load_profile("softhsm2")
        self._source: Final = self._profile.locate(module)
        self._serve: Final = _serving_function(load_profile("p11-kit"))
        self._home: Final = home
        self.token: Final = self._look()
        self._turn: Final = threading.Lock()
        self._guard: Final = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._ending = False

    def accept(self, listener: socket.socket) -> None:
        """Serve who comes to `listener`, until `close`. Meanwhile nobody else can start a module."""
        with in_environment(self._profile.variables(self._home.configuration)):
            while not self._ending:
                try:
                    connection, _ = listener.accept()
                except OSError as error:
                    if not self._ending:
                        log.warning("no connection can be taken: %s", error)
                        threading.Event().wait(PAUSE)
                    continue
                self._begin(connection)

    def close(self) -> None:
        """Cut every connection, wait for the calls under way, finalize. Idempotent."""
        self._ending = True
        with self._guard:
            connections = dict(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(GRACE)

    def _look(self) -> TokenReference:
        """Mend what a kill has left, and return the token, whatever its label."""
        home = self._home
        home.write_configuration()
        if not home.restore():
            home.back_up()  # a kill between C_SetPIN and its copy has left the copy a password behind
        try:
            with self._lent() as module:
                module.initialize(self._profile.variables(home.configuration))
                found = module.find_token(None)
        except pkcs11.PKCS11Error as error:
            raise EnvironmentUnfit(
                f"{home.path} cannot be served: {words(error)}", "restore it from a backup, or remove it"
            ) from error
        return reference(self._profile, self._source, found)

    def _lent(self) -> AbstractContextManager[Module]:
        return lent_module(self._profile, self._source, self._home.path.parent / MODULES)

    def _begin(self, connection: socket.socket) -> None:
        thread = threading.Thread(
            target=self._handle, args=(connection,), name="hsmstore-remoting", daemon=True
        )
        with self._guard:
            if self._ending or len(self._connections) >= CONNECTIONS_MAX:
                log.warning("a connection is refused: %d are open", len(self._connections))
                connection.close()
                return
            self._connections[connection] = thread
            thread.start()  # before `close` can want to join it

    def _handle(self, connection: socket.socket) -> None:
        try:
            with self._lent() as module:
                guarded = Guarded(module.c_functions, self._turn, self._home.back_up)
                try:
                    self._serve(ctypes.byref(guarded.functions), connection.fileno(), connection.fileno())
                finally:
                    guarded.finalize()
        except (EnvironmentUnfit, OSError) as error:
            log.warning("a connection is not served: %s", error)
        finally:
            with self._guard:
                self._connections.pop(connection)
            connection.close()


def _serving_function(remoting: Profile) -> "ctypes._NamedFuncPointer":
    """Return p11_kit_remote_serve_module(CK_FUNCTION_LIST *, int in, int out) of <p11-kit/remote.h>."""
    for name in LIBRARIES:
        with suppress(OSError, AttributeError):
            function = ctypes.CDLL(name).p11_kit_remote_serve_module
            function.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
            return function
    raise EnvironmentUnfit("libp11-kit is not there", remoting.install.hint())


@contextmanager
def serving(server: TokenServer, path: Path) -> Iterator[None]:
    """Let `server` serve on the Unix socket `path`; at the end cut every connection.

    Raises:
        EnvironmentUnfit: somebody listens there already, or it cannot be made.

    """
    with _listening(path) as listener:
        threading.Thread(target=server.accept, args=(listener,), name="remoting", daemon=True).start()
        try:
            yield
        finally:
            server.close()


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """Listen at `path`, which only this user may open; remove it at the end."""
    if _is_served(path):
        raise EnvironmentUnfit(f"somebody serves at {path}", "choose another socket with --socket")
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.umask(0o177)
        try:
            path.unlink(missing_ok=True)  # a kill has left it
            listener.bind(str(path))
        except OSError as error:  # among others: a path longer than some 100 bytes
            raise EnvironmentUnfit(
                f"{path} cannot be made: {error.strerror or error}", "choose a short path with --socket"
            ) from error
        finally:
            os.umask(before)
        listener.listen(socket.SOMAXCONN)
        try:
            yield listener
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
            path.unlink(missing_ok=True)


def _is_served(path: Path) -> bool:
    if path.exists() and not path.is_socket():
        raise EnvironmentUnfit(f"{path} is something else than a socket", "choose another path with --socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            return probe.connect_ex(str(path)) == 0
        except OSError:  # too long
            return False
