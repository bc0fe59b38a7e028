"""Our shapes against botocore's copy of AWS's model: what a client may send, and what it will read."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, get_type_hints

import msgspec
import pytest
from botocore.session import get_session
from msgspec import inspect as shapes

from hsmstore.domain import errors
from hsmstore.domain.errors import AwsError
from hsmstore.wire.operations import OPERATIONS, Operation

MODEL = get_session().get_service_model("kms")
ROWS = list(OPERATIONS.values())


def by_operation(row: Operation) -> str:
    """Name a row in a test's id."""
    return row.name


def core(kind: shapes.Type) -> shapes.Type:
    """Return the type itself, without `| None` and without its metadata."""
    if isinstance(kind, shapes.UnionType):
        (kind,) = (member for member in kind.types if not isinstance(member, shapes.NoneType))
    return core(kind.type) if isinstance(kind, shapes.Metadata) else kind


def extra(kind: shapes.Type) -> dict[str, Any]:
    """Return what stands beside the type."""
    if isinstance(kind, shapes.UnionType):
        (kind,) = (member for member in kind.types if not isinstance(member, shapes.NoneType))
    return (kind.extra or {}) if isinstance(kind, shapes.Metadata) else {}


def ours(structure: type[msgspec.Struct], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each member of our structure with its constraints, in the model's words."""
    described = shapes.type_info(structure)
    assert isinstance(described, shapes.StructType)
    for field in described.fields:
        name = path + field.encode_name
        yield name, {"required": field.required, **_constraints(core(field.type), extra(field.type))}
        yield from _inside(core(field.type), name)


def _inside(kind: shapes.Type, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is in a structure or a list; what is in a map has no constraints in AWS's model."""
    match kind:
        case shapes.StructType():
            yield from ours(kind.cls, f"{name}.")
        case shapes.ListType():
            yield f"{name}.member", _constraints(core(kind.item_type), extra(kind.item_type))
            yield from _inside(core(kind.item_type), f"{name}.member")
        case shapes.DictType():
            yield f"{name}.key", _constraints(core(kind.key_type), extra(kind.key_type))
            yield f"{name}.value", _constraints(core(kind.value_type), extra(kind.value_type))


def _constraints(kind: shapes.Type, noted: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case shapes.IntType():
            return {"type": "integer", "min": kind.ge, "max": kind.le}
        case shapes.EnumType():
            return {"type": "string", "enum": [member.value for member in kind.cls]}
        case shapes.StructType() | shapes.DictType() | shapes.BoolType() | shapes.FloatType():
            return {"type": _PLAIN[type(kind)]}
        case shapes.ListType():
            return {"type": "list", "min": kind.min_length, "max": kind.max_length}
        case shapes.StrType() | shapes.BytesType():
            words = {"type": "string" if isinstance(kind, shapes.StrType) else "blob"}
            if not noted:  # a map's key or value
                return words
            bounds = {"min": noted["minimum"], "max": kind.max_length, "pattern": noted["pattern"]}
            return {**words, **bounds, "sensitive": noted["sensitive"] or None}
        case _:
            raise AssertionError(f"no such type in a request: {kind}")


_PLAIN = {
    shapes.StructType: "structure",
    shapes.DictType: "map",
    shapes.BoolType: "boolean",
    shapes.FloatType: "timestamp",
}


def theirs(structure: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each member of AWS's structure with its constraints."""
    for name, shape in structure.members.items():
        required = name in structure.required_members
        inner = {word: value for word, value in shape.metadata.items() if word != "required"}
        yield path + name, {"required": required, "type": shape.type_name, **inner}
        yield from _inside_theirs(shape, path + name)


def _inside_theirs(shape: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    def described(inner: Any) -> dict[str, Any]:
        return {"type": inner.type_name, **inner.metadata, "required": None}

    if shape.type_name == "structure":
        yield from theirs(shape, f"{name}.")
    if shape.type_name == "list":
        yield f"{name}.member", described(shape.member)
        yield from _inside_theirs(shape.member, f"{name}.member")
    if shape.type_name == "map":
        yield f"{name}.key", described(shape.key)
        yield f"{name}.value", described(shape.value)


def without_none(constraints: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not constrained."""
    return {word: value for word, value in constraints.items() if value is not None}


@pytest.mark.parametrize("row", ROWS, ids=by_operation)
def test_requests(row: Operation) -> None:
    """Each request has AWS's members in AWS's order, each with AWS's type and constraints."""
    expected = [
        (name, without_none(words)) for name, words in theirs(MODEL.operation_model(row.name).input_shape)
    ]
    assert [(name, without_none(words)) for name, words in ours(row.request)] == expected


@pytest.mark.parametrize("row", ROWS, ids=by_operation)
def test_bounds_are_enforced_as_noted(row: Operation) -> None:
    """The minimum and the pattern that messages name are those that decoding enforces."""
    for field in _text_fields(row.request):
        kind, noted = core(field.type), extra(field.type)
        assert isinstance(kind, shapes.StrType | shapes.BytesType)
        assert kind.min_length == (None if noted["or_empty"] else noted["minimum"])
        if isinstance(kind, shapes.StrType) and noted["pattern"] is not None:
            assert kind.pattern is not None
            assert noted["pattern"] in kind.pattern


def _text_fields(structure: type[msgspec.Struct]) -> Iterator[shapes.Field]:
    described = shapes.type_info(structure)
    assert isinstance(described, shapes.StructType)
    for field in described.fields:
        kind = core(field.type)
        if isinstance(kind, shapes.ListType):
            kind = core(kind.item_type)
        if isinstance(kind, shapes.StructType):
            yield from _text_fields(kind.cls)
        elif isinstance(core(field.type), shapes.StrType | shapes.BytesType):
            yield field


def response_members(structure: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the names in a response, with those inside its structures and lists."""
    described = shapes.type_info(structure)
    assert isinstance(described, shapes.StructType)
    return {field.encode_name: _inner(core(field.type)) for field in described.fields}


def _inner(kind: shapes.Type) -> Any:
    if isinstance(kind, shapes.ListType):
        return [_inner(kind.item_type)]
    return response_members(kind.cls) if isinstance(kind, shapes.StructType) else None


def model_members(shape: Any) -> Any:
    """Return the names in AWS's shape, likewise."""
    if shape is None:
        return {}
    if shape.type_name == "list":
        return [model_members(shape.member)]
    if shape.type_name == "structure":
        return {name: model_members(member) for name, member in shape.members.items()}
    return None


@pytest.mark.parametrize("row", ROWS, ids=by_operation)
def test_responses(row: Operation) -> None:
    """Each response has AWS's members, none more and none fewer, down to the last structure.

    An operation that is refused to every key here has none, and says so with NoReturn.
    """
    response = get_type_hints(row.serve)["return"]
    if response is NoReturn:
        return
    assert response_members(response) == model_members(MODEL.operation_model(row.name).output_shape)


# Errors. A service function reaches others; each that a name in it leads to is read in turn.

AWS_ERRORS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, AwsError)
}
COMMON = {
    "ValidationException",  # AWS's common error of every operation; no model declares it
    "AccessDeniedException",  # likewise; recorded of Decrypt whose key is not to be had
    "ThrottlingException",  # recorded from KMS, likewise
}


_STATE = "KMSInvalidStateException"
_REFUSALS = {
    "require": ["CustomKeyStoreInvalidStateException"],  # a KeyStore's; of an event (`after`) it comes later
    "require_usable": ["DisabledException", _STATE],  # a KmsKey's, like those below
    "require_grantable": ["DisabledException", _STATE],
    "require_changeable": [_STATE],
    "require_pending_deletion": [_STATE],
    "open_marker": ["InvalidMarkerException"],  # a Listing's
}
"""What methods refuse, by name."""


_RAISED: dict[Any, set[str]] = {}


def raised(function: Callable[..., Any]) -> set[str]:
    """Return the AWS errors that the function or what it calls of ours may construct, and does not catch."""
    function = inspect.unwrap(function)
    if function not in _RAISED:
        _RAISED[function] = set()  # for who comes back to it in a circle
        _RAISED[function] = set(_raised(function))
    return _RAISED[function]


def _raised(function: Callable[..., Any]) -> Iterator[str]:
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    caught = set(_caught(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            found = _resolved(node, function.__globals__)
            if isinstance(found, type) and issubclass(found, AwsError) and found is not AwsError:
                yield from {found.__name__} - caught
            elif inspect.isfunction(found) and found.__module__.startswith("hsmstore.service"):
                yield from raised(found) - caught
        if isinstance(node, ast.Attribute):
            yield from _REFUSALS.get(node.attr, ())


def _caught(tree: ast.Module) -> Iterator[str]:
    """Yield the names of exceptions that the function catches and does not raise again, nor by itself."""
    raised_here = {name.id for node in ast.walk(tree) if isinstance(node, ast.Raise) for name in _names(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            again = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
            yield from () if again else {name.id for name in _names(node.type)} - raised_here


def _names(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))


def _resolved(node: ast.Name | ast.Attribute, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    owner = names.get(node.value.id) if isinstance(node.value, ast.Name) else None
    return getattr(owner, node.attr, None) if inspect.ismodule(owner) else None


@pytest.mark.parametrize("row", ROWS, ids=by_operation)
def test_errors_are_declared(row: Operation) -> None:
    """What an operation raises is declared by AWS for that operation, so that clients can catch it."""
    declared = {shape.name for shape in MODEL.operation_model(row.name).error_shapes}
    found = raised(row.serve)
    assert found, "an operation that refuses nothing is not believed"
    assert found - declared - COMMON == set()


@pytest.mark.parametrize("row", ROWS, ids=by_operation)
def test_documented_errors_are_raised(row: Operation) -> None:
    """The errors that a service function's docstring names are those that can be found in it."""
    named = set(re.findall(r"(?<![\w…])\w+Exception\b", inspect.getdoc(row.serve) or ""))
    assert named - raised(row.serve) == set()


def test_known_errors_are_those_of_aws() -> None:
    """Every exception of the key store operations is AWS's by name, and has AWS's member for its text."""
    of_aws = {shape.name: shape for shape in MODEL.error_shapes}
    declared = {name for name in AWS_ERRORS if name in of_aws}
    assert {name for name in declared if AWS_ERRORS[name].text_member not in of_aws[name].members} == set()
    used = {name for row in ROWS for name in raised(row.serve)} - COMMON
    assert used <= declared
