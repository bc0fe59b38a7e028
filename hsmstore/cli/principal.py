"""`hsmstore principal`: who may call, kept in a file that `serve --principals` reads."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.client import Simulator
from hsmstore.cli.durations import seconds_of
from hsmstore.cli.options import AsJson, read_text, takes_settings
from hsmstore.domain.principal import PrincipalType
from hsmstore.settings import BadSetting, Loaded

app: Final = typer.Typer(help="Keep the file of who may call.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The principal's name.")]
File = Annotated[Path, typer.Option("--file", metavar="FILE", help="The file of principals.")]

_NAME: Final = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_SESSION: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@app.command("add")
@takes_settings("account")
def add(
    name: Name,
    *,
    file: File,
    loaded: Loaded,
    kind: Annotated[PrincipalType, typer.Option("--type", help="What it is in IAM.")] = PrincipalType.USER,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Identity policy to give it, a JSON document.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Tag to give it; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a principal, and give it an access key.

    A role gets none: `principal token` makes its credentials. The file is made where there is none, mode
    0600. The secret is shown once, here; it stands in the file.
    """
    _check("NAME", name, _NAME)
    document = None if policy is None else _policy(policy)
    from hsmstore.bootstrap.principals import add_principal  # noqa: PLC0415 - which `--help` need not load

    added = add_principal(
        file,
        name,
        account=loaded.settings.account,
        kind=kind,
        tags=dict(_tag(text) for text in tag or ()),
        policy=document,
    )
    _tell(added, as_json=as_json)


@app.command("list")
def show_all(*, file: File, as_json: AsJson = False) -> None:
    """List the principals, without their secrets."""
    from hsmstore.bootstrap.principals import list_principals  # noqa: PLC0415 - as above

    principals = list_principals(file)
    if as_json:
        screen.document({"Principals": principals})
        return
    screen.table(
        ["NAME", "TYPE", "ARN", "ACCESS KEYS"],
        [[one["Name"], one["Type"], one["Arn"], ", ".join(_keys_of(one))] for one in principals],
    )


@app.command("token")
@takes_settings("account")
def token(
    name: Name,
    *,
    file: File,
    loaded: Loaded,
    duration: Annotated[
        str, typer.Option(metavar="TIME", help="How long it is valid: 90s, 20m, 1h30m or 7d.")
    ] = "1h",
    session: Annotated[
        str | None, typer.Option("--session", metavar="NAME", help="Name of a role's session.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a temporary credential for a principal.

    With --json it is what the AWS SDKs take from a credential_process.
    """
    if session is not None:
        _check("--session", session, _SESSION)
    try:
        seconds = seconds_of(duration)
    except ValueError as error:
        raise BadSetting(f"--duration: {error}") from error
    from hsmstore.bootstrap.principals import new_token  # noqa: PLC0415 - as above

    made = new_token(file, name, account=loaded.settings.account, seconds=seconds, session=session)
    _tell(made, as_json=as_json)


@app.command("suggest")
def suggest(
    context: typer.Context,
    name: Name,
    *,
    account: Annotated[
        str | None, typer.Option(metavar="ID", help="Its account; none: the server's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the least policy that a principal's calls need.

    That is an identity policy, by the calls that a server with --iam has seen. What was denied goes to
    standard error; --json prints both as one document.
    """
    simulator: Simulator = context.obj.simulator
    answer = simulator.suggest_policy(name, account)
    if as_json:
        screen.document(answer)
        return
    screen.document(simulator.member(answer, "Policy", dict))
    for denied in simulator.member(answer, "Denied", list):
        screen.note(f"{denied['Action']} on {denied['Resource']}: {denied['Reason']}")


def _check(source: str, text: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(text):
        raise BadSetting(f"{source}: {text!r} is not up to 64 letters, digits and any of _+=,.@-")


def _policy(file: Path) -> dict[str, Any]:
    text = read_text("--policy", file)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSetting(f"--policy: {file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadSetting(f"--policy: {file} is no policy, which is a JSON object")
    return document


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise BadSetting(f"--tag: {text!r} is not KEY=VALUE")
    return key, value


def _keys_of(principal: dict[str, Any]) -> Sequence[str]:
    lent = [credential["AccessKeyId"] for credential in principal["TemporaryCredentials"]]
    return [*principal["AccessKeyIds"], *lent]


def _tell(members: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        screen.document(members)
    else:
        screen.card([(name, str(value)) for name, value in members.items()])
