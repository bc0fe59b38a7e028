"""AES keys on a token: made, found, used, destroyed; never read.

C_FindObjects of SoftHSM2 looks at every object, so that finding a key takes the longer the more there are.
Hence the handles of all usable keys are read once in a generation, at the first need, and kept by CKA_ID. A
key that is not among them is searched for: another process may have made it since.

Every call is made by a Session, under its module's lock.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11._pkcs11 import SearchIter  # type: ignore[attr-defined]  # it is there; the stub forgets it
from pkcs11.mechanisms import GCMParams

from hsmstore.domain.tokenkeys import CiphertextRefused, KeyMaterialGone, KeysUnsupported, Sealed, TokenKey
from hsmstore.hsm.ckr import AMBIGUOUS_IN_DECRYPT, CIPHERTEXT_REFUSED, HANDLE_STALE
from hsmstore.hsm.directory import ClusterDirectory

Result = TypeVar("Result")

KEY_BITS: Final = 256
IV_BITS: Final = 96  # NIST SP 800-38D's recommendation, and the most that SoftHSM2 takes
_TRIAL: Final = b"hsmstore"

_CAPABILITIES: Final = MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT
_SECRET: Final[Mapping[Attribute, Any]] = MappingProxyType({Attribute.CLASS: ObjectClass.SECRET_KEY})
_USABLE: Final[Mapping[Attribute, Any]] = MappingProxyType(
    {
        **_SECRET,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.TOKEN: True,
        Attribute.ENCRYPT: True,
        Attribute.DECRYPT: True,
    }
)
_LOCKED_IN: Final = {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}


class AesKey(Protocol):
    """A key with the methods that python-pkcs11 gives to its class at run time, by what it can do."""

    @property
    def session(self) -> pkcs11.Session:
        """Where its handle is good."""

    def __getitem__(self, attribute: Attribute) -> Any: ...

    def encrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes:
        """C_Encrypt."""

    def decrypt(self, data: bytes, *, mechanism: Mechanism, mechanism_param: GCMParams) -> bytes:
        """C_Decrypt."""

    def destroy(self) -> None:
        """C_DestroyObject."""


class KeyObjects:
    """The keys on the token of one logged-in session, in one generation of its module."""

    def __init__(self, session: pkcs11.Session, directory: ClusterDirectory | None, lack: str | None) -> None:
        """Look at nothing yet.

        `directory` is None for a token whose files are not ours. `lack` is what the module lacks, if it does.
        """
        self._lack = lack
        self._session = session
        self._directory = directory
        self._handles: dict[bytes, AesKey] | None = None

    def generate(self, label: str, key_id: bytes) -> None:
        """Make a key, find it again, try it, and bring it to the disk; one that fails in this is destroyed.

        An interrupted C_GenerateKey can leave an object that is found and does not work.

        Raises:
            KeysUnsupported: the module lacks a mechanism.
            pkcs11.PKCS11Error: the module refused, or the key does not work.
            OSError: it cannot be brought to the disk.

        """
        self._require_mechanisms()
        with ExitStack() as undo:
            with self._durable():
                made = self._session.generate_key(
                    KeyType.AES,
                    KEY_BITS,
                    id=key_id,
                    label=label,
                    store=True,
                    capabilities=_CAPABILITIES,
                    template=_LOCKED_IN,
                )
                undo.callback(made.destroy)
                _require_locked_in(made)
                key = self._search(key_id)
                _require_working(key)
            undo.pop_all()
        if self._handles is not None:
            self._handles[key_id] = key

    def encrypt(self, key_id: bytes, plaintext: bytes, aad: bytes) -> Sealed:
        """Encrypt with an IV of the token's.

        Raises:
            KeyMaterialGone: no key of this id.
            pkcs11.PKCS11Error: the module failed.

        """
        iv = self._session.generate_random(IV_BITS)
        return Sealed(iv, self._with_key(key_id, lambda key: _encrypt(key, iv, plaintext, aad)))

    def decrypt(self, key_id: bytes, sealed: Sealed, aad: bytes) -> bytes:
        """Decrypt, and tell a ciphertext that does not fit from a token that is not well.

        Raises:
            KeyMaterialGone: no key of this id.
            CiphertextRefused: the tag does not fit.
            pkcs11.PKCS11Error: the module failed.

        """
        return self._with_key(key_id, lambda key: _decrypt(key, sealed, aad))

    def destroy(self, key_id: bytes) -> None:
        """Destroy every secret key of this id, a broken one included; nothing to do where there is none.

        Raises:
            pkcs11.PKCS11Error: the module refused.
            OSError: its end cannot be brought to the disk.

        """
        if self._handles is not None:
            self._handles.pop(key_id, None)
        with self._durable():
            for key in list(self._found({**_SECRET, Attribute.ID: key_id})):
                key.destroy()

    def has(self, key_id: bytes) -> bool:
        """Tell whether there is a usable key of this id.

        Raises:
            pkcs11.PKCS11Error: the module failed.

        """
        try:
            self._with_key(key_id, lambda key: key[Attribute.CLASS])
        except KeyMaterialGone:
            return False
        return True

    def all(self) -> list[TokenKey]:
        """Return every secret key that can be read.

        Raises:
            pkcs11.PKCS11Error: the module failed.

        """
        return [TokenKey(_text_of(key, Attribute.LABEL), _id_of(key)) for key in self._found(_SECRET)]

    def _with_key(self, key_id: bytes, function: Callable[[AesKey], Result]) -> Result:
        """Use a key's handle; one that is stale is looked for anew, once."""
        self._require_mechanisms()
        if self._handles is None:
            self._handles = {_id_of(key): key for key in self._found(_USABLE)}
        handles = self._handles
        key = handles.get(key_id)
        if key is not None:
            try:
                return function(key)
            except HANDLE_STALE:
                del handles[key_id]
        key = handles[key_id] = self._search(key_id)
        return function(key)

    def _durable(self) -> AbstractContextManager[None]:
        return nullcontext() if self._directory is None else self._directory.durable_objects()

    def _require_mechanisms(self) -> None:
        if self._lack is not None:
            raise KeysUnsupported(self._lack)

    def _search(self, key_id: bytes) -> AesKey:
        """Search the token for the one usable key of this id.

        Raises:
            KeyMaterialGone: there is none.
            pkcs11.MultipleObjectsReturned: somebody has made another one.

        """
        found = list(self._found({**_USABLE, Attribute.ID: key_id}))
        if not found:
            raise KeyMaterialGone
        if len(found) > 1:
            raise pkcs11.MultipleObjectsReturned(f"{len(found)} keys with CKA_ID {key_id.hex()}")
        return found[0]

    def _found(self, attributes: Mapping[Attribute, Any]) -> Iterator[AesKey]:
        """Yield what fits, without the objects that a kill has left half written.

        No other operation may begin on the session before it ends.
        """
        with SearchIter(self._session, dict(attributes), 1) as search:
            for batch in search:
                with suppress(pkcs11.AttributeValueInvalid):
                    yield from batch


def _encrypt(key: AesKey, iv: bytes, plaintext: bytes, aad: bytes) -> bytes:
    return key.encrypt(plaintext, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(iv, aad))


def _decrypt(key: AesKey, sealed: Sealed, aad: bytes) -> bytes:
    try:
        return key.decrypt(
            sealed.ciphertext, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(sealed.iv, aad)
        )
    except CIPHERTEXT_REFUSED as error:
        raise CiphertextRefused from error
    except AMBIGUOUS_IN_DECRYPT as error:
        _require_working(key)
        raise CiphertextRefused from error


def _require_working(key: AesKey) -> None:
    """Encrypt and decrypt with the key.

    Raises:
        pkcs11.PKCS11Error: it does not work.

    """
    iv = key.session.generate_random(IV_BITS)
    ciphertext = _encrypt(key, iv, _TRIAL, b"")
    parameters = GCMParams(iv, b"")
    if key.decrypt(ciphertext, mechanism=Mechanism.AES_GCM, mechanism_param=parameters) != _TRIAL:
        raise pkcs11.FunctionFailed("a key does not decrypt what it has encrypted")


def _require_locked_in(key: pkcs11.SecretKey) -> None:
    """Refuse a key that a module has made otherwise than it was told to.

    Raises:
        pkcs11.TemplateInconsistent: its value could leave the token.

    """
    wrong = [attribute.name for attribute, value in _LOCKED_IN.items() if key[attribute] != value]
    if wrong:
        raise pkcs11.TemplateInconsistent(f"the module has its own mind about {', '.join(wrong)}")


def _id_of(key: AesKey) -> bytes:
    return bytes(key[Attribute.ID])


def _text_of(key: AesKey, attribute: Attribute) -> str:
    try:
        return str(key[attribute])
    except UnicodeDecodeError:  # somebody else's
        return ""
