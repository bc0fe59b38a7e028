"""How a command ends: every exit code, and the one place where an exception becomes one."""

from collections.abc import Callable
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import typer

from hsmstore.cli.client import Refused, Unreachable
from hsmstore.cli.screen import ReaderGone
from hsmstore.cli.waiting import Unsettled
from hsmstore.domain.attestation import AttestationRefused
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.settings import BadSetting
from hsmstore.settings.environment import DEBUG_VARIABLE


class ExitCode(IntEnum):
    """The process's exit status. Scripts rely on 0 to 4; the others are customs of Unix."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    UNFIT = 4
    DEFECT = 70
    INTERRUPTED = 130
    READER_GONE = 141


MEANINGS: Final = MappingProxyType(
    {
        ExitCode.DONE: "done",
        ExitCode.REFUSED: "refused: the AWS error's code and text are on standard error",
        ExitCode.USAGE: "wrong usage, or a setting that is not allowed",
        ExitCode.UNREACHABLE: "the simulator cannot be reached",
        ExitCode.UNFIT: "this machine cannot run hsmstore as it stands: see `hsmstore doctor`",
        ExitCode.DEFECT: "a defect of hsmstore",
        ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
        ExitCode.READER_GONE: "whoever read the output went away",
    }
)


class Ending(NamedTuple):
    """An exit code, and the line that goes with it; an empty one is not printed."""

    code: ExitCode
    line: str


def _usage(error: typer.TyperException) -> str:
    context: typer.Context | None = getattr(error, "ctx", None)
    hint = f" (see: {context.command_path} --help)" if context else ""
    return f"{error.format_message()}{hint}"


def _defect(error: BaseException) -> str:
    return (
        f"this is a defect of hsmstore: {type(error).__name__}: {error}; "
        f"please report it with the traceback that {DEBUG_VARIABLE}=1 shows"
    )


def _unreachable(error: Any) -> str:
    return f"{error}; to start one here: hsmstore serve"


def _unfit(error: Any) -> str:
    return f"{error.reason}; {error.mend}"


def _system(error: Any) -> str:
    place = f" {error.filename}" if error.filename else ""
    return f"the system refused{place}: {error.strerror or error}"


def _silent(_: Any) -> str:
    return ""


_ENDINGS: Final[tuple[tuple[type[BaseException], ExitCode, Callable[[Any], str]], ...]] = (
    (Refused, ExitCode.REFUSED, str),
    (Unsettled, ExitCode.REFUSED, str),
    (AttestationRefused, ExitCode.REFUSED, str),
    (BadSetting, ExitCode.USAGE, str),
    (typer.TyperException, ExitCode.USAGE, _usage),
    (Unreachable, ExitCode.UNREACHABLE, _unreachable),
    (EnvironmentUnfit, ExitCode.UNFIT, _unfit),
    (OSError, ExitCode.UNFIT, _system),
    (KeyboardInterrupt, ExitCode.INTERRUPTED, _silent),
    (typer.Abort, ExitCode.INTERRUPTED, _silent),
    (ReaderGone, ExitCode.READER_GONE, _silent),
)


def ending_of(error: BaseException) -> Ending:
    """Return how a command ends that raised `error`."""
    for kind, code, line in _ENDINGS:
        if isinstance(error, kind):
            return Ending(code, line(error))
    return Ending(ExitCode.DEFECT, _defect(error))
