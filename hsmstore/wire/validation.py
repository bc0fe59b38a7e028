"""The slow path of decoding: why a body is refused, in AWS's words.

The fast path is one msgspec decode. Only when it fails does this walk the body against the same annotations,
find what AWS would find, and word it as AWS does:

1. not JSON, or a member of the wrong type: SerializationException, before any constraint is looked at;
2. constraints of the service model: ValidationException, all violations in one message, in the model's order
   of members, sensitive values left out;
3. a float where an integer belongs is truncated, so what fails the fast path may yet be valid.

Texts: recorded from KMS where `tests/wire` says `aws_recorded`, else by analogy with other awsJson1.1
services.
"""

import base64
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from hsmstore.domain.errors import SerializationException, ValidationException
from hsmstore.service.shapes import Naming

T = TypeVar("T", bound=msgspec.Struct)

Violation = str


def decode(body: bytes, shape: type[T]) -> T:
    """Decode `body` as `shape`, as leniently and as strictly as AWS.

    Raises:
        SerializationException: not JSON, or a member of the wrong type.
        ValidationException: a member breaks a constraint.

    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SerializationException(internal=str(error)) from error
    if isinstance(document, list):
        raise SerializationException("Start of list found where not expected")
    if not isinstance(document, dict):
        raise SerializationException
    members = _structure(document, shape)
    violations = list(_violations(members, shape, path=""))
    if violations:
        raise ValidationException(_sentence(violations))
    return msgspec.convert(members, shape)


def _sentence(violations: list[Violation]) -> str:
    count = len(violations)
    return f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(violations)}"


# Types first.


def _structure(document: dict[str, Any], shape: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the known members that are given, each converted to its type; null means absent."""
    return {
        field.encode_name: _typed(document[field.encode_name], _core(field.type))
        for field in _fields(shape)
        if document.get(field.encode_name) is not None
    }


def _typed(value: Any, kind: inspect.Type) -> Any:
    match kind:
        case inspect.StructType() | inspect.DictType():
            if not isinstance(value, dict):
                raise SerializationException(_found(value, "Expected null"))
            return _structure(value, kind.cls) if isinstance(kind, inspect.StructType) else _map(value, kind)
        case inspect.ListType():
            return _list(value, _core(kind.item_type))
        case _:
            return _typed_scalar(value, kind)


def _typed_scalar(value: Any, kind: inspect.Type) -> Any:
    match kind:
        case inspect.IntType():
            return _scalar(value, (int, float), "an Integer", int)
        case inspect.FloatType():
            return _scalar(value, (int, float), "a Timestamp", float)
        case inspect.BoolType():
            return _boolean(value)
        case inspect.StrType() | inspect.EnumType():
            return _scalar(value, (str,), "a String", str)
        case inspect.BytesType():
            return _scalar(value, (str,), "a Blob", _blob)
        case _:
            raise TypeError(f"no wire type for {kind}")


def _map(value: dict[str, Any], kind: inspect.DictType) -> dict[str, Any]:
    return {key: _typed(item, _core(kind.value_type)) for key, item in value.items() if item is not None}


def _list(value: Any, kind: inspect.Type) -> list[Any]:
    if isinstance(value, dict):
        raise SerializationException("Start of structure or map found where not expected.")
    if not isinstance(value, list):
        raise SerializationException("Expected list or null")
    return [None if item is None else _typed(item, kind) for item in value]


def _boolean(value: Any) -> bool:
    return value if isinstance(value, bool) else bool(_scalar(value, (), "a Boolean", bool))


def _scalar(value: Any, types: tuple[type, ...], name: str, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        raise SerializationException("Start of structure or map found where not expected.")
    if isinstance(value, list):
        raise SerializationException("Start of list found where not expected")
    if isinstance(value, bool) or not isinstance(value, types):
        raise SerializationException(f"{_token(value)} can not be converted to {name}")
    try:
        return convert(value)
    except (OverflowError, ValueError) as error:
        raise SerializationException(f"{_token(value)} can not be converted to {name}") from error


def _found(value: Any, text: str) -> str:
    return "Start of list found where not expected" if isinstance(value, list) else text


def _token(value: Any) -> str:
    """Name a JSON scalar as the service's parser does."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"


def _blob(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


# Then constraints.


def _violations(members: dict[str, Any], shape: type[msgspec.Struct], path: str) -> Iterator[Violation]:
    for field in _fields(shape):
        name = path + field.encode_name[0].lower() + field.encode_name[1:]
        value = members.get(field.encode_name)
        if value is not None:
            yield from _broken(value, field.type, name)
        elif field.required:
            yield f"Value null at '{name}' failed to satisfy constraint: Member must not be null"


def _broken(value: Any, kind: inspect.Type, name: str) -> Iterator[Violation]:
    core, extra = _core(kind), _extra(kind)
    if isinstance(core, inspect.StructType):
        yield from _violations(value, core.cls, f"{name}.")
        return
    if isinstance(core, inspect.ListType):
        yield from _broken_list(value, core, name)
        return
    shown = "Value" if extra.get("sensitive") else f"Value '{_shown(value)}'"
    for constraint in _constraints(value, core, extra):
        yield f"{shown} at '{name}' failed to satisfy constraint: Member must {constraint}"


def _broken_list(value: list[Any], kind: inspect.ListType, name: str) -> Iterator[Violation]:
    """Name each broken member of a list of structures by its place; of a list of scalars, the whole."""
    said = f"Value '{_shown(value)}' at '{name}' failed to satisfy constraint: Member must"
    for constraint in _lengths(value, kind.min_length or 0, kind.max_length):
        yield f"{said} {constraint}"
    item = _core(kind.item_type)
    for number, member in enumerate(value, start=1):
        place = f"{name}.{number}.member"
        if member is None:
            yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"
        elif isinstance(item, inspect.StructType):
            yield from _violations(member, item.cls, f"{place}.")
    if any(_broken_member(member, kind.item_type) for member in value if member is not None):
        every = ", ".join(f"Member must {constraint}" for constraint in _every(item, _extra(kind.item_type)))
        yield f"{said} satisfy constraint: [{every}]"


def _broken_member(value: Any, kind: inspect.Type) -> bool:
    core = _core(kind)
    scalar = not isinstance(core, inspect.StructType)
    return scalar and any(_constraints(value, core, _extra(kind)))


def _every(core: inspect.Type, extra: dict[str, Any]) -> Iterator[str]:
    """Yield every constraint of a list's member, in the order in which AWS's framework lists them."""
    if isinstance(core, inspect.EnumType):
        yield _one_of(core)
    elif isinstance(core, inspect.StrType):
        yield f"have length less than or equal to {core.max_length}"
        yield f"have length greater than or equal to {extra['minimum']}"


def _shown(value: Any) -> str:
    """Show a value as AWS does: of a blob, how long it is."""
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)


def _constraints(value: Any, core: inspect.Type, extra: dict[str, Any]) -> Iterator[str]:
    match core:
        case inspect.EnumType():
            if value not in [member.value for member in core.cls]:
                yield _one_of(core)
        case inspect.IntType():
            if core.ge is not None and value < core.ge:
                yield f"have value greater than or equal to {core.ge}"
            if core.le is not None and value > core.le:
                yield f"have value less than or equal to {core.le}"
        case inspect.StrType() | inspect.BytesType():
            yield from _text_constraints(value, core, extra)


def _one_of(core: inspect.EnumType) -> str:
    return f"satisfy enum value set: [{', '.join(member.value for member in core.cls)}]"


def _text_constraints(
    value: str | bytes, core: inspect.StrType | inspect.BytesType, extra: dict[str, Any]
) -> Iterator[str]:
    if not value and extra.get("or_empty"):
        return
    yield from _lengths(value, extra.get("minimum", 0), core.max_length)
    pattern = core.pattern if isinstance(core, inspect.StrType) else None
    if pattern is not None and re.search(pattern, str(value)) is None:
        yield f"satisfy regular expression pattern: {extra['pattern']}"


def _lengths(value: str | bytes | list[Any], minimum: int, maximum: int | None) -> Iterator[str]:
    if len(value) < minimum:
        yield f"have length greater than or equal to {minimum}"
    if maximum is not None and len(value) > maximum:
        yield f"have length less than or equal to {maximum}"


# What the annotations say.


def key_members(shape: type[msgspec.Struct]) -> dict[str, Naming]:
    """Return the fields of a request that name a key, and what may name it there."""
    namings = ((field.name, _extra(field.type).get("naming")) for field in _fields(shape))
    return {name: naming for name, naming in namings if naming is not None}


@cache
def _fields(shape: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    kind = inspect.type_info(shape)
    assert isinstance(kind, inspect.StructType)  # noqa: S101  # the signature says so
    return kind.fields


def _extra(kind: inspect.Type) -> dict[str, Any]:
    """Return what `shapes.text` noted beside the type."""
    if isinstance(kind, inspect.UnionType):
        return _extra(_without_none(kind))
    return (kind.extra or {}) if isinstance(kind, inspect.Metadata) else {}


def _core(kind: inspect.Type) -> inspect.Type:
    """Return the type itself, without its metadata and without `| None`."""
    if isinstance(kind, inspect.UnionType):
        return _core(_without_none(kind))
    return _core(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _without_none(kind: inspect.UnionType) -> inspect.Type:
    return next(member for member in kind.types if not isinstance(member, inspect.NoneType))
