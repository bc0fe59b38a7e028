"""The options that describe an external key store's proxy."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from hsmstore.cli.options import Command, option, takes


class _Member(NamedTuple):
    """A member of CreateCustomKeyStore and its option's text."""

    name: str
    metavar: str
    help: str


_MEMBERS: Final[Mapping[str, _Member]] = MappingProxyType(
    {
        "xks_uri_endpoint": _Member(
            "XksProxyUriEndpoint", "URL", "An external proxy, such as https://proxy.example.com."
        ),
        "xks_uri_path": _Member("XksProxyUriPath", "PATH", "Its path, such as /example/kms/xks/v1."),
        "xks_connectivity": _Member(
            "XksProxyConnectivity", "KIND", "PUBLIC_ENDPOINT or VPC_ENDPOINT_SERVICE."
        ),
        "xks_vpc_service_name": _Member(
            "XksProxyVpcEndpointServiceName", "NAME", "Its VPC endpoint service."
        ),
        "xks_vpc_service_owner": _Member(
            "XksProxyVpcEndpointServiceOwner", "ACCOUNT", "The account that owns the service."
        ),
        "xks_access_key_id": _Member("AccessKeyId", "ID", "The credential by which the proxy knows KMS."),
    }
)


def takes_xks(command: Command) -> Command:
    """Give a command the options of a proxy; its argument `xks` gets those that were typed, by member."""
    parameters = [
        option(name, str | None, f"--{name.replace('_', '-')}", metavar=member.metavar, help=member.help)
        for name, member in _MEMBERS.items()
    ]

    def build(given: dict[str, Any]) -> dict[str, str]:
        return {_MEMBERS[name].name: value for name, value in given.items() if value is not None}

    return takes("xks", parameters, build)(command)


def xks_members(typed: Mapping[str, str], secret: str | None) -> dict[str, object]:
    """Return the members of a KMS request; the two halves of the credential go into a member of their own.

    A half that is missing stays missing: what it lacks is the simulator's to say.
    """
    members: dict[str, object] = {name: value for name, value in typed.items() if name != "AccessKeyId"}
    halves = {"AccessKeyId": typed.get("AccessKeyId"), "RawSecretAccessKey": secret}
    credential = {name: value for name, value in halves.items() if value is not None}
    return {**members, "XksProxyAuthenticationCredential": credential} if credential else members
