"""What a person is told to type instead of pressing: it says all that the form says, to the command line."""

import shlex
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import typer

from hsmstore.cli.app import app
from hsmstore.console.acts import ACTS
from tests.console.forms import BELOW, forms_of
from tests.server import PASSWORD, Server
from tests.wire.failing import Played

TYPED = {
    "CustomKeyStoreName": "a b",
    "CustomKeyStoreId": "cks-1234567890abcdef0",
    "CloudHsmClusterId": "cluster-22222222222",
    "ClusterId": "cluster-22222222222",
    "NewCustomKeyStoreName": "c d",
    "XksProxyUriEndpoint": "https://xks.example.com",
    "XksProxyUriPath": "/example/kms/xks/v1",
    "XksProxyAuthenticationCredential.AccessKeyId": "ABCDEFGHIJKLMNOPQRST",
    "Point": "connect",
    "Effect": "connection-error",
    "Error": "NETWORK_ERRORS",
    "Seconds": "7.5",
    "Times": "3",
    "Every": "4",
    "Probability": "0.25",
    "Seed": "5",
    "Until": "2026-01-31T12:00",
    "Rate": "8",
}
"""What is typed into fields that are empty."""

SAID = {
    ("Reachable", "true"): "restore",
    ("Reachable", "false"): "cut",
    ("Exists", "true"): "restore",
    ("Exists", "false"): "delete",
    ("Rate", "0"): "freeze",
    ("Rate", "1"): "run",
    ("CustomKeyStoreType", "EXTERNAL_KEY_STORE"): "--xks-uri-endpoint",
}
"""What has a word of its own on the command line."""


def pages(town: Server) -> Iterator[str]:
    """Bring about what has forms, each of them at least once; name the pages."""
    played = Played(town, "commands")
    played.back_up()
    played.set_network(reachable=False)
    assert played.connect() == ("FAILED", "NETWORK_ERRORS")
    yield f"{BELOW}/key-stores/{played.store}"
    played.disconnect()
    yield f"{BELOW}/key-stores/{played.store}"
    played.manage("DELETE", f"/kmsuser?HsmId={played.hsms[0]}")
    played.manage("POST", f"/hsms/{played.hsms[1]}/stop")
    played.set_subnet(Exists=False, FreeAddresses=0)
    cluster = town.new_cluster()
    assert (
        town.manage("POST", f"/clusters/{cluster['CloudHsmClusterId']}/kmsuser/session")[0] == HTTPStatus.OK
    )
    assert town.manage("POST", "/faults", {"Point": "draw", "Effect": "hang", "Times": 1})[0] == HTTPStatus.OK
    external = town.new_external_store("commands-external")
    yield from ("/_hsmstore/", f"{BELOW}/clusters/{played.cluster_id}", f"{BELOW}/faults")
    yield from (f"{BELOW}/clusters/{cluster['CloudHsmClusterId']}", f"{BELOW}/key-stores/{external}")
    yield f"{BELOW}/clusters"
    assert town.manage("DELETE", "/faults")[0] == HTTPStatus.OK


def read(command: Any, words: list[str]) -> None:
    """Let the command line read a command, which raises UsageError where it cannot."""
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("test", words)


def is_said(name: str, value: str, words: list[str]) -> bool:
    """Tell whether a command has a field's value, with its unit or zone, or the word for it."""
    return not {value, f"{value}s", f"{value}Z", SAID.get((name, value), value)}.isdisjoint(words)


def test_every_form_is_a_command(town: Server) -> None:
    """Every field of every form is in the command, as the command line takes it; a secret is not."""
    program, seen = typer.main.get_command(app), set[str]()
    for form in [form for page in pages(town) for form in forms_of(town, page) if form.act in ACTS]:
        seen.add(form.act)
        given = {
            name: value or TYPED[name] for name, value in form.fields.items() if name not in form.secrets
        }
        given = {name: value for name, value in given.items() if name not in {"page", "form"}}
        said = ACTS[form.act].says(given | dict.fromkeys(form.secrets, PASSWORD))
        name, *words = shlex.split(said.command)
        assert name == "hsmstore"
        missing = [name for name, value in given.items() if not is_said(name, value, words)]
        # What goes wrong takes an error or a time, never both: the form of all faults has fields for both.
        assert missing in ([], ["Seconds"] if "Error" in given else []), said.command
        assert PASSWORD not in said.command
        assert len([word for word in words if word.endswith("-stdin")]) == len(form.secrets)
        read(program, words)
    assert seen == set(ACTS)
