"""What stands before the subcommand, and the simulator that it leads to."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hsmstore.cli.client import Credentials, Simulator
from hsmstore.cli.trust import context_for, token_for
from hsmstore.settings import checked
from hsmstore.settings.environment import (
    CREDENTIAL_VARIABLES,
    ENDPOINT_VARIABLE,
    LOCAL_ENDPOINT,
    REGION_VARIABLES,
    environment,
)
from hsmstore.simulator.doors import TIMEOUT


class Invocation(NamedTuple):
    """What stands before the subcommand. `given` are the options that were typed."""

    simulator: Simulator
    endpoint_chosen: bool
    given: Sequence[str]


def invocation(typed: Mapping[str, str | None], timeout: float = TIMEOUT) -> Invocation:
    """Settle where to go, for whom to speak, and after how many seconds of silence to give up.

    Raises:
        BadSetting: a value is not allowed; the text says where it came from.

    """
    given = {option: value for option, value in typed.items() if value is not None}
    everything = {name: value for name, value in environment().items() if value} | given
    endpoint_source, endpoint = _first(everything, "--endpoint", ENDPOINT_VARIABLE)
    region_source, region = _first(everything, "--region", *REGION_VARIABLES)
    account = given.get("--account")
    where = LOCAL_ENDPOINT if endpoint is None else endpoint
    simulator = Simulator(
        where,
        named_by=endpoint_source,
        account=None if account is None else checked("account", account, "--account"),
        region=None if region is None else checked("region", region, region_source),
        credentials=_credentials(everything) if account is None else None,
        token=token_for(where, given.get("--token-file"), everything),
        context=context_for(where, given.get("--ca-file"), given.get("--client-cert"), everything),
        timeout=timeout,
    )
    return Invocation(simulator, endpoint_chosen=endpoint is not None, given=list(given))


def _credentials(values: Mapping[str, str]) -> Credentials | None:
    """Return what AWS's own tools would sign with, if the environment has it."""
    key, secret, token = (values.get(name) for name in CREDENTIAL_VARIABLES)
    return Credentials(key, secret, token) if key and secret else None


def _first(values: Mapping[str, str], *names: str) -> tuple[str, str | None]:
    """Return the first of `names` that has a value, and the value."""
    return next(((name, values[name]) for name in names if name in values), (names[0], None))
