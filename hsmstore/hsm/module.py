"""PKCS#11 modules in this process: loading, C_Initialize, C_Finalize, and the copies that are lent out.

Why copies: a module has one C_Initialize, one login and one configuration for the whole process. A byte
copy with an inode of its own is, for the loader, another module. So each connected cluster has one, and one
broken cluster cannot poison another. A copy that was loaded is never unloaded (python-pkcs11 dies on use
after unload, and SoftHSM2 registers atexit functions); it is lent again, since C_Initialize reads
SOFTHSM2_CONF anew. Its file is unlinked as soon as it is loaded: nobody can overwrite it or find it stale.

Why locks: python-pkcs11 initialises with C_Initialize(NULL), which turns SoftHSM2's mutexes off, and releases
the GIL in each call. Every call to a module, C_Finalize included, is made under the module's own `lock`.
"""

import ctypes
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pkcs11
from pkcs11._pkcs11 import lib

from hsmstore.domain.cluster import TokenReference
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.hsm.codepages import share_code
from hsmstore.hsm.profile import Profile

CKR_OK: Final = 0
MODULES: Final = "modules"  # directory of the copies, beside the clusters'
LABEL_LENGTH: Final = 32  # CK_TOKEN_INFO.label, padded with blanks

_environment_lock = threading.Lock()  # the environment is the process's


class _Library(lib):
    """python-pkcs11's module without the C_Initialize that comes with loading."""

    def __init__(self, so: str) -> None:
        """Leave it at what `__cinit__` did: load, and C_GetFunctionList."""


class Module:
    """A loaded module. `generation` counts its C_Finalize calls: a handle is good in one generation only."""

    def __init__(self, path: Path, source: Path, environment: Mapping[str, str]) -> None:
        """Load the file `path`, which is `source` or a copy of it, with `environment` in force.

        Loading may wait for nothing outside the machine: it keeps every other C_Initialize waiting.

        Raises:
            EnvironmentUnfit: it is not a PKCS#11 module, or the loader refused.

        """
        self.lock: Final = threading.RLock()
        self.generation = 0
        self._source = source
        try:
            self.c_functions: Final = ctypes.CDLL(str(path))
            with in_environment(environment) if environment else nullcontext():
                self._library = _Library(str(path))  # and C_GetFunctionList
            # Its destructor would unload it, at the interpreter's exit too: let it never run.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._library))
        except (OSError, pkcs11.PKCS11Error) as error:
            raise EnvironmentUnfit(
                f"{source} cannot be used as a PKCS#11 module: {str(error).replace(str(path), str(source))}",
                f"the address must be one such as unix:path=PATH, not {list(environment.values())}"
                if environment
                else "set the path of a PKCS#11 module; its copy needs a file system without noexec",
            ) from error

    @property
    def library_version(self) -> str:
        """The version that C_GetInfo told at the last `initialize`, such as `2.6`."""
        return "{}.{}".format(*self._library.library_version)

    def initialize(self, environment: Mapping[str, str], *, alone: bool = True) -> None:
        """Call C_Initialize with `environment` in force, and C_GetInfo.

        `alone` waits for every other C_Initialize in the process, whose environment it could see. A module
        that may hang must not be started so.

        Raises:
            pkcs11.PKCS11Error: the module refused.

        """
        with self.lock, in_environment(environment) if alone else nullcontext():
            lib.__init__(self._library, self._library.so)

    def finalize(self) -> None:
        """Call C_Finalize if initialised. Every session and handle of this generation is dead afterwards.

        Raises:
            pkcs11.PKCS11Error: the module refused; it should not be lent again.

        """
        with self.lock:
            self.generation += 1
            if self._library.initialized:
                self._library.finalize()

    def find_token(self, label: str | None, serial: str | None = None) -> pkcs11.Token:
        """Return the initialised token of this label and serial; None matches any.

        A broken token beside it is passed over, which python-pkcs11's own search does not do.

        Raises:
            pkcs11.NoSuchToken: no slot has it.
            pkcs11.MultipleTokensReturned: the label fits more than one.
            pkcs11.DeviceError, pkcs11.DeviceRemoved: the connection to the device is lost.

        """
        with self.lock:
            slots = self._library.get_slots()
            if not slots:
                raise pkcs11.DeviceRemoved(f"{self._source.name} has no slots: nothing answers behind it")
            tokens = [token for token in map(_token_in, slots) if token is not None]
            fitting = [token for token in tokens if _fits(token, label, serial)]
        if not fitting:
            raise pkcs11.NoSuchToken(f"no token with label {label!r} and serial {serial!r}")
        if len(fitting) > 1:
            raise pkcs11.MultipleTokensReturned(f"{len(fitting)} tokens with label {label!r}")
        return fitting[0]

    def init_token(self, label: str, so_pin: str) -> pkcs11.Token:
        """Make a token in the free slot with C_InitToken, which python-pkcs11 lacks.

        softhsm2-util could do it too, but would show the PIN to everybody who can call `ps`.

        Raises:
            pkcs11.PKCS11Error: the module refused, or has no free slot.
            EnvironmentUnfit: it does not export C_InitToken.

        """
        c_init_token = getattr(self.c_functions, "C_InitToken", None)
        if c_init_token is None:
            raise EnvironmentUnfit(f"{self._source} cannot make tokens", "use the profile softhsm2")
        c_init_token.argtypes = (ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
        c_init_token.restype = ctypes.c_ulong
        pin = so_pin.encode()
        with self.lock:
            slot = self._library.get_slots()[-1]  # SoftHSM2 keeps one free slot behind the others
            ckr = c_init_token(slot.slot_id, pin, len(pin), label.encode().ljust(LABEL_LENGTH))
            if ckr != CKR_OK:
                raise pkcs11.PKCS11Error(f"C_InitToken returned CKR 0x{ckr:08x}")
            return slot.get_token()


def _token_in(slot: pkcs11.Slot) -> pkcs11.Token | None:
    try:
        token = slot.get_token()
    except (pkcs11.DeviceError, pkcs11.DeviceRemoved):
        raise
    except pkcs11.PKCS11Error:
        return None
    return token if token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED else None


def _fits(token: pkcs11.Token, label: str | None, serial: str | None) -> bool:
    return label in {None, token.label} and serial in {None, serial_of(token)}


def serial_of(token: pkcs11.Token) -> str:
    """Return CK_TOKEN_INFO.serialNumber as text, without its padding."""
    return token.serial.rstrip(b"\0 ").decode("utf-8", errors="replace")


def reference(
    profile: Profile, source: Path, token: pkcs11.Token, address: str | None = None
) -> TokenReference:
    """Return what the registry keeps of a token that the module `source` has found."""
    return TokenReference(
        profile=profile.name,
        module=str(source),
        label=token.label,
        serial=serial_of(token),
        address=address,
    )


@contextmanager
def in_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the module to read, and put back what was there."""
    environ = os.environ  # noqa: TID251  # not a setting: the only way to tell SoftHSM2 its configuration
    with _environment_lock:
        before = {name: environ.get(name) for name in values}
        environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    environ.pop(name, None)
                else:
                    environ[name] = value


class _Version(NamedTuple):
    """Which file a copy was made of, which an upgrade of the package changes, and what address it read."""

    path: str
    size: int
    modified_ns: int
    address: str | None


_idle: dict[_Version, list[Module]] = {}
_lent_originals: set[_Version] = set()
_pool_lock = threading.Lock()
# Loaded modules belong to the process, as the loader that keeps them does: a thousand simulators made one
# after another in a test run share a few copies.


@contextmanager
def lent_module(
    profile: Profile, source: Path, directory: Path, address: str | None = None
) -> Iterator[Module]:
    """Lend a module of `source` that nobody else uses; at the end finalize it and take it back.

    A networked one talks to `address`, or to where the process's environment says.

    A new copy is written to `directory`, which is made if need be, and unlinked once it is loaded. A module
    that refuses C_Finalize is not lent again.

    Raises:
        EnvironmentUnfit: it cannot be loaded, or it serves another cluster and must not be copied.
        OSError: no space or no permission for the copy.

    """
    status = source.stat()
    version = _Version(str(source.resolve()), status.st_size, status.st_mtime_ns, address)
    module = _take(version, profile)
    try:
        if module is None:
            environment = profile.address(address)
            module = (
                _load_copy(source, directory, environment, version)
                if profile.private_copy
                else Module(source, source, environment)
            )
        yield module
    finally:
        try:
            if module is not None:
                with suppress(pkcs11.PKCS11Error):
                    module.finalize()
                    with _pool_lock:
                        _idle.setdefault(version, []).append(module)
        finally:
            with _pool_lock:
                _lent_originals.discard(version)


def _take(version: _Version, profile: Profile) -> Module | None:
    with _pool_lock:
        if not profile.private_copy:
            if version in _lent_originals:
                raise EnvironmentUnfit(
                    f"{version.path} serves one cluster at a time", "disconnect the other key store first"
                )
            _lent_originals.add(version)
        modules = _idle.get(version)
        return modules.pop() if modules else None


def _load_copy(source: Path, directory: Path, environment: Mapping[str, str], version: _Version) -> Module:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{source.stem}-", suffix=".so", dir=directory)
    copy = Path(name)
    try:
        os.close(handle)
        shutil.copyfile(source, copy)
        module = Module(copy, source, environment)
        share_code(copy, version._replace(address=None))  # the same file, wherever it talks to
        return module
    finally:
        copy.unlink()
