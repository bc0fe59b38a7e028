"""The page of what programs and tests in Python may use, from signatures and docstrings: python.md."""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Unpack, get_args, get_origin

from docs.reference import page, table
from hsmstore import simulator as remote
from hsmstore import testing
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.settings import BadSetting
from hsmstore.settings.fields import FIELDS
from hsmstore.simulator.facets import When
from hsmstore.testing.simulation import Options

PLUGIN: Final = Path(testing.__file__).with_name("plugin.py")

DOORS: Final = ("kms", "manage", "metrics")
"""What `Controls` has from below; the rest there is for itself."""

INTERNAL: Final = frozenset({"answer"})
"""What takes or gives something that is hsmstore's alone."""

ERRORS: Final = (remote.Refused, remote.Unreachable, BadSetting, EnvironmentUnfit)

_INDENTED: Final = "    "


def python() -> str:
    """Return the page of the fixtures, `hsmstore.testing` and `hsmstore.simulator`."""
    return page(
        "# From Python",
        "What [is promised](versioning.md) to programs and tests: these names, their arguments and what they"
        " raise. `Answer` is a `dict[str, Any]`: the JSON object of KMS, or of"
        " [the management API](management.md).",
        "## Fixtures of pytest",
        "[In your tests](testing.md) has recipes for them.",
        table(("Fixture", "Type", "What it does"), _fixtures()),
        "## hsmstore.testing",
        _items([_callable(testing.simulator), _callable(testing.simulated)]),
        "The options, which are the marker's, too:",
        table(("Option", "What it is", "Allowed"), (_option(name) for name in Options.__annotations__)),
        *_class(testing.Simulation, ", and all of `Controls`"),
        "## hsmstore.simulator",
        _items([_callable(remote.Simulator), _callable(remote.Credentials)]),
        *_class(remote.Simulator, ", and all of `Controls`"),
        *_class(remote.Controls, inherited=DOORS),
        *_class(remote.Clock),
        *_class(remote.Faults),
        f"Of `when`, each may be left out: {', '.join(f'`{name}`' for name in When.__annotations__)}.",
        *_class(remote.Cluster),
        "## What is raised",
        _items(f"`{error.__name__}`: {_told(error)}" for error in ERRORS),
    )


def _fixtures() -> Iterator[tuple[str, str, str]]:
    """Yield name, type and sentence of each; read, since what pytest makes of them differs by its version."""
    for node in ast.parse(PLUGIN.read_text(encoding="utf-8")).body:
        decorated = "".join(map(ast.unparse, getattr(node, "decorator_list", ())))
        if isinstance(node, ast.FunctionDef) and decorated.startswith("pytest.fixture"):
            named = re.search(r"name='(\w+)'", decorated)
            given = re.sub(r"'|Iterator\[(\w+)\]", r"\1", ast.unparse(node.returns or ast.Constant(None)))
            yield f"`{named[1] if named else node.name}`", f"`{given}`", ast.get_docstring(node) or ""


def _option(name: str) -> tuple[str, str, str]:
    return f"`{name}`", FIELDS[name].description, FIELDS[name].allowed


def _class(kind: type, remark: str = "", inherited: Iterable[str] = ()) -> tuple[str, str, str]:
    """Return a heading, the docstring, and the public methods and properties in the order of the code."""
    own = [name for name in vars(kind) if not name.startswith("_") and name not in INTERNAL]
    return (
        f"### {kind.__name__}{remark}",
        _told(kind),
        _items(_member(kind, name) for name in [*inherited, *own]),
    )


def _member(kind: type, name: str) -> str:
    found = inspect.getattr_static(kind, name)
    if isinstance(found, property):
        return f"`{name}: {_shown(found.fget.__annotations__['return'])}`: {_told(found)}"
    return _callable(found)


def _callable(found: Any) -> str:
    """Return a signature as it is called, without `self`, and what is told of it."""
    signature = inspect.signature(found)
    given = [
        place.replace(annotation=_shown(place.annotation))
        for name, place in signature.parameters.items()
        if name != "self"
    ]
    returned = signature.empty if isinstance(found, type) else _shown(signature.return_annotation)
    if isinstance(returned, str) and hasattr(found, "__wrapped__"):  # by contextmanager
        returned = _Shown(returned.replace("Iterator", "AbstractContextManager"))
    shown = signature.replace(parameters=given, return_annotation=returned)
    return f"`{found.__name__}{shown}`: {_told(found)}"


class _Shown(str):
    """An annotation that a signature shows as it stands."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _shown(annotation: Any) -> _Shown:
    """Return an annotation by the names that the code has for it."""
    if get_origin(annotation) is Unpack:
        return _shown(get_args(annotation)[0])
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"'|\b(?:\w+\.)+(?=[A-Z])", "", text)
    return _Shown(text.replace("dict[str, Any]", "Answer"))


def _told(found: Any) -> str:
    """Return a docstring as one paragraph, without its examples; what is raised comes last."""
    paragraphs = (inspect.getdoc(found) or "").split("\n\n")
    if isinstance(found, type):
        paragraphs += [
            part
            for part in (inspect.getdoc(inspect.getattr_static(found, "__init__")) or "").split("\n\n")
            if _raises(part)
        ]
    told = [part for part in paragraphs if not part.startswith(_INDENTED)]
    return " ".join(_raised(part) if _raises(part) else " ".join(part.split()) for part in told)


def _raises(paragraph: str) -> bool:
    return paragraph.startswith("Raises:")


def _raised(paragraph: str) -> str:
    """Return `Raises:` and the errors below it as a sentence."""
    entries = re.sub(r"\n {8,}", " ", paragraph).splitlines()[1:]
    parts = (entry.strip().rstrip(".").partition(": ") for entry in entries)
    return f"Raises {'; '.join(f'`{error}`: {why}' for error, _, why in parts)}."


def _items(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
