"""AWS's own description of the operations that are served, read from botocore."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import botocore.session

from hsmstore.wire.operations import OPERATIONS

MODEL: Final = botocore.session.get_session().get_service_model("kms")
NAMES: Final = tuple(target.rpartition(".")[2] for target in OPERATIONS)

JsonObject = dict[str, Any]


class Member(NamedTuple):
    """A member of a request, or of a structure inside one; 0 in the path is the first of a list."""

    operation: str
    path: tuple[str | int, ...]
    shape: Any
    required: bool

    @property
    def name(self) -> str:
        """The member as AWS's messages name it."""
        return ".".join(
            f"{part + 1}.member" if isinstance(part, int) else part[0].lower() + part[1:]
            for part in self.path
        )

    @property
    def constraints(self) -> Mapping[str, Any]:
        """The model's constraints: min, max, pattern, enum, sensitive."""
        metadata: Mapping[str, Any] = self.shape.metadata
        return metadata

    def __str__(self) -> str:
        """Name the member in a test's id."""
        return f"{self.operation}-{'.'.join(map(str, self.path))}"


def members(operation: str) -> Iterator[Member]:
    """Yield every member of the operation's request, structures before what is in them."""
    yield from _members(operation, MODEL.operation_model(operation).input_shape, ())


def _members(operation: str, structure: Any, path: tuple[str | int, ...]) -> Iterator[Member]:
    for name, shape in structure.members.items():
        yield Member(operation, (*path, name), shape, name in structure.required_members)
        if shape.type_name == "structure":
            yield from _members(operation, shape, (*path, name))
        if shape.type_name == "list" and shape.member.type_name == "structure":
            yield from _members(operation, shape.member, (*path, name, 0))


def every_member(*types: str) -> list[Member]:
    """Return every member of every request, or those of the given types."""
    found = (member for operation in NAMES for member in members(operation))
    return [member for member in found if not types or member.shape.type_name in types]


def each_kind(*types: str) -> list[Member]:
    """Return a member of each name and shape: one stands for all, since tests/house compares them all."""
    kinds = {
        (member.path[-1], len(member.path), member.shape.name): member for member in every_member(*types)
    }
    return list(kinds.values())


def _any(length: int) -> str:
    return "x" * length


# Shapes with a pattern: a value of the wanted length that fits it, and the least length that can.
_FITTING: Final[Mapping[str, tuple[Callable[[int], str], int]]] = MappingProxyType(
    {
        "CloudHsmClusterIdType": (lambda length: "cluster-".ljust(length, "a"), 19),
        "XksProxyUriEndpointType": (lambda length: "https://".ljust(length, "a"), 10),
        "XksProxyUriPathType": (lambda length: "/" + "a" * (length - 13) + "/kms/xks/v10", 14),
        "XksProxyVpcEndpointServiceNameType": (
            lambda length: "com.amazonaws.vpce.us-east-1.vpce-svc-".ljust(length, "0"),
            39,
        ),
        "ServicePrincipalType": (lambda length: "a.a.".ljust(length, "a"), 5),
        "GrantConstraintSourceArnType": (lambda length: "arn:aws:s::123456789012:".ljust(length, "a"), 25),
        "RegionType": (lambda length: "a-a-".ljust(length, "1"), 5),
        "BackingKeyIdType": (lambda length: "a" * length, 64),
        "KeyMaterialDescriptionType": (_any, 1),
        "AccountIdType": (lambda length: "1" * length, 12),
        "XksProxyAuthenticationAccessKeyIdType": (lambda length: "A" * length, 20),
        "XksProxyAuthenticationRawSecretAccessKeyType": (lambda length: "a" * length, 43),
    }
)


def shortest(shape: Any) -> str:
    """Return a string of the least length that all constraints allow."""
    least: int = shape.metadata.get("min", 1)
    fitting, least = _FITTING.get(shape.name, (_any, least))
    return fitting(least)


def longest(shape: Any) -> str:
    """Return a string of the greatest length that all constraints allow."""
    fitting, _ = _FITTING.get(shape.name, (_any, 0))
    return fitting(shape.metadata["max"])


def example(shape: Any) -> Any:
    """Return a value that fits the shape."""
    match shape.type_name:
        case "structure":
            return {name: example(member) for name, member in shape.members.items()}
        case "list":
            return [example(shape.member)]
        case "integer":
            return shape.metadata["min"]
        case "map" | "blob" | "boolean" | "timestamp":
            return {"map": {"k": "v"}, "blob": "QUJD", "boolean": True, "timestamp": 0}[shape.type_name]
        case _:
            return shape.metadata["enum"][0] if "enum" in shape.metadata else shortest(shape)


def body_with(member: Member, value: Any) -> JsonObject:
    """Return a body that has what the model requires, and `value` as the member."""
    return _with(MODEL.operation_model(member.operation).input_shape, member.path, value)


def _with(structure: Any, path: tuple[str | int, ...], value: Any) -> JsonObject:
    body = {name: example(structure.members[name]) for name in structure.required_members}
    head, *rest = path
    inner = structure.members[head]
    if rest and inner.type_name == "list":
        body[str(head)] = [_with(inner.member, tuple(rest[1:]), value)]
    else:
        body[str(head)] = _with(inner, tuple(rest), value) if rest else value
    return body
