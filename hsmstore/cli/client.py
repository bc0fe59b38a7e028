"""The simulator as commands use it: a wrong URL is a bad setting, an answer is read as a view."""

from ssl import SSLContext
from typing import TypeVar

import msgspec

from hsmstore import simulator
from hsmstore.settings import BadSetting
from hsmstore.simulator import Answer, Credentials, Refused, Unreachable
from hsmstore.simulator.doors import TIMEOUT

__all__ = ["Answer", "Credentials", "Refused", "Simulator", "Unreachable"]

T = TypeVar("T")


class Simulator(simulator.Simulator):
    """A running hsmstore. Every call raises Refused or Unreachable, which `exits` knows."""

    def __init__(
        self,
        endpoint: str,
        *,
        account: str | None = None,
        region: str | None = None,
        credentials: Credentials | None = None,
        token: str | None = None,
        context: SSLContext | None = None,
        timeout: float = TIMEOUT,
        named_by: str = "--endpoint",
    ) -> None:
        """Remember where the simulator is; nothing is sent yet.

        Raises:
            BadSetting: `endpoint`, which came from `named_by`, is no http(s) URL.

        """
        try:
            super().__init__(
                endpoint,
                account=account,
                region=region,
                credentials=credentials,
                token=token,
                context=context,
                timeout=timeout,
            )
        except ValueError as error:
            raise BadSetting(f"{named_by}: {error}") from error

    def read(self, answer: object, shape: type[T]) -> T:
        """Return `answer` as a `shape`.

        Raises:
            Unreachable: it has not that shape.

        """
        try:
            return msgspec.convert(answer, shape)
        except msgspec.ValidationError as error:
            raise self.stranger(str(error)) from error
