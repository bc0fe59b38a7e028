"""External key stores: what is registered of their proxy. No proxy is spoken to yet."""

from typing import Any

import pytest

from tests.server import Server, external_members
from tests.wire.refusals import code, refusal

VPC = "VPC_ENDPOINT_SERVICE"
PUBLIC = "PUBLIC_ENDPOINT"


def service(number: int) -> str:
    """Return the name of a VPC endpoint service."""
    return f"com.amazonaws.vpce.us-east-1.vpce-svc-{number:017x}"


def create(server: Server, name: str, **others: Any) -> str:
    """Create an external key store; return its id."""
    members = {**external_members(name), **others}
    store: str = server.kms().create_custom_key_store(CustomKeyStoreName=name, **members)["CustomKeyStoreId"]
    return store


def create_in_vpc(server: Server, number: int, **others: Any) -> str:
    """Create an external key store behind a VPC endpoint service of its own."""
    return create(server, f"vpc-{number}", **vpc(number), **others)


def vpc(number: int) -> dict[str, str]:
    """Return the members of a proxy behind a VPC endpoint service."""
    return {
        "XksProxyConnectivity": VPC,
        "XksProxyUriEndpoint": f"https://vpc-{number}.example.com",
        "XksProxyVpcEndpointServiceName": service(number),
    }


def configuration(server: Server, store: str) -> dict[str, Any]:
    """Return the proxy's configuration as it is described."""
    (entry,) = server.kms().describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    proxy: dict[str, Any] = entry["XksProxyConfiguration"]
    return proxy


@pytest.mark.aws_documented
def test_entry(server: Server) -> None:
    """An external key store is described by its own members, the secret access key not among them."""
    store = server.new_external_store("external-entry")
    (entry,) = server.kms().describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    del entry["CreationDate"]
    assert entry == {
        "CustomKeyStoreId": store,
        "CustomKeyStoreName": "external-entry",
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "ConnectionState": "DISCONNECTED",
        "XksProxyConfiguration": {
            "Connectivity": PUBLIC,
            "AccessKeyId": "ABCDEFGHIJKLMNOPQRST",
            "UriEndpoint": "https://xks.example.com",
            "UriPath": "/external-entry/kms/xks/v1",
        },
    }


@pytest.mark.aws_documented
@pytest.mark.parametrize("owner", [None, "111122223333"])
def test_entry_in_a_vpc(server: Server, owner: str | None) -> None:
    """The VPC endpoint service is described with its owner, who is the caller unless it is said."""
    given = {} if owner is None else {"XksProxyVpcEndpointServiceOwner": owner}
    number = 10 if owner is None else 11
    proxy = configuration(server, create_in_vpc(server, number, **given))
    assert proxy["Connectivity"] == VPC
    assert proxy["VpcEndpointServiceName"] == service(number)
    assert proxy["VpcEndpointServiceOwner"] == (owner or "000000000000")


@pytest.mark.aws_documented
def test_public_endpoints_may_be_shared(server: Server) -> None:
    """Two key stores share a public endpoint if their paths differ, and only then."""
    endpoint = {"XksProxyUriEndpoint": "https://shared.example.com"}
    create(server, "shared-1", **endpoint)
    create(server, "shared-2", **endpoint)
    same = {**external_members("shared-1"), **endpoint}
    refused = code(server.kms().create_custom_key_store, CustomKeyStoreName="shared-3", **same)
    assert refused == "XksProxyUriInUseException"


@pytest.mark.aws_documented
@pytest.mark.parametrize("first", [VPC, PUBLIC])
def test_endpoint_of_another_connectivity(server: Server, first: str) -> None:
    """An endpoint of a VPC is no other key store's endpoint, public or not, whichever came first."""
    number = 20 if first == VPC else 21
    endpoint = f"https://vpc-{number}.example.com"
    if first == VPC:
        create_in_vpc(server, number)
        second = {**external_members("clash-1"), "XksProxyUriEndpoint": endpoint}
    else:
        create(server, "clash-2", XksProxyUriEndpoint=endpoint)
        second = {**external_members("clash-3"), **vpc(number)}
    refused = code(server.kms().create_custom_key_store, CustomKeyStoreName=f"clash {first}", **second)
    assert refused == "XksProxyUriEndpointInUseException"


@pytest.mark.aws_documented
def test_vpc_rules(server: Server) -> None:
    """Each key store in a VPC has a private DNS name and an endpoint service of its own."""
    create_in_vpc(server, 30)
    same_endpoint = {**vpc(31), "XksProxyUriEndpoint": "https://vpc-30.example.com"}
    same_service = {**vpc(31), "XksProxyVpcEndpointServiceName": service(30)}
    for changed, exception in (
        (same_endpoint, "XksProxyUriEndpointInUseException"),
        (same_service, "XksProxyVpcEndpointServiceInUseException"),
    ):
        members = {**external_members("vpc-31"), **changed}
        assert code(server.kms().create_custom_key_store, CustomKeyStoreName="vpc-31", **members) == exception
    assert create_in_vpc(server, 31)


@pytest.mark.aws_documented
def test_deleted_store_frees_its_proxy(server: Server) -> None:
    """Endpoint and service are free again once their key store is deleted."""
    store = create_in_vpc(server, 40)
    server.kms().delete_custom_key_store(CustomKeyStoreId=store)
    assert create(server, "vpc-40-again", **vpc(40)) != store


OTHER = {
    "XksProxyUriEndpoint": "https://other.example.com",
    "XksProxyUriPath": "/other/kms/xks/v1",
    "XksProxyConnectivity and service": vpc(50),
    "AccessKeyId": {"AccessKeyId": "B" * 20, "RawSecretAccessKey": "A" * 43},
    "RawSecretAccessKey": {"AccessKeyId": "ABCDEFGHIJKLMNOPQRST", "RawSecretAccessKey": "B" * 43},
}


@pytest.mark.aws_documented
@pytest.mark.parametrize("what", OTHER)
def test_repeated_create(server: Server, what: str) -> None:
    """A repeated Create returns the id if every property is the same, and is refused for the name if not."""
    name = f"xks-repeated-{list(OTHER).index(what)}"
    store = server.new_external_store(name)
    assert server.new_external_store(name) == store
    other = OTHER[what]
    member = "XksProxyAuthenticationCredential" if "Key" in what else what
    changed = other if what.endswith("service") else {member: other}
    assert isinstance(changed, dict)
    members = {**external_members(name), **changed}
    refused = code(server.kms().create_custom_key_store, CustomKeyStoreName=name, **members)
    assert refused == "CustomKeyStoreNameInUseException"


@pytest.mark.aws_documented
@pytest.mark.parametrize(
    "none", [{"XksProxyVpcEndpointServiceName": ""}, {"XksProxyVpcEndpointServiceName": None}, {}]
)
def test_connectivity_there_and_back(server: Server, none: dict[str, str | None]) -> None:
    """A key store moves into a VPC, and back with an empty, null or absent VpcEndpointServiceName."""
    name = f"there-and-back-{len(none)}-{none.get('XksProxyVpcEndpointServiceName') is None}"
    store = server.new_external_store(name)
    before = configuration(server, store)
    kms = server.kms()
    kms.update_custom_key_store(CustomKeyStoreId=store, **vpc(60))
    inside = configuration(server, store)
    assert inside == before | {
        "Connectivity": VPC,
        "UriEndpoint": "https://vpc-60.example.com",
        "VpcEndpointServiceName": service(60),
        "VpcEndpointServiceOwner": "000000000000",
    }
    back = {"XksProxyConnectivity": PUBLIC, "XksProxyUriEndpoint": "https://xks.example.com", **none}
    answer = server.call("UpdateCustomKeyStore", {"CustomKeyStoreId": store, **back})
    assert (answer.status, answer.body) == (200, b"{}")
    assert configuration(server, store) == before


HALVES: list[tuple[str, dict[str, str], str]] = [
    (PUBLIC, {"XksProxyConnectivity": VPC}, "XksProxyUriEndpoint"),
    (
        PUBLIC,
        {"XksProxyConnectivity": VPC, "XksProxyUriEndpoint": "https://x.example.com"},
        "XksProxyVpcEndpointServiceName",
    ),
    (PUBLIC, {"XksProxyVpcEndpointServiceName": service(99)}, "XksProxyVpcEndpointServiceName"),
    (PUBLIC, {"XksProxyVpcEndpointServiceOwner": "111122223333"}, "XksProxyVpcEndpointServiceOwner"),
    (VPC, {"XksProxyConnectivity": PUBLIC}, "XksProxyUriEndpoint"),
    (VPC, {"XksProxyVpcEndpointServiceName": ""}, "XksProxyVpcEndpointServiceName"),
    (
        VPC,
        {
            "XksProxyConnectivity": PUBLIC,
            "XksProxyUriEndpoint": "https://x.example.com",
            "XksProxyVpcEndpointServiceName": service(98),
        },
        "XksProxyVpcEndpointServiceName",
    ),
]


@pytest.mark.inferred(
    reason="The rule is documented; that it is a ValidationException, and its text, are ours."
)
@pytest.mark.parametrize(("start", "change", "named"), HALVES, ids=range(len(HALVES)))
def test_half_a_connectivity(server: Server, start: str, change: dict[str, str], named: str) -> None:
    """A change of connectivity without what it needs, or with what it cannot have, names the member."""
    number = 70 + HALVES.index((start, change, named))
    store = create_in_vpc(server, number) if start == VPC else create(server, f"half-{number}")
    before = configuration(server, store)
    refused = refusal(server.kms().update_custom_key_store, CustomKeyStoreId=store, **change)
    assert refused[:2] == (400, "ValidationException")
    assert named in refused.message
    assert configuration(server, store) == before


@pytest.mark.inferred(
    reason="The rule is documented; that it is a ValidationException, and its text, are ours."
)
@pytest.mark.parametrize(
    ("member", "value"),
    [("XksProxyVpcEndpointServiceName", service(97)), ("XksProxyVpcEndpointServiceOwner", "111122223333")],
)
def test_vpc_member_of_a_public_endpoint(server: Server, member: str, value: str) -> None:
    """A public endpoint has no VPC endpoint service, and so nobody who owns one."""
    members = {**external_members("public-in-vpc"), member: value}
    refused = refusal(server.kms().create_custom_key_store, CustomKeyStoreName="public-in-vpc", **members)
    assert refused[:2] == (400, "ValidationException")
    assert member in refused.message


@pytest.mark.aws_documented
def test_update_into_a_proxy_in_use(server: Server) -> None:
    """An Update is held to the rules of uniqueness, and may repeat what the key store has."""
    server.new_external_store("occupied")
    store = server.new_external_store("newcomer")
    kms = server.kms()
    kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyUriPath="/newcomer/kms/xks/v1")
    refused = code(
        kms.update_custom_key_store, CustomKeyStoreId=store, XksProxyUriPath="/occupied/kms/xks/v1"
    )
    assert refused == "XksProxyUriInUseException"


@pytest.mark.aws_documented
def test_update_of_the_credential(server: Server) -> None:
    """A new credential shows its access key id, and its secret never."""
    store = server.new_external_store("credential")
    credential = {"AccessKeyId": "QPONMLKJIHGFEDCBAZYX", "RawSecretAccessKey": "Z" * 43}
    server.kms().update_custom_key_store(CustomKeyStoreId=store, XksProxyAuthenticationCredential=credential)
    assert configuration(server, store)["AccessKeyId"] == "QPONMLKJIHGFEDCBAZYX"
    assert b"Z" * 43 not in server.call("DescribeCustomKeyStores", {"CustomKeyStoreId": store}).body


@pytest.mark.simulator_only(reason="There is no proxy client yet.")
def test_connect(server: Server) -> None:
    """An external key store fails to connect with XKS_PROXY_NOT_REACHABLE, and can be disconnected."""
    store = server.new_external_store("unreachable")
    kms = server.kms()
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    (entry,) = kms.describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    assert entry["ConnectionState"] == "FAILED"
    assert entry["ConnectionErrorCode"] == "XKS_PROXY_NOT_REACHABLE"
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    (entry,) = kms.describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    assert entry["ConnectionState"] == "DISCONNECTED"
    assert "ConnectionErrorCode" not in entry
