"""A module's CK_FUNCTION_LIST whose calls on the token's files take turns; the others go straight to it.

Why: SoftHSM2 2.6.1 keeps a token in files that several copies of it, in one process or in many, cannot share:
each C_Login truncates token.object, unlocks it and writes it again, and a reader between the two finds no
token, or writes an old password back. Under one lock round all such calls the copies are sound.
"""

import ctypes
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Final, NamedTuple

from hsmstore.domain.errors import EnvironmentUnfit

log = logging.getLogger(__name__)

CKR_OK: Final = 0x00
CKR_FUNCTION_FAILED: Final = 0x06
CKR_FUNCTION_NOT_SUPPORTED: Final = 0x54

FUNCTIONS: Final = 68  # of CK_FUNCTION_LIST up to PKCS#11 2.40


class _Place(NamedTuple):
    """Where a function stands in CK_FUNCTION_LIST, and how many arguments it takes (pkcs11f.h of 2.40)."""

    position: int
    arguments: int


TOUCHING_FILES: Final[Mapping[str, _Place]] = MappingProxyType(
    {
        "C_Initialize": _Place(0, 1),
        "C_Finalize": _Place(1, 1),
        "C_GetSlotList": _Place(4, 3),
        "C_GetSlotInfo": _Place(5, 2),
        "C_GetTokenInfo": _Place(6, 2),
        "C_InitPIN": _Place(10, 3),
        "C_SetPIN": _Place(11, 5),
        "C_OpenSession": _Place(12, 5),
        "C_CloseSession": _Place(13, 1),
        "C_CloseAllSessions": _Place(14, 1),
        "C_Login": _Place(18, 4),
        "C_Logout": _Place(19, 1),
        "C_CreateObject": _Place(20, 4),
        "C_CopyObject": _Place(21, 5),
        "C_DestroyObject": _Place(22, 2),
        "C_GetObjectSize": _Place(23, 3),
        "C_GetAttributeValue": _Place(24, 4),
        "C_SetAttributeValue": _Place(25, 4),
        "C_FindObjectsInit": _Place(26, 3),
        "C_FindObjects": _Place(27, 4),
        "C_EncryptInit": _Place(29, 3),
        "C_DecryptInit": _Place(33, 3),
        "C_DigestKey": _Place(40, 2),
        "C_SignInit": _Place(42, 3),
        "C_SignRecoverInit": _Place(46, 3),
        "C_VerifyInit": _Place(48, 3),
        "C_VerifyRecoverInit": _Place(52, 3),
        "C_GenerateKey": _Place(58, 5),
        "C_GenerateKeyPair": _Place(59, 8),
        "C_WrapKey": _Place(60, 6),
        "C_UnwrapKey": _Place(61, 8),
        "C_DeriveKey": _Place(62, 6),
    }
)
"""What reads or writes the token's files. C_GenerateRandom does not, nor do the steps after an …Init."""

CHANGING_PASSWORDS: Final = frozenset({"C_InitPIN", "C_SetPIN"})
_INIT_TOKEN: Final = _Place(9, 4)


class FunctionList(ctypes.Structure):
    """CK_FUNCTION_LIST: a version of two bytes, padded, and the functions in their order."""

    _fields_ = (("version", ctypes.c_ubyte * 2), ("functions", ctypes.c_void_p * FUNCTIONS))


class Guarded:
    """A copy of a module's function list, guarded. It must outlive the last call through it."""

    def __init__(
        self,
        library: ctypes.CDLL,
        turn: AbstractContextManager[object],
        password_changed: Callable[[], object],
    ) -> None:
        """Copy the list of `library`; each guarded call is made within `turn`, which all copies share.

        `password_changed` is called in the same turn after a password has been changed. C_InitToken is
        refused: whoever may open the connection may use the token, and not replace it.

        Raises:
            EnvironmentUnfit: the library does not give its list.

        """
        self._turn = turn
        self._password_changed = password_changed
        self.functions: Final = _copied(library)
        self._kept: list[object] = []  # ctypes frees a callback that Python no longer knows
        for name, place in TOUCHING_FILES.items():
            self._guard(name, place)
        self._put(_INIT_TOKEN, lambda *_: CKR_FUNCTION_NOT_SUPPORTED)

    def finalize(self) -> None:
        """Call C_Finalize, which closes whatever the caller has left open; once more is harmless."""
        place = TOUCHING_FILES["C_Finalize"]
        _prototype(place)(self.functions.functions[place.position])(None)

    def _guard(self, name: str, place: _Place) -> None:
        call = _prototype(place)(self.functions.functions[place.position])
        self._put(place, self._with_backup(name, call) if name in CHANGING_PASSWORDS else self._in_turn(call))

    def _in_turn(self, call: Callable[..., int]) -> Callable[..., int]:
        def guarded(*arguments: int | None) -> int:
            with self._turn:
                return call(*arguments)

        return guarded

    def _with_backup(self, name: str, call: Callable[..., int]) -> Callable[..., int]:
        def guarded(*arguments: int | None) -> int:
            with self._turn:
                returned = call(*arguments)
                if returned == CKR_OK:
                    try:
                        self._password_changed()
                    except OSError:  # the password is in force all the same
                        log.exception("after %s token.object could not be copied", name)
                return returned

        return guarded

    def _put(self, place: _Place, function: Callable[..., int]) -> None:
        callback = _prototype(place)(function)
        self._kept.append(callback)
        self.functions.functions[place.position] = ctypes.cast(callback, ctypes.c_void_p).value


def _copied(library: ctypes.CDLL) -> FunctionList:
    pointer = ctypes.POINTER(FunctionList)()
    get_function_list = getattr(library, "C_GetFunctionList", None)
    if get_function_list is None or get_function_list(ctypes.byref(pointer)) != CKR_OK:
        raise EnvironmentUnfit("the PKCS#11 module does not give its list of functions", "choose another one")
    return FunctionList.from_buffer_copy(pointer.contents)


def _prototype(place: _Place) -> "type[ctypes._CFunctionType]":
    """Return the function's type. Arguments are handles and pointers, which only pass through."""
    return ctypes.CFUNCTYPE(ctypes.c_ulong, *[ctypes.c_void_p] * place.arguments)
