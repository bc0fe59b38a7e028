"""A scenario as it is written: read from YAML, checked from end to end before anything runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from hsmstore.cli.options import read_text
from hsmstore.cli.scenario.marked import Reader, line_of
from hsmstore.cli.scenario.verbs import VERBS, Verb, in_one_line
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import ERRORS
from hsmstore.domain.faults import Effect
from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.domain.profile import Profile
from hsmstore.settings import BadSetting

MEMBERS: Final = {
    "scenario": "its title",
    "about": "what it tells",
    "profile": "the pace of the simulator that is started for it; instant",
    "clusters": "clusters to make first, by name, with the options of `cluster create`",
    "stores": "key stores to make next, by name, with the options of `store create`",
    "steps": "what happens, in order",
}
EXPECTATIONS: Final = {
    "state": "the ConnectionState in which the key store comes to rest",
    "error": "its ConnectionErrorCode; FAILED is meant",
    "exception": "the AWS error that refuses the step, each time; or ConnectionDropped",
}
DROPPED: Final = "ConnectionDropped"
"""Stands among the AWS errors for a call that gets no answer, as the effect `drop` leaves it."""

REPEATED: Final = ("repeat", "steps")
REPEATS_MAX: Final = 1000

_ERRORS_OF: Final[Mapping[str, Sequence[str]]] = {
    Effect.CONNECTION_ERROR: [code.value for code in ConnectionErrorCode],
    Effect.EXCEPTION: sorted(ERRORS),
}


_WORDS: Final[Mapping[str, Sequence[str]]] = {
    "state": list(ConnectionState),
    "error": list(ConnectionErrorCode),
    "exception": [*ERRORS, DROPPED],
}


class BadScenario(BadSetting):
    """A scenario that cannot run. `mistakes` are all that is wrong with it, a line each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__(mistakes[-1])
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must come of a step."""

    state: str | None = None
    error: str | None = None
    exception: str | None = None

    def __str__(self) -> str:
        """Return it in a few words."""
        words = (self.exception and f"refused: {self.exception}", self.state, self.error)
        return ", ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: where it stands, what it does, what is expected."""

    line: int
    name: str
    subject: Any
    values: Mapping[str, Any]
    expected: Expectation

    @property
    def verb(self) -> Verb:
        """What kind of step it is."""
        return VERBS[self.name]

    def __str__(self) -> str:
        """Return it as it would be typed."""
        return in_one_line(self.name, self.subject, self.values)


@dataclass(frozen=True, slots=True)
class Script:
    """A whole scenario."""

    file: str
    title: str
    profile: Profile
    steps: Sequence[Step]


def load(file: Path) -> Script:
    """Return the script that a file holds.

    Raises:
        BadScenario: there is something wrong with it.

    """
    reader = Reader(str(file))
    script = _script(reader, read_text("FILE", file))
    if script is None or reader.mistakes:
        raise BadScenario(reader.mistakes)
    return script


def _script(reader: Reader, text: str) -> Script | None:
    root = reader.document(text)
    if root is None:
        return None
    members = reader.members(root, MEMBERS)
    if "steps" not in members and isinstance(root, yaml.MappingNode):
        reader.wrong(root, "it has no steps")
    title = members.get("scenario")
    profile = members.get("profile")
    if "about" in members:
        reader.text(members["about"])
    return Script(
        file=reader.file,
        title=(title and reader.text(title)) or Path(reader.file).stem,
        profile=Profile((profile and reader.choice(profile, list(Profile))) or Profile.INSTANT),
        steps=[
            *_made(reader, "cluster create", members.get("clusters")),
            *_made(reader, "store create", members.get("stores")),
            *_steps(reader, members.get("steps")),
        ],
    )


def _made(reader: Reader, name: str, node: yaml.Node | None) -> Iterator[Step]:
    """Yield the steps that a section stands for."""
    for key, _, value in reader.entries(node) if node is not None else ():
        options = {} if value.tag.endswith(":null") else reader.members(value, VERBS[name].options)
        subject = VERBS[name].kind(reader, key)
        yield Step(line_of(key), name, subject, _values(reader, name, key, options), Expectation())


def _steps(reader: Reader, node: yaml.Node | None) -> Iterator[Step]:
    for item in reader.items(node) if node is not None else ():
        if isinstance(item, yaml.MappingNode) and any(key.value == "repeat" for key, _ in item.value):
            yield from _repeated(reader, item)
        elif (step := _step(reader, item)) is not None:
            yield step


def _repeated(reader: Reader, node: yaml.Node) -> Iterator[Step]:
    members = reader.members(node, REPEATED)
    if "steps" not in members:
        reader.wrong(node, "steps are missing, which are to be repeated")
        return
    steps = list(_steps(reader, members["steps"]))
    for _ in range(reader.whole(members["repeat"], 1, REPEATS_MAX) or 0):
        yield from steps


def _step(reader: Reader, node: yaml.Node) -> Step | None:
    entries = list(reader.entries(node))
    if not entries:
        return None
    key, name, value = entries[0]
    if name not in VERBS:
        reader.unknown(key, name, VERBS)
        return None
    verb = VERBS[name]
    options: dict[str, yaml.Node] = {}
    for option_key, option, option_value in entries[1:]:
        if option in {*verb.options, "expect"}:
            options[option] = option_value
        else:
            reader.unknown(option_key, option, [*verb.options, "expect"])
    expect = options.pop("expect", None)
    return Step(
        line=line_of(key),
        name=name,
        subject=verb.kind(reader, value),
        values=_values(reader, name, key, options),
        expected=_expected(reader, verb, expect),
    )


def _values(reader: Reader, name: str, key: yaml.Node, options: Mapping[str, yaml.Node]) -> dict[str, Any]:
    known = VERBS[name].options
    for option, about in known.items():
        if about.required and option not in options:
            reader.wrong(key, f"{option!r} is missing: {about.help}")
    values = {option: known[option].kind(reader, node) for option, node in options.items()}
    if name == "fault add" and values.get("effect"):
        _check_fault(reader, key, values["effect"], options)
    return values


def _check_fault(reader: Reader, key: yaml.Node, effect: str, options: Mapping[str, yaml.Node]) -> None:
    """See that the effect has the option that it needs, and none that means nothing to it."""
    needed = {
        Effect.CONNECTION_ERROR: "error",
        Effect.EXCEPTION: "error",
        Effect.LATENCY: "duration",
        Effect.TIMEOUT: "duration",
    }.get(Effect(effect))
    for option in ("error", "duration"):
        if option == needed and option not in options:
            reader.wrong(key, f"{option!r} is missing, which the effect {effect} needs")
        elif option != needed and option in options:
            reader.wrong(options[option], f"{option!r} does not go with the effect {effect}")
    if needed == "error" and "error" in options:
        reader.choice(options["error"], _ERRORS_OF[effect])


def _expected(reader: Reader, verb: Verb, node: yaml.Node | None) -> Expectation:
    if node is None:
        return Expectation(state=verb.leads_to)
    members = reader.members(node, EXPECTATIONS)
    for member in ("state", "error"):
        if member in members and not verb.of_store:
            reader.wrong(members[member], "only a step about a key store can expect this; see `store show`")
    said = {member: reader.choice(value, _WORDS[member]) for member, value in members.items()}
    if said.get("error"):
        said.setdefault("state", ConnectionState.FAILED)
    return Expectation(**said)
