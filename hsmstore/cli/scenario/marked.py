"""YAML whose every word knows where it stands, so that each mistake is told with file, line and column."""

import difflib
from collections.abc import Collection, Iterator
from typing import Final

import yaml

from hsmstore.cli.durations import seconds_of

NULL: Final = "tag:yaml.org,2002:null"


class Reader:
    """Reads one file and collects what is wrong with it; what cannot be read is None."""

    def __init__(self, file: str) -> None:
        """Take the file's name, as mistakes tell it."""
        self.file = file
        self.mistakes: list[str] = []
        self.names: dict[str, set[str]] = {}

    def document(self, text: str) -> yaml.Node | None:
        """Return the root of the file's one document."""
        try:
            root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
            self.mistakes.append(f"{self.file}:{place}: {error.problem or error.context}")
        except (yaml.YAMLError, RecursionError) as error:
            self.mistakes.append(f"{self.file}:1:1: this is not YAML: {' '.join(str(error).split())}")
        else:
            if root is not None:
                return root
            self.mistakes.append(f"{self.file}:1:1: the file is empty")
        return None

    def wrong(self, node: yaml.Node, text: str) -> None:
        """Remember a mistake."""
        self.mistakes.append(f"{self.file}:{line_of(node)}:{node.start_mark.column + 1}: {text}")

    def entries(self, node: yaml.Node) -> Iterator[tuple[yaml.Node, str, yaml.Node]]:
        """Yield each key, its text and its value; a key stands once."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, "here should be `key: value`")
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = self.text(key) if isinstance(key, yaml.ScalarNode) else None
            if name is None:
                self.wrong(key, "this is no key")
            elif name in seen:
                self.wrong(key, f"{name!r} stands here twice")
            else:
                seen.add(name)
                yield key, name, value

    def members(self, node: yaml.Node, known: Collection[str]) -> dict[str, yaml.Node]:
        """Return the values by key; every key must be known."""
        found: dict[str, yaml.Node] = {}
        for key, name, value in self.entries(node):
            if name in known:
                found[name] = value
            else:
                self.unknown(key, name, known)
        return found

    def items(self, node: yaml.Node) -> list[yaml.Node]:
        """Return the items of a list."""
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.wrong(node, "here should be a list, each item behind a dash")
        return []

    def unknown(self, node: yaml.Node, word: str, known: Collection[str]) -> None:
        """Remember a word that is none of the known, with the one that was probably meant."""
        self.wrong(node, f"{word!r} is not known here; {_hint(word, known)}")

    def text(self, node: yaml.Node) -> str | None:
        """Return a scalar as it was written."""
        if isinstance(node, yaml.ScalarNode) and node.tag != NULL:
            return str(node.value)
        self.wrong(node, "here should be a word or a number")
        return None

    def nothing(self, node: yaml.Node) -> None:
        """See that no value stands here."""
        if node.tag != NULL:
            self.wrong(node, "no value goes with this step")

    def choice(self, node: yaml.Node, known: Collection[str]) -> str | None:
        """Return one of the known words."""
        word = self.text(node)
        if word is None or word in known:
            return word
        self.unknown(node, word, known)
        return None

    def number(self, node: yaml.Node, least: float, most: float) -> float | None:
        """Return a number between two bounds."""
        word = self.text(node)
        try:
            number = float(word or "nan")
        except ValueError:
            number = float("nan")
        if least <= number <= most:
            return number
        if word is not None:
            self.wrong(node, f"{word!r} is not a number from {least:g} to {most:g}")
        return None

    def whole(self, node: yaml.Node, least: int, most: int) -> int | None:
        """Return a whole number between two bounds."""
        number = self.number(node, least, most)
        if number is not None and number != int(number):
            self.wrong(node, f"{number:g} is not a whole number")
            return None
        return None if number is None else int(number)

    def duration(self, node: yaml.Node) -> float | None:
        """Return a duration in seconds."""
        word = self.text(node)
        try:
            return None if word is None else seconds_of(word)
        except ValueError as error:
            self.wrong(node, str(error))
            return None

    def name(self, node: yaml.Node, kind: str) -> str | None:
        """Return the name of something that was made further up."""
        word = self.text(node)
        known = self.names.get(kind, set())
        if word is None or word in known:
            return word
        self.wrong(node, f"no {kind} is named {word!r}; {_hint(word, known)}")
        return None

    def new_name(self, node: yaml.Node, kind: str) -> str | None:
        """Return the name that something is given here."""
        word = self.text(node)
        if word is not None:
            self.names.setdefault(kind, set()).add(word)
        return word


def line_of(node: yaml.Node) -> int:
    """Return the line where it begins."""
    return int(node.start_mark.line) + 1


def _hint(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"did you mean '{near[0]}'?" if near else f"there are {', '.join(sorted(known)) or 'none'}"
