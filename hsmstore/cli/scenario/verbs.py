"""The steps of a scenario, one row each: the command of the same name, with names for ids."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import yaml

from hsmstore.cli.durations import in_words
from hsmstore.cli.scenario import acts
from hsmstore.cli.scenario.marked import Reader
from hsmstore.cli.scenario.stage import Stage
from hsmstore.domain.faults import OPERATIONS, Effect, Phase
from hsmstore.domain.limits import (
    HSMS_PER_CLUSTER,
    KMSUSER_PASSWORD_MAX,
    KMSUSER_PASSWORD_MIN,
    RANDOM_BYTES_MAX,
    SUBNET_ADDRESSES,
)

Kind = Callable[[Reader, yaml.Node], Any]
"""How a value is read: what is wrong with it is told to the reader."""

Act = Callable[[Stage, Any, Mapping[str, Any]], str]
"""Does the step to its subject, with its options, on the stage."""

MANY: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Option:
    """What a step may say beside its subject."""

    kind: Kind
    help: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A kind of step. `of_store`: its subject is a key store, whose state can be expected.

    `leads_to` is the state that is expected where the step does not say.
    """

    help: str
    subject: str
    kind: Kind
    act: Act
    options: Mapping[str, Option] = field(default_factory=dict)
    of_store: bool = False
    leads_to: str | None = None


def _name(kind: str) -> Kind:
    return lambda reader, node: reader.name(node, kind)


def _new(kind: str) -> Kind:
    return lambda reader, node: reader.new_name(node, kind)


def _whole(least: int, most: int) -> Kind:
    return lambda reader, node: reader.whole(node, least, most)


def _choice(*words: str) -> Kind:
    return lambda reader, node: reader.choice(node, words)


def _nothing(reader: Reader, node: yaml.Node) -> str:
    reader.nothing(node)
    return ""


def _text(reader: Reader, node: yaml.Node) -> str | None:
    return reader.text(node)


def _duration(reader: Reader, node: yaml.Node) -> float | None:
    return reader.duration(node)


def _phase(reader: Reader, node: yaml.Node) -> str | None:
    return "" if node.tag.endswith(":null") else reader.choice(node, HOLDABLE)


def _password(reader: Reader, node: yaml.Node) -> str | None:
    word = reader.text(node)
    if word is None or KMSUSER_PASSWORD_MIN <= len(word) <= KMSUSER_PASSWORD_MAX:
        return word
    reader.wrong(node, f"a password has {KMSUSER_PASSWORD_MIN} to {KMSUSER_PASSWORD_MAX} characters")
    return None


HOLDABLE: Final = (Phase.CONNECT.value, Phase.DISCONNECT.value)
POINTS: Final = (*(phase.value for phase in Phase), *sorted(OPERATIONS))

_STORE: Final = _name("key store")
_CLUSTER: Final = _name("cluster")
_HSM: Final = Option(_whole(1, HSMS_PER_CLUSTER), "which of its HSMs, by number", required=True)
_ONE_HSM: Final = Option(_whole(1, HSMS_PER_CLUSTER), "on this HSM alone, by number")
_SUBNET: Final = Option(_whole(1, 100), "which of its subnets, by number", required=True)
_PASSWORD: Final = Option(_password, "kmsuser's password", required=True)
_HSMS: Final = Option(_whole(0, HSMS_PER_CLUSTER), "how many HSMs; 2")
_ONE_STORE: Final = Option(_STORE, "of this key store alone")

_PROBABILITY: Final = Option(lambda reader, node: reader.number(node, 0, 1), "each with this probability")


def _of_cluster(help_text: str, act: Act, options: Mapping[str, Option] | None = None) -> Verb:
    return Verb(help=help_text, subject="CLUSTER", kind=_CLUSTER, act=act, options=options or {})


def _of_store(
    help_text: str, act: Act, options: Mapping[str, Option] | None = None, *, leads_to: str | None = None
) -> Verb:
    return Verb(
        help=help_text,
        subject="STORE",
        kind=_STORE,
        act=act,
        options=options or {},
        of_store=True,
        leads_to=leads_to,
    )


def _of_nothing(help_text: str, act: Act) -> Verb:
    return Verb(help=help_text, subject="", kind=_nothing, act=act)


_CLUSTERS: Final = {
    "cluster create": Verb(
        help="Make a cluster.",
        subject="NAME",
        kind=_new("cluster"),
        act=acts.create_cluster,
        options={"hsms": _HSMS, "kmsuser-password": Option(_password, "make kmsuser, with this password")},
    ),
    "cluster delete": _of_cluster("Delete a cluster.", acts.delete_cluster),
    "cluster hsm add": _of_cluster("Add an HSM.", acts.add_hsm),
    "cluster hsm remove": _of_cluster("Delete an HSM.", acts.remove_hsm, {"hsm": _HSM}),
    "cluster hsm stop": _of_cluster("Let an HSM answer no more.", acts.stop_hsm, {"hsm": _HSM}),
    "cluster hsm start": _of_cluster("Let a stopped HSM answer again.", acts.start_hsm, {"hsm": _HSM}),
    "cluster network cut": _of_cluster("Cut the network to it.", acts.cut_network),
    "cluster network restore": _of_cluster("Restore the network to it.", acts.restore_network),
    "cluster subnet set": _of_cluster(
        "Use up or free a subnet's addresses.",
        acts.set_subnet,
        {
            "subnet": _SUBNET,
            "free-addresses": Option(_whole(0, SUBNET_ADDRESSES), "how many are free", required=True),
        },
    ),
    "cluster subnet delete": _of_cluster("Delete a subnet.", acts.delete_subnet, {"subnet": _SUBNET}),
    "cluster subnet restore": _of_cluster("Bring a subnet back.", acts.restore_subnet, {"subnet": _SUBNET}),
    "cluster kmsuser create": _of_cluster(
        "Make kmsuser.", acts.create_kmsuser, {"password": _PASSWORD, "hsm": _ONE_HSM}
    ),
    "cluster kmsuser set-password": _of_cluster(
        "Set kmsuser's password in the cluster.", acts.set_password, {"password": _PASSWORD}
    ),
    "cluster kmsuser delete": _of_cluster("Delete kmsuser.", acts.delete_kmsuser, {"hsm": _ONE_HSM}),
    "cluster kmsuser login": _of_cluster("Log kmsuser in from elsewhere.", acts.log_in),
    "cluster kmsuser logout": _of_cluster("End that session.", acts.log_out),
    "cluster backup": _of_cluster(
        "Back a cluster up.",
        acts.back_up,
        {"as": Option(_new("backup"), "the backup's name", required=True)},
    ),
    "cluster restore": Verb(
        help="Make a cluster from a backup.",
        subject="BACKUP",
        kind=_name("backup"),
        act=acts.restore,
        options={"as": Option(_new("cluster"), "the new cluster's name", required=True), "hsms": _HSMS},
    ),
}

_STORES: Final = {
    "store create": Verb(
        help="Make a key store.",
        subject="NAME",
        kind=_new("key store"),
        act=acts.create_store,
        of_store=True,
        options={
            "cluster": Option(_CLUSTER, "the cluster that holds the keys", required=True),
            "password": _PASSWORD,
        },
    ),
    "store connect": _of_store("Connect; CONNECTED is expected.", acts.connect, leads_to="CONNECTED"),
    "store disconnect": _of_store(
        "Disconnect; DISCONNECTED is expected.", acts.disconnect, leads_to="DISCONNECTED"
    ),
    "store update": _of_store(
        "Change a key store.",
        acts.update,
        {
            "password": Option(_password, "what kmsuser's password now is"),
            "cluster": Option(_CLUSTER, "another cluster with the same certificate"),
        },
    ),
    "store show": _of_store("Look at a key store, to expect something of it.", acts.show),
    "store delete": Verb(help="Delete a key store.", subject="STORE", kind=_STORE, act=acts.delete_store),
    "random": _of_store(
        "Draw random bytes.",
        acts.draw,
        {
            "bytes": Option(_whole(1, RANDOM_BYTES_MAX), "how many; 32"),
            "times": Option(_whole(1, MANY), "how often; once"),
        },
    ),
}

_CLOCK: Final = {
    "clock advance": Verb(
        help="Set the clock forward.", subject="DURATION", kind=_duration, act=acts.advance
    ),
    "clock freeze": _of_nothing("Stop the clock.", acts.freeze),
    "clock run": _of_nothing("Let the clock run as in life.", acts.run),
    "clock scale": Verb(
        help="Let the clock run faster or slower.",
        subject="RATE",
        kind=lambda reader, node: reader.number(node, 0, MANY),
        act=acts.scale,
    ),
}

_FAULTS: Final = {
    "fault add": Verb(
        help="Let a phase or call fail.",
        subject="POINT",
        kind=_choice(*POINTS),
        act=acts.add_fault,
        options={
            "effect": Option(_choice(*Effect), f"one of {', '.join(Effect)}", required=True),
            "error": Option(_text, "of connection-error and exception: the code"),
            "duration": Option(_duration, "of latency and timeout: how long"),
            "store": _ONE_STORE,
            "cluster": Option(_CLUSTER, "of this cluster alone"),
            "times": Option(_whole(1, MANY), "only the next so many"),
            "every": Option(_whole(1, MANY), "only the last of every so many"),
            "probability": _PROBABILITY,
            "seed": Option(_whole(0, 2**53), "to replay what chance chose"),
            "until": Option(_duration, "for how long, by the simulation's clock"),
            "as": Option(_new("fault"), "a name, for `fault remove`"),
        },
    ),
    "fault remove": Verb(
        help="Take a fault back.", subject="FAULT", kind=_name("fault"), act=acts.remove_fault
    ),
    "hold": Verb(
        help="Let a phase not end.",
        subject="PHASE",
        kind=_choice(*HOLDABLE),
        act=acts.hold,
        options={"store": _ONE_STORE},
    ),
    "release": Verb(
        help="Let what is held go on; without a phase, both.",
        subject="PHASE",
        kind=_phase,
        act=acts.release,
        options={"store": _ONE_STORE},
    ),
}

_SAY: Final = Verb(help="Tell something.", subject="TEXT", kind=_text, act=acts.say)

VERBS: Final[Mapping[str, Verb]] = MappingProxyType(
    {"say": _SAY, **_CLUSTERS, **_STORES, **_CLOCK, **_FAULTS}
)


def in_one_line(name: str, subject: Any, values: Mapping[str, Any]) -> str:
    """Return the step as it would be typed; a password is not shown."""
    if name == "say":
        return str(subject)
    verb = VERBS[name]
    words = [*name.split(), _typed(verb.kind, subject)]
    for option, value in values.items():
        words += [f"--{option}", "…" if "password" in option else _typed(verb.options[option].kind, value)]
    return " ".join(filter(None, words))


def _typed(kind: Kind, value: Any) -> str:
    word = in_words(value) if kind is _duration else str(value)
    return word and shlex.quote(word)
